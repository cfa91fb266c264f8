"""Figures of accuracy: against coverage, of BT-SR's gains, by view, by window, and with ties in other orders."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from baselines.registry import METHODS
from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import INK, as_written, panels, points_of, seeds_note, with_deviation
from benchmark.report.figures.sweeps import percent_changes
from benchmark.report.methods import in_order, style_of, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import summarise_seeds
from benchmark.report.tables.numbers import count, share
from benchmark.report.tables.windows import pooled_differences, windows_of

UNTRAINED = ("popularity", "markov")
"""Left out of a scatter plot, because they can stretch its axes until all other methods lie on top of each other."""

TWIN = "twin"
VIEW_METRICS = (METRIC, "hr@10")
VIEW_NAMES = {TWIN: "same-target twin", "projector": "twin, projector\ninstead of L2"}

SUBSTITUTION_DROP = -6.0
"""Percent: "a performance drop of at least 6%" with item-based augmentations on Yelp and Kindle Store (section 5.2)."""
SUBSTITUTION_ON = ("yelp", "kindle-store")

REACH = 1.96
"""A 95 % interval extends this many standard errors to either side of a window's difference."""


def accuracy_and_coverage(results: Results) -> Figure | None:
    """Plot test NDCG@10 against coverage@10 of every trained method: the trade-off in one picture."""
    groups = [results.method(name) for name in results.ran if name not in UNTRAINED]
    points = [(group, results.summary(group, "cov@10"), results.summary(group, METRIC)) for group in groups]
    points = [(group, coverage, accuracy) for group, coverage, accuracy in points if coverage.n and accuracy.n]
    if not points:
        return None
    figure, axes = panels(results, "accuracy against coverage", 1, 1, 3.4)
    axis = axes[0, 0]
    for group, x, y in points:
        spread = {"xerr": x.deviation, "yerr": y.deviation}
        axis.errorbar(x.mean, y.mean, **spread, linestyle="none", zorder=3, **points_of(group.style, 6))
    axis.set(xlabel="coverage@10", ylabel="NDCG@10")
    axis.margins(0.08)
    legend = figure.legend(loc="outside right center", title="mean ± s.d. over seeds", alignment="left")
    as_written(legend.get_texts())
    return figure


def gains(shown: Sequence[Results]) -> Figure | None:
    """Plot the change in NDCG@10 from the best baseline to the BT-SR that validation chose, a row per dataset.

    A hollow marker is the paper's number. None unless at least two datasets have runs of both.
    """
    pairs = [(results, *pair) for results in shown if (pair := _btsr_and_best_baseline(results))]
    if len(pairs) < 2:
        return None
    title = "BT-SR against the best baseline"
    figure, axes = panels([results for results, *_ in pairs], title, 1, 1, 1.3 + 0.35 * len(pairs))
    axis = axes[0, 0]
    for row, (results, btsr, rival) in enumerate(pairs):
        change = summarise_seeds(np.array(percent_changes(results, btsr, rival, METRIC)))
        half = change.interval[1] - change.mean
        axis.errorbar(change.mean, row, xerr=half, linestyle="none", **points_of(style_of(btsr.method), 6))
        if printed := results.printed(METRIC):
            axis.plot(printed.improve, row, "o", markerfacecolor="none", markeredgecolor=INK)
    axis.axvline(0, color=INK, linewidth=0.8, zorder=1)
    names = [f"{results.title}\n{btsr.title} against {rival.title}" for results, btsr, rival in pairs]
    axis.set_yticks(range(len(pairs)), names)
    as_written(axis.get_yticklabels())
    axis.invert_yaxis()
    axis.margins(y=0.3)
    axis.set(xlabel="change of NDCG@10, %; mean and 95 % interval over seeds; hollow circle: the paper")
    return figure


def _btsr_and_best_baseline(results: Results) -> tuple[RunGroup, RunGroup] | None:
    """BT-SR and the best baseline of Table 2, if they share a seed."""
    btsr = results.method(results.btsr or "")
    versus = results.against_best(btsr, map(results.method, results.baselines), METRIC)
    return (btsr, versus.rival) if versus and percent_changes(results, btsr, versus.rival, METRIC) else None


def windows(results: Results) -> Figure | None:
    """Plot differences in NDCG@10 between methods and their rivals: a row per window, the pooled one at the bottom."""
    found = windows_of(results)
    differences = pooled_differences(found, (METRIC,)) if found else []
    if not found or not differences:
        return None
    rows = len(found.groups)
    height = 1.6 + 0.08 * (rows + 1) * len(differences)
    figure, axes = panels(results, f"differences between methods in {rows} windows", 1, 1, max(height, 3.2))
    axis = axes[0, 0]
    for place, each in enumerate(differences):
        offset = 0.8 * ((place + 0.5) / len(differences) - 0.5)  # keeps intervals apart
        style = points_of(style_of(each.method))
        style["label"] = f"{title_of(each.method)} \u2212 {title_of(each.rival)}"
        if each.rival not in (METHODS[each.method].plain, METHODS[each.method].rival):
            style["markerfacecolor"] = "white"  # the filled marker compares this method with its objective alone
        over = each.over_users
        means = [*each.by_window.values(), over.difference]
        below = [REACH * error for error in each.errors.values()] + [over.difference - over.low]
        above = [REACH * error for error in each.errors.values()] + [over.high - over.difference]
        y = [row + offset for row in range(rows + 1)]
        axis.errorbar(means, y, xerr=[below, above], linestyle="none", **style)
    axis.axvline(0, color=INK, linewidth=0.8, zorder=1)
    axis.axhline(rows - 0.5, color=INK, linewidth=0.8, zorder=1)
    labels = [f"{window:g} ({count(users, 'user')})" for window, users in found.users.items()]
    axis.set_yticks(range(rows + 1), [*labels, f"pooled ({count(found.n_tested, 'user')})"])
    axis.invert_yaxis()
    axis.set(xlabel="difference of NDCG@10, with its 95 % interval", ylabel="window, by the quantile of its beginning")
    figure.legend(loc="outside lower center", ncols=2)
    return figure


