"""Which runs of a plan are left to do, and how long they will take; needs no torch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from typing import Any

from baselines.settings import EncoderSettings
from benchmark.plan.run_spec import RunSpec, TrainingSettings, settings_to_json
from benchmark.store.record import RunRecord

KEPT_UNLESS_ASKED = ("done", "diverged", "failed")
"""An interrupted run is always done again; a diverged or failed one only with --overwrite failed."""


def is_left(record: RunRecord | None, overwrite: str) -> bool:
    """Whether a planned run with this record has to be executed."""
    if record is None or overwrite == "all":
        return True
    return not record.done and (overwrite == "failed" or record.status not in KEPT_UNLESS_ASKED)


class Durations:
    """How long runs of one dataset take, judged by earlier runs on the same kind of device."""

    def __init__(self, records: Iterable[RunRecord], device: str) -> None:
        self.device = device
        self.seconds: dict[str, dict[str, list[float]]] = {}  # by encoder and training, then by method
        for record in records:
            self.add(record)

    def add(self, record: RunRecord) -> None:
        """Take the duration of one run into account."""
        if record.done and record.hardware.get("device") == self.device:
            methods = self.seconds.setdefault(_workload(record.spec), {})
            methods.setdefault(record.method, []).append(seconds_of(record))

    def estimate(self, spec: RunSpec) -> float | None:
        """Seconds that a run takes: the median of its method's, else of all methods' medians, None without any.

        Only runs with the same encoder and training settings count.
        """
        by_method = self.seconds.get(_workload(spec.to_json()), {})
        medians = {method: statistics.median(seconds) for method, seconds in by_method.items()}
        if spec.method in medians:
            return medians[spec.method]
        return statistics.median(medians.values()) if medians else None


def seconds_of(record: RunRecord) -> float:
    """How long a run took, also if it did not come to its end."""
    return sum(record.timings.get(part) or 0.0 for part in ("fit_seconds", "evaluate_seconds"))


def _workload(spec: dict[str, Any]) -> str:
    usual = {"encoder": EncoderSettings(), "training": TrainingSettings()}
    tables = [settings_to_json(usual[name]) | spec[name] for name in usual]  # a setting that a record lacks was neutral
    return json.dumps(tables, sort_keys=True)
