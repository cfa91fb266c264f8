"""The page: a whole report in one file, every number on its way to its record, and what a browser makes of it.

The tests in a browser use a Chromium or Chrome of the machine; where there is none, Playwright fetches one.
"""

from __future__ import annotations

import base64
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest

from benchmark.paper.claim import Claim
from benchmark.paper.rules import Ahead
from benchmark.report.claims.judged_claims import JudgedClaim
from benchmark.report.comparison import main_comparison
from benchmark.report.figures.accuracy import accuracy_and_coverage
from benchmark.report.figures.canvas import appearance, save
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.page.html import sort_value, to_html
from benchmark.report.page.page import Shown, page, write_page
from benchmark.report.page.runs_table import anchor_of, not_run, run_rows
from benchmark.report.report import report
from benchmark.report.rows import stored_runs
from benchmark.report.tables.layout import MINUS, Cell, Head, Line, Table
from benchmark.report.tables.table2 import table2
from benchmark.store.store import Store

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
CHROMIUMS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "google-chrome-stable")


def finding(verdict: str = "confirmed", claim: str = "a-claim", **changes: Any) -> JudgedClaim:
    rule = Ahead(experiment="main", pairs=(), metrics=())
    statement = Claim(claim, f"quoted {claim}", "Section 5", ("ml-1m",), rule, "our reading")
    fields = {
        "claim": statement,
        "dataset": "ml-1m",
        "title": "ML-1M",
        "synthetic": False,
        "verdict": verdict,
        "numbers": ("ndcg@10: 0.0667 against 0.0702",),
        "command": f"python run_all.py --claim {claim}",
        "reported": True,
    }
    return JudgedClaim(**(fields | changes))


def shown(store: Store, maker: Any, figures: Path | None = None, sweep: bool = False) -> Shown:
    """Two seeds of three methods with Table 2, as a report renders them; a figure where there is a folder for it."""
    maker.write_data(store)
    for place, method in enumerate(("popularity", "sasrec-ce", "btsr-ce")):
        for seed in range(2):
            test = {"ndcg@10": 0.03 + 0.02 * place + 0.01 * seed, "hr@10": 0.1, "cov@10": 0.3 - 0.1 * place}
            store.save(maker.record(method, seed, test=test), maker.arrays())
    records = store.records(maker.dataset)
    (runs,) = stored_runs(records, store.data(maker.dataset), lambda _: None)
    comparison = main_comparison(runs, store.arrays)
    experiments = {}
    if sweep:
        done = tuple(record for record in records if record.method == "btsr-ce")
        variants = (
            VariantRuns("0.1", "btsr-ce", done, {}),
            VariantRuns("0.2", "btsr-ce", (), {"failed": [1], "missing": [0]}),
        )
        experiments = {"alpha": ExperimentRuns("alpha", "alpha", variants)}
    material = Material(runs, comparison, experiments, store.arrays)
    drawn = {}
    if figures is not None:
        with appearance():
            figure = accuracy_and_coverage(material.results)
        assert figure is not None
        drawn = {
            "accuracy-coverage": next(
                path for path in save(figure, figures / "accuracy-coverage") if path.suffix == ".png"
            )
        }
    tables = {"table2": (table2(material.results) or ([],))[0]}
    return Shown(material, tables, drawn, store.root.parent / "tables", ["ml-1m: ties: no run has what it shows"])


class Elements(HTMLParser):
    """Every start tag with its attributes, and all text outside style and script."""

    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attributes)))

    def handle_data(self, data: str) -> None:
        if self.found and self.found[-1][0] not in ("style", "script"):
            self.text += data

    def all(self, tag: str, name: str) -> list[str]:
        return [attributes[name] or "" for found, attributes in self.found if found == tag and name in attributes]


# --- tables ---------------------------------------------------------------------------------------------------------


def small_table(text: str = "0.5000", notes: tuple[str, ...] = ()) -> Table:
    group = (
        Line("hr@1", (Cell(text, star=True, place="best"), Cell(f"{MINUS}1.5%"))),
        Line("", (Cell("±0.1"), Cell()), "below"),
        Line("paper", (Cell("0.4"), Cell()), "paper"),
    )
    heads = (Head("ML-1M"), Head("BT-SR", "(CE)", "†"), Head("Improve"))
    return Table("t", "A caption", (("", 1), ("the paper's", 2)), heads, ((group,),), notes)


def test_a_group_is_one_row_whose_lines_stay_level() -> None:
    document = Elements(to_html(small_table(), "t"))
    assert [tag for tag, _ in document.found].count("tr") == 3, "bands, heads and one row"
    assert document.all("td", "data-value") == ["0.5000", "-1.5"]
    classes = [name for name in document.all("span", "class") if name in ("value", "below", "paper")]
    assert classes == ["value", "below", "paper"] * 3, "the label and both cells have all three lines"
    assert document.all("strong", "title") == ["best of its line"]
    assert document.all("th", "colspan") == ["1", "2"]


