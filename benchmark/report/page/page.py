"""The report as one page: verdicts first, then each dataset's tables, figures and runs. It opens from a file, offline.

Everything is inside: pictures as data URIs, style and script inline under a policy that forbids whatever else. Links
lead to the run records beside it and to the written tables and figures.
"""

from __future__ import annotations

import base64
import hashlib
import os
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from markupsafe import Markup
from PIL import Image

from benchmark.paper.printed import CITATION
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judged_claims import VERDICTS, JudgedClaim
from benchmark.report.figures.captions import caption
from benchmark.report.material import Material
from benchmark.report.page.html import environment, sort_value, to_html
from benchmark.report.page.runs_table import METRICS, anchor_of, anchor_of_caption, not_run, run_rows, slug
from benchmark.report.query import Results
from benchmark.report.tables.layout import Table
from benchmark.report.tables.notes import machines_note
from benchmark.store.atomic_files import write_file

NOT_RUN = "not run"
"""The verdict on a claim for which nothing has run."""

_TEMPLATES = Path(__file__).parent / "templates"
_CHIPS = {
    "confirmed": "good",
    "contradicted": "bad",
    "inconclusive": "open",
    "done": "good",
    "failed": "bad",
    "diverged": "bad",
}
_SIGNS = {"good": "\u2713", "bad": "\u2717", "open": "~", "none": "\u2013"}


@dataclass(frozen=True)
class Shown:
    """What a report made of one dataset in one setting.

    `tables` and `figures` by name, the latter as the PNG files that were written; `folder` has the tables' files.
    `gaps`: what could not be shown, in words.
    """

    material: Material
    tables: Mapping[str, Sequence[Table]]
    figures: Mapping[str, Path]
    folder: Path
    gaps: Sequence[str] = ()


@dataclass(frozen=True)
class _Picture:
    """A figure on the page; `uri` is empty if its file cannot be read. `file`: the PDF, as a link."""

    name: str
    caption: str
    uri: str
    width: int
    height: int
    file: str


def write_page(root: Path, shown: Sequence[Shown], findings: Sequence[JudgedClaim]) -> Path:
    """Write index.html beside the datasets of the store at `root`, or, if all that is shown is one generated dataset,
    into its folder, so that a demo never takes the place of results; raises StoreError if it cannot be written.
    """
    runs = [one.material.runs for one in shown]
    alone = len({each.dataset for each in runs}) == 1 and runs[0].synthetic
    folder = root / runs[0].dataset if alone else root
    write_file(folder / "index.html", page(root, shown, findings, folder).encode())
    return folder / "index.html"


def page(root: Path, shown: Sequence[Shown], findings: Sequence[JudgedClaim], folder: Path | None = None) -> str:
    """The page that shows the store at `root` and stands there or in `folder`; `findings` on the paper's claims may be
    empty.
    """
    folder = folder or root
    store = "" if folder == root else f"{_relative(root, folder)}/"
    claims = _by_claim(findings)
    style, script = ((_TEMPLATES / name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return _ENVIRONMENT.get_template("page.html.jinja").render(
        citation=CITATION,
        style=Markup(style),
        script=Markup(script),
        policy="; ".join(
            (
                "default-src 'none'",
                "base-uri 'none'",
                "form-action 'none'",
                "img-src data:",
                f"style-src '{_digest(style)}'",
                f"script-src '{_digest(script)}'",
            )
        ),
        synthetic=bool(shown) and all(one.material.runs.synthetic for one in shown),
        judged=[group for group in claims if any(finding.verdict != NOT_RUN for finding in group)],
        unjudged=[group for group in claims if all(finding.verdict == NOT_RUN for finding in group)],
        counts=_counts((finding.verdict for finding in findings), VERDICTS),
        datasets=[_dataset(one, folder, store) for one in shown],
        store=store,
        metrics=METRICS,
    )


def _dataset(one: Shown, folder: Path, store: str) -> dict[str, object]:
    material, runs = one.material, one.material.runs
    identity = slug(runs.dataset if runs.setting == RunSetting() else f"{runs.dataset}-{runs.setting.name}")
    rows = run_rows(material, identity)
    shown = replace(runs, records=tuple(row.record for row in rows))
    return {
        "identity": identity,
        "runs": runs,
        "heading": runs.heading,
        "facts": machines_note(shown.records) if shown.ours() else "",
        "tables": [_table(one, name, identity, folder, store) for name in one.tables],
        "pictures": [_picture(name, path, material.results, folder) for name, path in one.figures.items()],
        "rows": rows,
        "not_run": not_run(material),
        "gaps": one.gaps,
    }


def _table(one: Shown, name: str, identity: str, folder: Path, store: str) -> dict[str, object]:
    def link(text: str) -> str | None:
        anchor = anchor_of(one.material, identity, name, text)
        return f"#{anchor}" if anchor else None

    def origin(table: Table) -> str:
        if name == "data":
            return f"{store}{one.material.runs.dataset}/data.json"
        return f"#{anchor_of_caption(one.material, identity, table.caption) or f'{identity}-runs'}"

    ids = [f"{identity}-{name}" + (f"-{i}" if i else "") for i in range(len(one.tables[name]))]
    return {
        "name": name,
        "identity": ids[0] if ids else "",
        "parts": [to_html(table, own, link, origin(table)) for table, own in zip(one.tables[name], ids, strict=True)],
        "files": {suffix: _relative(one.folder / f"{name}.{suffix}", folder) for suffix in ("csv", "tex", "md")},
    }


def _picture(name: str, path: Path, results: Results, folder: Path) -> _Picture:
    words, file = caption(name, results), _relative(path.with_suffix(".pdf"), folder)
    try:
        with Image.open(path) as image:
            width, height = image.size
        uri = f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"
    except OSError:
        return _Picture(name, words, "", 0, 0, file)
    return _Picture(name, words, uri, width, height, file)


def _by_claim(findings: Iterable[JudgedClaim]) -> list[list[JudgedClaim]]:
    """The findings on one claim together, claims in the order of their first finding."""
    grouped: dict[str, list[JudgedClaim]] = {}
    for finding in findings:
        grouped.setdefault(finding.claim.id, []).append(finding)
    return list(grouped.values())


def _counts(verdicts: Iterable[str], order: Sequence[str]) -> dict[str, int]:
    """How often each verdict was given, in this order, those that nobody foresaw last; 0 where never."""
    counts = Counter(verdicts)
    return {verdict: counts[verdict] for verdict in (*order, *sorted(counts.keys() - set(order)))}


def _chip(word: str, text: str = "") -> Markup:
    """A verdict or status as a small label, in words and a sign beside its colour."""
    kind = _CHIPS.get(word, "none")
    return Markup('<span class="chip {}"><span aria-hidden="true">{}</span> {}</span>').format(
        kind, _SIGNS[kind], text or word
    )


def _digest(text: str) -> str:
    return f"sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}"


def _relative(path: Path, root: Path) -> str:
    return Path(os.path.relpath(path, root)).as_posix()


_ENVIRONMENT = environment()
_ENVIRONMENT.filters |= {"chip": _chip, "slug": slug, "sort_value": sort_value}
