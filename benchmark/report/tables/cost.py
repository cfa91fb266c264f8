"""What each method costs: seconds per epoch, epochs, training time and peak memory, beside those of SASRec (CE)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from statistics import fmean, median

import pandas as pd

from benchmark.report.material import Material
from benchmark.report.rows import RunSet
from benchmark.report.tables.layout import DASH, Cell, Head, Line, Table
from benchmark.report.tables.notes import machines_note
from benchmark.report.tables.parts import caption, corner, identity, table_name
from benchmark.store.record import RunRecord

REFERENCE = "sasrec-ce"
HIGH_FACTOR = 4
"""A factor above it is named below the table."""


@dataclass(frozen=True)
class Cost:
    """Of one method's finished runs: medians, and the mean number of epochs; NaN where there is no such thing.

    `epoch_seconds`, `training_seconds` in seconds of wall clock, `memory_bytes` at the peak of the process or device.
    """

    method: str
    runs: int
    epoch_seconds: float
    epochs: float
    training_seconds: float
    memory_bytes: float


def costs(runs: RunSet) -> list[Cost]:
    """Of every method with a finished run of our own, in the order of presentation."""
    ours = {record.method for record in runs.ours()}
    return [_cost(method, runs.done(method)) for method in runs.methods() if method in ours and runs.done(method)]


def cost_tables(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """One line per method; the factors are relative to SASRec (CE) of the same runs. None if nothing has run."""
    runs = material.runs
    rows = costs(runs)
    if not rows:
        return None
    return [_table(runs, rows)], pd.DataFrame([identity(runs) | vars(cost) for cost in rows])


def _table(runs: RunSet, rows: list[Cost]) -> Table:
    reference = next((cost for cost in rows if cost.method == REFERENCE), None)
    return Table(
        name=table_name(runs, "cost"),
        caption=caption(runs, f"What each method costs on {runs.heading}."),
        bands=(),
        heads=(
            corner(runs),
            Head("seconds", "per epoch"),
            Head("factor"),
            Head("epochs"),
            Head("minutes of", "training"),
            Head("factor"),
            Head("peak memory", "MiB"),
            Head("factor"),
            Head("runs"),
        ),
        sections=(tuple((_line(runs, cost, reference),) for cost in rows),),
        notes=tuple(_notes(runs, rows, reference)),
    )


def _cost(method: str, records: list[RunRecord]) -> Cost:
    return Cost(
        method=method,
        runs=len(records),
        epoch_seconds=_over(records, lambda record: record.timings.get("seconds_per_epoch")),
        epochs=fmean(len(record.epochs) for record in records) or math.nan,
        training_seconds=_over(records, lambda record: record.timings.get("fit_seconds")),
        memory_bytes=_over(records, lambda record: record.peak_memory_bytes),
    )


def _over(records: list[RunRecord], value: Callable[[RunRecord], float | None]) -> float:
    known = [number for record in records if (number := value(record)) is not None]
    return median(known) if known else math.nan


def _line(runs: RunSet, cost: Cost, reference: Cost | None) -> Line:
    factors = {name: f"{factor:.1f}" for name, factor in _factors(cost, reference).items()}
    texts = [
        _number(cost.epoch_seconds, 2),
        factors.get("epoch_seconds", DASH),
        _number(cost.epochs, 0),
        _number(cost.training_seconds / 60, 2),
        factors.get("training_seconds", DASH),
        _number(cost.memory_bytes / 2**20, 0),
        factors.get("memory_bytes", DASH),
        str(cost.runs),
    ]
    return Line(runs.look(cost.method).title, tuple(map(Cell, texts)))


def _factors(cost: Cost, reference: Cost | None) -> Mapping[str, float]:
    names = ("epoch_seconds", "training_seconds", "memory_bytes") if reference else ()
    factors = {name: getattr(cost, name) / (getattr(reference, name) or math.nan) for name in names}
    return {name: factor for name, factor in factors.items() if not math.isnan(factor)}


def _notes(runs: RunSet, rows: list[Cost], reference: Cost | None) -> Iterable[str]:
    yield (
        "Medians over the finished runs, epochs their mean, by wall clock during the runs themselves, validation "
        "included: where runs shared their machine they slowed each other down. Two-stage Barlow Twins counts both of "
        "its stages. Peak memory is the process's, data and libraries included, on a GPU that of the device."
    )
    if reference:
        high = [
            f"{runs.look(cost.method).title} ({', '.join(f'{f:.1f}' for f in factors)})"
            for cost in rows
            if (factors := [f for f in _factors(cost, reference).values() if f > HIGH_FACTOR])
        ]
        named = f"; above {HIGH_FACTOR}: {'; '.join(high)}" if high else f"; none is above {HIGH_FACTOR}"
        yield f"Factors are relative to {runs.look(REFERENCE).title}{named}."
    yield machines_note(runs)


def _number(value: float, decimals: int) -> str:
    return DASH if math.isnan(value) else f"{value:.{decimals}f}"
