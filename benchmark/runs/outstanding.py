"""Which runs of a plan are left to do, and how long they will take; needs no torch."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable
from typing import Any

from baselines.method import FittedMethod
from baselines.registry import METHODS
from benchmark.plan.planner import PlannedRun
from benchmark.plan.run_spec import SHARED, RunSpec, TrainingSettings, settings_to_json
from benchmark.store.record import RunRecord

KEPT_UNLESS_ASKED = ("done", "diverged", "failed")
"""An interrupted run is always done again; a diverged or failed one only with --overwrite failed."""


def is_left(record: RunRecord | None, overwrite: str) -> bool:
    """Whether a planned run with this record has to be executed."""
    if record is None or overwrite == "all":
        return True
    return not record.done and (overwrite == "failed" or record.status not in KEPT_UNLESS_ASKED)


def records_of(runs: Iterable[PlannedRun], records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The records, out of one dataset's `records`, of planned runs, by the run's key."""
    found = {(record.key, record.seed): record for record in records}
    return {run.key: found[run.key, run.spec.seed] for run in runs if (run.key, run.spec.seed) in found}


def left_of(runs: Iterable[PlannedRun], records: Iterable[RunRecord], overwrite: str) -> list[PlannedRun]:
    """Those of one dataset's planned runs that have to be executed, as its `records` stand."""
    known = records_of(runs, records)
    return [run for run in runs if is_left(known.get(run.key), overwrite)]


class Durations:
    """How long runs of one dataset take, judged by earlier runs on the same kind of device."""

    def __init__(self, records: Iterable[RunRecord], device: str) -> None:
        self.device = device
        self.ended: list[tuple[str, str, int, float]] = []  # encoder and training, method, most epochs, seconds
        for record in records:
            self.add(record)

    def add(self, record: RunRecord) -> None:
        """Take the duration of one run into account."""
        if record.done and not record.external and record.hardware.get("device") == self.device:
            self.ended.append((_workload(record.spec), record.method, _epochs(record.spec), seconds_of(record)))

    def estimate(self, spec: RunSpec, only_alike: bool = False) -> float | None:
        """Seconds that a run takes: the median of its method's, else of all methods' medians, None without any.

        Runs with the same split, encoder and training settings count, whatever their dropout, learning rate and noise;
        where there is none, all others do unless `only_alike`, and of those a run that may have twice as many epochs
        counts half. A method that counts and one that trains tell nothing of each other.
        """
        workload, epochs = _workload(spec.to_json()), _epochs(spec.to_json())
        similar = [ended for ended in self.ended if _counts(ended[1]) == _counts(spec.method)]
        alike = [ended for ended in similar if ended[0] == workload] or ([] if only_alike else similar)
        seconds: dict[str, list[float]] = {}
        for _, method, most_epochs, taken in alike:
            seconds.setdefault(method, []).append(taken * epochs / most_epochs)
        medians = {method: statistics.median(each) for method, each in seconds.items()}
        return medians.get(spec.method, statistics.median(medians.values()) if medians else None)


def _counts(method: str) -> bool:
    return method in METHODS and issubclass(METHODS[method].method, FittedMethod)


def seconds_of(record: RunRecord) -> float:
    """How long a run took, even if it did not come to its end."""
    return sum(record.timings.get(part) or 0.0 for part in ("fit_seconds", "evaluate_seconds"))


def _workload(spec: dict[str, Any]) -> str:
    """What an epoch's cost depends on, but for the method."""
    sections = ("encoder", "training")  # a setting that a record lacks was neutral
    settings = {key: value for name in sections for key, value in (settings_to_json(SHARED[name]) | spec[name]).items()}
    of_no_weight = ("dropout", "learning_rate", "noise")
    costly = {key: value for key, value in settings.items() if key not in of_no_weight}
    return json.dumps([spec["protocol"]["preset"], costly], sort_keys=True)


def _epochs(spec: dict[str, Any]) -> int:
    """The most epochs that a run may have; a record that another hand wrote may say anything."""
    epochs = spec["training"].get("epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 else TrainingSettings().epochs
