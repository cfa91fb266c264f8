"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math

import numpy as np

from benchmark.report.query import Results
from benchmark.report.significance import improvement, summarise_seeds
from benchmark.report.tables.layout import Head, TablesAndRows, dataset_table, stack
from benchmark.report.tables.notes import by_title, notes_on_runs
from benchmark.report.tables.numbers import number, percent
from benchmark.runs.metrics import shown_in
from datasets.protocol import TIE_DRAWS

METRICS = shown_in("ties")


def tie_tables(results: Results) -> TablesAndRows | None:
    """Tabulate means by order of ties, over the runs that were tested in all orders; None if that is only one."""
    groups = results.experiment("ties")
    orders = results.tie_orders(groups)
    if not orders:
        return None
    drawn, rows, sections = "drawn" in orders, list[dict[str, object]](), []
    for runs in groups:
        lines = []
        for metric in METRICS:
            by_order = [results.values(runs, metric, stage) for stage in orders.values()]
            seeds = sorted(set.intersection(*map(set, by_order)))
            means = [float(np.mean([values[s] for s in seeds])) if seeds else math.nan for values in by_order]
            about = {"method": runs.method, "metric": metric}
            rows += [
                about | {"order": order, "mean": mean, "runs": len(seeds)}
                for order, mean in zip(orders, means, strict=True)
            ]
            texts = [*map(number, means), *_spread(*means, drawn=drawn), str(len(seeds))]
            lines.append(stack(f"{runs.title}, {metric}", texts, runs=runs))
        sections.append(lines)
    heads = [Head("random", order) if order.isdecimal() else Head(order, "order") for order in orders]
    others = set(orders.values()) - {"test"}
    before = {runs.title: [r.seed for r in runs.done if not r.metrics.keys() & others] for runs in groups}
    table = dataset_table(
        results,
        "ties",
        f"Accuracy on {results.heading} with simultaneous test events in other orders.",
        [*heads, *map(Head, ("change",) if drawn else ("mean", "deviation", "width")), Head("runs")],
        sections,
        notes_on_runs(
            "ties",
            results,
            by_title(groups),
            tied=results.data.get("tied_share"),
            draws=drawn and TIE_DRAWS,
            before={title: seeds for title, seeds in before.items() if seeds},
        ),
    )
    return [table], rows


def _spread(in_file: float, *others: float, drawn: bool) -> list[str]:
    """The change from file order to the drawn one, or mean, deviation and width over single random orders."""
    if drawn:
        return [percent(improvement(others[0], in_file))]
    over = summarise_seeds(np.array(others))
    return [*map(number, (over.mean, over.deviation, max(others) - min(others)))]
