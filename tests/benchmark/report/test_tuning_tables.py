"""The tables of tuning and the guide to alpha, with values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.planner import PlannedRun, plan
from benchmark.plan.run_spec import RunSetting
from benchmark.report.figures.canvas import appearance
from benchmark.report.figures.sweeps import tuning
from benchmark.report.query import Results, RunGroup
from benchmark.report.shown_runs import planned_results
from benchmark.report.tables.alpha_guide import alpha_guide
from benchmark.report.tables.tuning import tuning_tables
from benchmark.store.record import RunRecord
from datasets.protocol import Protocol

Values = Mapping[float, float]
"""Validation NDCG@10 by the value of DuoRec's weight."""


def record_of(run: PlannedRun, maker: Any, value: float) -> RunRecord:
    metrics = {"test": {}, "validation": {"ndcg@10": value}}
    done = maker.record(run.spec.method, run.spec.seed, key=run.key, spec=run.spec.to_json(), metrics=metrics)
    return replace(done, timings={"fit_seconds": 1800.0})


def tuned(maker: Any, weights: Values) -> Results:
    """Trials of SASRec (CE), best at dropout .3 and the published learning rate, and of DuoRec, rated by `weights`."""
    facts = DatasetFacts(maker.title, False, Protocol(), maker.fingerprint)
    records: dict[str, RunRecord] = {}
    for _ in range(9):
        values = {key: record.metrics["validation"]["ndcg@10"] for key, record in records.items()}
        runs = plan(Configuration(maker.dataset, "equal", "paper"), facts, ["main", "tune"], METHODS, [0], values)
        for run in runs:
            if "tune" in run.uses and run.key not in records:
                records[run.key] = record_of(run, maker, _value(run, weights))
    return planned_results(runs, list(records.values()), None, lambda _: None)


METHODS = ("sasrec-ce", "duorec")


def _value(run: PlannedRun, weights: Values) -> float:
    if run.spec.method == "duorec":
        return weights.get(run.spec.settings.weight, 0.01)
    return 0.06 - abs(run.spec.encoder.dropout - 0.3) / 100 - abs(run.spec.training.learning_rate - 0.001)


def cells(table: Any, label: str) -> list[str]:
    (row,) = (row for section in table.sections for (row,) in section if row.label == label)
    return [cell.text for cell in row.cells]


def test_what_was_tried_and_chosen_and_what_it_cost(handmade: Callable[..., Any]) -> None:
    results = tuned(handmade(), {0.01: 0.05, 0.1: 0.03})
    tables, rows = tuning_tables([results]) or ([], [])
    choices, trials = tables
    # Learning rates .0005, .001 and, beyond the edge at which the best lies, .002: nine trials of half an hour.
    sasrec = "dropout 0.3, learning rate 0.001"
    assert cells(choices, "SASRec (CE)") == ["9/9", sasrec, "0.0600", "0.0600", "0.0000", "4.5"]
    assert cells(choices, "DuoRec") == ["8/8", "weight 0.01", "0.0500", "0.0300", "+0.0200", "4.0"]
    (best,) = [row for row in trials.sections[1] if row[0].cells[0].place == "best"]
    assert (best[0].label, best[0].cells[0].text) == ("DuoRec, weight 0.01", "0.0500")
    assert len(rows) == 17
    assert [row["trial"] for row in rows if row["chosen"]] == [sasrec, "weight 0.01"]
    assert "SASRec (CE) 1" in choices.notes[0]


def test_nothing_is_chosen_while_a_trial_is_outstanding(handmade: Callable[..., Any]) -> None:
    results = tuned(handmade(), {0.01: 0.05})
    first = results.experiment("tune")[0]
    results.groups = tuple(
        replace(group, records=(), missing=(0,)) if group is first else group for group in results.groups
    )
    tables, _ = tuning_tables([results]) or ([], [])
    assert cells(tables[0], "SASRec (CE)")[:3] == ["8/9", "–", "–"]
    assert tuning_tables([Results("ml-1m", "ML-1M", False, RunSetting(), (), lambda _: None)]) is None


