"""Table 2 of a store made by hand, with means, tests and stars worked out by hand."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pandas as pd
import pytest

from baselines.registry import METHODS
from benchmark.paper.printed import TABLE_2_METRICS
from benchmark.plan.run_spec import RunSetting
from benchmark.report.methods import title_of
from benchmark.report.query import Results
from benchmark.report.shown_runs import planned_results
from benchmark.report.tables.comparison import MainComparison, main_comparison
from benchmark.report.tables.data import data_table
from benchmark.report.tables.formats import latex_text, to_latex, to_markdown, to_plain, to_tabular
from benchmark.report.tables.layout import Cell, Head, Row, Table
from benchmark.report.tables.table2 import table_2, table_of_methods
from benchmark.store.store import Store
from tests.benchmark.conftest import results_of

GOLDEN = Path(__file__).parent / "golden" / "table2.tex"

# Three seeds a method. Every metric of a method is `level` times what stands here for NDCG@10, see `metrics`.
NDCG_10 = {
    "sasrec-bce": (0.030, 0.040, 0.050),  # mean .04, deviation .01
    "sasrec-ce": (0.040, 0.050, 0.060),  # mean .05, deviation .01: the best baseline
    "duorec": (0.050, 0.048, None),  # the third diverged: mean .049 of two
    "btsr-bce": (0.045, 0.055, 0.065),
    "btsr-ce": (0.052, 0.061, 0.073),  # mean .062
    "popularity": (0.020, None, None),
}
VALIDATION = {"btsr-bce": 0.060, "btsr-ce": 0.066}
COVERAGE = {"sasrec-bce": 0.5, "sasrec-ce": 0.4, "duorec": 0.45, "btsr-bce": 0.2, "btsr-ce": 0.3, "popularity": 0.0}
# HR@1, so that BT-SR is ahead of SASRec (CE) by .03, -.01, .01: a lead that is not significant.
HR_1 = {"sasrec-ce": (0.010, 0.030, 0.020), "btsr-ce": (0.040, 0.020, 0.030)}
RANKS = {"sasrec-ce": (2, 0, 12, 1), "btsr-ce": (1, 3, 12, 1)}


def metrics(method: str, seed: int) -> dict[str, float]:
    """The test metrics of one run."""
    ndcg = NDCG_10[method][seed]
    assert ndcg is not None
    values = {name: ndcg for name in TABLE_2_METRICS if name.startswith(("hr@", "ndcg@"))}
    values |= {name: COVERAGE[method] + 0.01 * seed for name in TABLE_2_METRICS if name.startswith("cov@")}
    return values | {"hr@1": HR_1[method][seed] if method in HR_1 else 0.001}


def fill(store: Store, maker: Any) -> None:
    """Save the hand-made runs."""
    maker.write_data(store)
    for method, values in NDCG_10.items():
        for seed, value in enumerate(values):
            if value is not None:
                validation = {"ndcg@10": VALIDATION.get(method, 0.05)}
                record = maker.record(method, seed, test=metrics(method, seed), validation=validation)
                store.save(record, maker.arrays(RANKS.get(method, (0, 0, 0, 5))))
    store.save(maker.record("duorec", 2, status="diverged"), {})


@pytest.fixture
def comparison(store: Store, handmade: Callable[..., Any], notes: list[str]) -> MainComparison:
    fill(store, handmade())
    comparison = main_comparison(results_of(store))
    assert notes == []
    return comparison


def p_of_three(t: float) -> float:
    """Two-sided p of Student's t with two degrees of freedom, which has a closed form."""
    return 1 - abs(t) / math.sqrt(t * t + 2)


def test_means_deviations_and_places(comparison: MainComparison) -> None:
    row = {row.metric: row for row in comparison.metrics}["ndcg@10"]
    assert row.summaries["sasrec-ce"].mean == pytest.approx(0.05)
    assert row.summaries["sasrec-ce"].deviation == pytest.approx(0.01)
    assert row.summaries["btsr-ce"].mean == pytest.approx(0.062)
    assert (row.summaries["duorec"].n, row.summaries["duorec"].mean) == (2, pytest.approx(0.049))
    assert math.isnan(row.summaries["popularity"].deviation)
    assert (row.places["btsr-ce"], row.places["sasrec-ce"]) == ("best", "second")
    assert not any(row.places[method] for method in ("sasrec-bce", "duorec"))
    assert row.places.keys() == {"sasrec-bce", "sasrec-ce", "duorec", "btsr-ce"}
    assert (comparison.results.baselines, comparison.results.btsr) == (("sasrec-bce", "sasrec-ce", "duorec"), "btsr-ce")
    assert comparison.results.other_methods == ("btsr-bce", "popularity")


