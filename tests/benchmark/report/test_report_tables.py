"""Tables 1 and 3, sweeps, ties, costs, buckets and data statistics, with values worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from baselines.registry import METHODS
from benchmark.plan.experiments import SWEEPS
from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import TABLES
from benchmark.report.tables.buckets import bucket_tables
from benchmark.report.tables.cost import cost_table
from benchmark.report.tables.data import data_table
from benchmark.report.tables.formats import to_latex, to_markdown
from benchmark.report.tables.home import home_table
from benchmark.report.tables.layout import Table
from benchmark.report.tables.numbers import DASH
from benchmark.report.tables.sweeps import sweep_table
from benchmark.report.tables.table1 import objectives, printed_means, table_1
from benchmark.report.tables.table3 import table_3
from benchmark.report.tables.ties import tie_tables
from benchmark.store.record import RunRecord
from tests.benchmark.conftest import PROTOCOL
from tests.benchmark.report.test_tables import assert_compiles, p_of_three

GOLDEN = Path(__file__).parent / "golden"

# NDCG@10 by seed. With Barlow Twins minus without:
#   BCE  .004, .005, .006: mean .005, deviation .001, t = .005 / (.001 / sqrt 3) = 5 sqrt 3 = 8.66, p = 0.013: a star
#   CE   .03, -.01, .01:   mean .01,  deviation .02,  t = sqrt 3 / 2,                           p = 0.478: none
#   SCE  -.01 on the two seeds that both have, which are too few for a test
OBJECTIVES: dict[str, tuple[float | None, ...]] = {
    "sasrec-bce": (0.040, 0.050, 0.060),  # mean .05, deviation .01
    "btsr-bce": (0.044, 0.055, 0.066),  # mean .055, deviation .011
    "sasrec-ce": (0.040, 0.060, 0.050),  # mean .05
    "btsr-ce": (0.070, 0.050, 0.060),  # mean .06, the best of the line
    "sasrec-sce": (0.050, 0.060, None),  # mean .055 of two
    "btsr-sce": (0.040, 0.050, 0.060),  # mean .05
}


def variant(maker: Any, label: str, method: str, values: tuple[float | None, ...], metric: str = "ndcg@10") -> RunGroup:
    """The runs of a variant, one per value; None stands for a failed run."""
    records = tuple(
        maker.record(method, seed, status="failed", settings={"label": label})
        if value is None
        else maker.record(method, seed, test={metric: value}, settings={"label": label})
        for seed, value in enumerate(values)
    )
    share = label.rpartition(" ")[2]
    return RunGroup("", label, method, float(share) if share[-1].isdigit() else None, records=records)


def results(
    maker: Any,
    experiment: str = "",
    variants: tuple[RunGroup, ...] = (),
    records: tuple[RunRecord, ...] = (),
    data: Mapping[str, Any] | None = None,
) -> Results:
    """One dataset with the variants of one experiment, and with `records` as the runs of Table 2."""
    methods = dict.fromkeys(record.method for record in records)
    main = [RunGroup("main", m, m, records=tuple(r for r in records if r.method == m)) for m in methods]
    groups = (*main, *(replace(runs, experiment=experiment) for runs in variants))
    setting = RunSetting()
    return Results(maker.dataset, maker.title, maker.synthetic, setting, groups, lambda _: maker.arrays(), data or {})


def table_1_store(maker: Any) -> Results:
    """The runs of Table 1."""
    return results(maker, "objectives", tuple(variant(maker, name, name, v) for name, v in OBJECTIVES.items()))


def cells(table: Table, label: str) -> list[str]:
    """The texts of the line with this label, with a star after each starred cell."""
    (line,) = [g[0] for section in table.sections for g in section if g[0].label == label]
    return [cell.text + ("*" if cell.star else "") for cell in line.cells]


# --- Table 1 --------------------------------------------------------------------------------------------------------


def test_what_barlow_twins_adds_to_each_objective(handmade: Callable[..., Any]) -> None:
    found = table_1_store(handmade())
    bce, ce, sce = objectives([found])[found]
    assert found.summary(bce.regularised, "ndcg@10").deviation == pytest.approx(0.011)
    tests = [found.difference(each.regularised, each.plain, "ndcg@10") for each in (bce, ce, sce)]
    assert tests[0].t == pytest.approx(5 * math.sqrt(3))
    assert tests[0].p == pytest.approx(p_of_three(5 * math.sqrt(3)))
    assert tests[1].p == pytest.approx(p_of_three(math.sqrt(3) / 2))
    assert (tests[2].n, tests[2].difference) == (2, pytest.approx(-0.01))
    assert [test.star for test in tests] == [True, False, False]
    printed = printed_means(found)
    assert (printed["sasrec-bce"], printed["btsr-bce"]) == (0.0443, 0.0490)
    assert (printed["sasrec-sce"], printed["btsr-sce"]) == (0.0503, 0.0562)


def with_lists(maker: Any) -> Results:
    """The runs of Table 1, in which Barlow Twins covers more of the catalogue and shows newer items."""
    made = table_1_store(maker)
    for group in made.groups:
        for record in group.done:
            level = 0.1 * record.seed + (0.05 if group.plain else 0) + 0.001 * (record.seed == 0)
            record.metrics["test"].update({"cov@10": 0.2 + level, "gini@10": 0.9 - level, "novelty@10": 4 + 10 * level})
    return made


def test_what_barlow_twins_adds_to_what_is_recommended(handmade: Callable[..., Any]) -> None:
    tables, rows = table_1([with_lists(handmade())]) or ([], [])
    assert [table.name for table in tables] == ["ml-1m-table1", "ml-1m-table1-lists"]
    # Plain seeds .201, .3, .4, regularised .251, .35, .45: .05 more on every seed, which no test can judge.
    coverage, gini, novelty = (cells(tables[1], metric) for metric in ("cov@10", "gini@10", "novelty@10"))
    assert (coverage[0], coverage[3], coverage[6]) == ("0.3003", "0.3503", "+0.0500")
    assert (gini[0], gini[3], gini[6]) == ("0.7997", "0.7497", "\N{MINUS SIGN}0.0500")
    assert (novelty[0], novelty[3], novelty[6]) == ("5.00", "5.50", "+0.50")
    (row,) = (rows[0] for section in tables[1].sections for rows in section if rows[0].label == "gini@10")
    assert [cell.place for cell in row.cells[:6]] == ["", "", "", "best", "best", "best"]  # the lowest
    assert {row["metric"] for row in rows} == {"ndcg@10", "cov@10", "gini@10", "novelty@10"}


def test_an_objective_of_ones_own_has_its_columns_in_table_1(
    handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    maker, title = handmade(), "gBCE"
    monkeypatch.setitem(METHODS, "sasrec-gbce", replace(METHODS["sasrec-bce"], title=f"SASRec ({title})"))
    twin = replace(METHODS["btsr-bce"], title=f"BT-SR ({title})", plain="sasrec-gbce")
    monkeypatch.setitem(METHODS, "btsr-gbce", twin)
    made = table_1_store(maker)
    assert len((table_1([made]) or ([], []))[0][0].heads) == 1 + 9, "nothing of it was run"
    own = [variant(maker, name, name, (0.05, 0.06, 0.07)) for name in ("sasrec-gbce", "btsr-gbce")]
    made = results(maker, "objectives", (*made.groups, *own))
    (table, *_), _ = table_1([made]) or ([], [])
    assert [head.first for head in table.heads[1:5]] == ["BCE", "CE", "SCE", "gBCE"]
    assert cells(table, "ML-1M")[3] == "0.0600"
    printed = next(row for rows in table.sections[0] for row in rows if row.kind == "paper")
    assert printed.cells[3].text == DASH, "which the paper does not print"


def test_what_every_method_recommends(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    values = {"sasrec-ce": (0.30, 0.95, 0.20), "duorec": (0.10, 0.99, 0.30), "popularity": (0.01, 0.999, 0.35)}
    names = ("cov@10", "gini@10", "popularity@10")
    records = tuple(maker.record(m, test=dict(zip(names, v, strict=True))) for m, v in values.items())
    (table,), rows = TABLES["diversity"](results(maker, records=records)) or ([], [])
    best = {rows[0].label: [cell.place == "best" for cell in rows[0].cells] for part in table.sections for rows in part}
    shown = [head.second for head in table.heads[1:]].index
    for metric in names:  # the highest coverage, the lowest concentration and popularity
        assert [title for title, places in best.items() if places[shown(metric)]] == ["SASRec (CE)"], metric
    assert [len(part) for part in table.sections] == [2, 1], "the paper's columns, then the others"
    without = tuple(maker.record(method, test={"cov@10": 0.3}) for method in values)
    assert TABLES["diversity"](results(maker, records=without)) is None, "coverage alone is in Table 2"
    assert {row["metric"] for row in rows} >= set(names)


def test_the_latex_of_table_1(handmade: Callable[..., Any]) -> None:
    made = table_1([table_1_store(handmade())])
    assert made is not None
    assert to_latex(made[0]) == (GOLDEN / "table1.tex").read_text()


def test_table_1_for_machines(handmade: Callable[..., Any]) -> None:
    made = table_1([table_1_store(handmade())])
    assert made is not None
    frame = pd.DataFrame(made[1]).set_index("objective")
    assert frame.loc["BCE", ["mean", "mean_bt", "difference"]].tolist() == pytest.approx([0.05, 0.055, 0.005])
    assert frame.loc["SCE", ["runs", "runs_bt", "pairs"]].tolist() == [2, 3, 2]
    assert frame["star"].tolist() == [True, False, False]


def test_table_1_without_a_plan_is_made_of_the_runs_of_table_2(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    records = tuple(maker.record(m, 0, test={"ndcg@10": v}) for m, v in (("sasrec-ce", 0.05), ("btsr-ce", 0.06)))
    made = table_1([results(maker, records=records)])
    assert made is not None
    (table,) = made[0]
    assert cells(table, "ML-1M") == ["–", "0.0500", "–", "–", "0.0600", "–", "–", "+0.0100", "–"]
    assert "Not run: SASRec (BCE); SASRec (SCE); BT-SR (BCE); BT-SR (SCE)." in table.notes


def test_table_1_of_several_datasets(handmade: Callable[..., Any]) -> None:
    synthetic = handmade("synthetic", "Synthetic", synthetic=True)
    empty = results(handmade("yelp", "Yelp"))
    made = table_1([table_1_store(handmade()), table_1_store(synthetic), empty])
    assert made is not None
    (table,), rows = made
    frame = pd.DataFrame(rows)
    assert [section[0][0].label for section in table.sections] == ["ML-1M", "Synthetic (SYNTHETIC)"]
    assert [[line.label for line in section[0]] for section in table.sections] == [
        ["ML-1M", "", "paper", "runs"],
        ["Synthetic (SYNTHETIC)", "", "runs"],
    ]
    assert frame["dataset"].tolist() == ["ml-1m"] * 3 + ["synthetic"] * 3
    assert table_1([empty]) is None


# --- Table 3 --------------------------------------------------------------------------------------------------------


def regimes(maker: Any, *labels: str) -> Results:
    """NDCG@20 on three seeds: SASRec around .017, alpha .1 ahead by about .001, alpha .4 by .002, -.001, .002."""
    ahead = {"sasrec-bce": (0, 0, 0), "0.1": (1, 1.1, 0.9), "0.4": (2, -1, 2)}
    variants = []
    for label in labels or ahead:
        method = label if label == "sasrec-bce" else "btsr-ce"
        values = tuple(0.016 + 0.001 * (seed + lead) for seed, lead in enumerate(ahead[label]))
        found = variant(maker, label, method, values, "ndcg@20")
        for record in found.done:
            record.metrics["test"]["hr@1/bucket1"] = 0.01 if label == "0.1" else 0.005
        variants.append(found)
    return results(maker, "regimes", tuple(variants))


def test_the_latex_of_table_3(handmade: Callable[..., Any]) -> None:
    made = table_3(regimes(handmade("yelp", "Yelp")))
    assert made is not None
    assert to_latex(made[0]) == (GOLDEN / "table3.tex").read_text()


def test_the_regimes_are_tested_against_bce(handmade: Callable[..., Any]) -> None:
    made = table_3(regimes(handmade("yelp", "Yelp")))
    assert made is not None
    (table,), rows = made
    frame = pd.DataFrame(rows)
    # alpha .1: mean .001, deviation .0001, t = 10 sqrt 3; alpha .4: mean .001, deviation .001 sqrt 3, t = 1
    found = frame[frame["metric"] == "ndcg@20"].set_index("variant")
    assert found.loc["0.1", "p"] == pytest.approx(p_of_three(10 * math.sqrt(3)))
    assert found.loc["0.4", "p"] == pytest.approx(p_of_three(1))
    assert found["star"].tolist() == [None, True, False]
    assert found["paper_mean"].tolist() == [0.0176, 0.0180, 0.0182]
    assert cells(table, "ndcg@20") == ["0.0170", "0.0180", "0.0180", "+0.0010*", "+0.0010"]
    assert cells(table, "hr@1, bucket 1") == ["0.0050", "0.0100", "0.0050", "+0.0050", "0.0000"]
    assert cells(table, "hr@1, bucket 3") == ["–"] * 5


def test_table_3_with_regimes_missing(handmade: Callable[..., Any]) -> None:
    made = table_3(regimes(handmade(), "0.4"))
    assert made is not None
    (table,), rows = made
    frame = pd.DataFrame(rows)
    assert cells(table, "ndcg@20") == ["–", "–", "0.0180", "–", "–"]
    assert "paper" not in [line.label for section in table.sections for group in section for line in group]
    assert "Not run: SASRec (BCE); BT-SR (CE), alpha 0.1." in table.notes
    assert frame["paper_mean"].isna().all()
    assert table_3(results(handmade())) is None
    assert table_3(results(handmade(), "regimes", (variant(handmade(), "0.1", "btsr-ce", (None,)),))) is None


# --- sweeps and ties ------------------------------------------------------------------------------------------------


def test_a_sweep_compares_over_the_seeds_that_both_have(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    plain = replace(variant(maker, "0", "sasrec-ce", (0.04, 0.06)), method="btsr-ce")
    made = sweep_table(
        "alpha",
        results(
            maker,
            "alpha",
            (plain, variant(maker, "0.1", "btsr-ce", (0.05, None)), variant(maker, "0.2", "btsr-ce", (None, None))),
        ),
    )
    assert made is not None
    (table,), rows = made
    frame = pd.DataFrame(rows)
    # Seed 0 alone is in both: .05 is 25 % more than .04, and equal to the mean of the two.
    assert cells(table, "alpha 0") == ["0.0500", "–", "–", "–", "", "2/2"]
    assert cells(table, "alpha 0.1") == ["0.0500", "–", "–", "–", "+25.0%", "1/2"]
    assert [cell.text for cell in table.sections[0][1][1].cells] == ["", "", "", "", "1 seed", ""]
    assert cells(table, "alpha 0.2") == ["–", "–", "–", "–", "–", "0/2"]
    assert "BT-SR (CE) at alpha 0 is SASRec (CE); the runs shown are those of SASRec (CE)." in table.notes
    assert "alpha 0.1: failed (seed 1); left out of the mean." in table.notes
    assert frame[frame["metric"] == "ndcg@10"]["runs"].tolist() == [2, 1, 0]


def test_a_sweep_of_which_only_table_2s_runs_are_done_has_no_table(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    shared, own = variant(maker, "0.05", "btsr-ce", (0.05, 0.06)), variant(maker, "0.1", "btsr-ce", (0.07, None))
    assert sweep_table("lambda", results(maker, "lambda", (shared,), shared.done)) is None
    assert sweep_table("lambda", results(maker, "lambda", (shared, own), shared.done)) is not None


def test_noise_has_a_section_per_method(handmade: Callable[..., Any]) -> None:
    maker = handmade("ml-1m", "ML-1M", synthetic=True)
    pairs = [(method, share) for share in ("0", "0.4") for method in ("sasrec-ce", "btsr-ce")]
    values = {"sasrec-ce 0": 0.05, "btsr-ce 0": 0.06, "sasrec-ce 0.4": 0.04, "btsr-ce 0.4": 0.057}
    variants = tuple(variant(maker, f"{m} {share}", m, (values[f"{m} {share}"],)) for m, share in pairs)
    made = sweep_table("noise", results(maker, "noise", variants))
    assert made is not None
    (table,), _ = made
    assert [[group[0].label for group in section] for section in table.sections] == [
        ["SASRec (CE), noise 0", "SASRec (CE), noise 0.4"],
        ["BT-SR (CE), noise 0", "BT-SR (CE), noise 0.4"],
    ]
    assert cells(table, "SASRec (CE), noise 0.4")[4] == "−20.0%"
    assert cells(table, "BT-SR (CE), noise 0.4")[4] == "−5.0%"
    assert table.caption.startswith("SYNTHETIC DATA")


def test_the_spread_over_tie_orders(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    found = variant(maker, "sasrec-ce", "sasrec-ce", (0.05, 0.07, 0.09))
    # Seed 2 was run before orders were redrawn. Means over the others: .06 in the file's order, then .05, .06, .07.
    for record in found.done[:2]:
        for order, lower in ((1, 0.01), (2, 0.0), (3, -0.01)):
            record.metrics[f"ties-{order}"] = {"ndcg@10": record.metrics["test"]["ndcg@10"] - lower}
    made = results(maker, "ties", (found, variant(maker, "btsr-ce", "btsr-ce", (0.05,))))
    tables, rows = tie_tables(made) or ([], [])
    frame = pd.DataFrame(rows)
    assert cells(tables[0], "SASRec (CE), ndcg@10") == [
        *("0.0600", "0.0500", "0.0600", "0.0700"),
        *("0.0600", "0.0100", "0.0200", "2"),
    ]
    assert cells(tables[0], "BT-SR (CE), ndcg@10") == ["–"] * 7 + ["0"]
    assert "SASRec (CE): seed 2 was run before other orders were evaluated." in tables[0].notes
    assert frame["order"].tolist()[:4] == ["file", "1", "2", "3"]
    assert tie_tables(results(maker, "ties", (variant(maker, "btsr-ce", "btsr-ce", (0.05,)),))) is None


def test_file_order_stands_before_the_drawn_one(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    found = variant(maker, "sasrec-ce", "sasrec-ce", (0.05, 0.07))
    for record in found.done:
        record.metrics["ties-file"] = {"ndcg@10": 2 * record.metrics["test"]["ndcg@10"]}
    tables, rows = tie_tables(results(maker, "ties", (found,))) or ([], [])
    assert cells(tables[0], "SASRec (CE), ndcg@10") == ["0.1200", "0.0600", "−50.0%", "2"]
    assert [(row["order"], row["mean"]) for row in rows][:2] == [
        ("file", pytest.approx(0.12)),
        ("drawn", pytest.approx(0.06)),
    ]


# --- baselines at home ---------------------------------------------------------------------------------------------


def test_baselines_beside_their_published_numbers(handmade: Callable[..., Any]) -> None:
    maker = handmade()  # of ML-1M: SASRec (CE) is published with .1821 and .1858
    runs = (
        variant(maker, "sasrec-ce", "sasrec-ce", (0.1730,)),  # ratio .95002: within 5 %
        variant(maker, "sasrec-bce", "sasrec-bce", (0.1475,)),  # of .1341, ratio 1.09993: within 10 %
        variant(maker, "sasrec-ce wide", "sasrec-ce", (0.1672,)),  # ratio .8999: within neither
    )
    found = results(maker, "home", runs)
    tables, rows = home_table(found) or ([], [])
    assert cells(tables[0], "SASRec (CE), ndcg@10") == ["0.1730", "0.1821", "0.95", "5 %"]
    assert cells(tables[0], "SASRec (BCE), ndcg@10") == ["0.1475", "0.1341", "1.10", "10 %"]
    assert cells(tables[0], "SASRec (CE), wide, ndcg@10") == ["0.1672", "0.1858", "0.90", "off by more"]
    assert cells(tables[0], "SASRec (CE), hr@10") == ["–", "0.3152", "–", "–"]
    assert [len(section) for section in tables[0].sections] == [2, 2, 4], "the metrics that are published"
    assert any("Turning Dross into Gold Loss" in note for note in tables[0].notes)
    frame = pd.DataFrame(rows).set_index(["variant", "metric"])
    assert frame["published"]["sasrec-ce wide", "hr@5"] == 0.2252
    assert frame["within_percent"].xs("ndcg@10", level="metric").tolist()[:2] == [5, 10]
    assert frame["within_percent"].isna()["sasrec-ce wide", "ndcg@10"]
    assert home_table(results(maker, "home", (variant(maker, "sasrec-ce", "sasrec-ce", (None,)),))) is None


# --- cost, buckets and data ----------------------------------------------------------------------------------------


def test_costs_are_medians_in_the_units_of_their_heads(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    records = []
    for method, factor in (("sasrec-ce", 1), ("btsr-ce", 2)):
        for seed, part in enumerate((0.5, 1.0, 3.0)):
            timings = {"fit_seconds": 90 * factor * part, "seconds_per_epoch": 1.5 * factor * part}
            memory = int(256 * 2**20 * 2 * factor * part)
            epochs = maker.epochs()[: seed + 1]
            records.append(
                maker.record(method, seed, timings=timings, peak_memory_bytes=memory, epochs=epochs, selected_epoch=1)
            )
    made = cost_table(results(maker, records=(*records, maker.record("external-ours"))))
    assert made is not None
    (table,), rows = made
    heads = [f"{head.first} {head.second}".strip() for head in table.heads[1:]]
    expected = {"seconds per epoch": "3.00", "epochs": "2", "minutes of training": "3.00", "peak memory MiB": "1024"}
    found = dict(zip(heads, cells(table, "BT-SR (CE)"), strict=True))
    assert {head: found[head] for head in expected} == expected
    assert cells(table, "SASRec (CE)") == ["1.50", "1.0", "2", "1.50", "1.0", "512", "1.0", "3"]
    assert [cells(table, "BT-SR (CE)")[place] for place in (1, 4, 6)] == ["2.0"] * 3
    assert table.notes[1] == "Factors are relative to SASRec (CE); none is above 4."
    assert [row["method"] for row in rows] == ["sasrec-ce", "btsr-ce"]
    assert (rows[1]["epoch_seconds"], rows[1]["training_seconds"], rows[1]["memory_bytes"]) == (3.0, 180.0, 2**30)


def test_what_was_not_measured_has_no_cost(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    counted = maker.record("popularity", timings={"fit_seconds": 480.0}, epochs=[], peak_memory_bytes=None)
    made = cost_table(results(maker, records=(maker.record("sasrec-ce"), counted)))
    assert made is not None
    # Eight minutes are 80 times SASRec (CE)'s six seconds.
    assert cells(made[0][0], "Most popular") == ["–", "–", "–", "8.00", "80.0", "–", "–", "1"]
    assert made[0][0].notes[1] == "Factors are relative to SASRec (CE); above 4: Most popular (80.0)."
    assert cost_table(results(maker, records=(maker.record("external-ours"),))) is None


def test_bucket_tables(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    test = {"ndcg@10": 0.05, "hr@1/bucket1": 0.1, "hr@1/bucket3": 0.0, "cov@10/bucket3/items": 0.015}
    better = test | {"hr@1/bucket1": 0.3}
    records = (
        maker.record("sasrec-ce", 0, test=test),
        maker.record("sasrec-ce", 1, test=better),
        maker.record("popularity", 0, test=better),
        maker.record("markov", 0),
    )
    made = bucket_tables(results(maker, records=records))
    assert made is not None
    (accuracy, coverage), rows = made
    frame = pd.DataFrame(rows)
    assert cells(accuracy, "SASRec (CE)") == ["0.2000", "–", "0.0000", *["–"] * 6, "2"]
    assert [len(section) for section in accuracy.sections] == [1, 1]  # the paper's methods, others; none for Markov
    assert cells(coverage, "Most popular") == [*["–"] * 5, "0.0150", "1"]
    assert "4 of 4 users" not in accuracy.notes[0]
    assert "whose target lies in it: 4, 0 and 0 of 4 users." in accuracy.notes[0]
    row = frame.set_index(["method", "metric"]).loc[("sasrec-ce", "hr@1/bucket1")]
    assert row[["mean", "deviation"]].tolist() == pytest.approx([0.2, math.sqrt(0.02)])
    assert bucket_tables(results(maker, records=records[3:])) is None


DATA: Mapping[str, Any] = {
    "raw": {"users": 6040, "items": 3674, "interactions": 1000072},
    "filtered": {"users": 6040, "items": 3674, "interactions": 1000072},
    "bucket_sizes": [222, 525, 2859],
    "threshold": 993074255,
    "test_users": 750,
    "tied_share": 0.2066,
    "source": "ratings.dat",
}


def test_data_statistics(handmade: Callable[..., Any]) -> None:
    made = data_table(results(handmade(), data=DATA))
    assert made is not None
    (table,), rows = made
    frame = pd.DataFrame(rows)
    assert cells(table, "interactions after the filter") == ["1,000,072"]
    assert cells(table, "items in bucket 3") == ["2,859"]
    assert cells(table, "T (UTC)") == ["2001-06-20 21:57"]
    assert cells(table, "last two events simultaneous") == ["20.7%"]
    assert cells(table, "training users") == ["–"]
    assert frame.set_index("statistic")["value"]["bucket_sizes.1"] == 525


def test_the_quantile_is_the_one_that_was_used(handmade: Callable[..., Any]) -> None:
    for quantile, said in ((0.95, "T is the 0.95 quantile"), (0.8, "T is the 0.8 quantile")):
        made = data_table(results(handmade(), data=DATA | {"protocol": PROTOCOL | {"quantile": quantile}}))
        assert made is not None
        assert said in made[0][0].notes[1]
    made = data_table(results(handmade(), data=DATA))
    assert made is not None
    assert "T is a quantile" in made[0][0].notes[1]
    made = data_table(results(handmade(), data=DATA | {"protocol": PROTOCOL | {"preset": "sets"}}))
    assert made is not None
    assert "there is no time and no T" in made[0][0].notes[1]
    assert "simultaneous" not in made[0][0].notes[1]


def test_a_high_share_of_masked_targets_gets_a_warning(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    record = maker.record("sasrec-ce")
    for share, told in ((0.31, True), (1, True), (0.2, False), (0.0, False)):
        found = results(maker, records=(record,), data=DATA | {"masked_share": share})
        for tabulate in (TABLES["data"], TABLES["table2"]):
            made = tabulate(found)
            assert made is not None
            notes = " ".join(made[0][0].notes)
            assert (
                f"The targets of {100 * share:.1f} % of the test users are items that their histories" in notes
            ) is told


def test_what_is_not_masked_is_not_called_a_miss(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    masked = maker.record("sasrec-ce")
    unmasked = replace(masked, spec=masked.spec | {"evaluation": {"mask_seen": False}})
    for record, told in ((masked, True), (unmasked, False)):
        (table,), _ = data_table(results(maker, records=(record,), data=DATA | {"masked_share": 0.5})) or ((), ())
        assert ("A masked target counts as a miss." in table.notes[1]) is told
        assert any("is masked and counts as a miss" in note for note in table.notes) is told


def test_data_statistics_without_data_json(handmade: Callable[..., Any]) -> None:
    made = data_table(table_1_store(handmade()))
    assert made is not None
    assert cells(made[0][0], "training users") == ["5,227"]
    assert made[0][0].notes[-1] == "data.json is missing, so these numbers come from the records of the runs."
    assert data_table(results(handmade())) is None


def test_without_runs_there_is_no_table(handmade: Callable[..., Any]) -> None:
    empty = results(handmade())
    assert {name: tabulate(empty) for name, tabulate in TABLES.items()} == dict.fromkeys(TABLES)
    assert set(SWEEPS) < set(TABLES)


def everything(maker: Any) -> Results:
    """A dataset with a run of every experiment, bucket metrics and data statistics."""
    test = {"ndcg@10": 0.05, "hr@1/bucket1": 0.1, "cov@10/bucket1/items": 0.1, "gini@10": 0.9}
    records = tuple(maker.record(method, 0, test=test) for method in ("sasrec-ce", "duorec", "btsr-ce", "external-x"))
    named = variant(maker, "btsr-ce", "btsr-ce", (0.05, None))
    named.done[0].metrics["ties-1"] = {"ndcg@10": 0.04}
    swept = variant(maker, "0.1", "btsr-ce", (0.05, None))
    groups = [replace(swept, experiment=name) for name in SWEEPS]
    zero = variant(maker, "0", "btsr-ce", (0.05, None))
    for record in (*swept.done, *zero.done):
        record.metrics["test"]["cov@10"] = 0.3
    groups.append(replace(zero, experiment="alpha"))
    home = variant(maker, "sasrec-ce wide", "sasrec-ce", (0.05,))
    groups += [replace(home, experiment="home"), replace(swept, experiment="windows", label="0.95 btsr-ce", swept=0.95)]
    groups += [replace(home, experiment="tune", label="sasrec-ce: dropout 0.3")]
    judged = {"test": test, "validation": {}, "downstream": {"genre/probe/10": 0.4}}
    pretrained = (maker.record("barlow-twins-views", 0, metrics=judged),)
    groups += [RunGroup("downstream", "barlow-twins-views 32", "barlow-twins-views", 32, pretrained)]
    groups += [replace(variant(maker, "mf-bt", "mf-bt", (0.05,)), experiment="sets")]
    groups += [replace(named, experiment="ties"), *table_1_store(maker).groups, *regimes(maker).groups]
    whole = results(maker, records=records, data=DATA)
    whole.groups += tuple(groups)
    return whole


def test_every_table_compiles_and_escapes_what_comes_from_outside(handmade: Callable[..., Any], tmp_path: Path) -> None:
    whole = everything(handmade("ml-1m", r"<b>50%_&\input{z}|*[a](b)"))
    made = {name: tabulate(whole) for name, tabulate in TABLES.items()}
    assert None not in made.values()
    tables = [table for found in made.values() if found for table in found[0]]
    text = to_markdown(tables)
    assert "<b>" not in text
    assert text.count(r"\|\*\[a\](b)") >= 2 * len(tables)  # caption and corner
    assert_compiles(to_latex(tables), tmp_path)
