"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import improvement, summarise_seeds
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Row, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, status_notes
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
    table = table_of(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [*heads, *map(Head, (*summary, "runs"))],
        [[(_row(*line),) for line in mine] for mine in lines],
        [*_notes(results, groups, orders), *closing_notes(results, groups)],
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


def _notes(results: Results, groups: Sequence[RunGroup], orders: Mapping[str, str]) -> Iterable[str]:
    text = "Means over seeds. The trained models are the same in every column, and the "
    if "drawn" in orders:
        text += (
            f"{TIE_DRAWS} draws behind the mean of a drawn order are the same for all runs. The models were selected "
            "on such draws. The change is that from file order to the drawn one."
        )
    else:
        text += (
            "random orders are the same for all runs. The deviation is the sample standard deviation of these means "
            "over the random orders, the width their highest minus their lowest."
        )
    tied = results.data.get("tied_share")
    if isinstance(tied, float):
        text += f" The last two events are simultaneous for {100 * tied:.1f}% of the test users."
    yield text
    others = set(orders.values()) - {"test"}
    for runs in groups:
        if without := [str(r.seed) for r in runs.done if not r.metrics.keys() & others]:
            yield f"{runs.title}: seed {', '.join(without)} was run before other orders were evaluated."
    yield from status_notes({runs.title: runs for runs in groups})
