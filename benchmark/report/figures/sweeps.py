"""Figures of how results depend on a setting: alpha, lambda, the share of noise, and whatever tuning searches.

A variant that has not run leaves a gap in its line and is named.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import cycle

import numpy as np
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import GREY, INK, MOST_TICKS, panels, points_of, seeds_note
from benchmark.report.figures.captions import paper_figure
from benchmark.report.figures.popularity import BUCKETS
from benchmark.report.methods import Dashes, MethodStyle, in_order, style_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.report.tables.numbers import share
from benchmark.report.tables.tuning import MethodTuning, setting_name, tunings

BY_CUTOFF, BY_BUCKET = ("@1", "@5", "@10"), ("/bucket1", "/bucket2", "/bucket3")
PANELS = (
    (
        "hit rate",
        ("all test users", [f"hr{k}" for k in BY_CUTOFF]),
        ("HR@1, users of a bucket", [f"hr@1{b}" for b in BY_BUCKET]),
        ("HR@10, users of a bucket", [f"hr@10{b}" for b in BY_BUCKET]),
    ),
    (
        "share of the catalogue shown",
        ("all test users", [f"cov{k}" for k in BY_CUTOFF]),
        ("coverage@10, items of a bucket", [f"cov@10{b}/items" for b in BY_BUCKET]),
        ("coverage@10, users of a bucket", [f"cov@10{b}/users" for b in BY_BUCKET]),
    ),
)
"""Two rows of three panels: what is measured, then the title of each panel and the metrics of its three lines."""

SYMBOLS = {"alpha": ("α", "lambd", "λ"), "lambda": ("λ", "alpha", "α")}
"""The symbol of each sweep, then the setting that is held fixed and its symbol."""

LINES: tuple[tuple[str, Dashes, float], ...] = (("o", "-", 0.28), ("v", (0, (4, 1.5)), 0.48), ("P", (0, (1, 1.2)), 0.7))
"""Marker, dashes and lightness of the three lines in a panel."""

TRIAL_COLUMNS = 3
TRIAL_DASHES, TRIAL_LIGHTNESS = ("-", "--", ":", "-.", "-", "--"), (0.28, 0.48, 0.66, 0.38, 0.58, 0.74)
TRIAL_LINES = tuple(zip("ovPsDX", TRIAL_DASHES, TRIAL_LIGHTNESS, strict=True))
"""Marker, dashes and lightness of the lines in a panel, one per value of the second setting."""


def sensitivity(name: str, results: Results) -> Figure | None:
    """Plot Figures 3, 4 and 6 to 9: hit rates and coverage along a sweep, overall and by popularity bucket."""
    groups, (symbol, *fixed) = results.experiment_beyond_main(name), SYMBOLS[name]
    metrics = [metric for _, *row in PANELS for _, metrics in row for metric in metrics]
    if sum(any(results.values(group, metric) for metric in metrics) for group in groups) < 2:
        return None
    title = f"{groups[0].style.title} by {symbol}{_fixed_at(groups, *fixed)}"
    figure, axes = panels(results, title, 2, 3, 5, sharex=True)
    for axes_row, (measured, *row) in zip(axes, PANELS, strict=True):
        for axis, (heading, metrics) in zip(axes_row, row, strict=True):
            _panel(results, axis, groups, metrics)
            axis.set_title(heading, fontsize=7.5)
            axis.set_ylim(0, None)
        axes_row[0].set_ylabel(measured)
    for axis in axes[-1]:
        axis.set_xlabel(symbol)
        axis.legend(loc="upper center", bbox_to_anchor=(0.5, -0.25))
    ticks = [group.swept for group in groups][:: -(-len(groups) // MOST_TICKS)]
    axes[0, 0].set_xticks(ticks, [f"{tick:g}" for tick in ticks])
    paper = paper_figure(f"sensitivity-{name}", results.dataset)
    figure.supxlabel(seeds_note(groups, lambda group: f"{symbol} = {group.label}", paper), fontsize=8)
    return figure


def noise(results: Results) -> Figure | None:
    """Plot NDCG@10 by the share of replaced training inputs, and its change from the same seeds without any."""
    groups = results.experiment("noise")
    if not any(group.swept and results.values(group, METRIC) for group in groups):
        return None
    clean = {group.method: group for group in groups if group.swept == 0}
    changes = {
        group.label: percent_changes(results, group, clean[group.method], METRIC) if group.method in clean else []
        for group in groups
    }
    compared = any(group.swept and changes[group.label] for group in groups)
    figure, axes = panels(results, "random items among the training inputs", 1, 1 + compared, 3.2)
    methods = in_order(group.method for group in groups)
    for place, method in enumerate(methods):
        mine = [group for group in groups if group.method == method]
        offset = 0.6 * (place - (len(methods) - 1) / 2)  # keeps error bars apart
        percent = [100 * (group.swept or 0) + offset for group in mine]
        _line(axes[0, 0], percent, [results.summary(group, METRIC) for group in mine], style_of(method))
        if compared:
            summaries = [summarise_seeds(np.array(changes[group.label])) for group in mine]
            _line(axes[0, 1], percent, summaries, style_of(method))
    for axis, label in zip(axes[0], ("NDCG@10", "change of NDCG@10, %"), strict=False):
        axis.set(xlabel="training inputs replaced, %", ylabel=label)
        axis.set_xticks(sorted({100 * (group.swept or 0) for group in groups}))
    axes[0, 0].set_ylim(0, None)
    axes[0, -1].axhline(0, color=INK, linewidth=0.8, zorder=1)

    def name(group: RunGroup) -> str:
        noisy = share(group.swept or 0)
        alike = len({len(other.done) for other in groups if other.swept == group.swept}) == 1
        return noisy if alike else f"{group.style.title} {noisy}"

    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=2, title=seeds_note(groups, name))
    return figure


def percent_changes(results: Results, group: RunGroup, reference: RunGroup, metric: str) -> list[float]:
    """The change of the metric on each shared seed, in percent of the reference's mean over these seeds."""
    _, values, base = results.paired(group, reference, metric)
    return list(100 * (values - base) / base.mean()) if base.any() else []


