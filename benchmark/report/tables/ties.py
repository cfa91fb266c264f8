"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math

import numpy as np

from benchmark.report.query import Results
from benchmark.report.significance import improvement, summarise_seeds
from benchmark.report.tables.layout import Head, Made, for_machines, row_of, table_of
from benchmark.report.tables.notes import notes_on_runs
from benchmark.report.tables.numbers import number, percent
from benchmark.runs.metrics import shown_in
from datasets.protocol import TIE_DRAWS

METRICS = shown_in("ties")


def tie_tables(results: Results) -> Made | None:
    """Methods and metrics down, orders across; None if no run was tested in several orders.

    Means are over the runs that have all orders, so that only the order differs between them.
    """
    groups = results.experiment("ties")
    orders = results.tie_orders(groups)
    if not orders:
        return None
    drawn, rows, sections = "drawn" in orders, list[dict[str, object]](), []
    for runs in groups:
        lines = []
        for metric in METRICS:
            by_order = [results.values(runs, metric, stage) for stage in orders.values()]
            seeds = sorted(set.intersection(*(set(values) for values in by_order)))
            means = [float(np.mean([values[s] for s in seeds])) if seeds else math.nan for values in by_order]
            about = {"method": runs.method, "metric": metric}
            rows += [
                about | {"order": order, "mean": mean, "runs": len(seeds)}
                for order, mean in zip(orders, means, strict=True)
            ]
            texts = [*map(number, means), *_summary(*means, drawn=drawn), str(len(seeds))]
            lines.append((row_of(f"{runs.title}, {metric}", texts, runs=runs),))
        sections.append(lines)
    heads = [Head("random", order) if order.isdecimal() else Head(order, "order") for order in orders]
    others = set(orders.values()) - {"test"}
    before = {runs.title: [r.seed for r in runs.done if not r.metrics.keys() & others] for runs in groups}
    table = table_of(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [*heads, *map(Head, ("change",) if drawn else ("mean", "deviation", "width")), Head("runs")],
        sections,
        notes_on_runs(
            "ties",
            results,
            groups,
            tied=results.data.get("tied_share"),
            draws=drawn and TIE_DRAWS,
            before={title: seeds for title, seeds in before.items() if seeds},
        ),
    )
    return [table], for_machines(results, rows)


def _summary(in_file: float, *others: float, drawn: bool) -> list[str]:
    """The change from file order to the draws, or mean, deviation and width over the random orders."""
    if drawn:
        return [percent(improvement(others[0], in_file))]
    over = summarise_seeds(np.array(others))
    return [*map(number, (over.mean, over.deviation, max(others) - min(others)))]
