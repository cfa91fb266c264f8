"""The page: the whole report in one file, links from every number to its runs, and its behaviour in a browser.

The browser tests use the machine's Chromium or Chrome. If there is none, Playwright downloads one.
"""

from __future__ import annotations

import base64
import io
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from benchmark.paper.claim import Ahead, Claim
from benchmark.report.claims.judged_claims import JudgedClaim
from benchmark.report.figures.accuracy import accuracy_and_coverage
from benchmark.report.figures.canvas import appearance, save
from benchmark.report.page.page import DatasetReport, answer, page, sort_value, to_html, write_page
from benchmark.report.page.runs_table import not_run, run_rows
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import TABLES, report
from benchmark.report.tables.layout import Cell, Head, Row, Table
from benchmark.report.tables.numbers import MINUS, signed
from benchmark.report.tables.table2 import table_2
from benchmark.report.tables.windows import pooled_difference, windows_of
from benchmark.store.store import Store
from tests.benchmark.conftest import plans_of, records_in, results_of

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>\"'&"
CHROMIUMS = ("chromium", "chromium-headless-shell", "chromium-browser", "google-chrome", "google-chrome-stable")


def judged(verdict: str = "confirmed", claim: str = "a-claim", **changes: Any) -> JudgedClaim:
    rule = Ahead(experiment="main", pairs=(), metrics=())
    statement = Claim(claim, f"quoted {claim}", "Section 5", rule, ("ml-1m",), "our reading")
    fields = {
        "claim": statement,
        "dataset": "ml-1m",
        "title": "ML-1M",
        "synthetic": False,
        "verdict": verdict,
        "evidence": "five seeds, 750 users",
        "numbers": ("ndcg@10: 0.0667 against 0.0702",),
        "command": f"python run_all.py --claim {claim} --stages report",
        "missing": f"python run_all.py --claim {claim}",
        "again": "",
        "reported": True,
    }
    return JudgedClaim(**(fields | changes))


def shown(store: Store, maker: Any, figures: Path | None = None, sweep: bool = False) -> DatasetReport:
    """Two seeds of three methods with Table 2, and with a figure if there is a folder for it.

    With `sweep`, BT-SR's runs also belong to alpha = 0.1, and of the two runs of alpha = 0.2 one failed and one is
    missing.
    """
    maker.write_data(store)
    for place, method in enumerate(("popularity", "sasrec-ce", "btsr-ce")):
        for seed in range(2):
            test = {"ndcg@10": 0.03 + 0.02 * place + 0.01 * seed, "hr@10": 0.1, "cov@10": 0.3 - 0.1 * place}
            store.save(maker.record(method, seed, test=test), maker.arrays())
    results = results_of(store, maker.dataset)
    if sweep:
        failed = maker.record("btsr-ce", 1, status="failed", settings={"alpha": 0.2}, epochs=[])
        alpha = (
            RunGroup("alpha", "0.1", "btsr-ce", 0.1, records=results.method("btsr-ce").records),
            RunGroup("alpha", "0.2", "btsr-ce", 0.2, records=(failed,), missing=(0,)),
        )
        results = with_groups(results, store, alpha)
    drawn = {}
    if figures is not None:
        with appearance():
            figure = accuracy_and_coverage(results)
            assert figure is not None
            _, drawn["accuracy-coverage"] = save(figure, figures / "accuracy-coverage")
    tables = {"table2": (table_2([results]) or ([],))[0]}
    return DatasetReport(
        results, tables, drawn, store.root.parent / "tables", ["ml-1m: ties: no run has what it shows"]
    )


def with_groups(results: Results, store: Store, groups: Sequence[RunGroup]) -> Results:
    """The same results with more groups."""
    setting, all_groups = results.setting, [*results.groups, *groups]
    return Results(results.dataset, results.title, results.synthetic, setting, all_groups, store.arrays, results.data)