def _panel(results: Results, axis: Axes, groups: Sequence[RunGroup], metrics: Sequence[str]) -> None:
    """Draw one line per metric over the swept values, in shades of the method's colour."""
    names = BUCKETS if "bucket" in metrics[0] else BY_CUTOFF
    colour, values = groups[0].style.colour, [group.swept or 0 for group in groups]
    for name, metric, (marker, dashes, lightness) in zip(names, metrics, LINES, strict=True):
        style = MethodStyle(name, to_hex(sns.set_hls_values(colour, l=lightness)), marker, dashes)
        _line(axis, values, [results.summary(group, metric) for group in groups], style)
    if not any(results.values(group, metric) for group in groups for metric in metrics):
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", va="center")


def _line(axis: Axes, x: Sequence[float], summaries: Sequence[SeedSummary], style: MethodStyle) -> None:
    """Draw means over seeds joined by a line, with a gap where there is none."""
    means, deviations = ([getattr(s, name) for s in summaries] for name in ("mean", "deviation"))
    axis.errorbar(x, means, yerr=deviations, linestyle=style.dashes, **points_of(style))


def _fixed_at(groups: Sequence[RunGroup], setting: str, symbol: str) -> str:
    """The value of the setting that was held fixed, if the records agree on one."""
    settings = (record.spec["method"]["settings"] for group in groups for record in group.done)
    values = {s[setting] for s in settings if s.get(setting) is not None}
    return f" at {symbol} = {values.pop():g}" if len(values) == 1 else ""


# --- trials of tuning -------------------------------------------------------------------------------------------------


def tuning(results: Results) -> Figure | None:
    """Plot validation NDCG@10 of all trials, a panel per method: by its first setting, a line per value of its second.

    A star is the chosen trial, a ring the published values, and the dashed line the best trial of SASRec (CE).
    """
    methods = tunings(results)
    if not methods:
        return None
    rows = -(-len(methods) // TRIAL_COLUMNS)
    figure, axes = panels(results, "trials of tuning on validation", rows, TRIAL_COLUMNS, 0.6 + 2.1 * rows)
    reference = next((each.best for each in methods if each.method == "sasrec-ce" and each.best), None)
    for axis, method in zip(axes.flat, methods, strict=False):
        _trials_panel(axis, method)
        if reference:
            axis.axhline(reference.validation, color=GREY, linestyle="--", linewidth=0.9, zorder=1)
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


def _trials_panel(axis: Axes, method: MethodTuning) -> None:
    """Draw the trials of one method, with its values at equal distances."""
    style = style_of(method.method)
    across, *others = method.trials[0].values
    ticks = sorted({trial.values[across] for trial in method.trials})
    lines: dict[tuple[float, ...], list[tuple[int, float]]] = {}
    for trial in method.trials:
        line = tuple(trial.values[key] for key in others)
        lines.setdefault(line, []).append((ticks.index(trial.values[across]), trial.validation))
    for (line, points), (marker, dashes, lightness) in zip(sorted(lines.items()), cycle(TRIAL_LINES), strict=False):
        label = ", ".join(f"{value:g}" for value in line)
        x, y = zip(*sorted(points), strict=True)
        colour = to_hex(sns.set_hls_values(style.colour, l=lightness))
        axis.plot(x, y, marker=marker, linestyle=dashes, color=colour, markersize=3.5, linewidth=1.0, label=label)
    for trial in method.trials:
        place = ticks.index(trial.values[across]), trial.validation
        if trial is method.best:
            axis.plot(*place, marker="*", markersize=11, color=style.colour, markeredgecolor=INK, markeredgewidth=0.5)
        if trial.values == method.published:
            axis.plot(*place, marker="o", markersize=9, color="none", markeredgecolor=INK, markeredgewidth=0.8)
    axis.set(title=style.title, xlabel=setting_name(across))
    crowded = len(ticks) > 5
    texts = [f"{tick:g}" if tick >= 1 else f"{tick:.2g}" for tick in ticks]
    axis.set_xticks(range(len(ticks)), texts, fontsize=6, rotation=60 if crowded else 0)
    if others:
        axis.legend(
            title=", ".join(map(setting_name, others)),
            loc="upper center",
            bbox_to_anchor=(0.5, -0.52 if crowded else -0.3),
            ncols=5,
            fontsize=5.5,
            title_fontsize=6,
            handlelength=1.3,
            handletextpad=0.3,
            columnspacing=0.6,
        )
