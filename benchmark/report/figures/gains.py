"""What BT-SR adds on each dataset, in one picture."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import INK, as_written, panels, points_of
from benchmark.report.figures.sweeps import percent_changes
from benchmark.report.methods import style_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import summarise_seeds


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
