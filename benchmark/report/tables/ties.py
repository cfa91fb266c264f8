"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import summarise_seeds
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Row, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, status_notes
from benchmark.report.tables.numbers import number
from benchmark.runs.metrics import shown_in

METRICS = shown_in("ties")


def tie_tables(results: Results) -> Made | None:
    """Methods and metrics down, orders across; None if no run was evaluated in other orders."""
    groups = results.experiment("ties")
    orders = results.tie_orders(groups)
    if not orders:
        return None
    lines = [[(runs, metric, *_means(results, runs, metric, orders)) for metric in METRICS] for runs in groups]
    heads = [Head("file", "order"), *(Head("random", str(order)) for order in orders)]
    table = table_of(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [*heads, *map(Head, ("mean", "deviation", "width", "runs"))],
        [[(_row(*line),) for line in mine] for mine in lines],
        [*_notes(results, groups, orders), *closing_notes(results, groups)],
    )
    records = [
        {"method": runs.method, "metric": metric, "order": order, "mean": mean, "runs": seeds}
        for mine in lines
        for runs, metric, seeds, means in mine
        for order, mean in zip(("file", *orders), means, strict=True)
    ]
    return [table], for_machines(results, records)


def _means(results: Results, runs: RunGroup, metric: str, orders: Mapping[int, str]) -> tuple[int, list[float]]:
    """How many runs have all orders, so that only the order differs between means, and their mean in each of these:
    in that of the file, then in the random ones; NaN without runs.
    """
    by_order = [results.values(runs, metric, stage) for stage in ("test", *orders.values())]
    seeds = sorted(set.intersection(*(set(values) for values in by_order)))
    return len(seeds), [float(np.mean([values[s] for s in seeds])) if seeds else math.nan for values in by_order]


def _row(runs: RunGroup, metric: str, seeds: int, means: Sequence[float]) -> Row:
    """With the mean, deviation and width over the random orders."""
    over = summarise_seeds(np.array(means[1:]))
    values = [*means, over.mean, over.deviation, max(means[1:]) - min(means[1:])]
    return row_of(f"{runs.title}, {metric}", [*map(number, values), str(seeds)], runs=runs)


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
