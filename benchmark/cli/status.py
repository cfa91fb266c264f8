"""python -m benchmark status: which runs of a plan are done, which are left, and how long they will take."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path

from benchmark.cli.exits import FAILURE
from benchmark.cli.options import Parser, add_datasets, add_output, add_rules, add_runs
from benchmark.cli.planning import open_and_plan, records_of
from benchmark.plan.planner import PlannedRun
from benchmark.runs.outstanding import Durations, is_left
from benchmark.store.store import Store

DRIVER = Path("/proc/driver/nvidia/gpus")
"""Has an entry for each GPU where the NVIDIA driver runs."""


def add_arguments(parser: Parser) -> None:
    add_datasets(parser)
    add_runs(parser)
    add_rules(parser)
    add_output(parser)


def run(options: Namespace) -> int:
    """Show each dataset's runs; the exit code is 0 if nothing is left."""
    store, plans = open_and_plan(options)
    total_left = 0
    for runs in plans.values():
        lines, left = overview(runs, store, "never", *likely_device("auto"))
        print("\n".join(lines))
        total_left += len(left)
    return FAILURE if total_left else 0


def overview(
    runs: Sequence[PlannedRun], store: Store, overwrite: str, device: str, workers: int
) -> tuple[list[str], list[PlannedRun]]:
    """Lines of text, and the runs that are left; `runs` are those of one dataset, each shown with the first experiment
    that needs it.

    `device`, its type, and `workers` are for the estimate.
    """
    stored = store.records(runs[0].spec.dataset)
    records = records_of(runs, stored)
    left = [run for run in runs if is_left(records.get(run.key), overwrite)]
    lines = [f"{runs[0].spec.title}: {len(runs)} runs, {len(runs) - len(left)} ended, {len(left)} left"]
    seeds: dict[str, dict[str, dict[str, list[str]]]] = {}  # by experiment, label and state
    for run in runs:
        experiment, (label, *_) = next(iter(run.uses.items()))
        state = records[run.key].status if run.key in records else "not run"
        seeds.setdefault(experiment, {}).setdefault(label, {}).setdefault(state, []).append(str(run.spec.seed))
    for experiment, labels in seeds.items():
        lines.append(f"  {experiment}")
        for label, states in labels.items():
            lines.append(
                f"    {label:<14} " + "; ".join(f"{state}: seeds {','.join(states[state])}" for state in states)
            )
    if left:
        durations = Durations(stored, device)
        estimates = [durations.estimate(run.spec) for run in left]
        lines.append(_estimate(estimates, workers))
    return lines, left


def likely_device(choice: str) -> tuple[str, int]:
    """The type of device that --device `choice` will give, and how many runs it will take at a time.

    This is for estimates: torch knows for sure, but takes seconds to import.
    """
    gpus = len(list(DRIVER.glob("*"))) if choice != "cpu" else 0
    return ("cuda", gpus) if gpus else ("cuda" if choice == "cuda" else "cpu", cores())


def cores() -> int:
    """How many processor cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _estimate(estimates: Sequence[float | None], workers: int) -> str:
    """`estimates`: seconds of each run that is left, None if no finished run of the dataset tells."""
    known = [estimate for estimate in estimates if estimate is not None]
    if not known:
        return "  no estimate: no run of this dataset has finished on this kind of device yet"
    hours = sum(known) / workers / 3600
    return f"  about {hours:.1f} h for what is left, {workers} runs at a time, judging by finished runs"
