"""The tables of downstream tasks, with values worked out by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pandas as pd
import pytest

from benchmark.paper.claim import Ahead, Claim
from benchmark.paper.claims import find_claim
from benchmark.plan.experiments import experiments
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judged_claims import judge_claims
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


def test_both_claims_about_them_are_judged_by_their_own_numbers(handmade: Callable[..., Any]) -> None:
    hand = handmade()
    lead = {"downstream-beats-dual-encoder": 0.1, "downstream-small-batches-few-labels": -0.1}

    def groups(claim: Claim) -> Iterator[RunGroup]:
        assert isinstance(claim.rule, Ahead)
        for pair in claim.rule.pairs:
            for label, ahead in zip(pair, (lead[claim.id], 0.0), strict=True):
                method, size = label.split()
                records = tuple(
                    hand.record(method, seed, metrics={"test": {}, "validation": {}, "downstream": values})
                    for seed in range(5)
                    for values in [dict.fromkeys(claim.rule.metrics, 0.5 + ahead + seed / 1000 * (1 + ahead))]
                )
                yield RunGroup("downstream", label, method, int(size), records)

    claims = [find_claim(name) for name in lead]
    shown = [group for claim in claims for group in groups(claim)]
    results = Results("ml-1m", "ML-1M", False, RunSetting(), shown, lambda record: hand.arrays())
    verdicts = {found.claim.id: found.verdict for found in judge_claims([results], claims) if found.reported}
    assert verdicts == dict(zip(lead, ("confirmed", "contradicted"), strict=True))
    planned = {variant.label for variant in experiments("ml-1m")["downstream"].variants}
    assert {group.label for group in shown} <= planned
