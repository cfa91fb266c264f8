"""What each method costs: seconds per epoch, epochs, training time and peak memory, also relative to SASRec (CE)."""

from __future__ import annotations

import math
from statistics import fmean, median

from benchmark.report.query import COST, Results, RunGroup
from benchmark.report.tables.layout import Head, TablesAndRows, dataset_table, stack
from benchmark.report.tables.notes import machines_note, notes
from benchmark.report.tables.numbers import number

REFERENCE = "sasrec-ce"
HIGH_FACTOR = 4
"""Methods with a larger factor are named below the table."""

COLUMNS = {
    "epoch_seconds": (Head("seconds", "per epoch"), 1, 2),
    "epochs": (Head("epochs"), 1, 0),
    "training_seconds": (Head("minutes of", "training"), 60, 2),
    "memory_bytes": (Head("peak memory", "MiB"), 2**20, 0),
}
"""Head, unit and decimals of each cost. A column with the factor follows each of them but the epochs."""


def cost_table(results: Results) -> TablesAndRows | None:
    """Tabulate the costs by method, with factors relative to SASRec (CE); None if no run has finished."""
    groups = [runs for runs in results.experiment("main") if runs.done and not runs.external]
    if not groups:
        return None
    costs = {runs.method: _costs(results, runs) for runs in groups}
    reference = costs.get(REFERENCE, {})
    lines, high = [], []
    for runs in groups:
        cost = costs[runs.method]
        factors = {name: cost[name] / (reference.get(name) or math.nan) for name in COLUMNS if name != "epochs"}
        if above := [number(factor, 1) for factor in factors.values() if factor > HIGH_FACTOR]:
            high.append(f"{runs.title} ({', '.join(above)})")
        texts = list[str]()
        for name, (_, unit, decimals) in COLUMNS.items():
            texts += [number(cost[name] / unit, decimals), *([number(factors[name], 1)] if name in factors else [])]
        lines.append(stack(runs.title, [*texts, str(len(runs.done))], runs=runs))
    heads = [[head] if name == "epochs" else [head, Head("factor")] for name, (head, *_) in COLUMNS.items()]
    own_notes = notes(
        "cost", reference=results.method(REFERENCE).title if reference else "", high=high, limit=HIGH_FACTOR
    )
    table = dataset_table(
        results,
        "cost",
        f"What each method costs on {results.heading}.",
        [*(head for pair in heads for head in pair), Head("runs")],
        [lines],
        [*own_notes, machines_note(results.records("main"))],
    )
    rows = [{"method": runs.method, "runs": len(runs.done), **costs[runs.method]} for runs in groups]
    return [table], rows


def _costs(results: Results, runs: RunGroup) -> dict[str, float]:
    """The median of each cost over the finished runs, the mean of the epochs; NaN where nothing was measured."""

    def over_runs(metric: str, whole: bool = False) -> float:
        values = results.values(runs, metric, COST).values()
        return median(map(int, values) if whole else values) if values else math.nan

    return {
        "epoch_seconds": over_runs("seconds_per_epoch"),
        "epochs": fmean(results.values(runs, "epochs", COST).values()) or math.nan,
        "training_seconds": over_runs("fit_seconds"),
        "memory_bytes": over_runs("peak_memory_bytes", whole=True),
    }
