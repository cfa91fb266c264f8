"""What each method costs: seconds per epoch, epochs, training time and peak memory, also relative to SASRec (CE)."""

from __future__ import annotations

import math
from statistics import fmean, median

from benchmark.report.query import COST, Results, RunGroup
from benchmark.report.tables.layout import Head, Made, for_machines, row_of, table_of
from benchmark.report.tables.notes import machines_note, notes
from benchmark.report.tables.numbers import number

REFERENCE = "sasrec-ce"
HIGH_FACTOR = 4
"""A factor above it is named below the table."""

COLUMNS = {
    "epoch_seconds": (Head("seconds", "per epoch"), 1, 2),
    "epochs": (Head("epochs"), 1, 0),
    "training_seconds": (Head("minutes of", "training"), 60, 2),
    "memory_bytes": (Head("peak memory", "MiB"), 2**20, 0),
}
"""Each cost with its head, unit and decimals; all but the epochs are followed by the factor."""


def cost_table(results: Results) -> Made | None:
    """One line per method; the factors are relative to SASRec (CE) of the same runs. None if nothing has run."""
    groups = [runs for runs in results.experiment("main") if runs.done and not runs.external]
    if not groups:
        return None
    costs = [_costs(results, runs) for runs in groups]
    reference = next((cost for runs, cost in zip(groups, costs, strict=True) if runs.method == REFERENCE), {})
    lines, high = [], {}
    for runs, cost in zip(groups, costs, strict=True):
        factors = {name: cost[name] / (reference.get(name) or math.nan) for name in COLUMNS if name != "epochs"}
        if above := [number(factor, 1) for factor in factors.values() if factor > HIGH_FACTOR]:
            high[runs.title] = f"{runs.title} ({', '.join(above)})"
        texts = list[str]()
        for name, (_, unit, decimals) in COLUMNS.items():
            texts += [number(cost[name] / unit, decimals), *([number(factors[name], 1)] if name in factors else [])]
        lines.append((row_of(runs.title, [*texts, str(len(runs.done))], runs=runs),))
    heads = [[head] if name == "epochs" else [head, Head("factor")] for name, (head, *_) in COLUMNS.items()]
    said = notes(
        "cost",
        reference=results.method(REFERENCE).title if reference else "",
        high=list(high.values()),
        limit=HIGH_FACTOR,
    )
    table = table_of(
        results,
        "cost",
        f"What each method costs on {results.heading}.",
        [*(head for pair in heads for head in pair), Head("runs")],
        [lines],
        [*said, machines_note(results.records("main"))],
    )
    rows = [{"method": runs.method, "runs": len(runs.done), **cost} for runs, cost in zip(groups, costs, strict=True)]
    return [table], for_machines(results, rows)


def _costs(results: Results, runs: RunGroup) -> dict[str, float]:
    """Each of COLUMNS as its median over the finished runs, epochs as their mean; NaN where nothing is known."""

    def over_runs(metric: str, whole: bool = False) -> float:
        values = results.values(runs, metric, COST).values()
        return median(map(int, values) if whole else values) if values else math.nan

    return {
        "epoch_seconds": over_runs("seconds_per_epoch"),
        "epochs": fmean(results.values(runs, "epochs", COST).values()) or math.nan,
        "training_seconds": over_runs("fit_seconds"),
        "memory_bytes": over_runs("peak_memory_bytes", whole=True),
    }
