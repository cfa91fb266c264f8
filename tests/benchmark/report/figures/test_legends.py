"""Notes name every gap, and a single seed has no deviation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from benchmark.report.figures.canvas import seeds_note, with_deviation
from benchmark.report.query import RunGroup
from benchmark.report.significance import summarise_seeds


def group(handmade: Callable[..., Any], label: str, seeds: int) -> RunGroup:
    records = tuple(handmade().record("btsr-ce", seed) for seed in range(seeds))
    return RunGroup("alpha", label, "btsr-ce", records=records)


def label(group: RunGroup) -> str:
    return group.label


def test_a_note_names_what_has_fewer_seeds_and_what_was_not_run(handmade: Callable[..., Any]) -> None:
    groups = [group(handmade, label, seeds) for label, seeds in (("0", 2), ("0.1", 1), ("0.2", 0), ("0.3", 1))]
    assert seeds_note(groups, label) == "mean ± s.d. over 2 seeds; 1 seed: 0.1, 0.3; not run: 0.2"
    assert seeds_note(groups[:1], lambda g: f"α = {g.label}", "Figure 5") == (
        "mean ± s.d. over 2 seeds; in the paper: Figure 5"
    )
    assert seeds_note(groups[1:3], lambda g: f"α = {g.label}") == "one seed, so no deviation; not run: α = 0.2"


def test_a_long_note_is_broken_into_lines(handmade: Callable[..., Any]) -> None:
    lines = seeds_note([group(handmade, f"variant number {i}", i % 2) for i in range(20)], label).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 105


@pytest.mark.parametrize(("values", "shown"), [((0.25, 0.35), "0.30 ± 0.07"), ((0.25,), "0.25"), ((), "not measured")])
def test_a_single_seed_has_no_deviation(values: tuple[float, ...], shown: str) -> None:
    assert with_deviation(summarise_seeds(np.array(values)), 2) == shown