class Elements(HTMLParser):
    """Collects every start tag with its attributes, and all text outside style and script."""

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
        Row("hr@1", (Cell(text, star=True, place="best"), Cell(f"{MINUS}1.5%"))),
        Row("", (Cell("±0.1"), Cell()), "below"),
        Row("paper", (Cell("0.4"), Cell()), "paper"),
    )
    heads = (Head("ML-1M"), Head("BT-SR", "(CE)", "†", "main/btsr-ce"), Head("Improve"))
    return Table("t", "A caption", heads, ((group,),), notes, (("", 1), ("the paper's", 2)))


def test_a_group_is_one_row_whose_lines_stay_level() -> None:
    document = Elements(to_html(small_table(), "t"))
    assert [tag for tag, _ in document.found].count("tr") == 3, "bands, heads and one row"
    assert document.all("td", "data-value") == ["0.5000", "-1.5"]
    classes = [name for name in document.all("span", "class") if name in ("value", "below", "paper")]
    assert classes == ["value", "below", "paper"] * 3, "the label and both cells have all three lines"
    assert document.all("strong", "title") == ["best of its line"]
    assert document.all("th", "colspan") == ["1", "2"]


def test_a_number_of_ours_is_a_link_and_a_printed_one_is_not() -> None:
    targets = {"main/btsr-ce": "#runs", "alpha/0.1": "#alpha", "main/sasrec-ce": "#other"}
    assert Elements(to_html(small_table(), "t", targets.get)).all("a", "href") == ["#runs", "#runs"], (
        "the value and what stands below it"
    )
    assert Elements(to_html(small_table(), "t", targets.get, "#all")).all("a", "href").count("#all") == 1
    assert Elements(to_html(small_table(), "t")).all("a", "href") == []

    def hrefs(row: str = "", column: str = "", printed: bool = False) -> list[str]:
        rows = (Row("hr@1", (Cell("0.4"),), runs=row),)
        made = Table("t", "", (Head("ML-1M"), Head("x", runs=column, printed=printed)), ((rows,),))
        return Elements(to_html(made, "t", targets.get, "#all")).all("a", "href")

    assert hrefs("alpha/0.1", "main/btsr-ce") == ["#alpha"]
    assert hrefs("", "main/btsr-ce") == ["#runs"]
    assert hrefs("not on the page", "main/sasrec-ce") == ["#other"]
    assert hrefs() == ["#all"]
    assert hrefs("alpha/0.1", printed=True) == []


def test_no_text_of_a_table_becomes_markup() -> None:
    html = to_html(small_table(HOSTILE, (HOSTILE,)), "t", lambda _: f'#"{HOSTILE}')
    assert "<script" not in html
    assert "<img" not in html


@pytest.mark.parametrize(
    ("text", "value"),
    [("0.0313", "0.0313"), (f"{MINUS}3.9%", "-3.9"), ("+0.1", "+0.1"), ("2/5", "2"), ("–", ""), ("p = 0.05", "")],
)
def test_what_a_cell_is_sorted_by(text: str, value: str) -> None:
    assert sort_value(text) == value


# --- runs -----------------------------------------------------------------------------------------------------------


def test_a_run_appears_once_with_all_that_shows_it(store: Store, handmade: Callable[..., Any]) -> None:
    results = shown(store, handmade(), sweep=True).results
    rows = run_rows(results, "ml-1m")
    assert [(row.record.method, row.record.seed, row.record.status) for row in rows] == [
        *((method, seed, "done") for method in ("sasrec-ce", "btsr-ce", "popularity") for seed in (0, 1)),
        ("btsr-ce", 1, "failed"),
    ]
    swept = [row for row in rows if row.record.method == "btsr-ce" and row.record.done]
    assert [row.uses for row in swept] == [("Table 2", "alpha 0.1")] * 2
    assert swept[0].anchors == swept[0].groups == ("ml-1m-run-main-btsr-ce", "ml-1m-run-alpha-0.1")
    assert swept[1].anchors == (), "only the first row of a group carries its anchor"
    for row in rows[:-1]:
        assert (store.root / row.path).is_file()
    assert swept[0].values == ["0.0700", "0.1000", "0.1000"]
    assert swept[0].epochs == "2 of 3"


