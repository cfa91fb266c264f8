"""Notes name every gap; lines have gaps where values are missing."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report.figures.marks import line, seeds_note, with_deviation
from benchmark.report.material import VariantRuns
from benchmark.report.methods import look
from benchmark.report.significance import summarise_seeds


def variant(handmade: Callable[..., Any], label: str, seeds: int) -> VariantRuns:
    return VariantRuns(label, "btsr-ce", tuple(handmade().record("btsr-ce", seed) for seed in range(seeds)), {})


def test_a_note_names_what_has_fewer_seeds_and_what_was_not_run(handmade: Callable[..., Any]) -> None:
    variants = [variant(handmade, label, seeds) for label, seeds in (("0", 2), ("0.1", 1), ("0.2", 0), ("0.3", 1))]
    assert seeds_note(variants) == "mean ± s.d. over 2 seeds; 1 seed: 0.1, 0.3; not run: 0.2"
    assert seeds_note(variants[:1], lambda v: f"α = {v.label}", "Figure 5") == (
        "mean ± s.d. over 2 seeds; in the paper: Figure 5"
    )
    assert seeds_note(variants[1:3], lambda v: f"α = {v.label}") == "one seed, so no deviation; not run: α = 0.2"


def test_a_long_note_is_broken_into_lines(handmade: Callable[..., Any]) -> None:
    lines = seeds_note([variant(handmade, f"variant number {i}", i % 2) for i in range(20)]).splitlines()
    assert len(lines) > 2
    assert max(map(len, lines)) <= 105


@pytest.mark.parametrize(("values", "shown"), [((0.25, 0.35), "0.30 ± 0.07"), ((0.25,), "0.25"), ((), "not measured")])
def test_a_single_seed_has_no_deviation(values: tuple[float, ...], shown: str) -> None:
    assert with_deviation(summarise_seeds(np.array(values)), 2) == shown


def test_a_line_has_a_gap_where_nothing_ran() -> None:
    axis = Figure().subplots()
    line(axis, [0, 1, 2], [summarise_seeds(np.array(values)) for values in ((1.0, 3.0), (), (5.0,))], look("btsr-ce"))
    drawn = axis.containers[0].lines[0]
    assert [float(y) for y in drawn.get_ydata()] == pytest.approx([2, np.nan, 5], nan_ok=True)
    (errors,) = axis.containers[0].lines[2]
    assert errors.get_segments()[0][:, 1] == pytest.approx([2 - 2**0.5, 2 + 2**0.5])
