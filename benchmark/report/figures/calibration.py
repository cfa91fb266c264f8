"""Calibration: of the scores to the truth, and of the recommendations to the users' taste in popularity.

Each function draws one figure, or returns None where no run has what it takes.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.comparison import MainComparison
from benchmark.report.figures.marks import BUCKETS, ERRORS, over_seeds, with_arrays, with_deviation
from benchmark.report.figures.style import INK, panels
from benchmark.report.material import Material
from benchmark.report.methods import Look, look
from benchmark.report.rows import RunSet
from benchmark.report.significance import SeedSummary
from benchmark.store.npz import Arrays

KL = "popularity_kl@10"
Bins = tuple[np.ndarray, np.ndarray]
"""Mean and deviation over seeds by bin, NaN where there is none."""


def reliability(material: Material) -> Figure | None:
    """Accuracy of the first item against its probability, in the bins of the expected calibration error, by method.

    Square-root axes: most confidences are near zero. Bins hold equally many users, so that the bins of two seeds are
    averaged one by one.
    """
    comparison = material.comparison
    if comparison is None:
        return None
    names = ("calibration_count", "calibration_confidence", "calibration_accuracy")
    runs = comparison.runs
    loaded = with_arrays(runs, comparison.contestants, material.load, names)
    binned = {method: bins for method, arrays in loaded.items() if len((bins := _binned(arrays))[0][0])}
    if not binned:
        return None
    rows = math.ceil(len(binned) / 4)
    columns = math.ceil(len(binned) / rows)
    title = "confidence in the first item, and how often it is right"
    figure, axes = panels(runs, title, rows, columns, 0.7 + 1.9 * rows)
    limit = 1.08 * max(float(np.max(mean + np.nan_to_num(spread))) for bins in binned.values() for mean, spread in bins)
    for axis, (method, bins) in zip(axes.flat, binned.items(), strict=False):
        _reliability(axis, *bins, look(method), min(1.0, limit))
        error = with_deviation(over_seeds(runs, method, "ece"), 4)
        axis.set_title(f"{look(method).title}\nECE {error}")
    for axis in axes.flat[len(binned) :]:
        axis.set_axis_off()
    figure.supxlabel("probability of the first item", fontsize=8)
    figure.supylabel("share of first items that are the target", fontsize=8)
    return figure


def popularity_calibration(material: Material) -> Figure | None:
    """Divergence between the popularity of what users chose and of what they are shown, and what both consist of."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs = comparison.runs
    shown = [method for method in (*comparison.contestants, *comparison.extras) if over_seeds(runs, method, KL).n]
    if not shown:
        return None
    shares = _taste(comparison, material) | _shown(runs, shown)
    title = "calibration to the users' taste in popularity"
    figure, axes = panels(runs, title, 1, 2 if shares else 1, 1.5 + 0.22 * max(6, len(shown) + 2))
    _divergences(axes[0, 0], [(runs.look(method), over_seeds(runs, method, KL)) for method in shown])
    if shares:
        _compositions(axes[0, 1], shares)
    return figure


def _binned(arrays: Sequence[Arrays]) -> tuple[Bins, Bins]:
    """Confidence and accuracy by bin, without the bins that are empty."""
    filled = arrays[0]["calibration_count"] > 0
    alike = [a for a in arrays if a["calibration_count"].shape == filled.shape]

    def over_runs(name: str) -> Bins:
        values = np.stack([a[name] for a in alike])[:, filled]  # (seeds, bins)
        spread = values.std(0, ddof=1) if len(values) > 1 else np.full(values.shape[1], math.nan)
        return values.mean(0), spread

    return over_runs("calibration_confidence"), over_runs("calibration_accuracy")


