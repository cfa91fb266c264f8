"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import improvement, summarise_seeds
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Row, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import number, percent
from benchmark.runs.metrics import shown_in
from datasets.protocol import TIE_DRAWS

METRICS = shown_in("ties")


def tie_tables(results: Results) -> Made | None:
    """Methods and metrics down, orders across; None if no run was tested in several orders."""
    groups = results.experiment("ties")
    orders = results.tie_orders(groups)
    if not orders:
        return None
    lines = [[(runs, metric, *_means(results, runs, metric, orders)) for metric in METRICS] for runs in groups]
    heads = [Head("random", order) if order.isdecimal() else Head(order, "order") for order in orders]
    summary = ("change",) if "drawn" in orders else ("mean", "deviation", "width")
    others = set(orders.values()) - {"test"}
    before = {
        runs.title: seeds
        for runs in groups
        if (seeds := [record.seed for record in runs.done if not record.metrics.keys() & others])
    }
    table = table_of(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [*heads, *map(Head, (*summary, "runs"))],
        [[(_row(*line),) for line in mine] for mine in lines],
        [
            *notes("ties", tied=results.data.get("tied_share"), draws="drawn" in orders and TIE_DRAWS, before=before),
            *status_notes({runs.title: runs for runs in groups}),
            *closing_notes(results, groups),
        ],
    )
    records = [
        {"method": runs.method, "metric": metric, "order": order, "mean": mean, "runs": seeds}
        for mine in lines
        for runs, metric, seeds, means in mine
        for order, mean in zip(orders, means, strict=True)
    ]
    return [table], for_machines(results, records)


def _means(results: Results, runs: RunGroup, metric: str, orders: Mapping[str, str]) -> tuple[int, list[float]]:
    """How many runs have all orders, so that only the order differs between means, and their mean in each of these;
    NaN without runs.
    """
    by_order = [results.values(runs, metric, stage) for stage in orders.values()]
    seeds = sorted(set.intersection(*(set(values) for values in by_order)))
    return len(seeds), [float(np.mean([values[s] for s in seeds])) if seeds else math.nan for values in by_order]


def _row(runs: RunGroup, metric: str, seeds: int, means: Sequence[float]) -> Row:
    """With the change from file order to the draws, or with mean, deviation and width over the random orders."""
    in_file, *others = means
    if len(others) == 1:
        cells = [*map(number, means), percent(improvement(others[0], in_file))]
    else:
        over = summarise_seeds(np.array(others))
        cells = [*map(number, (*means, over.mean, over.deviation, max(others) - min(others)))]
    return row_of(f"{runs.title}, {metric}", [*cells, str(seeds)], runs=runs)