def test_a_number_of_ours_is_a_link_and_a_printed_one_is_not() -> None:
    targets = {"BT-SR (CE)": "#runs"}
    linked = Elements(to_html(small_table(), "t", targets.get))
    assert linked.all("a", "href") == ["#runs", "#runs"], "the value and what stands below it"
    assert Elements(to_html(small_table(), "t", targets.get, "#all")).all("a", "href").count("#all") == 1
    printed = Table("t", "", (), (Head("ML-1M"), Head("paper")), (((Line("hr@1", (Cell("0.4"),)),),),), ())
    assert Elements(to_html(printed, "t", targets.get, "#all")).all("a", "href") == []


def test_no_text_of_a_table_becomes_markup() -> None:
    html = to_html(small_table(HOSTILE, (HOSTILE,)), "t", lambda _: f'#"{HOSTILE}')
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.0313", "0.0313"), (f"{MINUS}3.9%", "-3.9"), ("+0.1", "+0.1"), ("2/5", "2"), ("–", ""), ("p = .05", "")],
)
def test_what_a_cell_is_sorted_by(text: str, value: str) -> None:
    assert sort_value(text) == value


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_appears_once_with_all_that_shows_it(store: Store, handmade: Callable[..., Any]) -> None:
    material = shown(store, handmade(), sweep=True).material
    rows = run_rows(material, "ml-1m")
    assert [(row.record.method, row.record.seed) for row in rows] == [
        (method, seed) for method in ("sasrec-ce", "btsr-ce", "popularity") for seed in (0, 1)
    ]
    swept = [row for row in rows if row.record.method == "btsr-ce"]
    assert [row.uses for row in swept] == [("Table 2", "alpha 0.1")] * 2
    assert swept[0].anchors == swept[0].groups == ("ml-1m-run-main-btsr-ce", "ml-1m-run-alpha-0.1")
    assert swept[1].anchors == (), "only the first row of a group carries its anchor"
    for row in rows:
        assert (store.root / row.path).is_file()
    assert swept[0].values == ["0.0700", "0.1000", "0.1000"]
    assert swept[0].epochs == "2 of 3"


def test_tables_name_runs_by_method_or_variant(store: Store, handmade: Callable[..., Any]) -> None:
    material = shown(store, handmade(), sweep=True).material

    def leads(table: str, text: str) -> str | None:
        return anchor_of(material, "x", table, text)

    assert leads("table2", "SASRec (CE)") == "x-run-main-sasrec-ce"
    assert leads("ties", "SASRec (CE), ndcg@10") == "x-run-main-sasrec-ce"
    assert leads("table1", "CE + BT") == "x-run-main-btsr-ce"
    assert leads("alpha", "alpha 0.1") == "x-run-alpha-0.1"
    assert leads("alpha", "alpha 0.2") is None, "none of its runs is done"
    assert leads("lambda", "alpha 0.1") is None
    assert leads("noise", "SASRec (CE), noise 0.1") is None, "not the runs without noise"
    assert not_run(material) == ["alpha, alpha 0.2: failed (seed 1)", "alpha, alpha 0.2: not run (seed 0)"]


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_holds_everything_and_asks_for_nothing(
    store: Store, handmade: Callable[..., Any], tmp_path: Path
) -> None:
    one = shown(store, handmade(), tmp_path / "figures")
    text = page(store.root, [one], [finding()])
    document = Elements(text)
    assert document.all("img", "src")[0].startswith("data:image/png;base64,")
    assert document.all("script", "src") == []
    assert document.all("link", "href") == ["data:,"]
    values = [value or "" for _, attributes in document.found for value in attributes.values()]
    assert not [value for value in values if "//" in value and not value.startswith("data:image/png;")]
    assert text.index("quoted a-claim") < text.index("BT-SR against its baselines"), "verdicts come first"
    ids = document.all("a", "id") + [
        attributes["id"] for tag, attributes in document.found if tag != "a" and "id" in attributes
    ]
    assert len(ids) == len(set(ids))
    for target in document.all("a", "href"):
        if target.startswith("#"):
            assert target[1:] in ids
        elif not target.startswith("../tables"):
            assert (store.root / target).is_file(), target
    assert "no run has what it shows" in document.text
    assert page(store.root, [one], [finding()]) == text


