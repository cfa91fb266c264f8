"""Which runs of a plan are still to be done, and how long they will take. Does not import torch."""

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


def is_outstanding(record: RunRecord | None, overwrite: str) -> bool:
    """Whether a planned run with this record still has to be executed, given the option `--overwrite`.

    Interrupted runs are always executed again, diverged and failed ones only with `--overwrite failed`.
    """
    if record is None or overwrite == "all":
        return True
    return not record.done and (overwrite == "failed" or record.status == "interrupted")


def records_of(runs: Iterable[PlannedRun], records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """Pick the records of planned runs out of a dataset's `records`; returns them by run key."""
    found = {(record.key, record.seed): record for record in records}
    return {run.key: found[run.key, run.spec.seed] for run in runs if (run.key, run.spec.seed) in found}


def outstanding_runs(runs: Iterable[PlannedRun], records: Iterable[RunRecord], overwrite: str) -> list[PlannedRun]:
    """Select the planned runs that still have to be executed, given the dataset's `records`."""
    known = records_of(runs, records)
    return [run for run in runs if is_outstanding(known.get(run.key), overwrite)]


class Durations:
    """Estimates how long runs of a dataset take, from earlier runs on the same kind of device."""

    def __init__(self, records: Iterable[RunRecord], device: str) -> None:
        self.device = device
        self.ended: list[tuple[str, str, int, float]] = []  # workload, method, maximum of epochs, seconds
        for record in records:
            self.add(record)

    def add(self, record: RunRecord) -> None:
        """Take one more run into account."""
        if record.done and not record.external and record.hardware.get("device") == self.device:
            self.ended.append((_workload(record.spec), record.method, _epochs(record.spec), seconds_of(record)))

    def estimate(self, spec: RunSpec, only_alike: bool = False) -> float | None:
        """Estimate the seconds that a run takes; None if there is nothing to compare it with.

        The estimate is the median over earlier runs of the same method, or else the median over all methods of their
        medians. Runs count if they have the same workload, see `_workload`. If there are none, then unless `only_alike`
        all runs count, scaled by their maximum of epochs. Methods without training are never compared with trained
        ones.
        """
        workload, epochs = _workload(spec.to_json()), _epochs(spec.to_json())
        similar = [ended for ended in self.ended if _is_fitted(ended[1]) == _is_fitted(spec.method)]
        alike = [ended for ended in similar if ended[0] == workload] or ([] if only_alike else similar)
        seconds: dict[str, list[float]] = {}
        for _, method, most_epochs, taken in alike:
            seconds.setdefault(method, []).append(taken * epochs / most_epochs)
        medians = {method: statistics.median(each) for method, each in seconds.items()}
        return medians.get(spec.method, statistics.median(medians.values()) if medians else None)


def _is_fitted(method: str) -> bool:
    return method in METHODS and issubclass(METHODS[method].method, FittedMethod)


def seconds_of(record: RunRecord) -> float:
    """Return how long a run took, even if it did not complete."""
    return sum(record.timings.get(part) or 0.0 for part in ("fit_seconds", "evaluate_seconds"))


def _workload(spec: dict[str, Any]) -> str:
    """Identify everything except the method that affects how long an epoch takes."""
    sections = ("encoder", "training")  # a setting that the record lacks has its neutral value, the default
    settings = {key: value for name in sections for key, value in (settings_to_json(SHARED[name]) | spec[name]).items()}
    costly = {key: value for key, value in settings.items() if key not in ("dropout", "learning_rate", "noise")}
    return json.dumps([spec["protocol"]["preset"], costly], sort_keys=True)


def _epochs(spec: dict[str, Any]) -> int:
    """Return the maximum of epochs; the default if a record that was edited by hand has no valid one."""
    epochs = spec["training"].get("epochs")
    return epochs if isinstance(epochs, int) and epochs > 0 else TrainingSettings().epochs