def _reliability(axis: Axes, confidence: Bins, accuracy: Bins, style: Look, limit: float) -> None:
    axis.plot([0, limit], [0, limit], color=INK, linewidth=0.7, linestyle="--")
    axis.errorbar(
        confidence[0],
        accuracy[0],
        yerr=np.minimum(np.nan_to_num(accuracy[1]), [accuracy[0], np.full_like(accuracy[0], math.inf)]),
        color=style.colour,
        marker=style.marker,
        markersize=6 if style.marker == "*" else 4,
        markeredgecolor=INK,
        markeredgewidth=0.3,
        linestyle="none",
        elinewidth=0.7,
    )
    shown = _square_ticks(limit)
    for scale, limits, ticks in (
        (axis.set_xscale, axis.set_xlim, axis.set_xticks),
        (axis.set_yscale, axis.set_ylim, axis.set_yticks),
    ):
        scale("function", functions=(lambda x: np.sqrt(np.maximum(x, 0)), np.square))
        limits(0, limit)
        ticks(shown, [f"{tick:.2g}" for tick in shown])


def _square_ticks(limit: float) -> np.ndarray:
    """At most six ticks from 0 to `limit`, equally far from one another under a square root."""
    root = math.sqrt(limit)
    step = next((step for step in (0.02, 0.05, 0.1) if root <= 5 * step), 0.2)
    return (step * np.arange(int(root / step + 1e-9) + 1)) ** 2


def _taste(comparison: MainComparison, material: Material) -> dict[str, np.ndarray]:
    """Mean shares of the three buckets in the test users' histories and among their targets; {} if no run has them."""
    runs = comparison.runs
    loaded = (material.load(record) for record in runs.ours() if record.done)
    for arrays in loaded:
        if arrays is not None and {"history_buckets", "target_buckets"} <= set(arrays):
            histories = arrays["history_buckets"].astype(float)
            histories = histories[histories.sum(1) > 0]
            targets = np.bincount(arrays["target_buckets"], minlength=len(BUCKETS))
            if len(histories):
                return {"their histories": histories.mean(0), "their targets": targets / targets.sum()}
    return {}


def _divergences(axis: Axes, rows: Sequence[tuple[Look, SeedSummary]]) -> None:
    for row, (style, summary) in enumerate(rows):
        axis.barh(
            row,
            summary.mean,
            0.7,
            xerr=None if math.isnan(summary.deviation) else summary.deviation,
            color=style.colour,
            hatch=style.hatch,
            edgecolor=INK,
            linewidth=0.4,
            error_kw=ERRORS,
        )
    axis.set_yticks(range(len(rows)), [style.title for style, _ in rows])
    for label in axis.get_yticklabels():
        label.set_parse_math(False)  # a name from outside may hold a $
    axis.set(
        ylim=(len(rows) - 0.4, -0.6), xlabel="mean ± s.d. over seeds, nats", title="divergence from the history (@10)"
    )
    axis.grid(visible=False, axis="y")


def _shown(runs: RunSet, methods: Sequence[str]) -> dict[str, np.ndarray]:
    """By title, the mean shares of the three buckets among the first ten recommended; methods without them left out."""
    shares = {}
    for method in methods:
        summaries = [over_seeds(runs, method, f"shown@10/bucket{bucket + 1}") for bucket in range(len(BUCKETS))]
        if all(summary.n for summary in summaries):
            shares[runs.look(method).title] = np.array([summary.mean for summary in summaries])
    return shares


def _compositions(axis: Axes, shares: Mapping[str, np.ndarray]) -> None:
    """A bar per name, of as many parts as there are buckets."""
    names = list(shares)
    parts = np.stack(list(shares.values()))  # (names, buckets)
    for bucket, (name, colour) in enumerate(zip(BUCKETS, (INK, "#888888", "#DDDDDD"), strict=True)):
        before = parts[:, :bucket].sum(1)
        axis.barh(names, parts[:, bucket], 0.7, left=before, label=name, color=colour, edgecolor=INK, linewidth=0.4)
    for label in axis.get_yticklabels():
        label.set_parse_math(False)  # a name from outside may hold a $
    axis.set(ylim=(len(names) - 0.4, -0.6), xlim=(0, 1), title="what it consists of (@10)")
    axis.grid(visible=False)
    axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3, handlelength=1.2, columnspacing=1)
