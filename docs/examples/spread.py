"""A figure over all datasets of a report: NDCG@10 of every method, side by side.

Copy it to benchmark/report/figures/spread.py, and add to benchmark/report/report.py the import

    from benchmark.report.figures import spread

and below `FIGURES_TOGETHER: dict[str, Callable[[Sequence[Results]], Figure | None]] = {`

    "spread": spread.spread,
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from benchmark.plan.selection import METRIC
from benchmark.report.figures.canvas import panels, points_of
from benchmark.report.query import Results


def spread(shown: Sequence[Results]) -> Figure:
    """Draw a panel for each dataset, with a point for each method at the mean over its seeds."""
    figure, axes = panels(shown, "all methods", 1, len(shown), 3.4)
    for axis, results in zip(axes[0], shown, strict=True):
        for row, group in enumerate(map(results.method, results.ran)):
            summary = results.summary(group, METRIC)
            axis.errorbar(summary.mean, row, xerr=summary.deviation, **points_of(group.style))
        axis.set(title=results.title, xlabel="NDCG@10", yticks=[])
    axes[0, -1].legend(loc="upper left", bbox_to_anchor=(1, 1))
    return figure
