"""Curves are means over seeds with the sample deviation around them, and markers stand on their curves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.query import Results, RunGroup

Build = Callable[..., Results]
Draw = Callable[[str, Results], Figure]


def band(axis: Axes, place: int) -> tuple[np.ndarray, np.ndarray]:
    """The lower and the upper edge of a band, from left to right."""
    (path,) = axis.collections[place].get_paths()
    edges: dict[float, list[float]] = {}
    for x, y in path.vertices:
        edges.setdefault(round(float(x), 6), []).append(float(y))
    ordered = [edges[x] for x in sorted(edges)]
    return np.array([min(ys) for ys in ordered]), np.array([max(ys) for ys in ordered])


def trained(maker: Any, method: str, curves: list[tuple[float, ...]], selected: list[int]) -> RunGroup:
    """One run per validation curve."""
    runs = zip(curves, selected, strict=True)
    records = [
        maker.record(method, seed, epochs=maker.epochs(curve), selected_epoch=best)
        for seed, (curve, best) in enumerate(runs)
    ]
    return RunGroup("main", method, method, records=tuple(records))


def test_a_learning_curve_is_the_mean_and_a_run_that_has_stopped_keeps_its_last_value(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    curves = [(0.02, 0.06, 0.04), (0.02, 0.07, 0.04, 0.05, 0.06)]
    (axis,) = draw("learning-curves", results_of(maker, [trained(maker, "btsr-ce", curves, [2, 4])])).axes
    (line,) = axis.lines
    assert line.get_xdata() == pytest.approx([1, 2, 3, 4, 5])
    assert line.get_ydata() == pytest.approx([0.02, 0.065, 0.04, 0.045, 0.05])
    assert line.get_markevery() == [2], "on the curve, at the mean of the selected epochs: the third"
    assert line.get_label() == "BT-SR (CE): 3 ± 1"
    low, high = band(axis, 0)
    assert high - low == pytest.approx([0, 0.01 * 2**0.5, 0, 0.01 * 2**0.5, 0.02 * 2**0.5])


def test_each_family_has_a_panel_and_methods_without_training_have_none(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    methods = ("sasrec-ce", "sasrec-bce", "duorec", "btsr-sce", "two-stage", "my-own")
    groups = [trained(maker, method, [(0.02, 0.03)], [2]) for method in methods]
    counted = RunGroup("main", "popularity", "popularity", records=(maker.record("popularity", epochs=[]),))
    figure = draw("learning-curves", results_of(maker, [*groups, counted]))
    shown = {axis.get_title(): [str(line.get_label()).split(":")[0] for line in axis.lines] for axis in figure.axes}
    assert shown == {
        "SASRec": ["SASRec (BCE)", "SASRec (CE)"],
        "Contrastive learning": ["DuoRec"],
        "Barlow Twins": ["BT-SR (SCE)", "Two-stage BT"],
        "Other methods": ["my-own"],
    }
    assert len({axis.get_ylim() for axis in figure.axes}) == 1


def test_a_spectrum_is_shown_with_its_effective_rank(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    groups = [
        RunGroup("main", method, method, records=tuple(maker.record(method, s, test=rank) for s in range(2)))
        for method, rank in (
            ("popularity", {}),
            ("sasrec-ce", {"effective_rank": 40.0}),
            ("btsr-ce", {"effective_rank": 40.0}),
        )
    ]

    def load(record: Any) -> Any:
        return {} if record.method == "popularity" else maker.arrays()

    (axis,) = draw("figure2-spectrum", results_of(maker, groups, load)).axes
    assert [line.get_label() for line in axis.lines] == ["SASRec (CE): 40.0 ± 0.0", "BT-SR (CE): 40.0 ± 0.0"]
    assert np.sum(axis.lines[0].get_ydata()) == pytest.approx(1)


def test_the_band_of_a_spectrum_is_the_sample_deviation_of_its_logarithms(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    spectra = {0: np.array([3.0, 1.0]), 1: np.array([1.0, 1.0]), 2: np.array([7.0, 1.0])}
    records = tuple(maker.record("btsr-ce", seed) for seed in spectra)
    results = results_of(
        maker,
        [RunGroup("main", "btsr-ce", "btsr-ce", records=records)],
        lambda record: {"singular_values": spectra[record.seed]},
    )
    (axis,) = draw("figure2-spectrum", results).axes
    logarithms = np.log([[0.75, 0.25], [0.5, 0.5], [0.875, 0.125]])
    low, high = band(axis, 0)
    assert axis.lines[0].get_ydata() == pytest.approx(np.exp(logarithms.mean(0)))
    deviation = np.sqrt(((logarithms - logarithms.mean(0)) ** 2).sum(0) / 2)  # n - 1 of three runs
    assert low == pytest.approx(np.exp(logarithms.mean(0) - deviation))
    assert high == pytest.approx(np.exp(logarithms.mean(0) + deviation))


def test_a_run_whose_arrays_are_lost_is_left_out(results_of: Build, handmade: Callable[..., Any], draw: Draw) -> None:
    maker = handmade()
    groups = [
        RunGroup("main", method, method, records=tuple(maker.record(method, seed) for seed in range(2)))
        for method in ("sasrec-ce", "btsr-ce")
    ]
    lost = groups[1].records[0]
    partial = results_of(maker, groups, lambda record: None if record == lost else maker.arrays())
    (axis,) = draw("figure2-spectrum", partial).axes
    assert len(axis.lines) == 2
    assert len(axis.collections) == 1, "one run has no deviation"
