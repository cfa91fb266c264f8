"""A plan beside what the store has of it: for --dry-run and --status."""

from __future__ import annotations

from collections.abc import Sequence

from benchmark.plan.planner import PlannedRun
from benchmark.runs.outstanding import Durations, is_left
from benchmark.store.record import RunRecord
from benchmark.store.store import Store


def overview(
    store: Store, runs: Sequence[PlannedRun], overwrite: str, device: str, workers: int
) -> tuple[list[str], list[PlannedRun]]:
    """Lines of text, and the runs that are left; `runs` are of one dataset, each told where it is needed first.

    `device`, of which type, and `workers` are for the estimate.
    """
    records = {run.key: store.find(run.spec.dataset, run.spec.method, run.key, run.spec.seed) for run in runs}
    left = [run for run in runs if is_left(records[run.key], overwrite)]
    lines = [f"{runs[0].spec.title}: {len(runs)} runs, {len(runs) - len(left)} ended, {len(left)} left"]
    for experiment in dict.fromkeys(next(iter(run.uses)) for run in runs):
        lines.append(f"  {experiment}")
        mine = [run for run in runs if next(iter(run.uses)) == experiment]
        for label in dict.fromkeys(run.uses[experiment][0] for run in mine):
            states = _states([run for run in mine if run.uses[experiment][0] == label], records)
            lines.append(
                f"    {label:<14} " + "; ".join(f"{state}: seeds {','.join(s)}" for state, s in states.items())
            )
    if left:
        durations = Durations(store.records(runs[0].spec.dataset), device)
        estimates = [durations.estimate(run.spec) for run in left]
        lines.append(_estimate(estimates, workers))
    return lines, left


def _states(runs: Sequence[PlannedRun], records: dict[str, RunRecord | None]) -> dict[str, list[str]]:
    states: dict[str, list[str]] = {}
    for run in runs:
        record = records[run.key]
        states.setdefault(record.status if record else "not run", []).append(str(run.spec.seed))
    return states


def _estimate(estimates: Sequence[float | None], workers: int) -> str:
    known = [estimate for estimate in estimates if estimate is not None]
    if not known:
        return "  no estimate: no run of this dataset has finished yet"
    hours = sum(known) / workers / 3600
    others = (
        f", without {len(estimates) - len(known)} runs of a kind not seen yet" if len(known) < len(estimates) else ""
    )
    return f"  about {hours:.1f} h for what is left, with {workers} workers, going by the runs that are there{others}"
