"""python -m benchmark recompute: check the metrics of stored runs against their arrays, and add new metrics to them."""

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
from benchmark.runs.summary import split_draws, summarise
from benchmark.store.record import RunRecord
from benchmark.store.store import Notify, Store, to_stderr

TOLERANCE = 1e-9  # another machine may sum in another order


def recompute_runs(options: Namespace) -> int:
    """Recompute the runs of each dataset; the exit code is 1 if a metric differs from its record."""
    session, is_different = Session(options), False
    for _, data in session.prepare():
        found = recompute(session.store, data, to_stderr)
        print(
            f"{data.title}: {found.total()} finished runs checked, {found['completed']} got missing metrics, "
            f"{found['differing']} differ from their records"
        )
        is_different |= found["differing"] > 0
    return FAILURE if is_different else 0


def recompute(store: Store, prepared: Prepared, notify: Notify) -> Counter[str]:
    """Recompute the metrics of every finished run on this data from its arrays, and store those that are missing.

    Returns the number of runs by outcome: "completed", "differing" or "same". A run whose record differs is reported
    through `notify` and not changed. Metrics that need more than the arrays, such as those of longer lists or of
    other orders of tied events, are left alone.
    """
    found: Counter[str] = Counter()
    for record in store.records(prepared.name):
        if not record.done or record.is_trial or record.data["fingerprint"] != prepared.fingerprint:
            continue
        metrics, differing = _metrics(store, record, prepared)
        found["differing" if differing else "same" if metrics == record.metrics else "completed"] += 1
        if differing:
            notify(f"{record.method} seed {record.seed} ({record.key}): its arrays give other values for {differing}")
        elif metrics != record.metrics:
            store.save(replace(record, metrics=metrics), store.arrays(record) or {}, overwrite=True)
    return found


def _metrics(store: Store, record: RunRecord, prepared: Prepared) -> tuple[dict[str, dict[str, float]], str]:
    """Return the record's metrics completed by missing ones, and the names of those that differ from its arrays."""
    arrays, split = store.arrays(record) or {}, prepared.split
    if record.external:
        fresh = {"test": metrics_of(arrays, split)}
    else:
        fresh = {"test": summarise(split_draws(arrays), split.item_buckets, split.item_popularity)}
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
