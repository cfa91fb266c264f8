"""What BT-SR adds: on each dataset, and in each window of time."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from baselines.registry import METHODS
from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import INK, as_written, panels, points_of
from benchmark.report.figures.sweeps import percent_changes
from benchmark.report.methods import style_of, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import summarise_seeds
from benchmark.report.tables.windows import pooled_differences, windows_of

REACH = 1.96
"""Standard errors on either side of a window's difference that hold 95 % of a normal distribution."""


def gains(shown: Sequence[Results]) -> Figure | None:
    """NDCG@10 of the BT-SR that validation chose, in percent of the best baseline's on the same seeds, a row for each
    dataset; a hollow marker is what the paper prints. None unless two datasets have both.
    """
    pairs = [(results, *pair) for results in shown if (pair := _pair(results))]
    if len(pairs) < 2:
        return None
    title = "BT-SR against the best baseline"
    figure, axes = panels([results for results, *_ in pairs], title, 1, 1, 1.3 + 0.35 * len(pairs))
    axis = axes[0, 0]
    for row, (results, btsr, rival) in enumerate(pairs):
        change = summarise_seeds(np.array(percent_changes(results, btsr, rival, METRIC)))
        axis.errorbar(change.mean, row, xerr=change.deviation, linestyle="none", **points_of(style_of(btsr.method), 6))
        if printed := results.printed(METRIC):
            axis.plot(printed.improve, row, "o", markerfacecolor="none", markeredgecolor=INK)
    axis.axvline(0, color=INK, linewidth=0.8, zorder=1)
    names = [f"{results.title}\n{btsr.title} against {rival.title}" for results, btsr, rival in pairs]
    axis.set_yticks(range(len(pairs)), names)
    as_written(axis.get_yticklabels())
    axis.invert_yaxis()
    axis.margins(y=0.3)
    axis.set(xlabel="change of NDCG@10, %; mean \u00b1 s.d. over seeds; hollow: as printed")
    return figure


def _pair(results: Results) -> tuple[RunGroup, RunGroup] | None:
    """BT-SR and the best baseline of Table 2 where they have a seed in common."""
    baselines = [group for group in map(results.method, results.baselines) if results.values(group, METRIC)]
    if not results.btsr or not baselines:
        return None
    btsr, best = results.method(results.btsr), max(baselines, key=lambda group: results.summary(group, METRIC).mean)
    return (btsr, best) if percent_changes(results, btsr, best, METRIC) else None


def windows(results: Results) -> Figure | None:
    """NDCG@10 of BT-SR minus that of what it is compared with: a row for each window, the pooled one at the bottom."""
    found = windows_of(results)
    differences = pooled_differences(found, (METRIC,)) if found else []
    if not found or not differences:
        return None
    rows = len(found.groups)
    height = 1.6 + 0.08 * (rows + 1) * len(differences)
    figure, axes = panels(results, f"Barlow Twins in {rows} windows", 1, 1, max(height, 3.2))
    axis = axes[0, 0]
    for place, each in enumerate(differences):
        beside = 0.8 * ((place + 0.5) / len(differences) - 0.5)  # so that intervals do not cover each other
        style = points_of(style_of(each.method))
        style["label"] = f"{title_of(each.method)} \u2212 {title_of(each.rival)}"
        if each.rival != METHODS[each.method].plain:
            style["markerfacecolor"] = "white"  # the same method stands there already, against its objective alone
        over = each.over_users
        means = [*each.by_window.values(), over.difference]
        below = [REACH * error for error in each.errors.values()] + [over.difference - over.low]
        above = [REACH * error for error in each.errors.values()] + [over.high - over.difference]
        y = [row + beside for row in range(rows + 1)]
        axis.errorbar(means, y, xerr=[below, above], linestyle="none", **style)
    axis.axvline(0, color=INK, linewidth=0.8, zorder=1)
    axis.axhline(rows - 0.5, color=INK, linewidth=0.8, zorder=1)
    labels = [f"{window:g} ({users} users)" for window, users in found.users.items()]
    axis.set_yticks(range(rows + 1), [*labels, f"pooled ({sum(found.users.values())})"])
    axis.invert_yaxis()
    axis.set(xlabel="difference of NDCG@10, with its 95 % interval", ylabel="window, by the quantile of its beginning")
    figure.legend(loc="outside lower center", ncols=2)
    return figure
