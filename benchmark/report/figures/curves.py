"""Figures of curves averaged over seeds: validation during training, and the spectrum of user embeddings."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter

from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import INK, panels, with_deviation
from benchmark.report.methods import MethodStyle
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import summarise_seeds

FAMILIES = {
    "SASRec": ("sasrec-bce", "sasrec-ce", "sasrec-sce"),
    "Contrastive learning": ("cl4srec", "duorec", "ec4srec"),
    "Barlow Twins": ("btsr-bce", "btsr-ce", "btsr-sce", "two-stage"),
}
"""The panels of the learning curves. All other trained methods share one more panel."""

SMALLEST_SHARE = 1e-6
"""A singular value with a smaller share of their sum is rounding noise."""


def learning_curves(results: Results) -> Figure | None:
    """Plot validation NDCG@10 by epoch: mean and deviation over seeds, with a marker at the mean selected epoch."""
    trained = [group for group in map(results.method, results.ran) if any(run.epochs for run in group.done)]
    known = {method for methods in FAMILIES.values() for method in methods}
    families = {**FAMILIES, "Other methods": [group.method for group in trained if group.method not in known]}
    shown = {name: [g for g in trained if g.method in methods] for name, methods in families.items()}
    shown = {name: groups for name, groups in shown.items() if groups}
    if not shown:
        return None
    figure, axes = panels(results, "validation during training", 1, len(shown), 3.4, sharex=True, sharey=True)
    for axis, (name, groups) in zip(axes[0], shown.items(), strict=True):
        for group in groups:
            _learning_curve(axis, group)
        axis.set(title=name, xlabel="epoch")
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.22), title="selected epoch, mean ± s.d.")
    axes[0, 0].set(ylabel="validation NDCG@10", xlim=(0, None), ylim=(0, None))
    return figure


def singular_values(results: Results) -> Figure | None:
    """Plot Figure 2, right: singular values of the test users' embeddings over their sum, with the effective rank."""
    groups = map(results.method, results.paper_methods)
    loaded = [(group, arrays) for group in groups if (arrays := results.arrays(group, "singular_values"))]
    if not loaded:
        return None
    figure, axes = panels(results, "spectrum of the test users' embeddings", 1, 1, 3.2)
    axis, lowest = axes[0, 0], 1.0
    axis.set_yscale("log")
    for group, arrays in loaded:
        values = np.stack([a["singular_values"] for a in arrays])  # (seeds, D)
        shares = np.maximum(values / np.maximum(values.sum(1, keepdims=True), SMALLEST_SHARE), SMALLEST_SHARE)
        rank = with_deviation(results.summary(group, "effective_rank"), 1)
        line = _mean_and_band(axis, np.log(shares), group.style, f"{group.title}: {rank}", np.exp)
        line.set(marker=group.style.marker, markevery=0.1, markersize=4)
        lowest = min(lowest, 0.7 * float(np.quantile(shares, 0.05)))
    # The final LayerNorm sets the smallest value to zero up to rounding. Drawn to scale, it would flatten all others.
    axis.set(ylim=(lowest, None), xlabel="singular value, by size", ylabel="share of their sum")
    axis.yaxis.set_major_formatter(FuncFormatter(lambda share, _: f"{share:g}"))
    figure.legend(loc="outside right center", title="effective rank", alignment="left")
    return figure


def _learning_curve(axis: Axes, group: RunGroup) -> None:
    runs = [run for run in group.done if run.epochs]
    curves = [[epoch["validation"].get(METRIC) for epoch in run.epochs] for run in runs]
    longest = max(map(len, curves))
    # A run that has stopped keeps its last value, so that the mean does not jump when one of several runs ends.
    values = np.array([curve + curve[-1:] * (longest - len(curve)) for curve in curves], dtype=float)  # (seeds, epochs)
    selected = np.array([run.selected_epoch for run in runs if run.selected_epoch is not None])
    label = f"{group.title}: {with_deviation(summarise_seeds(selected), 0)}"
    line = _mean_and_band(axis, values, group.style, label)
    if len(selected):
        line.set(
            marker=group.style.marker,
            markevery=[round(selected.mean()) - 1],
            markersize=5,
            markeredgecolor=INK,
            markeredgewidth=0.6,
        )


def _mean_and_band(
    axis: Axes,
    curves: np.ndarray,
    style: MethodStyle,
    label: str,
    inverse: Callable[[np.ndarray], np.ndarray] = np.asarray,
) -> Line2D:
    """Draw the mean of `curves` (seeds, n) at x = 1 to n, and a band of one sample deviation if there are several.

    `inverse` maps both back to the axis, such as np.exp if the curves are logarithms.
    """
    x, mean = np.arange(1, curves.shape[1] + 1), curves.mean(0)
    (line,) = axis.plot(x, inverse(mean), color=style.colour, linestyle=style.dashes, label=label)
    if len(curves) > 1:
        deviation = curves.std(0, ddof=1)
        edges = inverse(mean - deviation), inverse(mean + deviation)
        axis.fill_between(x, *edges, color=style.colour, alpha=0.2, linewidth=0)
    return line
