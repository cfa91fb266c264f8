"""python -m benchmark recompute: the metrics of stored runs, computed from their arrays again.

This checks stored metrics, and adds a new metric to earlier runs.
"""

from __future__ import annotations

import math
from argparse import Namespace
from collections import Counter
from dataclasses import replace

from benchmark.cli.process import FAILURE
from benchmark.cli.session import Session
from benchmark.runs.external import metrics_of
from benchmark.runs.metrics import accuracy
from benchmark.runs.preparation import Prepared
from benchmark.runs.summary import by_draw, summarise
from benchmark.store.record import RunRecord
from benchmark.store.store import Notify, Store, to_stderr

TOLERANCE = 1e-9  # relative; another machine may sum in another order


def recompute_runs(options: Namespace) -> int:
    """Recompute the runs of each dataset; the exit code is 1 if one of them differs from its record."""
    session, is_different = Session(options), False
    for _, data in session.prepare():
        found = recompute(session.store, data, to_stderr)
        print(
            f"{data.title}: {found.total()} finished runs checked, {found['completed']} got metrics that they lacked, "
            f"{found['differing']} differ from their records"
        )
        is_different |= found["differing"] > 0
    return FAILURE if is_different else 0


def recompute(store: Store, prepared: Prepared, notify: Notify) -> Counter[str]:
    """Compute the metrics of every finished run on this data from its arrays, and store those that it lacks.

    Returns how many runs were completed in this way, are differing from their record, or have been the same. A run
    whose record differs is named through `notify` and left as it is. Metrics that need more than the arrays, such as
    those of longer lists and of other orders of tied events, stay as they were measured.
    """
    found: Counter[str] = Counter()
    for record in store.records(prepared.name):
        if not record.done or record.is_trial or record.data["fingerprint"] != prepared.fingerprint:
            continue
        metrics, differing = _metrics(store, record, prepared)
        found["differing" if differing else "same" if metrics == record.metrics else "completed"] += 1
        if differing:
            notify(f"{record.method} seed {record.seed} ({record.key}): its arrays give other values of {differing}")
        elif metrics != record.metrics:
            store.save(replace(record, metrics=metrics), store.arrays(record) or {}, overwrite=True)
    return found


def _metrics(store: Store, record: RunRecord, prepared: Prepared) -> tuple[dict[str, dict[str, float]], str]:
    """The record's metrics with those that it lacks, and the names of those that its arrays contradict."""
    arrays = store.arrays(record) or {}
    split = prepared.split
    about = split.item_buckets, split.item_popularity
    fresh = {"test": metrics_of(arrays, split) if record.external else summarise(by_draw(arrays), *about)}
    if "validation_ranks" in arrays:
        fresh["validation"] = accuracy(arrays["validation_ranks"])
    differing = [
        name
        for stage, values in fresh.items()
        for name, value in record.metrics[stage].items()
        if not math.isclose(value, values.get(name, value), rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    ]
    merged = {stage: fresh.get(stage, {}) | values for stage, values in record.metrics.items()}
    return merged, ", ".join(differing)