def test_places_are_those_of_the_numbers_as_printed(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    values = {"sasrec-bce": 0.04996, "sasrec-ce": 0.05004, "sasrec-sce": 0.04994, "duorec": 0.0499, "btsr-ce": 0.0498}
    for method, value in values.items():
        store.save(maker.record(method, 0, test={"ndcg@10": value}), maker.arrays())
    row = {row.metric: row for row in compared(store, maker).metrics}["ndcg@10"]
    best, second = ({m for m, place in row.places.items() if place == which} for which in ("best", "second"))
    assert best == {"sasrec-bce", "sasrec-ce"}  # .0500 both
    assert second == {"sasrec-sce", "duorec"}  # .0499 both


def test_of_two_files_under_one_name_the_later_is_shown(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    records = [maker.record("external-ours", settings={"sha256": digest}) for digest in ("a" * 64, "b" * 64)]
    low, high = sorted(records, key=lambda record: record.key)
    for record, finished in ((low, "2026-01-02T05:00:00+00:00"), (high, "2026-01-02T04:00:00+00:00")):
        store.save(replace(record, finished=finished), maker.arrays())
    maker.write_data(store)
    store.save(maker.record("sasrec-ce"), maker.arrays())
    (shown,) = compared(store, maker).results.method("external-ours").records
    assert shown.key == low.key


def test_a_lead_that_earns_its_star(comparison: MainComparison) -> None:
    row = {row.metric: row for row in comparison.metrics}["ndcg@10"]
    # Differences .012, .011, .013: mean .012, deviation .001, t = .012 / (.001 / sqrt 3) = 20.785
    versus = row.versus["btsr-ce"]
    assert versus.rival.method == "sasrec-ce"
    assert versus.test.t == pytest.approx(12 * math.sqrt(3))
    assert versus.test.p == pytest.approx(p_of_three(12 * math.sqrt(3)))
    assert versus.test.improvement == pytest.approx(24.0)
    assert row.star("btsr-ce")


def test_a_lead_that_does_not(comparison: MainComparison) -> None:
    row = {row.metric: row for row in comparison.metrics}["hr@1"]
    # Differences .03, -.01, .01: mean .01, deviation .02, t = .01 / (.02 / sqrt 3) = .866
    assert row.versus["btsr-ce"].test.p == pytest.approx(p_of_three(math.sqrt(3) / 2))
    assert row.versus["btsr-ce"].test.improvement == pytest.approx(50.0)
    assert not row.star("btsr-ce")


def test_a_loss_gets_no_star_however_certain(comparison: MainComparison) -> None:
    row = {row.metric: row for row in comparison.metrics}["cov@10"]
    # .3 against SASRec (BCE)'s .5, .2 less on every seed: no test, for nothing varies
    assert row.versus["btsr-ce"].rival.method == "sasrec-bce"
    assert math.isnan(row.versus["btsr-ce"].test.p)
    assert row.versus["btsr-ce"].test.improvement == pytest.approx(100 * (0.31 - 0.51) / 0.51)
    assert not row.star("btsr-ce")
    assert row.places["sasrec-bce"] == "best"


def test_what_the_users_can_reveal(comparison: MainComparison) -> None:
    # NDCG@10 of the four users: BT-SR 1, 1/2, 0, 1; SASRec (CE) 1/log2(3), 0, 0, 1. Alike on all seeds.
    gains = [1, 0.5, 0, 1]
    mean = sum(gains) / 4
    deviation = math.sqrt(sum((gain - mean) ** 2 for gain in gains) / 3)
    assert comparison.users is not None
    assert comparison.users.error == pytest.approx(deviation / 2)
    assert comparison.users.rival == "sasrec-ce"
    lead = (1 - 1 / math.log2(3) + 0.5) / 4
    (note,) = (note for note in printed(comparison).notes if note.startswith("Over users"))
    assert f"NDCG@10 of BT-SR minus that of SASRec (CE) is +{lead:.4f}, 95 % interval" in note


def test_users_who_do_not_differ_tell_nothing(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    for method in ("sasrec-ce", "btsr-ce"):
        for seed in range(2):
            store.save(maker.record(method, seed, test={"ndcg@10": 0.05}), maker.arrays(RANKS["sasrec-ce"]))
    (note,) = (note for note in printed(compared(store, maker)).notes if note.startswith("Over users"))
    assert "NDCG@10 of BT-SR minus that of SASRec (CE) is 0.0000 for every test user" in note
    assert "would reveal a true difference" not in note


@pytest.mark.parametrize(("detectable", "said"), [(2e-5, "of less than 0.0001"), (6e-5, "of 0.0001")])
def test_a_tiny_detectable_difference_is_not_called_zero(
    comparison: MainComparison, monkeypatch: pytest.MonkeyPatch, detectable: float, said: str
) -> None:
    monkeypatch.setattr("benchmark.report.tables.comparison.smallest_detectable_difference", lambda _: detectable)
    assert f"these users would reveal a true difference {said} with 80 % power." in " ".join(printed(comparison).notes)


def test_the_latex_of_the_table(comparison: MainComparison) -> None:
    assert to_latex([printed(comparison)]) == GOLDEN.read_text()


def test_the_markdown_of_the_table(comparison: MainComparison) -> None:
    lines = to_markdown([printed(comparison)]).splitlines()
    head, rule, first, *_ = (line for line in lines if line.startswith("|"))
    paper = ["SASRec (BCE)", "SASRec (CE)", "DuoRec", "BT-SR (CE)<sup>†</sup>", "Improve"]
    columns = [f"<sub>the paper's columns</sub><br>{column}" for column in paper]
    columns += [f"<sub>in addition</sub><br>{column}" for column in ("BT-SR (BCE)", "Most popular")]
    assert head == f"| ML-1M | {' | '.join(columns)} |"
    assert rule == "|:--|" + ":-:|" * 7
    assert first.startswith(
        "| hr@1<br><sub><em>paper</em></sub> | 0.0010<br><sub>±0.0000</sub><br><sub><em>0.0160</em>"
    )
    (ndcg,) = (line for line in lines if line.startswith("| ndcg@10<br>"))
    assert "**0.0620**\\*<br><sub>±0.0105</sub><br><sub><em>0.0534\\*</em></sub>" in ndcg
    assert "<ins>0.0500</ins>" in ndcg
    assert "+24.0%<br><sub>p = 0.002</sub><br><sub><em>+6.2%</em></sub>" in ndcg
    (counts,) = (line for line in lines if line.startswith("| runs"))
    assert "2/3<br><sub>diverged 1/3</sub>" in counts
    assert "- DuoRec: diverged (seed 2); left out of the mean." in lines


def test_markdown_and_latex_put_the_same_cells_in_bold(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    values = {"sasrec-ce": 0.0771, "btsr-ce": 0.0757, "two-stage": 0.0784}
    for method, value in values.items():
        store.save(maker.record(method, 0, test={"ndcg@10": value}), maker.arrays())
    table = printed(compared(store, maker))
    tex, text = to_latex([table]), to_markdown([table])
    assert re.findall(r"textbf\{([^}]*)\}", tex) == ["0.0771"]
    head, row = (next(line for line in text.splitlines() if line.startswith(start)) for start in ("| ML", "| ndcg@10"))
    cells = dict(zip(head.strip("| ").split(" | "), row.strip("| ").split(" | "), strict=True))
    assert cells["<sub>the paper's columns</sub><br>SASRec (CE)"].startswith("**0.0771**")
    assert cells["<sub>in addition</sub><br>Two-stage BT"] == "0.0784"


def test_the_frame_for_machines(comparison: MainComparison) -> None:
    frame = for_machines(comparison).set_index(["metric", "method"])
    assert len(frame) == 9 * 6
    row = frame.loc[("ndcg@10", "btsr-ce")]
    assert row["role"] == "btsr"
    assert row["mean"] == pytest.approx(0.062)
    assert (row["best_baseline"], row["star"], row["pairs"]) == ("sasrec-ce", True, 3)
    assert (row["paper_mean"], row["paper_deviation"], row["paper_improve_percent"]) == (0.0534, 0.0037, 6.2)
    assert frame.loc[("ndcg@10", "btsr-bce")]["role"] == "additional"
    assert math.isnan(frame.loc[("ndcg@10", "btsr-bce")]["paper_mean"])
    assert (frame.loc[("hr@1", "duorec")]["runs_done"], frame.loc[("hr@1", "duorec")]["runs_asked"]) == (2, 3)


@pytest.fixture
def own(store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> MainComparison:
    """The hand-made store with external recommendations and an own method, which beats its rival and all others."""
    maker = handmade()
    fill(store, maker)
    monkeypatch.setitem(METHODS, "mine", replace(METHODS["duorec"], title="My method", rival="sasrec-bce"))
    for seed, value in enumerate((0.081, 0.092, 0.103)):
        test = {"ndcg@10": value, "gini@10": 0.9 - 0.01 * seed}
        store.save(maker.record("mine", seed, test=test), maker.arrays())
    other = maker.record("external-x", test={"ndcg@10": 0.07}, settings={"title": "Theirs", "file": "x.csv"})
    store.save(other, maker.arrays())
    return compared(store, maker)


def test_ones_own_methods_take_part(own: MainComparison) -> None:
    row = {row.metric: row for row in own.metrics}["ndcg@10"]
    places = {method: place for method, place in row.places.items() if place}
    assert places == {"mine": "best", "external-x": "second"}
    # Differences to SASRec (BCE) .051, .052, .053: t = .052 / (.001 / sqrt 3)
    assert (row.versus["mine"].rival.method, row.star("mine"), row.star("external-x")) == ("sasrec-bce", True, False)
    assert row.versus["mine"].test.p == pytest.approx(p_of_three(52 * math.sqrt(3)))
    assert row.versus["btsr-ce"].rival.method == "sasrec-ce", "the paper's comparison is as before"
    table = printed(own)
    assert table.bands == (("", 1), ("the paper's columns", 5), ("your own", 3), ("in addition", 2))
    heads = [(head.first, head.second) for head in table.heads[6:9]]
    assert heads == [("My", "method"), ("Improve", "on SASRec (BCE)"), ("Theirs", "(external)")]
    assert "The best of the paper's columns and of your own is bold" in table.notes[0]
    assert "My method is compared with SASRec (BCE) in the same way." in table.notes[0]
    roles = for_machines(own).set_index(["metric", "method"])["role"]
    assert (roles["ndcg@10", "mine"], roles["ndcg@10", "popularity"]) == ("own", "additional")


def test_a_table_of_methods_and_metrics_at_will(own: MainComparison) -> None:
    table = table_of_methods(own.results, ["sasrec-bce", "btsr-ce", "mine", "external-x"], ["ndcg@10", "gini@10"])
    (ndcg, gini) = table.sections[0]
    assert [cell.text for cell in ndcg[0].cells] == ["0.0400", "0.0620", "0.0920", "0.0700"]
    assert [cell.place for cell in ndcg[0].cells] == ["", "", "best", "second"]
    # BT-SR against SASRec (BCE), the only baseline named: .022, .021, .023.
    assert [cell.star for cell in ndcg[0].cells] == [False, True, True, False]
    assert gini[0].cells[2].text == "0.8900"
    assert "BT-SR (CE) is compared with SASRec (BCE); My method is compared with SASRec (BCE) over" in table.notes[0]
    text = to_tabular(table)
    assert text.startswith(r"\begin{tabular}{@{}lcccc@{}}")
    assert r"\textbf{0.0920}\rlap{*} & \underline{0.0700}" in text
    seeds = "seeds (SASRec (BCE) 3, BT-SR (CE) 3, My method 3, Theirs (external) 1)"
    assert table.caption == f"Methods on ML-1M, means over {seeds}."
    assert rf"\par\smallskip{{\scriptsize Means over {seeds}," in text
    assert "means over 3 seeds" in table_of_methods(own.results, ["btsr-ce", "mine"], ["ndcg@10"]).caption
    assert not re.search(r"\\(caption|label|begin\{table)", text)


def printed(comparison: MainComparison) -> Table:
    """The table of the comparison."""
    made = table_2([comparison.results])
    assert made is not None
    return made[0][0]


def for_machines(comparison: MainComparison) -> pd.DataFrame:
    made = table_2([comparison.results])
    assert made is not None
    return pd.DataFrame(made[1])


def test_where_seeds_differ_the_cell_says_over_how_many(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    values = {"btsr-ce": (0.09, 0.03, 0.04, 0.02), "sasrec-ce": (None, 0.05, 0.05, 0.05)}
    for method, by_seed in values.items():
        for seed, value in enumerate(by_seed):
            if value is not None:
                store.save(maker.record(method, seed, test={"ndcg@10": value}), maker.arrays(RANKS[method]))
    comparison = compared(store, maker)
    table = printed(comparison)
    (ndcg,) = (rows for rows in table.sections[0] if rows[0].label == "ndcg@10")
    improve = [head.first for head in table.heads].index("Improve") - 1
    # On the seeds that both have .03 against .05; over all its seeds BT-SR has .045.
    assert [row.cells[improve].text for row in ndcg] == ["−40.0%", "p = 0.074, 3 seeds", "+6.2%"]
    assert not any(cell.star for cell in ndcg[0].cells)


def rendered(comparison: MainComparison) -> str:
    """The LaTeX and Markdown of the comparison's table."""
    table = printed(comparison)
    return to_latex([table]) + to_markdown([table])


def compared(store: Store, maker: Any) -> MainComparison:
    """The main comparison of the store's runs."""
    return main_comparison(results_of(store, maker.dataset))


def test_synthetic_data_is_labelled_and_never_beside_printed_figures(
    store: Store, handmade: Callable[..., Any]
) -> None:
    maker = handmade("ml-1m", "ML-1M", synthetic=True)
    fill(store, maker)
    comparison = compared(store, maker)
    table = printed(comparison)
    assert table.caption.startswith("SYNTHETIC DATA")
    assert (table.heads[0].first, table.heads[0].second) == ("ML-1M", "SYNTHETIC")
    assert all(row.printed is None for row in comparison.metrics)
    assert "paper}" not in rendered(comparison)
    assert for_machines(comparison)["synthetic"].all()


def test_text_from_data_is_escaped(store: Store, handmade: Callable[..., Any], tmp_path: Path) -> None:
    title = "<script>alert(1)</script> 50%_&#{x}$y^2~\\input{z}|`*[a](b) é 漢 line"
    maker = handmade("custom", title)
    store.save(maker.record("btsr-ce"), maker.arrays())
    comparison = compared(store, maker)
    table = printed(comparison)
    tex, text = to_latex([table]), to_markdown([table])
    assert "<script>" not in tex + text
    assert r"\input{z}" not in tex
    assert "\\_\\&\\#\\{x\\}\\$y\\textasciicircum{}2" in tex
    assert r"é \ifdefined\Umathchar 漢\else ?\fi{} line" in tex, "only pdfLaTeX has no glyph for it"
    assert latex_text("a\x00b\u200bc") == "a?b?c", "what nothing can print"
    assert "&lt;script&gt;" in text
    assert r"\|\`\*\[a\](b)" in text
    assert_compiles(tex, tmp_path)


@pytest.mark.parametrize(
    ("character", "shown"),
    [("~", r"\textasciitilde{}"), ("^", r"\textasciicircum{}"), ("\\", r"\textbackslash{}"), ("\N{MINUS SIGN}", "$-$")],
)
def test_a_character_is_shown_as_itself_in_latex(character: str, shown: str) -> None:
    assert latex_text(f"a{character}b") == f"a{shown}b"


def test_the_table_compiles(comparison: MainComparison, tmp_path: Path) -> None:
    assert_compiles(to_latex([printed(comparison)] * 2), tmp_path)


def assert_compiles(tex: str, folder: Path) -> None:
    """Check that pdfLaTeX compiles this with booktabs as its only package."""
    if shutil.which("pdflatex") is None:
        pytest.skip("pdflatex is not installed")
    (folder / "table.tex").write_text(tex)
    (folder / "main.tex").write_text(
        r"\documentclass{article}\usepackage{booktabs}\begin{document}\input{table}\end{document}"
    )
    command = ["pdflatex", "-interaction=nonstopmode", "-halt-on-error", "main.tex"]
    result = subprocess.run(command, cwd=folder, capture_output=True, text=True, errors="replace", timeout=120)
    assert result.returncode == 0, result.stdout[-2000:]
    assert "Undefined control sequence" not in result.stdout


def plan_of(maker: Any, method: str, seed: int) -> Any:
    """A stand-in for a planned run, with what a report reads of it."""
    record = maker.record(method, seed)
    spec = SimpleNamespace(method=method, seed=seed, to_json=lambda: record.spec)
    return SimpleNamespace(key=record.key, uses={"main": (method,)}, spec=spec)


def test_planned_runs_without_a_record_are_shown_as_missing(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    fill(store, maker)
    planned = [plan_of(maker, method, seed) for method in ("sasrec-ce", "btsr-ce") for seed in range(5)]
    results = planned_results(planned, store.records("ml-1m"), store.data("ml-1m"), store.arrays)
    assert [runs.method for runs in results.groups] == ["sasrec-ce", "btsr-ce"]
    assert results.method("btsr-ce").not_done == {"missing": [3, 4]}
    table = rendered(main_comparison(results))
    assert "missing 2/5" in table
    assert "SASRec (CE); BT-SR (CE): missing (seeds 3, 4); left out of the means." in table
    assert not planned_results(planned, [], None, store.arrays).records()


def test_times_are_in_utc_wherever_the_report_is_made(
    store: Store, handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker = handmade()
    maker.write_data(store)
    store.save(maker.record(), maker.arrays())
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        results = compared(store, maker).results
        (data, _), (table, _) = data_table(results) or ((), ()), table_2([results]) or ((), ())
    finally:
        monkeypatch.undo()
        time.tzset()
    assert "T = 993074255 (2001-06-20 21:57:35 UTC)" in " ".join(table[0].notes)
    texts = {rows[0].label: rows[0].cells[0].text for section in data[0].sections for rows in section}
    assert texts["T (UTC)"] == "2001-06-20 21:57"


def test_mixed_machines_are_named(store: Store, handmade: Callable[..., Any]) -> None:
    maker = handmade()
    record = maker.record(seed=0)
    store.save(record, maker.arrays())
    store.save(maker.record(seed=1, hardware=record.hardware | {"device": "cuda"}), maker.arrays())
    text = printed(compared(store, maker)).notes[-1]
    assert text == (
        "The runs come from different machines or versions. Device: cpu (1 run), cuda (1 run); torch: 2.13.0."
    )


def test_a_setting_names_its_folder() -> None:
    assert RunSetting().name == "released-equal-paper"
    assert RunSetting("released,ties=shuffle:3", "released", "quick").name == "released-ties-shuffle-3-released-quick"


def test_titles_agree_with_the_registry() -> None:
    assert {name: title_of(name) for name in METHODS} == {name: entry.title for name, entry in METHODS.items()}


def test_an_empty_run_set_has_no_methods() -> None:
    empty = Results("ml-1m", "ML-1M", False, RunSetting(), (), lambda _: None)
    assert (empty.ran, empty.btsr, empty.records(), len(empty.frame)) == ((), None, [], 0)


def test_plain_text_is_aligned_and_says_the_same() -> None:
    cells = (Cell("0.0240", star=True, place="best"), Cell("0.0213", place="second"))
    table = Table(
        name="t2",
        caption="A caption.",
        bands=(),
        heads=(Head("ML-1M"), Head("BT-SR", "(CE)", "†"), Head("SASRec", "(CE)")),
        sections=(((Row("hr@1", cells), Row("", (Cell("±0.0048"), Cell("±0.0011")), "below")),),),
        notes=("† Chosen on validation.",),
    )
    assert to_plain(table).splitlines()[:-1] == [
        "A caption.",
        "------------------------",
        "          BT-SR   SASRec",
        "          (CE)†     (CE)",
        "------------------------",
        "hr@1  [0.0240*]   0.0213",
        "        ±0.0048  ±0.0011",
        "------------------------",
    ]
