"""The metrics of stored runs once more, from their own arrays: a check, and the way of a new metric to earlier runs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from benchmark.runs.metrics import accuracy, summarise
from benchmark.runs.preparation import Notify, Prepared
from benchmark.store.record import RunRecord
from benchmark.store.store import Store

TOLERANCE = 1e-9  # relative; another machine may sum in another order


@dataclass
class Recomputed:
    """How many runs were looked at, how many of them got metrics that they lacked, and how many say something else."""

    checked: int = 0
    completed: int = 0
    differing: int = 0


def recompute(store: Store, prepared: Prepared, notify: Notify) -> Recomputed:
    """Compute the metrics of every finished run on this data from its arrays, and store those that it lacks.

    A run whose record says something else is named through `notify` and left as it is. What needs the model, such as
    other orders of tied events, stays as it was measured.
    """
    found = Recomputed()
    for record in store.records(prepared.name):
        if not record.done or record.data["fingerprint"] != prepared.fingerprint:
            continue
        found.checked += 1
        metrics, differing = _metrics(store, record, prepared)
        if differing:
            found.differing += 1
            notify(f"{record.method} seed {record.seed} ({record.key}): its arrays give other values of {differing}")
        elif metrics != record.metrics:
            found.completed += 1
            store.save(replace(record, metrics=metrics), store.arrays(record) or {}, overwrite=True)
    return found


def _metrics(store: Store, record: RunRecord, prepared: Prepared) -> tuple[dict[str, dict[str, float]], str]:
    """The record's metrics with those that it lacks, and the names of those that its arrays contradict."""
    arrays = store.arrays(record) or {}
    fresh = {"test": summarise(arrays, prepared.split.item_buckets)}
    if "validation_ranks" in arrays:
        fresh["validation"] = accuracy(arrays["validation_ranks"])
    differing = [
        name
        for stage, values in fresh.items()
        for name, value in record.metrics[stage].items()
        if not math.isclose(value, values.get(name, math.nan), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    ]
    merged = {stage: fresh.get(stage, {}) | values for stage, values in record.metrics.items()}
    return merged, ", ".join(differing)
