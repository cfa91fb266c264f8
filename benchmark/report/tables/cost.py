"""What each method costs: seconds per epoch, epochs, training time and peak memory, also relative to SASRec (CE)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from statistics import fmean, median

from benchmark.report.query import COST, Results, RunGroup
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, for_machines, table_of
from benchmark.report.tables.notes import machines_note, notes
from benchmark.report.tables.numbers import DASH, number

REFERENCE = "sasrec-ce"
HIGH_FACTOR = 4
"""A factor above it is named below the table."""

COLUMNS = {
    "epoch_seconds": (Head("seconds", "per epoch"), 1, 2),
    "epochs": (Head("epochs"), 1, 0),
    "training_seconds": (Head("minutes of", "training"), 60, 2),
    "memory_bytes": (Head("peak memory", "MiB"), 2**20, 0),
}
"""Of each cost its head, its unit and its decimals; those but the epochs are followed by the factor."""


def cost_table(results: Results) -> Made | None:
    """One line per method; the factors are relative to SASRec (CE) of the same runs. None if nothing has run."""
    groups = [runs for runs in results.experiment("main") if runs.done and not runs.external]
    if not groups:
        return None
    costs = {runs.method: _costs(results, runs) for runs in groups}
    heads, texts = list[Head](), {method: list[str]() for method in costs}
    high: dict[str, list[str]] = {}
    for name, (head, unit, decimals) in COLUMNS.items():
        heads += [head] if name == "epochs" else [head, Head("factor")]
        for method, cost in costs.items():
            texts[method].append(number(cost[name] / unit, decimals))
            if name != "epochs":
                factor = cost[name] / (costs.get(REFERENCE, {}).get(name) or math.nan)
                texts[method].append(DASH if math.isnan(factor) else f"{factor:.1f}")
                if factor > HIGH_FACTOR:
                    high.setdefault(method, []).append(f"{factor:.1f}")
    named = [f"{results.method(method).title} ({', '.join(high[method])})" for method in costs if method in high]
    reference = results.method(REFERENCE).title if REFERENCE in costs else ""
    table = table_of(
        results,
        "cost",
        f"What each method costs on {results.heading}.",
        [*heads, Head("runs")],
        [[(row_of(runs.title, [*texts[runs.method], str(len(runs.done))], runs=runs),) for runs in groups]],
        [
            *notes("cost", reference=reference, high=named, limit=HIGH_FACTOR),
            machines_note(results.records("main")),
        ],
    )
    rows = [{"method": runs.method, "runs": len(runs.done), **costs[runs.method]} for runs in groups]
    return [table], for_machines(results, rows)


def _costs(results: Results, runs: RunGroup) -> Mapping[str, float]:
    """Of each of COLUMNS the median over the finished runs, of epochs their mean; NaN where nothing is known."""

    def over_runs(metric: str, whole: bool = False) -> float:
        values = results.values(runs, metric, COST).values()
        return median(map(int, values) if whole else values) if values else math.nan

    return {
        "epoch_seconds": over_runs("seconds_per_epoch"),
        "epochs": fmean(results.values(runs, "epochs", COST).values()) or math.nan,
        "training_seconds": over_runs("fit_seconds"),
        "memory_bytes": over_runs("peak_memory_bytes", whole=True),
    }
