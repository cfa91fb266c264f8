"""What figures are drawn with: bars, points and lines with their error bars, and the numbers behind them.

Error bars span one sample standard deviation over seeds on either side of the mean; a single seed has none.
"""

from __future__ import annotations

import math
import textwrap
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.legend import Legend

from benchmark.report.comparison import LoadArrays
from benchmark.report.figures.style import INK
from benchmark.report.material import VariantRuns
from benchmark.report.methods import Look
from benchmark.report.rows import RunSet
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.store.npz import Arrays

BUCKETS = ("most popular", "middle", "least popular")
NOTE_WIDTH = 105  # characters of a legend's title that fit the width of a figure

ERRORS: dict[str, Any] = {"elinewidth": 0.8, "ecolor": INK, "capsize": 1.5, "capthick": 0.8}


def over_seeds(runs: RunSet, method: str, metric: str) -> SeedSummary:
    """A test metric of a method over its done runs."""
    values = [record.metrics["test"].get(metric, math.nan) for record in runs.done(method)]
    return summarise_seeds(np.array(values))


def with_arrays(
    runs: RunSet, methods: Sequence[str], load: LoadArrays, names: Sequence[str]
) -> dict[str, list[Arrays]]:
    """Of each method the arrays of its done runs, where all the named ones are there."""
    loaded = {method: [load(record) for record in runs.done(method)] for method in methods}
    complete = {
        method: [a for a in arrays if a is not None and all(name in a for name in names)]
        for method, arrays in loaded.items()
    }
    return {method: arrays for method, arrays in complete.items() if arrays}


def with_deviation(summary: SeedSummary, decimals: int) -> str:
    """Such as `0.25 ± 0.01`; without the deviation where there is one seed."""
    if not summary.n:
        return "not measured"
    spread = f" ± {summary.deviation:.{decimals}f}" if summary.n > 1 else ""
    return f"{summary.mean:.{decimals}f}{spread}"


def seeds_note(
    variants: Iterable[VariantRuns],
    named: Callable[[VariantRuns], str] = lambda variant: variant.label,
    paper: str = "",
) -> str:
    """Over how many seeds means are taken, which variants have fewer, and which were not run, for a legend's title.

    `named`: how a variant is called; `paper`: the paper's figure of this kind, if it has one.
    """
    counts = {named(variant): len(variant.done) for variant in variants}
    most = max(counts.values(), default=0)
    parts = [f"mean ± s.d. over {most} seeds" if most > 1 else "one seed, so no deviation"]
    parts += [f"{n} seed{'s' * (n > 1)}: {_names(counts, n)}" for n in sorted(set(counts.values()) - {0, most})]
    if 0 in counts.values():
        parts.append(f"not run: {_names(counts, 0)}")
    parts += [f"in the paper: {paper}"] if paper else []
    return textwrap.fill("; ".join(parts), NOTE_WIDTH, break_on_hyphens=False)


def bars(axis: Axes, summaries: Sequence[SeedSummary], place: int, places: int, style: Look) -> None:
    """One of `places` bars in each group; group i stands at x = i."""
    width = 0.84 / places
    offsets = np.arange(len(summaries)) - 0.42 + (place + 0.5) * width
    axis.bar(
        offsets,
        [summary.mean for summary in summaries],
        width,
        yerr=[summary.deviation for summary in summaries],
        label=style.title,
        color=style.colour,
        hatch=style.hatch,
        edgecolor=INK,
        linewidth=0.4,
        error_kw=ERRORS,
    )


def line(axis: Axes, x: Sequence[float], summaries: Sequence[SeedSummary], style: Look) -> None:
    """Means joined by a line, with a gap where there is none."""
    axis.errorbar(
        x,
        [summary.mean for summary in summaries],
        yerr=[summary.deviation for summary in summaries],
        color=style.colour,
        linestyle=style.dashes,
        marker=style.marker,
        markersize=7 if style.marker == "*" else 4.5,
        markeredgecolor=INK,
        markeredgewidth=0.4,
        elinewidth=0.8,
        capsize=1.5,
        label=style.title,
    )


def cross(axis: Axes, x: SeedSummary, y: SeedSummary, style: Look) -> None:
    """A point with error bars both ways."""
    axis.errorbar(
        x.mean,
        y.mean,
        xerr=None if math.isnan(x.deviation) else x.deviation,
        yerr=None if math.isnan(y.deviation) else y.deviation,
        color=style.colour,
        marker=style.marker,
        markersize=8 if style.marker == "*" else 6,
        markeredgecolor=INK,
        markeredgewidth=0.5,
        elinewidth=1,
        linestyle="none",
        label=style.title,
        zorder=3,
    )


def verbatim(legend: Legend) -> None:
    """Show names as they are: one from outside may hold a $."""
    for text in legend.get_texts():
        text.set_parse_math(False)


def _names(counts: dict[str, int], n: int) -> str:
    return ", ".join(label for label, count in counts.items() if count == n)