def views(results: Results) -> Figure | None:
    """Plot NDCG@10 and HR@10 of every view and of the projector, in percent of the twin view, paired by seed."""
    groups, twin = results.experiment("views"), results.group("views", TWIN)
    if twin is None or not any(percent_changes(results, group, twin, METRIC) for group in groups if group is not twin):
        return None
    names = {group.label: VIEW_NAMES.get(group.label, group.label) for group in groups}
    titles = {
        metric: f"{metric.upper()} (twin: {with_deviation(results.summary(twin, metric), 4)})"
        for metric in VIEW_METRICS
    }
    changes = [
        (names[group.label], titles[metric], change)
        for metric in VIEW_METRICS
        for group in groups
        for change in percent_changes(results, group, twin, metric)
    ]
    figure, axes = panels(results, f"{twin.style.title} with other views and with a projector", 1, 1, 3.6)
    axis = axes[0, 0]
    axis.axvline(0, color=INK, linewidth=0.8)
    sns.pointplot(
        pd.DataFrame(changes, columns=["view", "metric", "change"]),
        x="change",
        y="view",
        order=list(names.values()),
        hue="metric",
        palette=[sns.set_hls_values(twin.style.colour, l=lightness) for lightness in (0.35, 0.65)],
        markers=["o", "s"],
        linestyles="none",
        dodge=0.26,
        errorbar="sd",
        linewidth=1.2,
        markersize=5,
        capsize=0.15,
        ax=axis,
    )
    axis.legend().remove()
    if results.dataset in SUBSTITUTION_ON and "substitute" in names:
        place, label = list(names).index("substitute"), "the paper on item substitution: at least −6 %"
        axis.plot([SUBSTITUTION_DROP] * 2, [place - 0.4, place + 0.4], color=INK, linestyle=":", label=label)
    axis.set(xlabel="change against the twin view, %, paired by seed", ylabel="")
    axis.margins(x=0.1)
    note = seeds_note(groups, lambda group: group.label)
    handles, labels = axis.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, title=note)
    return figure


def ties(results: Results) -> Figure | None:
    """Plot test NDCG@10 of every trained model with ties in file order and in each other order, a line per seed."""
    models = _redrawn_models(results)
    if not models:
        return None
    tied = results.data.get("tied_share")
    note = f"the last two events tie for {share(tied)} of the test users; " if isinstance(tied, float) else ""
    figure, axes = panels(results, "tied test events in other orders", 1, 1, 1.3 + 0.3 * max(4, len(models)))
    axis = axes[0, 0]
    for place, (method, runs) in enumerate(models.items()):
        colour = style_of(method).colour
        for y, (file_order, redrawn) in zip(place + np.linspace(-0.32, 0.32, len(runs) + 2)[1:-1], runs, strict=True):
            axis.plot([min(*redrawn, file_order), max(*redrawn, file_order)], [y, y], color=colour, linewidth=0.7)
            axis.plot(redrawn, [y] * len(redrawn), "o", color=colour, markersize=3, markerfacecolor="white")
            axis.plot(file_order, y, "D", color=colour, markersize=4, markeredgecolor=INK, markeredgewidth=0.4)
        axis.axhline(place + 0.5, color="#E6E6E6", linewidth=0.8)
    axis.set_yticks(range(len(models)), [title_of(method) for method in models])
    axis.set(ylim=(len(models) - 0.5, -0.5), xlabel="NDCG@10")
    axis.grid(visible=False, axis="y")
    kinds = [
        Line2D([], [], color="#666666", marker="D", linestyle="none", markersize=4, label="order of the file"),
        Line2D([], [], color="#666666", marker="o", linestyle="none", markersize=3, mfc="white", label="random"),
    ]
    figure.legend(handles=kinds, loc="outside lower center", ncols=2, title=f"{note}one line per seed")
    return figure


def _redrawn_models(results: Results) -> dict[str, list[tuple[float, list[float]]]]:
    """By method, the NDCG@10 of each run in file order and in all other orders."""
    groups = [group for name in ("main", "ties") for group in results.experiment(name) if not group.external]
    in_file, *others = results.tie_orders(groups).values() or [""]
    models: dict[str, dict[tuple[int, str], tuple[float, list[float]]]] = {}
    for group in groups:
        for record in group.done:
            value_in = {stage: values[METRIC] for stage, values in record.metrics.items() if METRIC in values}
            redrawn = [value_in[stage] for stage in others if stage in value_in]
            if redrawn and in_file in value_in:
                models.setdefault(group.method, {})[record.seed, record.key] = (value_in[in_file], redrawn)
    return {method: [runs for _, runs in sorted(models[method].items())] for method in in_order(models)}