def test_the_devices_of_all_runs_are_named_and_not_of_table_2_alone(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    one = shown(store, maker, sweep=True)
    assert "6 runs. Device: cpu; torch" in Elements(page(store.root, [one], [])).text
    elsewhere = maker.record("btsr-ce", 2, settings={"alpha": 0.3}, hardware={"device": "cuda", "name": "a GPU"})
    variants = (VariantRuns("0.3", "btsr-ce", (elsewhere,), {}),)
    one.material.experiments["alpha"] = ExperimentRuns("alpha", "alpha", variants)  # type: ignore[index]
    assert "Device: cpu (6 runs), cuda (1 run); torch" in Elements(page(store.root, [one], [])).text


def test_a_verdict_is_words_and_every_command_is_there(store: Store, handmade: Callable[..., Any]) -> None:
    one = shown(store, handmade())
    findings = [finding("contradicted"), finding("not run", "unseen"), finding("confirmed", title="Beauty")]
    text = Elements(page(store.root, [one], findings)).text
    for words in ("1 confirmed", "1 contradicted", "0 inconclusive", "1 not run", "ML-1M: contradicted", "our reading"):
        assert words in text
    assert "1 statements for which nothing has run" in text
    assert "ndcg@10: 0.0667 against 0.0702" in text
    assert "python run_all.py --claim a-claim" in text
    for row in run_rows(one.material, "ml-1m"):
        assert row.record.command in text


def test_nothing_to_show_is_said(store: Store, handmade: Callable[..., Any], tmp_path: Path) -> None:
    text = Elements(page(store.root, [], [])).text
    assert "Nothing has been judged" in text
    assert "No run has been made" in text
    maker = handmade()
    one = shown(store, maker, tmp_path / "figures")
    one.figures["accuracy-coverage"].unlink()
    assert "The file of this figure cannot be read" in page(store.root, [one], [])


def test_nothing_from_records_becomes_markup(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade("own", HOSTILE)
    one = shown(store, maker)
    for record in one.material.runs.records:
        object.__setattr__(record, "command", HOSTILE)
        record.hardware["device"] = HOSTILE
    hostile = finding(title=HOSTILE, numbers=(HOSTILE,), command=HOSTILE)
    document = Elements(page(store.root, [one], [hostile]))
    assert [tag for tag, _ in document.found].count("script") == 1
    assert "onerror" not in {name for _, attributes in document.found for name in attributes}


def test_synthetic_data_is_marked_everywhere(store: Store, handmade: Callable[..., Any]) -> None:
    real = page(store.root, [shown(store, handmade())], [finding()])
    assert "SYNTHETIC" not in Elements(real).text
    one = shown(store, handmade("synthetic", "Synthetic", synthetic=True))
    document = Elements(page(store.root, [one], [finding(synthetic=True)]))
    assert "dataset synthetic" in document.all("section", "class")
    for words in (
        "SYNTHETIC DATA: Barlow",
        "Nothing on this page says anything about a real dataset",
        "synthetic data",
    ):
        assert words in document.text


def test_a_picture_is_the_file_that_was_written(store: Store, handmade: Callable[..., Any], tmp_path: Path) -> None:
    one = shown(store, handmade(), tmp_path)
    ((_, image),) = [found for found in Elements(page(store.root, [one], [])).found if found[0] == "img"]
    written = base64.b64encode(one.figures["accuracy-coverage"].read_bytes()).decode()
    assert image["src"] == f"data:image/png;base64,{written}"
    assert (image["width"], image["height"]) == ("680", "340"), "half the pixels, which fit a sharp screen"


def test_a_report_writes_it_beside_the_store(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})
    shown(store, handmade())
    rendered = report(store, tmp_path, ["ml-1m"], None, lambda _: None)
    assert rendered.page == store.root / "index.html"
    text = rendered.page.read_text()
    assert "../tables/ml-1m/table2.csv" in Elements(text).all("a", "href")
    assert str(tmp_path) not in text


def test_a_generated_dataset_alone_has_its_page_in_its_own_folder(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})
    shown(store, handmade("synthetic", "Synthetic", synthetic=True))
    rendered = report(store, tmp_path, ["synthetic"], None, lambda _: None)
    assert rendered.page == store.root / "synthetic" / "index.html"
    links = [link for link in Elements(rendered.page.read_text()).all("a", "href") if link and link[0] != "#"]
    assert any(link.endswith("record.json") for link in links)
    for link in links:
        assert (rendered.page.parent / link).exists(), link
    claims = [path for path in rendered.tables if path.name == "claims.md"]
    assert [path.parent for path in claims] == [tmp_path / "tables" / "synthetic"]


