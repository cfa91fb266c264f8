"""What each method costs: seconds per epoch, epochs, training time and peak memory, also relative to SASRec (CE)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from statistics import fmean, median

from benchmark.report.query import COST, Results, RunGroup
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, for_machines, table_of
from benchmark.report.tables.notes import machines_note
from benchmark.report.tables.numbers import DASH, number

REFERENCE = "sasrec-ce"
HIGH_FACTOR = 4
"""A factor above it is named below the table."""

Costs = Mapping[str, float]
"""`epoch_seconds`, `training_seconds`, `memory_bytes`: medians over the finished runs; `epochs`: their mean. NaN where
nothing is known.
"""


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
    factors = {method: _factors(cost, costs.get(REFERENCE, {})) for method, cost in costs.items()}
    heads, texts = list[Head](), {method: list[str]() for method in costs}
    for name, (head, unit, decimals) in COLUMNS.items():
        heads += [head] if name == "epochs" else [head, Head("factor")]
        for method, cost in costs.items():
            texts[method].append(number(cost[name] / unit, decimals))
            if name != "epochs":
                texts[method].append(f"{factors[method][name]:.1f}" if name in factors[method] else DASH)
    table = table_of(
        results,
        "cost",
        f"What each method costs on {results.heading}.",
        [*heads, Head("runs")],
        [[(row_of(runs.title, [*texts[runs.method], str(len(runs.done))], runs=runs),) for runs in groups]],
        _notes(results, factors),
    )
    rows = [{"method": runs.method, "runs": len(runs.done), **costs[runs.method]} for runs in groups]
    return [table], for_machines(results, rows)


def _costs(results: Results, runs: RunGroup) -> Costs:
    def over_runs(metric: str, whole: bool = False) -> float:
        values = results.values(runs, metric, COST).values()
        return median(map(int, values) if whole else values) if values else math.nan

    return {
        "epoch_seconds": over_runs("seconds_per_epoch"),
        "epochs": fmean(results.values(runs, "epochs", COST).values()) or math.nan,
        "training_seconds": over_runs("fit_seconds"),
        "memory_bytes": over_runs("peak_memory_bytes", whole=True),
    }


def _factors(cost: Costs, reference: Costs) -> Costs:
    """How many times the reference's each cost is, as far as both are known."""
    names = ("epoch_seconds", "training_seconds", "memory_bytes") if reference else ()
    factors = {name: cost[name] / (reference[name] or math.nan) for name in names}
    return {name: factor for name, factor in factors.items() if not math.isnan(factor)}


def _notes(results: Results, factors: Mapping[str, Costs]) -> Iterable[str]:
    yield (
        "Medians over the finished runs (for epochs the mean), by wall clock during the runs themselves, validation "
        "included; runs that shared a machine slowed each other down. Two-stage Barlow Twins counts both of its "
        "stages. Peak memory is that of the process with data and libraries, or on a GPU that of the device."
    )
    if REFERENCE in factors:
        high = {method: [f"{f:.1f}" for f in mine.values() if f > HIGH_FACTOR] for method, mine in factors.items()}
        texts = [f"{results.method(method).title} ({', '.join(mine)})" for method, mine in high.items() if mine]
        named = f"; above {HIGH_FACTOR}: {'; '.join(texts)}" if texts else f"; none is above {HIGH_FACTOR}"
        yield f"Factors are relative to {results.method(REFERENCE).title}{named}."
    yield machines_note(results.records("main"))
