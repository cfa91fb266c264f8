"""Figures of scores: how well they separate targets from negatives, and whether they are calibrated probabilities."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, MaxNLocator

from benchmark.report.figures.canvas import GREY, INK, panels, points_of, with_deviation
from benchmark.report.methods import MethodStyle
from benchmark.report.query import Results
from benchmark.runs.summary import mean_densities
from benchmark.store.npz import Arrays
from benchmark.store.record import CALIBRATION, DENSITIES

GRID_POINTS = 400

NEGLIGIBLE = 0.002
"""The axis ends where both densities fall below this share of their maximum."""


def score_densities(results: Results) -> Figure | None:
    """Plot Figure 2, left: the score densities of targets and negatives, a panel per method, with their Overlap."""
    groups = map(results.method, results.paper_methods)
    loaded = [(group, arrays) for group in groups if (arrays := results.arrays(group, *DENSITIES))]
    if not loaded:
        return None
    title = "scores of targets and of negatives"
    figure, axes = panels(results, title, len(loaded), 1, 1.1 + 0.5 * len(loaded), sharex=True)
    ends = []
    for axis, (group, arrays) in zip(axes[:, 0], loaded, strict=True):
        ends.append(_densities(axis, *mean_densities(arrays, GRID_POINTS), group.style))
        axis.set_ylabel(group.title, rotation=0, ha="right", va="center")
        overlap = with_deviation(results.summary(group, "overlap"), 3)
        axis.text(0.01, 0.85, f"Overlap {overlap}", transform=axis.transAxes, va="top", fontsize=7)
    axes[-1, 0].set(xlabel="score of an item", xlim=(min(low for low, _ in ends), max(high for _, high in ends)))
    kinds = [
        Patch(facecolor="white", edgecolor=INK, label="targets, in the method's colour"),
        Patch(facecolor=to_rgba(GREY, 0.6), edgecolor=INK, linestyle="--", label="random negatives"),
    ]
    figure.legend(handles=kinds, loc="outside lower center", ncols=2)
    figure.supylabel("density", fontsize=8)
    return figure


def reliability(results: Results) -> Figure | None:
    """Plot how often the top item is the target against its probability, in the bins of the calibration error.

    Bins hold equally many users, so the bins of different seeds are averaged one by one. Each method has its own axes,
    because the confidence of a collapsed model hardly varies.
    """
    groups = map(results.method, results.paper_methods)
    loaded = [(group, _binned(arrays)) for group in groups if (arrays := results.arrays(group, *CALIBRATION))]
    shown = [(group, bins) for group, bins in loaded if bins.shape[-1]]
    if not shown:
        return None
    rows = math.ceil(len(shown) / 4)
    columns = math.ceil(len(shown) / rows)
    title = "confidence in the first item, and how often it is right"
    figure, axes = panels(results, title, rows, columns, 0.7 + 1.9 * rows)
    for axis, (group, bins) in zip(axes.flat, shown, strict=False):
        _reliability(axis, bins, group.style)
        axis.set_title(f"{group.title}\nECE {with_deviation(results.summary(group, 'ece'), 4)}")
    for axis in axes.flat[len(shown) :]:
        axis.set_axis_off()
    figure.supxlabel("probability of the first item (dashed: where a calibrated model lies)", fontsize=8)
    figure.supylabel("share of first items that are the target", fontsize=8)
    return figure


def _densities(
    axis: Axes, grid: np.ndarray, targets: np.ndarray, negatives: np.ndarray, style: MethodStyle
) -> tuple[float, float]:
    """Draw both densities and return the range of scores in which there is anything to see."""
    axis.fill_between(grid, negatives, color=GREY, alpha=0.6, linewidth=0)
    axis.plot(grid, negatives, color=INK, linewidth=0.7, linestyle="--")
    axis.fill_between(grid, targets, color=style.colour, alpha=0.4, linewidth=0)
    axis.plot(grid, targets, color=style.colour)
    axis.set(yticks=[], ylim=(0, None))
    highest = np.fmax(targets, negatives)  # NaN where a run has no score of the kind
    visible = grid[highest > NEGLIGIBLE * np.fmax.reduce(highest)]
    return (visible[0], visible[-1]) if len(visible) else (grid[0], grid[-1])


def _binned(arrays: Sequence[Arrays]) -> np.ndarray:
    """The mean and deviation over runs of confidence and of accuracy, (2, 2, bins), without empty bins."""
    filled = arrays[0]["calibration_count"] > 0
    alike = [a for a in arrays if a["calibration_count"].shape == filled.shape]
    values = np.stack([[a[name][filled] for name in CALIBRATION[1:]] for a in alike])  # (runs, 2, bins)
    deviation = values.std(0, ddof=1) if len(alike) > 1 else np.zeros_like(values[0])
    return np.stack([values.mean(0), deviation], axis=1)


def _reliability(axis: Axes, bins: np.ndarray, style: MethodStyle) -> None:
    (confidence, _), (accuracy, deviation) = bins
    right, top = (min(1.0, 1.08 * float(np.max(values))) for values in (confidence, accuracy + deviation))
    axis.plot([0, 1], [0, 1], color=INK, linewidth=0.7, linestyle="--")
    errors = [np.minimum(deviation, accuracy), deviation]
    axis.errorbar(confidence, accuracy, yerr=errors, linestyle="none", **points_of(style, 4))
    axis.set(xlim=(0, right), ylim=(-0.04 * top, top or 1.0))
    for direction in (axis.xaxis, axis.yaxis):
        direction.set_major_locator(MaxNLocator(3))
        direction.set_major_formatter(FuncFormatter(lambda share, _: f"{share:.3g}"))
