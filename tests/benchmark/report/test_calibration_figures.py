"""Bins are averaged over seeds and stand where they belong; what users choose comes from the runs' arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report.comparison import main_comparison
from benchmark.report.figures.calibration import popularity_calibration, reliability
from benchmark.report.figures.style import style
from benchmark.report.material import Material
from benchmark.report.rows import stored_runs
from benchmark.store.npz import Arrays

SHOWN = {"shown@10/bucket1": 0.2, "shown@10/bucket2": 0.3, "shown@10/bucket3": 0.5}


def material(handmade: Callable[..., Any], arrays: Arrays, methods: tuple[str, ...] = ("sasrec-ce",)) -> Material:
    """Two seeds per method with an ECE of .02 and .04 and a divergence of 1 and 2; the same arrays for all."""
    maker = handmade()
    records = [
        maker.record(
            method,
            seed,
            test={"ndcg@10": 0.05, "ece": 0.02 * (seed + 1), "popularity_kl@10": 1.0 + seed} | SHOWN,
        )
        for method in methods
        for seed in range(2)
    ]
    (runs,) = stored_runs(records, None, lambda _: None)
    comparison = main_comparison(runs, lambda record: None)
    return Material(runs, comparison, {}, lambda record: arrays)


def drawn(draw: Callable[[Material], Figure | None], shown: Material) -> Figure:
    with style():
        figure = draw(shown)
    assert figure is not None
    return figure


def bins(accuracy: float = 0.1) -> Arrays:
    return {
        "calibration_count": np.array([2, 2, 0]),
        "calibration_confidence": np.array([0.04, 0.16, 0.0]),
        "calibration_accuracy": np.array([0.0, accuracy, 0.0]),
    }


def test_bins_are_averaged_over_seeds_and_empty_ones_left_out(handmade: Callable[..., Any]) -> None:
    shown = material(handmade, {})
    figure = drawn(reliability, replace(shown, load=lambda record: bins(0.1 + 0.2 * record.seed)))
    (axis,) = figure.axes
    points = axis.containers[0].lines[0]
    assert points.get_xdata() == pytest.approx([0.04, 0.16])
    assert points.get_ydata() == pytest.approx([0, 0.2])
    assert axis.get_title() == "SASRec (CE)\nECE 0.0300 ± 0.0141"
    assert axis.get_xlim() == axis.get_ylim() == pytest.approx((0, 1.08 * (0.2 + 0.1 * 2**0.5)))


def test_axes_end_where_probabilities_do_and_ticks_keep_a_distance(handmade: Callable[..., Any]) -> None:
    (axis,) = drawn(reliability, material(handmade, bins(accuracy=1.0))).axes
    assert axis.get_xlim() == (0, 1)
    assert axis.get_xticks() == pytest.approx([0, 0.04, 0.16, 0.36, 0.64, 1])


def test_only_the_methods_of_table_2_are_shown(handmade: Callable[..., Any]) -> None:
    figure = drawn(reliability, material(handmade, bins(), ("popularity", "sasrec-ce", "btsr-ce")))
    assert [axis.get_title().split("\n")[0] for axis in figure.axes] == ["SASRec (CE)", "BT-SR (CE)"]


def test_divergence_stands_beside_what_users_choose(handmade: Callable[..., Any]) -> None:
    arrays = {
        "history_buckets": np.array([[1, 0, 0], [0.5, 0, 0.5], [0, 0, 0]]),  # the last history is empty
        "target_buckets": np.array([0, 2, 2]),
    }
    left, right = drawn(popularity_calibration, material(handmade, arrays, ("popularity", "sasrec-ce"))).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["SASRec (CE)", "Most popular"]
    assert [patch.get_width() for patch in left.patches] == pytest.approx([1.5, 1.5])
    widths = {c.get_label(): [bar.get_width() for bar in c] for c in right.containers}
    assert widths["most popular"] == pytest.approx([0.75, 1 / 3, 0.2, 0.2])  # histories, targets, the two methods
    assert widths["middle"] == pytest.approx([0, 0, 0.3, 0.3])
    assert widths["least popular"] == pytest.approx([0.25, 2 / 3, 0.5, 0.5])
    assert [bar.get_x() for bar in right.containers[2]] == pytest.approx([0.75, 1 / 3, 0.5, 0.5])


def test_runs_without_shares_leave_the_divergence_alone(
    handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tests.benchmark.report.test_calibration_figures.SHOWN", {})
    shown = material(handmade, {})
    assert len(drawn(popularity_calibration, shown).axes) == 1
    assert reliability(shown) is None
