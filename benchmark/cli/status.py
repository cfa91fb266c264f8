"""python -m benchmark status: which runs of a plan are done, which are left, and how long they will take.

The estimate comes from finished runs; `run_all.py --dry-run` times a few batches where there are none.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from baselines.method import FittedMethod
from baselines.registry import METHODS
from benchmark.cli.options import ChosenDataset
from benchmark.cli.process import FAILURE
from benchmark.cli.session import Session
from benchmark.plan.planner import PlannedRun
from benchmark.plan.repeat import command_of
from benchmark.plan.run_spec import RunSpec
from benchmark.runs.outstanding import Durations, outstanding_runs, records_of
from benchmark.store.record import RunRecord
from benchmark.store.store import Store
from datasets.download import MissingData

if TYPE_CHECKING:
    from benchmark.runs.preparation import Prepared

DRIVER = Path("/proc/driver/nvidia/gpus")
"""The NVIDIA driver lists each GPU here."""

LONG_HOURS = 1.0
"""For a plan that takes longer than this, the estimate adds advice on how to do less."""

TIMING_SECONDS = 15.0
"""Methods are timed for this long; the rest are assumed to take the median of those that were timed."""

Hours = dict[str, float]
"""Hours left by experiment; a run counts towards the first experiment that needs it."""


def status(options: Namespace) -> int:
    """Show the runs of each dataset; the exit code is 0 if none is left."""
    return FAILURE if show_plans(Session(options), reads_data=False) else 0


def dry_run(session: Session) -> int:
    """Show the plan for `run_all.py --dry-run`. Unlike `status`, read the data if the store has no data.json for it."""

    def is_known(dataset: ChosenDataset) -> bool:
        return all(session.facts(dataset.name, protocol) for protocol in (dataset.protocol, *dataset.windows))

    session.prepare([dataset for dataset in session.chosen if not is_known(dataset)])
    show_plans(session, reads_data=True)
    return 0


def show_plans(session: Session, reads_data: bool) -> int:
    """Print what is done, what is left and an estimate for each dataset; return the total number of runs left."""
    plans, total_left = session.plan(), 0
    for dataset in session.chosen:
        if runs := plans.get(dataset.name):
            stored = session.store.records(dataset.name)
            lines, left = overview(runs, stored, session.options.overwrite)
            if left:
                lines += estimate(session, dataset, stored, left, reads_data)[0]
                command = command_of(left[0].spec, dataset.file)
                lines.append(f"  The first run is {left[0].key}. This command runs only that one: {command}")
            print("\n".join(lines))
            total_left += len(left)
    return total_left


def estimate(
    session: Session,
    dataset: ChosenDataset,
    stored: Sequence[RunRecord],
    left: Sequence[PlannedRun],
    reads_data: bool = False,
) -> tuple[list[str], float]:
    """Estimate how long the runs in `left` take: lines to print, and hours, which are infinite if nothing is known.

    With `reads_data`, the data is read to time a few batches if no finished run gives an estimate.
    """
    device, default_workers = likely_device(session.options.device)
    workers, key = session.options.workers or default_workers, (dataset.name, dataset.protocol)
    found = hours_left(left, session.store, stored, device, workers, session.prepared.get(key))
    if found is None and reads_data:
        with suppress(MissingData):
            session.prepare([dataset])
        found = hours_left(left, session.store, stored, device, workers, session.prepared.get(key))
    return describe(found, workers, device), sum(found[0].values()) if found else math.inf


def overview(
    runs: Sequence[PlannedRun], stored: Sequence[RunRecord], overwrite: str
) -> tuple[list[str], list[PlannedRun]]:
    """Summarise one dataset's planned `runs` in lines, and return them with the runs that are left.

    `stored`: the dataset's records. Each run is listed under the first experiment that needs it.
    """
    records, left = records_of(runs, stored), outstanding_runs(runs, stored, overwrite)
    seeds: dict[str, dict[str, dict[str, list[str]]]] = {}  # experiment -> label -> status -> seeds
    for planned in runs:
        experiment, (label, *_) = next(iter(planned.uses.items()))
        state = records[planned.key].status if planned.key in records else "not run"
        seeds.setdefault(experiment, {}).setdefault(label, {}).setdefault(state, []).append(str(planned.spec.seed))
    lines = [
        f"{runs[0].spec.title}: {len(runs)} run{'s' * (len(runs) > 1)}, {len(runs) - len(left)} ended, {len(left)} left"
    ]
    for experiment, labels in seeds.items():
        lines.append(f"  {experiment}")
        for label, states in labels.items():
            summary = "; ".join(f"{state}: seeds {','.join(each)}" for state, each in states.items())
            lines.append(f"    {label:<14} {summary}")
    return lines, left


def hours_left(
    left: Sequence[PlannedRun],
    store: Store,
    records: Sequence[RunRecord],
    device: str,
    workers: int,
    prepared: Prepared | None = None,
) -> tuple[Hours, str] | None:
    """Estimate the hours that one dataset's runs take with `workers` in parallel on a `device` of this type.

    Returns them with what the estimate is based on. `records`: the dataset's runs in the store. If `prepared` holds the
    data, runs for which no similar run has finished are estimated by timing a few batches, and are assumed to take the
    median number of epochs of all runs in the store. Without data, less similar runs are used; None if there are none.
    """
    durations = Durations(records, device)
    seconds = {run.key: durations.estimate(run.spec, only_alike=prepared is not None) for run in left}
    unknown = [run for run in left if seconds[run.key] is None]
    basis = "finished runs"
    if unknown:
        if prepared is None:
            return None
        lengths = [len(record.epochs) for record in store.records() if record.done and record.epochs]
        epochs = statistics.median(lengths or [200])
        seconds |= _timed(unknown, int(epochs), prepared, device)
        basis = f"a few timed batches and {epochs:g} epochs a run"
    hours: Hours = {}
    for planned in left:
        first = next(iter(planned.uses))
        hours[first] = hours.get(first, 0.0) + (seconds[planned.key] or 0.0) / workers / 3600
    return hours, basis


def describe(found: tuple[Hours, str] | None, workers: int, device: str) -> list[str]:
    """Put the result of `hours_left` into words, with advice on how to do less if the plan is long."""
    if found is None:
        return [
            "  There is no estimate, because no such run has finished yet; run_all.py --dry-run times a few batches "
            "if the data is here."
        ]
    hours, basis = found
    total = sum(hours.values())
    days = f", that is {total / 24:.0f} days," if total > 48 else ""
    at_a_time = f"{workers} run{'s' * (workers > 1)} at a time"
    lines = [f"  What is left takes about {_hours(total)}{days} with {at_a_time}, judging by {basis}."]
    if len(hours) > 1:
        lines.append("  By experiment: " + ", ".join(f"{name} {_hours(each)}" for name, each in hours.items()) + ".")
    if total > LONG_HOURS:
        elsewhere = "" if device == "cuda" else "; or use a machine with a GPU"
        lines.append(
            "  To do less, use --experiments main, fewer --methods or --seeds, cheaper settings with --hparams or "
            f"--set, or --time-budget 8h, after which the same command goes on{elsewhere}."
        )
    return lines


def _hours(hours: float) -> str:
    return f"{hours:.1f} h" if hours >= 1 else f"{max(1, round(60 * hours))} min"


def likely_device(choice: str) -> tuple[str, int]:
    """Guess which type of device --device `choice` selects, and the default number of workers, without torch."""
    gpus = len(list(DRIVER.glob("*"))) if choice != "cpu" else 0
    return ("cuda", gpus) if gpus else ("cuda" if choice == "cuda" else "cpu", cores())


def cores() -> int:
    """Count the processor cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _timed(runs: Sequence[PlannedRun], epochs: int, prepared: Prepared, device: str) -> Mapping[str, float]:
    """Estimate each run's seconds, by its key, from a few batches; runs with the same workload are timed once."""
    import torch

    from benchmark.runs.timing import seconds_per_epoch

    known: dict[object, float] = {}
    begun = time.perf_counter()
    for spec in (run.spec for run in runs):
        if issubclass(METHODS[spec.method].method, FittedMethod):
            known[_workload(spec)] = 0.0
        elif _workload(spec) not in known and time.perf_counter() - begun < TIMING_SECONDS:
            per_epoch = seconds_per_epoch(spec, prepared.split, torch.device(device))
            known[_workload(spec)] = per_epoch * min(epochs, spec.training.epochs)
    others = statistics.median([seconds for seconds in known.values() if seconds] or [0.0])
    return {run.key: known.get(_workload(run.spec), others) for run in runs}


def _workload(spec: RunSpec) -> object:
    """Reduce a run to the settings that decide how long it takes."""
    return spec.method, replace(spec.encoder, dropout=0.0), replace(spec.training, learning_rate=1.0, noise=0.0)
