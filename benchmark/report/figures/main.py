"""The figures behind Table 2: where the hits are, how scores and embeddings lie, how training went, coverage.

Bars, bands and crosses span one sample standard deviation over seeds on either side of the mean.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from benchmark.report.figures.marks import BUCKETS, bars, cross, over_seeds, verbatim, with_arrays, with_deviation
from benchmark.report.figures.style import GREY, INK, panels
from benchmark.report.material import Material
from benchmark.report.methods import Look, look
from benchmark.report.rows import RunSet
from benchmark.report.significance import summarise_seeds
from benchmark.store.npz import Arrays

FLOOR = 1e-6  # of a singular value: what lies below is rounding


def bucket_accuracy(material: Material) -> Figure | None:
    """Figure 1: HR@1 and HR@10 by the popularity of the target, the catalogue cut into thirds of the interactions."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs, names = comparison.runs, ("hr@1", "hr@10")
    summaries = {
        method: {name: [over_seeds(runs, method, f"{name}/bucket{b}") for b in (1, 2, 3)] for name in names}
        for method in comparison.contestants
    }
    shown = [method for method in summaries if any(s.n for rows in summaries[method].values() for s in rows)]
    if not shown:
        return None
    figure, axes = panels(runs, "hit rate by popularity of the target", 1, 2, 3.1)
    for axis, name in zip(axes[0], names, strict=True):
        for i, method in enumerate(shown):
            bars(axis, summaries[method][name], i, len(shown), look(method))
        axis.set(title=name.upper(), ylim=(0, None))
        axis.set_xticks(range(len(BUCKETS)), BUCKETS)
        axis.grid(visible=False, axis="x")
    axes[0, 0].set_ylabel("mean ± s.d. over seeds")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=4)
    return figure


def score_densities(material: Material) -> Figure | None:
    """Figure 2, left: densities of the scores of targets and of negatives, with their Overlap."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs = comparison.runs
    loaded = with_arrays(
        runs, comparison.contestants, material.load, ("score_grid", "target_density", "negative_density")
    )
    if not loaded:
        return None
    rows = math.ceil(len(loaded) / 4)
    columns = math.ceil(len(loaded) / rows)
    title = "scores of targets and of negatives"
    figure, axes = panels(runs, title, rows, columns, 0.9 + 1.4 * rows)
    for axis, (method, arrays) in zip(axes.flat, loaded.items(), strict=False):
        _densities(axis, *_mean_densities(arrays), look(method))
        overlap = with_deviation(over_seeds(runs, method, "overlap"), 3)
        axis.text(0.96, 0.93, f"Overlap\n{overlap}", transform=axis.transAxes, ha="right", va="top", fontsize=7)
    for axis in axes.flat[len(loaded) :]:
        axis.set_axis_off()
    for axis in axes[-1]:
        axis.set_xlabel("score")
    kinds = [Patch(facecolor="white", edgecolor=INK, label="targets"), Patch(facecolor=GREY, label="negatives")]
    figure.legend(handles=kinds, loc="outside lower center", ncols=2)
    return figure


def singular_values(material: Material) -> Figure | None:
    """Figure 2, right: singular values of the test users' embeddings over their sum, with the effective rank."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs = comparison.runs
    loaded = with_arrays(runs, comparison.contestants, material.load, ("singular_values",))
    if not loaded:
        return None
    figure, axes = panels(runs, "spectrum of the test users' embeddings", 1, 1, 3.2)
    axis = axes[0, 0]
    floor = 1.0
    for method, arrays in loaded.items():
        values = np.stack([a["singular_values"] for a in arrays])  # (seeds, D)
        spectra = values / np.maximum(values.sum(1, keepdims=True), FLOOR)
        rank = with_deviation(over_seeds(runs, method, "effective_rank"), 1)
        _spectrum(axis, spectra, look(method), f"{look(method).title}: {rank}")
        floor = min(floor, max(FLOOR, 0.7 * float(np.quantile(spectra, 0.05))))
    # A final LayerNorm leaves the smallest value at zero but for rounding; drawn to scale it would flatten all others.
    axis.set(yscale="log", ylim=(floor, None), xlabel="singular value, by size", ylabel="share of their sum")
    figure.legend(loc="outside right center", title="effective rank", alignment="left")
    return figure