def test_what_shows_a_run_is_named_as_in_the_tables(store: Store, handmade: Callable[..., Any]) -> None:
    maker, one = handmade(), shown(store, handmade())
    groups = (
        RunGroup("objectives", "btsr-ce", "btsr-ce", records=(maker.record("btsr-ce", 0),)),
        RunGroup("regimes", "0.4", "btsr-ce", 0.4, records=(maker.record("btsr-ce", 2),)),
        RunGroup("views", "mask", "btsr-ce", records=(maker.record("btsr-ce", 3),)),
        RunGroup("noise", "sasrec-ce 0.1", "sasrec-ce", 0.1, records=(maker.record("sasrec-ce", 4),)),
    )
    rows = run_rows(with_groups(one.results, store, groups), "x")
    assert [row.uses for row in rows if row.record.seed == 0][1] == ("Table 2", "objectives")
    assert [row.uses for row in rows[-3:]] == [("regimes: alpha 0.4",), ("views: mask",), ("SASRec (CE), noise 0.1",)]


def test_runs_that_are_not_done_are_listed(store: Store, handmade: Callable[..., Any]) -> None:
    results = shown(store, handmade(), sweep=True).results
    assert not_run(results) == ["alpha, alpha 0.2: failed (seed 1)", "alpha, alpha 0.2: not run (seed 0)"]
    missing = RunGroup("main", "duorec", "duorec", missing=(0, 1))
    assert not_run(with_groups(results, store, [missing]))[-1] == "Table 2, DuoRec: not run (seeds 0, 1)"


def test_every_table_leads_to_the_runs_of_its_rows_and_columns(store: Store, handmade: Callable[..., Any]) -> None:
    maker, one = handmade(), shown(store, handmade(), sweep=True)
    noisy = [maker.record("sasrec-ce", seed, settings={"noise": 0.1}) for seed in (0, 1)]
    tied = one.results.method("sasrec-ce").records
    for record in tied:
        record.metrics["ties-1"] = dict(record.metrics["test"])
    groups = (
        RunGroup("alpha", "0.3", "btsr-ce", 0.3, records=(maker.record("btsr-ce", settings={"alpha": 0.3}),)),
        RunGroup("noise", "sasrec-ce 0", "sasrec-ce", 0.0, records=tied),
        RunGroup("noise", "sasrec-ce 0.1", "sasrec-ce", 0.1, records=tuple(noisy)),
        RunGroup("ties", "sasrec-ce", "sasrec-ce", records=tied),
        *(RunGroup("objectives", m, m, records=one.results.method(m).records) for m in ("sasrec-ce", "btsr-ce")),
    )
    results = with_groups(one.results, store, groups)
    tables = {name: made[0] for name, tabulate in TABLES.items() if (made := tabulate(results))}
    text = page(store.root, [replace(one, results=results, tables=tables)], [])
    found = Elements(text)
    ids = [attributes["id"] for _, attributes in found.found if "id" in attributes]
    links = {target[1:] for target in found.all("a", "href") if target.startswith("#ml-1m-run-")}
    assert links <= set(ids)
    expected = ("main-sasrec-ce", "main-btsr-ce", "alpha-0.1", "noise-sasrec-ce-0.1", "ties-sasrec-ce")
    assert {f"ml-1m-run-{name}" for name in expected} <= links


# --- the page -------------------------------------------------------------------------------------------------------


def test_the_page_holds_everything_and_asks_for_nothing(
    store: Store, handmade: Callable[..., Any], tmp_path: Path
) -> None:
    one = shown(store, handmade(), tmp_path / "figures")
    text = page(store.root, [one], [judged()])
    document = Elements(text)
    assert document.all("img", "src")[0].startswith("data:image/webp;base64,")
    assert document.all("script", "src") == []
    assert document.all("link", "href") == ["data:,"]
    values = [value or "" for _, attributes in document.found for value in attributes.values()]
    assert not [value for value in values if "//" in value and not value.startswith("data:image/webp;")]
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
    assert page(store.root, [one], [judged()]) == text


