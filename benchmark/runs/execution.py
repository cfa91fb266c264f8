"""The stage `train`: give what is left of a plan to an engine and store each run as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from benchmark.plan.planner import PlannedRun
from benchmark.runs.engines.engine import Engine, Finished, Job
from benchmark.runs.outstanding import Durations, is_left, seconds_of
from benchmark.runs.preparation import Prepared
from benchmark.runs.progress import Progress
from benchmark.runs.run import Outcome, to_record
from benchmark.store.store import AlreadyDone, Store, StoreError

T = TypeVar("T")

OTHERS_POLL_SECONDS = 2.0

RETRY_SECONDS, PATIENCE_SECONDS = 30.0, 600.0
"""How often to try again while the store cannot be written, and for how long at least."""


@dataclass
class Execution:
    """Executes plans, one dataset after the other, until they are through or the deadline is near.

    `deadline`: in `time.monotonic()` seconds, None for none. `out_of_time` says that runs were not started because of
    it.
    """

    store: Store
    engine: Engine
    overwrite: str = "never"
    deadline: float | None = None
    out_of_time: bool = False
    attempted: set[str] = field(default_factory=set)

    def run(self, runs: Iterable[PlannedRun], prepared: Prepared, commands: dict[str, str]) -> None:
        """Execute what is left of `runs`; runs that another process holds are waited for.

        On KeyboardInterrupt the runs in flight are recorded as interrupted, and the exception goes on.
        """
        durations = Durations(self.store.records(prepared.name), self.engine.device.type)
        waiting = False
        while left := [run for run in runs if run.key not in self.attempted and self._is_left(run)]:
            flight = _Flight(self, prepared, commands, durations)
            with Progress(prepared.title, len(left)) as progress:
                flight.fly(left, progress)
            if self.out_of_time:
                return
            if flight.started == 0:
                if not waiting:
                    progress.say(f"{prepared.title}: another process holds the {len(left)} runs left; waiting for it")
                waiting = True
                time.sleep(OTHERS_POLL_SECONDS)

    def _is_left(self, run: PlannedRun) -> bool:
        spec = run.spec
        return is_left(self.store.find(spec.dataset, spec.method, run.key, spec.seed), self.overwrite)


class _Flight:
    """One pass over the runs that are left, with what is in the air."""

    def __init__(
        self, execution: Execution, prepared: Prepared, commands: dict[str, str], durations: Durations
    ) -> None:
        self.execution, self.prepared, self.commands, self.durations = execution, prepared, commands, durations
        self.claims: dict[str, ExitStack] = {}
        self.epochs: dict[str, dict[int, dict[str, Any]]] = {}
        self.jobs: dict[str, Job] = {}
        self.started_at: dict[str, datetime] = {}
        self.started = 0

    def fly(self, left: list[PlannedRun], progress: Progress) -> None:
        """Run, store, release; whatever happens, every claim is given back."""

        def on_epoch(job: Job, row: dict[str, Any]) -> None:
            self.epochs[job.key][row["epoch"]] = row
            progress.epoch(job, row)

        events = self.execution.engine.run(self._jobs(left, progress), self.prepared, on_epoch)
        try:
            for event in events:
                self._store(event, progress)
                progress.finished(event)
        except KeyboardInterrupt:
            self._record_interrupted()
            raise
        finally:
            events.close()
            for claim in self.claims.values():
                claim.close()

    def _jobs(self, left: list[PlannedRun], progress: Progress) -> Iterator[Job]:
        for run in left:
            if self._too_late(run):
                self.execution.out_of_time = True
                return
            claim = ExitStack()
            if not _insist(partial(self._claim, claim, run.key), PATIENCE_SECONDS, progress):
                continue  # another process is at it; looked at again when the others are through
            if not self.execution._is_left(run):
                claim.close()  # another process has just finished it
                continue
            checkpoint = self.execution.store.checkpoint_path(run.key)
            if self.execution.overwrite == "all":
                checkpoint.unlink(missing_ok=True)
            job = Job(run.key, run.spec, self.commands[run.key], checkpoint)
            self.claims[run.key], self.epochs[run.key], self.started_at[run.key] = claim, {}, datetime.now(UTC)
            self.jobs[run.key] = job
            self.execution.attempted.add(run.key)
            self.started += 1
            yield job

    def _too_late(self, run: PlannedRun) -> bool:
        if self.execution.deadline is None:
            return False
        expected = self.durations.estimate(run.spec) or 0.0
        return time.monotonic() + expected > self.execution.deadline

    def _claim(self, claim: ExitStack, key: str) -> bool:
        return claim.enter_context(self.execution.store.claim(key))

    def _store(self, event: Finished, progress: Progress) -> None:
        """Save a finished run. While that is impossible it is kept in memory, for as long as it took at least."""
        is_over = event.record.status != "interrupted"
        overwrite = is_over and self.execution.overwrite == "all"
        save = partial(self.execution.store.save, event.record, event.arrays, overwrite=overwrite)
        with suppress(AlreadyDone):  # imported meanwhile, or stored before an error at the very end
            _insist(save, max(PATIENCE_SECONDS, seconds_of(event.record)), progress)
        self.durations.add(event.record)
        if event.job.checkpoint and is_over:
            with suppress(OSError):  # the next start removes it
                event.job.checkpoint.unlink()
        del self.jobs[event.job.key], self.epochs[event.job.key]
        self.claims.pop(event.job.key).close()

    def _record_interrupted(self) -> None:
        for key, job in self.jobs.items():
            outcome = Outcome("interrupted", started=self.started_at[key], epochs=list(self.epochs[key].values()))
            record = to_record(job.spec, self.prepared, self.execution.engine.device, job.command, outcome)
            if self.execution.overwrite != "all":
                with suppress(StoreError):  # it is done already, or the disk is full; no reason not to end
                    self.execution.store.save(record, {})


def _insist(action: Callable[[], T], patience: float, progress: Progress) -> T:
    """Do something to the store, while it cannot be written again and again for `patience` seconds."""
    waited, said = 0.0, ""
    while True:
        try:
            return action()
        except AlreadyDone:
            raise
        except StoreError as error:
            if waited >= patience:
                raise
            if str(error) != said:
                said = str(error)
                progress.say(f"{said}; tried again every {RETRY_SECONDS:g} s, what is finished is kept in memory")
        try:
            time.sleep(RETRY_SECONDS)
        except KeyboardInterrupt:
            progress.say("what could not be stored is lost; the same command does it again from its last checkpoint")
            raise
        waited += RETRY_SECONDS
