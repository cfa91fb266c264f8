"""The table of users as sets, with values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.sets import METRICS, sets_table


def test_barlow_twins_are_tested_against_the_same_factorisation_without_them(handmade: Callable[..., Any]) -> None:
    hand = handmade()

    def group(method: str, *values: float) -> RunGroup:
        records = [hand.record(method, seed, test=dict.fromkeys(METRICS, value)) for seed, value in enumerate(values)]
        return RunGroup("sets", method, method, records=tuple(records))

    groups = [
        group("popularity", 0.03),
        group("ease", 0.08),
        group("mf", 0.06, 0.05, 0.07),
        group("mf-bt", 0.07, 0.06, 0.09),
    ]
    results = Results("ml-1m", "ML-1M", False, RunSetting("sets"), groups, lambda record: hand.arrays())
    made = sets_table(results)
    assert made
    [table], rows = made
    values, below = table.sections[0][METRICS.index("ndcg@10")]
    assert [cell.text for cell in values.cells] == ["0.0300", "0.0800", "0.0600", "0.0733", "+0.0133"]
    assert [cell.place for cell in values.cells][:2] == ["", "best"]
    assert below.cells[4].text == "p = 0.057"  # t = 4 with two degrees of freedom
    assert len(rows) == len(METRICS) * 4
    assert sets_table(Results("ml-1m", "ML-1M", False, RunSetting(), [], lambda record: None)) is None
