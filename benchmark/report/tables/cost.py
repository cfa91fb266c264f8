"""What each method costs: seconds per epoch, epochs, training time and peak memory, also relative to SASRec (CE)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from benchmark.report.query import COST, Results, RunGroup
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Stack, for_machines, table_of
from benchmark.report.tables.notes import machines_note
from benchmark.report.tables.numbers import DASH, number

REFERENCE = "sasrec-ce"
HIGH_FACTOR = 4
"""A factor above it is named below the table."""


@dataclass(frozen=True)
class Cost:
    """One method's finished runs: medians, and the mean number of epochs; NaN where there is no such thing.

    `epoch_seconds`, `training_seconds` in seconds of wall clock, `memory_bytes` at the peak of the process or device.
    """

    method: str
    runs: int
    epoch_seconds: float
    epochs: float
    training_seconds: float
    memory_bytes: float

    def times(self, reference: Cost | None) -> Mapping[str, float]:
        """How many times the reference's each of its costs is, as far as both are known."""
        names = ("epoch_seconds", "training_seconds", "memory_bytes") if reference else ()
        factors = {name: getattr(self, name) / (getattr(reference, name) or math.nan) for name in names}
        return {name: factor for name, factor in factors.items() if not math.isnan(factor)}


def costs(results: Results) -> list[Cost]:
    """Every method with a finished run of our own, in the order of presentation."""
    return [_cost(results, runs) for runs in results.experiment("main") if runs.done and not runs.external]


def cost_table(results: Results) -> Made | None:
    """One line per method; the factors are relative to SASRec (CE) of the same runs. None if nothing has run."""
    found = costs(results)
    if not found:
        return None
    reference = next((cost for cost in found if cost.method == REFERENCE), None)
    table = table_of(
        results,
        "cost",
        f"What each method costs on {results.heading}.",
        [
            Head("seconds", "per epoch"),
            Head("factor"),
            Head("epochs"),
            Head("minutes of", "training"),
            Head("factor"),
            Head("peak memory", "MiB"),
            Head("factor"),
            Head("runs"),
        ],
        [[_row(results, cost, reference) for cost in found]],
        list(_notes(results, found, reference)),
    )
    return [table], for_machines(results, map(vars, found))


def _cost(results: Results, runs: RunGroup) -> Cost:
    def known(metric: str) -> list[float]:
        return list(results.values(runs, metric, COST).values())

    return Cost(
        method=runs.method,
        runs=len(runs.done),
        epoch_seconds=_median(known("seconds_per_epoch")),
        epochs=fmean(known("epochs")) or math.nan,
        training_seconds=_median(known("fit_seconds")),
        memory_bytes=_median([int(value) for value in known("peak_memory_bytes")]),
    )


def _median(values: Sequence[float]) -> float:
    return median(values) if values else math.nan


def _row(results: Results, cost: Cost, reference: Cost | None) -> Stack:
    factors = {name: f"{factor:.1f}" for name, factor in cost.times(reference).items()}
    texts = [
        number(cost.epoch_seconds, 2),
        factors.get("epoch_seconds", DASH),
        number(cost.epochs, 0),
        number(cost.training_seconds / 60, 2),
        factors.get("training_seconds", DASH),
        number(cost.memory_bytes / 2**20, 0),
        factors.get("memory_bytes", DASH),
        str(cost.runs),
    ]
    runs = results.method(cost.method)
    return (row_of(runs.title, texts, runs=runs),)


def _notes(results: Results, found: list[Cost], reference: Cost | None) -> Iterable[str]:
    yield (
        "Medians over the finished runs (for epochs the mean), by wall clock during the runs themselves, validation "
        "included; runs that shared a machine slowed each other down. Two-stage Barlow Twins counts both of its "
        "stages. Peak memory is that of the process with data and libraries, or on a GPU that of the device."
    )
    if reference:
        high = [
            f"{results.method(cost.method).title} ({', '.join(f'{f:.1f}' for f in factors)})"
            for cost in found
            if (factors := [f for f in cost.times(reference).values() if f > HIGH_FACTOR])
        ]
        named = f"; above {HIGH_FACTOR}: {'; '.join(high)}" if high else f"; none is above {HIGH_FACTOR}"
        yield f"Factors are relative to {results.method(REFERENCE).title}{named}."
    yield machines_note(results.records("main"))
