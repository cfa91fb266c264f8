"""What Barlow Twins adds in each window of time, and pooled over all of them."""

from __future__ import annotations

from matplotlib.figure import Figure

from baselines.registry import METHODS
from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import INK, panels, points_of
from benchmark.report.methods import style_of, title_of
from benchmark.report.query import Results
from benchmark.report.tables.windows import pooled_differences, windows_of

REACH = 1.96
"""Standard errors on either side of a window's difference that hold 95 % of a normal distribution."""


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