# --- in a browser ---------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """A headless Chromium: the machine's, or one that Playwright fetches here; without any, these tests are skipped."""
    playwright = pytest.importorskip("playwright.sync_api", reason="Playwright is not installed")
    found = next((path for name in CHROMIUMS if (path := shutil.which(name))), None)
    with playwright.sync_playwright() as driver:
        if found is None and not Path(driver.chromium.executable_path).exists():
            fetch = [sys.executable, "-m", "playwright", "install", "chromium-headless-shell"]
            fetched = subprocess.run(fetch, capture_output=True, text=True, timeout=600, check=False)
            if fetched.returncode:
                pytest.skip("there is no Chromium here, and Playwright could not fetch one")
        try:
            running = driver.chromium.launch(executable_path=found)
        except playwright.Error as error:
            pytest.skip(f"Chromium does not start here: {str(error).splitlines()[0]}")
        yield running
        running.close()


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the page that all of them open is written once."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture
def opened(browser: Any, site: Path, handmade: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Opens the page of a small store as a file; whatever the browser complains of or asks for fails the test."""
    path = site / "results" / "index.html"
    if not path.exists():
        findings = [finding("contradicted"), finding("confirmed", "second"), finding("not run", "third")]
        store = Store(path.parent)
        write_page(store.root, [shown(store, handmade(), site / "figures", sweep=True)], findings)
    complaints: list[str] = []

    def open_page(width: int = 1000, scheme: str = "light") -> Any:
        tab = browser.new_page(viewport={"width": width, "height": 800}, color_scheme=scheme)
        tab.on("console", lambda message: complaints.append(message.text))
        tab.on("pageerror", lambda error: complaints.append(str(error)))
        tab.on("request", lambda request: complaints.append(request.url) if not _inside(request.url, path) else None)
        tab.goto(path.as_uri())
        return tab

    yield open_page
    assert complaints == []


def _inside(url: str, path: Path) -> bool:
    return url.startswith("data:") or url.partition("#")[0] == path.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_renders_in_light_and_dark(opened: Callable[..., Any], scheme: str) -> None:
    tab = opened(scheme=scheme)
    assert tab.locator("h1").inner_text() == "Barlow Twins for Sequential Recommendation"
    assert tab.locator("img").evaluate("image => image.naturalWidth") == 1360
    ink, ground = (
        [int(part) for part in re.findall(r"\d+", tab.evaluate(f"getComputedStyle(document.body).{name}"))[:3]]
        for name in ("color", "backgroundColor")
    )
    assert (sum(ground) > sum(ink)) == (scheme == "light")
    assert abs(sum(ground) - sum(ink)) > 400


def test_tables_sort_by_keyboard(opened: Callable[..., Any]) -> None:
    tab = opened()
    head = tab.locator("table.runs th", has_text="ndcg@10")

    def column() -> list[str]:
        return tab.locator("table.runs tbody tr").evaluate_all("rows => rows.map(row => row.cells[4].textContent)")

    before = column()
    head.locator("button").focus()
    tab.keyboard.press("Enter")
    assert (head.get_attribute("aria-sort"), column()) == ("ascending", sorted(before))
    tab.keyboard.press("Space")
    assert (head.get_attribute("aria-sort"), column()) == ("descending", sorted(before, reverse=True))
    tab.keyboard.press("Enter")
    assert (head.get_attribute("aria-sort"), column()) == ("none", before)
    assert sorted(before) != before


def test_a_number_leads_to_its_runs_and_on_to_the_record(opened: Callable[..., Any], site: Path) -> None:
    tab = opened()
    tab.locator("#ml-1m-table2 td a", has_text="0.0750").first.click()
    marked = tab.locator("tr.marked")
    marked.first.wait_for()
    assert marked.locator("th").all_inner_texts() == ["BT-SR (CE)"] * 2
    target = marked.first.locator("td a").first.evaluate("link => link.href")
    assert Path(target.removeprefix("file://")).name == "record.json"
    assert (site / "results" / target.partition("/results/")[2]).is_file()


def test_a_verdict_filters_the_claims(opened: Callable[..., Any]) -> None:
    tab = opened()
    button = tab.get_by_role("button", name="1 confirmed")
    button.click()
    assert button.get_attribute("aria-pressed") == "true"
    assert tab.locator(".claims q:visible").all_inner_texts() == ["quoted second"]
    button.click()
    assert tab.locator(".claims q:visible").count() == 2
    tab.get_by_role("button", name="1 not run").click()
    assert tab.locator(".claims q:visible").all_inner_texts() == ["quoted third"]


@pytest.mark.parametrize("width", [400, 900, 1400])
def test_it_never_scrolls_sideways(opened: Callable[..., Any], width: int) -> None:
    tab = opened(width)
    tab.evaluate("document.querySelectorAll('details').forEach(details => { details.open = true; })")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    runs = tab.locator(".scroll.tall").first
    assert runs.evaluate("box => getComputedStyle(box).overflowX") == "auto"
    if width == 400:
        assert runs.evaluate("box => box.scrollWidth > box.clientWidth"), "wide tables scroll in their own container"
    sizes = tab.locator("td, p, li, summary").evaluate_all(
        "elements => elements.map(element => parseFloat(getComputedStyle(element).fontSize))"
    )
    assert min(sizes) >= 12
