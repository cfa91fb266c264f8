"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Stack, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, status_notes
from benchmark.report.tables.numbers import number

METRICS = ("ndcg@10", "hr@1", "hr@10")


@dataclass(frozen=True)
class TieSpread:
    """One method and metric: `in_file`, its mean over `seeds` runs in the file's order, and `means`, the same in each
    random order by its number; NaN and empty if no run has all orders.
    """

    runs: RunGroup
    metric: str
    seeds: int
    in_file: float
    means: dict[int, float]

    @property
    def orders(self) -> SeedSummary:
        """Over the random orders."""
        return summarise_seeds(np.array(list(self.means.values()), dtype=float))

    @property
    def width(self) -> float:
        """Highest minus lowest mean over the random orders; NaN without any."""
        return max(self.means.values()) - min(self.means.values()) if self.means else math.nan


def tie_spreads(results: Results) -> list[TieSpread]:
    """Per variant of the experiment `ties` and metric; empty if no run was evaluated in other orders.

    Every mean is over the runs that have all orders, so that only the order differs between them.
    """
    groups = results.experiment("ties")
    orders = results.tie_orders(groups)
    return [_spread(results, runs, metric, orders) for runs in groups for metric in METRICS] if orders else []


def tie_tables(results: Results) -> Made | None:
    """Methods and metrics down, orders across; None if no run was evaluated in other orders."""
    spreads = tie_spreads(results)
    if not spreads:
        return None
    groups, orders = results.experiment("ties"), list(results.tie_orders(results.experiment("ties")))
    table = table_of(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [
            Head("file", "order"),
            *(Head("random", str(order)) for order in orders),
            *map(Head, ("mean", "deviation", "width", "runs")),
        ],
        [[_row(spread, orders) for spread in spreads if spread.runs is runs] for runs in groups],
        [*_notes(results, groups), *closing_notes(results, groups)],
    )
    records = [
        {
            "method": spread.runs.method,
            "metric": spread.metric,
            "order": order or "file",
            "mean": spread.means.get(order, math.nan) if order else spread.in_file,
            "runs": spread.seeds,
        }
        for spread in spreads
        for order in (0, *orders)
    ]
    return [table], for_machines(results, records)


def _spread(results: Results, runs: RunGroup, metric: str, orders: Mapping[int, str]) -> TieSpread:
    by_stage = [results.values(runs, metric, stage) for stage in ("test", *orders.values())]
    seeds = sorted(set.intersection(*(set(values) for values in by_stage)))
    if not seeds:
        return TieSpread(runs, metric, 0, math.nan, {})
    in_file, *redrawn = (float(np.mean([values[seed] for seed in seeds])) for values in by_stage)
    return TieSpread(runs, metric, len(seeds), in_file, dict(zip(orders, redrawn, strict=True)))


def _row(spread: TieSpread, orders: Sequence[int]) -> Stack:
    values = [spread.in_file, *(spread.means.get(order, math.nan) for order in orders)]
    values += [spread.orders.mean, spread.orders.deviation, spread.width]
    texts = [*map(number, values), str(spread.seeds)]
    return (row_of(f"{spread.runs.title}, {spread.metric}", texts, runs=spread.runs),)


def _notes(results: Results, groups: Sequence[RunGroup]) -> Iterable[str]:
    text = (
        "Means over seeds. The trained models are the same in every column, and the random orders are the same for all "
        "runs. The deviation is the sample standard deviation of these means over the random orders, the width their "
        "highest minus their lowest."
    )
    tied = results.data.get("tied_share")
    if isinstance(tied, float):
        text += f" The last two events are simultaneous for {100 * tied:.1f}% of the test users."
    yield text
    stages = set(results.tie_orders(groups).values())
    for runs in groups:
        if without := [str(record.seed) for record in runs.done if not stages & record.metrics.keys()]:
            yield f"{runs.title}: seed {', '.join(without)} was run before other orders were evaluated."
    yield from status_notes({runs.title: runs for runs in groups})
