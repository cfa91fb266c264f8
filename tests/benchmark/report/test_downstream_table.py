"""The tables of downstream tasks, from values that can be checked by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.downstream import downstream_tables

TWINS, DUAL = (0.42, 0.44, 0.46), (0.40, 0.41, 0.39)


@pytest.fixture
def results(handmade: Callable[..., Any]) -> Results:
    hand = handmade()

    def group(method: str, size: int | None, **values: tuple[float, ...]) -> RunGroup:
        records = [
            hand.record(method, seed, metrics={"test": {"ndcg@10": 0.01}, "validation": {}, "downstream": each})
            for seed in range(3)
            for each in [{f"genre/{way}/10": value[seed] for way, value in values.items()}]
        ]
        return RunGroup("downstream", method if size is None else f"{method} {size}", method, size, tuple(records))

    groups = [
        group("popularity", None, majority=(0.37, 0.37, 0.37), bag=(0.40, 0.41, 0.42)),
        group("barlow-twins-views", 32, probe=TWINS, tuned=DUAL),
        group("dual-encoder", 32, probe=DUAL, tuned=TWINS),
    ]
    return Results("ml-1m", "ML-1M", False, RunSetting(), groups, lambda record: hand.arrays())


def test_twins_are_compared_with_the_dual_encoder_seed_by_seed(results: Results) -> None:
    made = downstream_tables(results)
    assert made
    (probe, tuned), rows = made
    [[(line, below)]] = probe.sections
    assert line.label == "genre, 10 %"
    texts = [cell.text for cell in line.cells]
    assert texts[:4] == ["0.3700", "0.4100", "0.4000", "0.4400"]
    assert texts[4] == "+10.0%"
    assert texts[5:] == texts[5:6] * 6  # nothing was run with the other batch sizes
    assert below.cells[2].text.startswith("[0.3752, 0.4248")  # t(2) = 4.303, deviation .01, three seeds
    assert below.cells[4].text.startswith("p ")
    frame = pd.DataFrame(rows)
    change = frame[frame["method"] == "barlow-twins-views"].set_index("way")["change_percent"]
    assert change["probe"] == pytest.approx(10.0)
    assert change["tuned"] == pytest.approx(100 * (0.40 / 0.44 - 1))
    assert not tuned.sections[0][0][0].cells[4].star


def test_without_a_run_there_is_no_table(results: Results) -> None:
    empty = Results("ml-1m", "ML-1M", False, RunSetting(), [], lambda record: None)
    assert downstream_tables(empty) is None