def test_values_within_a_step_on_both_datasets_are_named_for_the_configuration(handmade: Callable[..., Any]) -> None:
    """.003 and .01 are neighbours. .01 reaches .045 of .05 and all of .04; .003 reaches all of .05 and .03 of .04."""
    first = tuned(handmade(), {0.003: 0.05, 0.01: 0.045})
    second = tuned(handmade("gowalla", "Gowalla"), {0.003: 0.03, 0.01: 0.04})
    *_, agreement = (tuning_tables([first, second]) or ([], []))[0]
    line = "equal.methods.duorec.settings.weight = 0.01"
    assert cells(agreement, "DuoRec, weight") == ["0.003", "0.01", "1", line]
    assert cells(agreement, "SASRec (CE), dropout") == ["0.3", "0.3", "0", "equal.encoder.dropout = 0.3"]
    far = tuned(handmade("gowalla", "Gowalla"), {0.1: 0.04})
    *_, agreement = (tuning_tables([first, far]) or ([], []))[0]
    assert cells(agreement, "DuoRec, weight") == ["0.003", "0.1", "3", "–"]


def test_the_figure_marks_what_was_chosen_and_what_is_published(handmade: Callable[..., Any]) -> None:
    results = tuned(handmade(), {0.01: 0.05, 0.1: 0.03})
    with appearance():
        figure = tuning(results)
        assert figure
        _, duorec = figure.axes[:2]
    marked = {line.get_marker(): line.get_xydata()[0] for line in duorec.lines if len(line.get_xdata()) == 1}
    ticks = [label.get_text() for label in duorec.get_xticklabels()]
    assert marked["*"].tolist() == [ticks.index("0.01"), 0.05]
    assert marked["o"].tolist() == [ticks.index("0.1"), 0.03]


# --- the guide to alpha -----------------------------------------------------------------------------------------------


def swept(maker: Any, hits: Mapping[float, int], items: Mapping[float, int]) -> Results:
    """A sweep tested on 40 users. By alpha, `hits` users have their validation target at rank 1, and the top tens show
    `items` of 3,606 items.
    """
    groups, arrays = [], {}
    for alpha, count in hits.items():
        test = {"cov@10": items[alpha] / 3606}
        record = maker.record("btsr-ce", 0, test=test, settings={"alpha": alpha})
        top = np.arange(40)[:, None] * 10 % items[alpha] + np.arange(50)
        ranks = (np.arange(40) < count).astype(np.int32)
        arrays[record.key] = maker.arrays() | {"validation_ranks": ranks, "top_items": top.astype(np.uint16)}
        groups.append(RunGroup("alpha", f"{alpha:g}", "btsr-ce", swept=alpha, records=(record,)))
    return Results("ml-1m", "ML-1M", False, RunSetting(), groups, lambda record: arrays[record.key])


def test_each_goal_gives_up_no_more_accuracy_than_it_says(handmade: Callable[..., Any]) -> None:
    maker = handmade(users=40)
    # Of .5, the best accuracy, balanced keeps 98 % and so needs 20 hits, coverage first 90 % and so needs 18.
    results = swept(maker, {0: 20, 0.1: 18, 0.2: 17}, {0: 100, 0.1: 200, 0.2: 400})
    tables, rows = alpha_guide(results) or ([], [])
    by_alpha = {row["alpha"]: row for row in rows}
    assert [row["take_for"] for row in rows] == ["accuracy first, balanced", "coverage first", ""]
    assert by_alpha[0]["validation"] == pytest.approx(0.5)
    assert by_alpha[0.1]["coverage"] == pytest.approx(200 / 3606)
    assert by_alpha[0.2]["validation_difference"] == pytest.approx(-3 / 40)
    assert by_alpha[0.2]["validation_low"] < -3 / 40 < by_alpha[0.2]["validation_high"]
    assert by_alpha[0.2]["coverage_difference"] == pytest.approx(300 / 3606)
    assert by_alpha[0.2]["coverage_low"] <= 300 / 3606 <= by_alpha[0.2]["coverage_high"]
    text = " ".join(tables[0].notes)
    assert "Balanced: the highest coverage@10 among the values of alpha that keep at least 98 %" in text


def test_an_alpha_without_effect_is_reported_as_such(handmade: Callable[..., Any]) -> None:
    results = swept(handmade(users=40), {0: 20, 0.1: 20}, {0: 100, 0.1: 100})
    tables, _ = alpha_guide(results) or ([], [])
    text = " ".join(tables[0].notes)
    assert "No effect of alpha on accuracy can be seen" in text
    assert "No effect of alpha on coverage can be seen" in text
    assert alpha_guide(swept(handmade(users=40), {0.1: 20}, {0.1: 100})) is None, "there is nothing to compare with"
