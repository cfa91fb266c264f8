"""python -m benchmark status: which runs of a plan are done, which are left, and how long they will take."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Sequence

from benchmark.cli.estimate import describe, hours_left, likely_device
from benchmark.cli.exits import FAILURE
from benchmark.cli.options import Parser, add_datasets, add_output, add_rules, add_runs
from benchmark.cli.planning import left_of, open_and_plan, records_of
from benchmark.plan.planner import PlannedRun
from benchmark.store.record import RunRecord


def add_arguments(parser: Parser) -> None:
    add_datasets(parser)
    add_runs(parser)
    add_rules(parser)
    add_output(parser)


def run(options: Namespace) -> int:
    """Show each dataset's runs; the exit code is 0 if nothing is left."""
    store, plans = open_and_plan(options)
    device, workers = likely_device("auto")
    total_left = 0
    for runs in plans.values():
        stored = store.records(runs[0].spec.dataset)
        lines, left = overview(runs, stored, "never")
        if left:
            lines += describe(hours_left(left, store, stored, device, workers), workers, device)
        print("\n".join(lines))
        total_left += len(left)
    return FAILURE if total_left else 0


def overview(
    runs: Sequence[PlannedRun], stored: Sequence[RunRecord], overwrite: str
) -> tuple[list[str], list[PlannedRun]]:
    """Lines of text, and the runs that are left; `runs` and `stored` are those of one dataset, each run shown with the
    first experiment that needs it.
    """
    records, left = records_of(runs, stored), left_of(runs, stored, overwrite)
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
    return lines, left