def learning_curves(material: Material) -> Figure | None:
    """Validation NDCG@10 by epoch: a thin line per seed, their mean while all train, a cross at the selected epochs."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs = comparison.runs
    curves = {method: _curves(runs, method) for method in (*comparison.contestants, *comparison.extras)}
    if not any(curves.values()):
        return None
    figure, axes = panels(runs, "validation during training", 1, 1, 3.2)
    axis = axes[0, 0]
    for method, lines in curves.items():
        for values in lines:
            axis.plot(np.arange(1, len(values) + 1), values, color=look(method).colour, linewidth=0.6, alpha=0.35)
        if lines:
            mean = np.mean([values[: min(map(len, lines))] for values in lines], axis=0)
            axis.plot(np.arange(1, len(mean) + 1), mean, color=look(method).colour, linestyle=look(method).dashes)
        selected = [(r.selected_epoch, r.metrics["validation"].get("ndcg@10")) for r in runs.done(method) if r.epochs]
        points = np.array([point for point in selected if None not in point], dtype=float).reshape(-1, 2)
        if len(points):
            cross(axis, summarise_seeds(points[:, 0]), summarise_seeds(points[:, 1]), look(method))
    axis.set(xlabel="epoch", ylabel="validation NDCG@10", xlim=(0, None), ylim=(0, None))
    figure.legend(loc="outside right center", title="selected epoch\n(mean ± s.d. over seeds)", alignment="left")
    return figure


def accuracy_and_coverage(material: Material) -> Figure | None:
    """Test NDCG@10 against coverage@10 of every method: the trade-off in one picture."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs = comparison.runs
    figure, axes = panels(runs, "accuracy against coverage", 1, 1, 3.4)
    axis = axes[0, 0]
    for method in (*comparison.contestants, *comparison.extras):
        coverage, accuracy = (over_seeds(runs, method, name) for name in ("cov@10", "ndcg@10"))
        if coverage.n and accuracy.n:
            cross(axis, coverage, accuracy, runs.look(method))
    if not axis.has_data():
        return None
    axis.set(xlabel="coverage@10", ylabel="NDCG@10")
    axis.margins(0.1)
    axis.set(xlim=(max(0, axis.get_xlim()[0]), None), ylim=(max(0, axis.get_ylim()[0]), None))
    legend = figure.legend(loc="outside right center", title="mean ± s.d. over seeds", alignment="left")
    verbatim(legend)
    return figure


def _mean_densities(arrays: Sequence[Arrays]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Runs have grids of their own: one grid over all of them, and the mean densities on it."""
    ends = [(a["score_grid"].min(), a["score_grid"].max()) for a in arrays]
    grid = np.linspace(min(low for low, _ in ends), max(high for _, high in ends), 400)
    targets, negatives = (
        np.mean([np.interp(grid, a["score_grid"], a[name], left=0, right=0) for a in arrays], axis=0)
        for name in ("target_density", "negative_density")
    )
    return grid, targets, negatives


def _curves(runs: RunSet, method: str) -> list[list[float]]:
    """Per done run its validation NDCG@10 epoch by epoch, NaN where it was not finite."""
    curves = [[epoch["validation"].get("ndcg@10") for epoch in record.epochs] for record in runs.done(method)]
    return [[math.nan if value is None else value for value in curve] for curve in curves if curve]


def _densities(axis: Axes, grid: np.ndarray, targets: np.ndarray, negatives: np.ndarray, style: Look) -> None:
    axis.fill_between(grid, negatives, color=GREY, alpha=0.6, linewidth=0)
    axis.plot(grid, negatives, color=INK, linewidth=0.7, linestyle="--")
    axis.fill_between(grid, targets, color=style.colour, alpha=0.4, linewidth=0)
    axis.plot(grid, targets, color=style.colour)
    highest = np.fmax(targets, negatives)  # NaN where a run has no score of the kind
    visible = grid[highest > 0.002 * np.fmax.reduce(highest)]
    axis.set(title=style.title, yticks=[])
    if len(visible):
        axis.set(xlim=(visible[0], visible[-1]), ylim=(0, 1.65 * np.fmax.reduce(highest)))


def _spectrum(axis: Axes, spectra: np.ndarray, style: Look, label: str) -> None:
    """The mean of `spectra` (seeds, D) and a band of one standard deviation, both of the logarithms, for a log axis."""
    logarithms = np.log(np.maximum(spectra, FLOOR))
    mean, x = logarithms.mean(0), np.arange(1, spectra.shape[1] + 1)
    (line,) = axis.plot(x, np.exp(mean), color=style.colour, linestyle=style.dashes, label=label)
    line.set(marker=style.marker, markevery=0.1, markersize=4)
    if len(spectra) > 1:
        deviation = logarithms.std(0, ddof=1)
        band = np.exp(mean - deviation), np.exp(mean + deviation)
        axis.fill_between(x, *band, color=style.colour, alpha=0.2, linewidth=0)
