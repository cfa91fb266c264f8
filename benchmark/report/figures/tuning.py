"""What tuning tried: validation accuracy by the values of each method's own settings."""

from __future__ import annotations

from collections.abc import Sequence

import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.plan.selection import METRIC
from benchmark.plan.tuning import trial_value
from benchmark.report.figures.canvas import GREY, INK, panels
from benchmark.report.methods import style_of
from benchmark.report.query import Results
from benchmark.report.tables.tuning import MethodTuning, in_words, tunings

COLUMNS = 3
LINES = (("o", "-", 0.28), ("v", "--", 0.48), ("P", ":", 0.66), ("s", "-.", 0.38), ("D", "-", 0.58), ("X", "--", 0.74))
"""Marker, dashes and lightness of the lines in a panel, one for each value of the second setting."""


def tuning(results: Results) -> Figure | None:
    """A panel for each method: its first setting across, a line for each value of its second; what was chosen is a
    star, what is published a ring, and the dashed line is the best trial of SASRec (CE).
    """
    methods = tunings(results)
    if not methods:
        return None
    rows = -(-len(methods) // COLUMNS)
    figure, axes = panels(results, "trials of tuning on validation", rows, COLUMNS, 0.6 + 1.9 * rows)
    reference = next((each.best for each in methods if each.method == "sasrec-ce" and each.best), None)
    for axis, method in zip(axes.flat, methods, strict=False):
        _panel(axis, method)
        if reference:
            axis.axhline(trial_value(reference[1]), color=GREY, linestyle="--", linewidth=0.9, zorder=1)
    for axis in axes.flat[len(methods) :]:
        axis.remove()
    for axis in axes[:, 0]:
        axis.set_ylabel(METRIC.upper())
    marks = [("*", "chosen", INK), ("o", "published", "none")]
    kinds = [
        Line2D([], [], linestyle="none", marker=marker, markersize=8, color=INK, markerfacecolor=face, label=label)
        for marker, label, face in marks
    ]
    kinds.append(Line2D([], [], color=GREY, linestyle="--", label="best of SASRec (CE)"))
    figure.legend(handles=kinds, loc="outside lower center", ncols=3)
    return figure


def _panel(axis: Axes, method: MethodTuning) -> None:
    """Values stand at equal distances, whatever lies between them."""
    style = style_of(method.method)
    across, *others = method.trials[0][0]
    ticks = sorted({values[across] for values, _ in method.trials})
    lines: dict[str, list[tuple[int, float]]] = {}
    for values, record in method.trials:
        label = in_words({key: values[key] for key in others})
        lines.setdefault(label, []).append((ticks.index(values[across]), trial_value(record)))
    for (label, points), (marker, dashes, lightness) in zip(sorted(lines.items()), _looks(len(lines)), strict=True):
        x, y = zip(*sorted(points), strict=True)
        colour = to_hex(sns.set_hls_values(style.colour, l=lightness))
        axis.plot(x, y, marker=marker, linestyle=dashes, color=colour, markersize=3.5, linewidth=1.0, label=label)
    for values, record in method.trials:
        place = ticks.index(values[across]), trial_value(record)
        if method.best and record is method.best[1]:
            axis.plot(*place, marker="*", markersize=11, color=style.colour, markeredgecolor=INK, markeredgewidth=0.5)
        if values == method.published:
            axis.plot(*place, marker="o", markersize=9, color="none", markeredgecolor=INK, markeredgewidth=0.8)
    axis.set(title=style.title, xlabel=in_words({across: 0.0}).rpartition(" ")[0])
    axis.set_xticks(range(len(ticks)), [f"{tick:g}" for tick in ticks], fontsize=6)
    if others:
        axis.legend(fontsize=5.5, handlelength=1.8)


def _looks(count: int) -> Sequence[tuple[str, str, float]]:
    return [LINES[place % len(LINES)] for place in range(count)]
