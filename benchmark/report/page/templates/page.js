
"use strict";

// Tables: a button in every head sorts within each section: ascending, descending, as it was.

const collator = new Intl.Collator("en", { numeric: true });

function keyOf(row, column) {
  const cell = row.cells[column];
  if (cell.dataset.value === undefined) return cell.textContent.trim();
  return cell.dataset.value === "" ? null : Number(cell.dataset.value);
}

function compareKeys(one, other) {
  return typeof one === "number" && typeof other === "number" ? one - other : collator.compare(one, other);
}

function sortTable(table, head, column) {
  const next = { none: "ascending", ascending: "descending", descending: "none" }[head.getAttribute("aria-sort")];
  for (const other of head.parentElement.cells) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", next);
  for (const body of table.tBodies) {
    const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row, column) }));
    rows.sort((one, other) => {
      if (next === "none") return one.row.dataset.place - other.row.dataset.place;
      if (one.key === null || other.key === null) return (one.key === null) - (other.key === null);
      return compareKeys(one.key, other.key) * (next === "ascending" ? 1 : -1);
    });
    body.append(...rows.map((entry) => entry.row));
  }
}

for (const table of document.querySelectorAll("table[data-sortable]")) {
  for (const body of table.tBodies) Array.from(body.rows).forEach((row, place) => { row.dataset.place = place; });
  const heads = table.tHead.rows[table.tHead.rows.length - 1].cells;
  Array.from(heads).forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.append(...head.childNodes);
    if (!button.textContent.trim()) return;
    head.replaceChildren(button);
    head.setAttribute("aria-sort", "none");
    button.addEventListener("click", () => sortTable(table, head, column));
  });
}

// Claims: a verdict's label is a button that shows only the claims which have it.

const filter = document.querySelector("[data-filter]");

function showOnly(verdict) {
  const claims = Array.from(document.querySelectorAll("[data-verdicts]"));
  for (const claim of claims) {
    claim.hidden = verdict !== null && !claim.dataset.verdicts.split(" ").includes(verdict);
    for (const judgement of claim.querySelectorAll("[data-verdict]")) {
      judgement.hidden = verdict !== null && judgement.dataset.verdict !== verdict;
    }
  }
  const more = document.querySelector("[data-more]");
  if (more) more.hidden = !more.querySelector("[data-verdicts]:not([hidden])");
  if (more && !more.hidden && verdict !== null) more.open = true;
  const shown = claims.filter((claim) => !claim.hidden).length;
  document.querySelector("[data-filter-status]").textContent =
    verdict === null ? "" : `${shown} of ${claims.length} statements are shown; choose the label again for all.`;
}

for (const item of filter ? filter.children : []) {
  const button = document.createElement("button");
  button.type = "button";
  button.setAttribute("aria-pressed", "false");
  button.append(...item.childNodes);
  item.append(button);
  button.addEventListener("click", () => {
    const pressed = button.getAttribute("aria-pressed") === "true";
    for (const other of filter.querySelectorAll("button")) other.setAttribute("aria-pressed", "false");
    button.setAttribute("aria-pressed", String(!pressed));
    showOnly(pressed ? null : item.dataset.verdict);
  });
}

// A link to runs marks all of their rows; a link into something folded opens it.

function follow() {
  const id = decodeURIComponent(location.hash.slice(1));
  for (const row of document.querySelectorAll("tr[data-groups]")) {
    row.classList.toggle("marked", id !== "" && row.dataset.groups.split(" ").includes(id));
  }
  const target = id === "" ? null : document.getElementById(id);
  for (let place = target; place; place = place.parentElement) if (place.tagName === "DETAILS") place.open = true;
  const row = target && target.closest("tr[data-groups]");
  if (row) row.scrollIntoView({ block: "center", inline: "start" });
}

addEventListener("hashchange", follow);
follow();
