"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import summarise_seeds
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Stack, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, status_notes
from benchmark.report.tables.numbers import number

METRICS = ("ndcg@10", "hr@1", "hr@10")


@dataclass(frozen=True)
class TieSpread:
    """One method and metric: its mean over `seeds` runs in the order of the file, and in each random order by its
    number; NaN and empty if no run has all orders.
    """

    runs: RunGroup
    metric: str
    seeds: int = 0
    in_file: float = math.nan
    means: Mapping[int, float] | None = None

    def row(self, orders: Iterable[int]) -> Stack:
        """With the mean, deviation and width over the random orders."""
        means = self.means or {}
        over = summarise_seeds(np.array(list(means.values()), dtype=float))
        width = max(means.values()) - min(means.values()) if means else math.nan
        values = [self.in_file, *(means.get(order, math.nan) for order in orders), over.mean, over.deviation, width]
        label = f"{self.runs.title}, {self.metric}"
        return (row_of(label, [*map(number, values), str(self.seeds)], runs=self.runs),)


def tie_tables(results: Results) -> Made | None:
    """Methods and metrics down, orders across; None if no run was evaluated in other orders."""
    groups = results.experiment("ties")
    orders = results.tie_orders(groups)
    if not orders:
        return None
    spreads = {runs.name: [_spread(results, runs, metric, orders) for metric in METRICS] for runs in groups}
    table = table_of(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [
            Head("file", "order"),
            *(Head("random", str(order)) for order in orders),
            *map(Head, ("mean", "deviation", "width", "runs")),
        ],
        [[spread.row(orders) for spread in mine] for mine in spreads.values()],
        [*_notes(results, groups, orders), *closing_notes(results, groups)],
    )
    records = [
        {
            "method": spread.runs.method,
            "metric": spread.metric,
            "order": order or "file",
            "mean": (spread.means or {}).get(order, math.nan) if order else spread.in_file,
            "runs": spread.seeds,
        }
        for mine in spreads.values()
        for spread in mine
        for order in (0, *orders)
    ]
    return [table], for_machines(results, records)


def _spread(results: Results, runs: RunGroup, metric: str, orders: Mapping[int, str]) -> TieSpread:
    """Every mean is over the runs that have all orders, so that only the order differs between them."""
    by_stage = [results.values(runs, metric, stage) for stage in ("test", *orders.values())]
    seeds = sorted(set.intersection(*(set(values) for values in by_stage)))
    if not seeds:
        return TieSpread(runs, metric)
    in_file, *redrawn = (float(np.mean([values[seed] for seed in seeds])) for values in by_stage)
    return TieSpread(runs, metric, len(seeds), in_file, dict(zip(orders, redrawn, strict=True)))


def _notes(results: Results, groups: Sequence[RunGroup], orders: Mapping[int, str]) -> Iterable[str]:
    text = (
        "Means over seeds. The trained models are the same in every column, and the random orders are the same for all "
        "runs. The deviation is the sample standard deviation of these means over the random orders, the width their "
        "highest minus their lowest."
    )
    tied = results.data.get("tied_share")
    if isinstance(tied, float):
        text += f" The last two events are simultaneous for {100 * tied:.1f}% of the test users."
    yield text
    for runs in groups:
        if without := [str(r.seed) for r in runs.done if not r.metrics.keys() & set(orders.values())]:
            yield f"{runs.title}: seed {', '.join(without)} was run before other orders were evaluated."
    yield from status_notes({runs.title: runs for runs in groups})
