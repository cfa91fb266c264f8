"""Densities and bins are averaged over seeds and stand where they belong."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report.query import LoadArrays, Results, RunGroup
from benchmark.report.report import FIGURES
from benchmark.store.npz import Arrays

Draw = Callable[[str, Results], Figure]
Scored = Callable[..., Results]


@pytest.fixture
def scored(results_of: Callable[..., Results], handmade: Callable[..., Any]) -> Scored:
    """Builds two seeds per method with an Overlap of .25, an ECE of .02 and .04, and the given arrays."""
    maker = handmade()

    def build(load: LoadArrays, methods: tuple[str, ...] = ("sasrec-ce",)) -> Results:
        def test(seed: int) -> dict[str, float]:
            return {"overlap": 0.25, "ece": 0.02 * (seed + 1)}

        groups = [
            RunGroup("main", m, m, records=tuple(maker.record(m, seed, test=test(seed)) for seed in range(2)))
            for m in methods
        ]
        return results_of(maker, groups, load)

    return build


def bins(accuracy: float = 0.1) -> Arrays:
    return {
        "calibration_count": np.array([2, 2, 0]),
        "calibration_confidence": np.array([0.04, 0.16, 0.0]),
        "calibration_accuracy": np.array([0.0, accuracy, 0.0]),
    }


def densities(middle: float) -> Arrays:
    grid = np.linspace(middle - 8, middle + 8, 161)
    target, negative = (np.exp(-0.5 * (grid - m) ** 2) / np.sqrt(2 * np.pi) for m in (middle + 4, middle))
    return {"score_grid": grid, "target_density": target, "negative_density": negative}


def test_an_overlap_and_its_densities_are_drawn_per_method_on_one_scale(scored: Scored, draw: Draw) -> None:
    methods = ("sasrec-ce", "btsr-ce")
    results = scored(lambda record: densities(0 if record.method == "sasrec-ce" else -6), methods)
    figure = draw("figure2-scores", results)
    assert [axis.get_ylabel() for axis in figure.axes] == ["SASRec (CE)", "BT-SR (CE)"]
    assert len({axis.get_xlim() for axis in figure.axes}) == 1
    texts = [text.get_text() for text in figure.findobj(mpl.text.Text)]
    assert texts.count("Overlap 0.250 ± 0.000") == 2
    for axis, peak in zip(figure.axes, (4, -2), strict=True):
        negatives, targets = axis.lines
        assert targets.get_xdata()[np.argmax(targets.get_ydata())] == pytest.approx(peak, abs=0.05)
        assert negatives.get_xdata()[np.argmax(negatives.get_ydata())] == pytest.approx(peak - 4, abs=0.05)
        low, high = axis.get_xlim()
        assert low < -6 < 4 < high


def test_densities_of_runs_with_other_grids_are_averaged(scored: Scored, draw: Draw) -> None:
    (axis,) = draw("figure2-scores", scored(lambda record: densities(10 * record.seed))).axes
    targets = axis.lines[1]
    heights = np.interp([4, 14], targets.get_xdata(), targets.get_ydata())
    assert heights == pytest.approx([0.5 / np.sqrt(2 * np.pi)] * 2, rel=0.01)


def test_scores_that_are_lost_are_not_drawn(scored: Scored) -> None:
    assert FIGURES["figure2-scores"](scored(lambda record: None)) is None
    assert FIGURES["reliability"](scored(lambda record: {})) is None


def test_bins_are_averaged_over_seeds_and_empty_ones_left_out(scored: Scored, draw: Draw) -> None:
    (axis,) = draw("reliability", scored(lambda record: bins(0.1 + 0.2 * record.seed))).axes
    points = axis.containers[0].lines[0]
    assert points.get_xdata() == pytest.approx([0.04, 0.16])
    assert points.get_ydata() == pytest.approx([0, 0.2])
    assert axis.get_title() == "SASRec (CE)\nECE 0.0300 ± 0.0141"
    assert axis.get_ylim()[1] == pytest.approx(1.08 * (0.2 + 0.1 * 2**0.5))
    assert axis.get_xlim() == pytest.approx((0, 1.08 * 0.16))
    (errors,) = axis.containers[0].lines[2]
    assert errors.get_segments()[1][:, 1] == pytest.approx([0.2 - 0.1 * 2**0.5, 0.2 + 0.1 * 2**0.5])


def test_each_method_has_linear_axes_of_its_own_with_few_ticks(scored: Scored, draw: Draw) -> None:
    def load(record: Any) -> Arrays:
        found = bins(accuracy=1.0)
        collapsed = record.method == "duorec"
        return found | {"calibration_confidence": found["calibration_confidence"] * (0.1 if collapsed else 6)}

    wide, narrow = draw("reliability", scored(load, ("sasrec-ce", "duorec"))).axes
    assert (wide.get_xscale(), wide.get_yscale()) == ("linear", "linear")
    assert (wide.get_xlim(), wide.get_ylim()[1]) == ((0, 1), 1), "where probabilities end"
    assert narrow.get_xlim() == pytest.approx((0, 1.08 * 0.016))
    assert max(len(axis.get_xticks()) for axis in (wide, narrow)) <= 5


def test_only_the_methods_of_table_2_are_shown(scored: Scored, draw: Draw) -> None:
    figure = draw("reliability", scored(lambda record: bins(), ("popularity", "sasrec-ce", "btsr-ce")))
    assert [axis.get_title().split("\n")[0] for axis in figure.axes] == ["SASRec (CE)", "BT-SR (CE)"]