def test_the_devices_of_all_runs_are_named_and_not_of_table_2_alone(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    one = shown(store, maker, sweep=True)
    assert "7 runs. Device: cpu; torch" in Elements(page(store.root, [one], [])).text
    elsewhere = maker.record("btsr-ce", 2, settings={"alpha": 0.3}, hardware={"device": "cuda", "name": "a GPU"})
    results = with_groups(one.results, store, [RunGroup("alpha", "0.3", "btsr-ce", 0.3, records=(elsewhere,))])
    text = Elements(page(store.root, [replace(one, results=results)], [])).text
    assert "Device: cpu (7 runs), cuda (1 run); torch" in text


def test_verdicts_are_worded_and_all_commands_are_shown(store: Store, handmade: Callable[..., Any]) -> None:
    one = shown(store, handmade())
    findings = [judged("contradicted"), judged("not run", "unseen"), judged("confirmed", title="Beauty")]
    text = Elements(page(store.root, [one], findings)).text
    for words in ("1 confirmed", "1 contradicted", "0 inconclusive", "1 not run", "ML-1M: contradicted", "our reading"):
        assert words in text
    assert "1 statements for which nothing has run" in text
    assert "ndcg@10: 0.0667 against 0.0702" in text
    assert "python run_all.py --claim a-claim --stages report" in text
    assert text.count("To run what is missing: python run_all.py --claim a-claim") == 2
    assert text.count("Evidence: five seeds, 750 users") == 3
    for row in run_rows(one.results, "ml-1m"):
        assert row.command in text


def test_an_empty_page_says_so(store: Store, handmade: Callable[..., Any], tmp_path: Path) -> None:
    assert "No run has been made" in Elements(page(store.root, [], [])).text
    maker = handmade()
    one = shown(store, maker, tmp_path / "figures")
    one.figures["accuracy-coverage"].unlink()
    assert "The file of this figure cannot be read" in page(store.root, [one], [])


def test_nothing_from_records_becomes_markup(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade("own", HOSTILE)
    one = shown(store, maker)
    for record in one.results.records():
        object.__setattr__(record, "command", HOSTILE)
        record.hardware["device"] = HOSTILE
    hostile = judged(title=HOSTILE, numbers=(HOSTILE,), command=HOSTILE)
    document = Elements(page(store.root, [one], [hostile]))
    assert [tag for tag, _ in document.found].count("script") == 1
    assert "onerror" not in {name for _, attributes in document.found for name in attributes}


def test_synthetic_data_is_marked_everywhere(store: Store, handmade: Callable[..., Any]) -> None:
    real = page(store.root, [shown(store, handmade())], [judged()])
    assert "SYNTHETIC" not in Elements(real).text
    one = shown(store, handmade("synthetic", "Synthetic", synthetic=True))
    document = Elements(page(store.root, [one], [judged(synthetic=True)]))
    assert "dataset synthetic" in document.all("section", "class")
    for words in (
        "SYNTHETIC DATA: Barlow",
        "Nothing on this page says anything about a real dataset",
        "synthetic data",
    ):
        assert words in document.text


def test_a_picture_shows_every_pixel_of_the_file_that_was_written(
    store: Store, handmade: Callable[..., Any], tmp_path: Path
) -> None:
    one = shown(store, handmade(), tmp_path)
    ((_, image),) = [found for found in Elements(page(store.root, [one], [])).found if found[0] == "img"]
    content = base64.b64decode((image["src"] or "").removeprefix("data:image/webp;base64,"))
    with Image.open(one.figures["accuracy-coverage"]) as written, Image.open(io.BytesIO(content)) as embedded:
        assert embedded.tobytes() == written.convert("RGB").tobytes()
    assert (image["width"], image["height"]) == ("680", "340"), "half the pixels, which fit a sharp screen"


def test_the_committed_page_is_small() -> None:
    pages = [*(Path(__file__).parents[4] / "results").glob("*.html")]
    assert pages
    assert all(page.stat().st_size < 2_500_000 for page in pages)


# --- the answer -----------------------------------------------------------------------------------------------------


def test_the_page_opens_with_the_answer_then_claims_then_the_papers_order(
    store: Store, handmade: Callable[..., Any], tmp_path: Path
) -> None:
    one, findings = (
        shown(store, handmade(), tmp_path / "figures"),
        [judged("contradicted"), judged("not run", "second")],
    )
    tables = dict.fromkeys(("cost", "table2", "windows", "table1"), one.tables["table2"])
    picture = one.figures["accuracy-coverage"]
    figures = dict.fromkeys(("views", "accuracy-coverage", "sensitivity-alpha", "figure1-buckets"), picture)
    document = Elements(page(store.root, [replace(one, tables=tables, figures=figures)], findings))
    headings = [found["id"] for tag, found in document.found if tag in ("h2", "h3") and "id" in found]
    assert headings == [
        *("answer-title", "claims-title", "ml-1m-title"),
        *(f"ml-1m-{name}-heading" for name in ("table1", "table2", "figure1-buckets", "sensitivity-alpha")),
        *(f"ml-1m-{name}-heading" for name in ("cost", "windows", "views")),
        "ml-1m-runs",
    ]
    pictures = [found["id"] for tag, found in document.found if tag == "figure" and found["class"] == "picture"]
    assert pictures[0] == "ml-1m-accuracy-coverage-picture", "it belongs to the answer and is not shown again"
    assert len(pictures) == 4
    assert "on ML-1M: 2 claims, 1 decided: 1 contradicted, 1 not run." in document.text


def test_without_windows_the_answer_is_the_main_comparison(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    ours, theirs, third = (0.040, 0.061, 0.082), (0.030, 0.050, 0.070), (0.050, 0.071, 0.092)
    for method, values in {"btsr-ce": ours, "sasrec-ce": theirs, "duorec": third}.items():
        for seed, value in enumerate(values):
            store.save(maker.record(method, seed, test={"ndcg@10": value}), maker.arrays())
    maker.write_data(store)
    table = answer([results_of(store)])
    assert table is not None
    (first, second, last), (third_row, fourth, _) = table.sections[0]
    assert [first.label, second.label] == ["ML-1M: BT-SR (CE)", "against SASRec (CE)"]
    # .010, .011, .012: mean .011, sd .001, t = 19.05; the quantile 4.303 of t times .001 / sqrt(3) is .0025
    assert [row.cells[0].text for row in (first, second, last)] == [
        *("+0.0110", "95 % interval over seeds: +0.0085 to +0.0135", "p = 0.003; three seeds, 4 users")
    ]
    assert first.cells[0].place == "best"
    assert [third_row.label, fourth.label] == ["ML-1M: BT-SR (CE)", "against DuoRec, the best baseline"]
    assert third_row.cells[0].text == f"{MINUS}0.0100"


def test_with_windows_the_answer_is_pooled_over_them(in_time: Callable[..., Results]) -> None:
    table = answer([in_time({"sasrec-ce": 0.2, "duorec": 0.5, "btsr-ce": 0.6})])
    assert table is not None
    (pair, best) = table.sections[0]
    assert [pair[0].cells[0].text, pair[1].label] == ["+0.4375", "against SASRec (CE)"]
    assert pair[2].cells[0].text == "p < 0.001; pooled over four windows, 160 users"
    assert [best[1].label, best[0].cells[0].text] == ["against DuoRec, the best baseline", "+0.1375"]
    windows = windows_of(in_time({"sasrec-ce": 0.2, "duorec": 0.5, "btsr-ce": 0.6}))
    assert windows is not None
    found = pooled_difference(windows, "btsr-ce", "duorec", "ndcg@10")
    assert found is not None
    assert (
        best[1].cells[0].text
        == f"95 % interval over users: {signed(found.over_users.low)} to {signed(found.over_users.high)}"
    )


def test_without_bt_sr_there_is_no_answer(store: Store, handmade: Callable[..., Any]) -> None:
    assert answer([with_groups(shown(store, handmade()).results, store, [])]) is not None
    maker = handmade("beauty", "Beauty")
    store.save(maker.record("sasrec-ce", 0), maker.arrays())
    maker.write_data(store)
    results = results_of(store, "beauty")
    assert answer([results]) is None
    one = DatasetReport(results, {}, {}, store.root.parent / "tables")
    text = Elements(page(store.root, [one], [])).text
    assert "BT-SR and what it is compared with have no runs yet" in text
    assert "Nothing has been judged" in text


def test_a_page_without_the_runs_of_tables_1_and_2_opens_with_the_dataset(
    store: Store, handmade: Callable[..., Any]
) -> None:
    one = shown(store, handmade())
    assert "#claims" in Elements(page(store.root, [one], [])).all("a", "href")
    home = replace(one.results, groups=[replace(group, experiment="home") for group in one.results.groups])
    elements = Elements(page(store.root, [replace(one, results=home)], []))
    assert not {"#answer", "#claims"} & {*elements.all("a", "href")}
    assert elements.all("section", "id") == ["ml-1m"]


def test_the_audit_of_the_paper_is_linked_where_it_was_written(store: Store, handmade: Callable[..., Any]) -> None:
    one, audit = shown(store, handmade()), store.root.parent / "tables" / "audit.md"
    assert "../tables/audit.md" not in Elements(page(store.root, [one], [])).all("a", "href")
    audit.parent.mkdir()
    audit.touch()
    assert "../tables/audit.md" in Elements(page(store.root, [one], [])).all("a", "href")


def test_a_report_writes_it_beside_the_store(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})
    shown(store, handmade())
    rendered = report(store, tmp_path, plans_of(store), records_in(store), lambda _: None)
    assert rendered.page == store.root / "index.html"
    text = rendered.page.read_text()
    assert "../tables/ml-1m/table2.csv" in Elements(text).all("a", "href")
    assert str(tmp_path) not in text


def test_a_generated_dataset_alone_has_its_page_in_its_own_folder(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})
    shown(store, handmade("synthetic", "Synthetic", synthetic=True))
    rendered = report(store, tmp_path, plans_of(store), records_in(store), lambda _: None)
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
    """The machine's Chromium or one that Playwright downloads, running headless. Without any, the tests are skipped."""
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
    """The folder of the page, which is written once for all browser tests."""
    return tmp_path_factory.mktemp("site")


@pytest.fixture
def opened(browser: Any, site: Path, handmade: Callable[..., Any]) -> Iterator[Callable[..., Any]]:
    """Opens the page of a small store from its file. Any console message, script error or request fails the test."""
    path = site / "results" / "index.html"
    if not path.exists():
        findings = [judged("contradicted"), judged("confirmed", "second"), judged("not run", "third")]
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
        return tab.locator("table.runs tbody tr").evaluate_all("rows => rows.map(row => row.cells[5].textContent)")

    def in_order(reverse: bool) -> list[str]:
        numbers = [text for text in before if text != "–"]
        return sorted(numbers, reverse=reverse) + ["–"] * (len(before) - len(numbers))  # without a number: last

    before = column()
    head.locator("button").focus()
    tab.keyboard.press("Enter")
    assert (head.get_attribute("aria-sort"), column()) == ("ascending", in_order(reverse=False))
    tab.keyboard.press("Space")
    assert (head.get_attribute("aria-sort"), column()) == ("descending", in_order(reverse=True))
    tab.keyboard.press("Enter")
    assert (head.get_attribute("aria-sort"), column()) == ("none", before)
    assert in_order(reverse=False) != before
    assert "–" in before


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
    tab.evaluate("""document.querySelectorAll('.scroll td:last-child').forEach(cell => {
        cell.insertAdjacentHTML('beforeend', '<span class="star">*</span>'); })""")
    assert tab.evaluate("document.documentElement.scrollWidth") == width
    runs = tab.locator(".scroll.tall").first
    assert runs.evaluate("box => getComputedStyle(box).overflowX") == "auto"
    if width == 400:
        assert runs.evaluate("box => box.scrollWidth > box.clientWidth"), "wide tables scroll in their own container"
    sizes = tab.locator("td, p, li, summary").evaluate_all(
        "elements => elements.map(element => parseFloat(getComputedStyle(element).fontSize))"
    )
    assert min(sizes) >= 12
