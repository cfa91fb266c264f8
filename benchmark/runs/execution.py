"""The stage `train`: give outstanding runs to an engine, and store each one as it ends."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, TypeVar

from benchmark.plan.planner import PlannedRun
from benchmark.runs.engines.engine import Engine, FinishedRun, RunJob
from benchmark.runs.outstanding import Durations, is_outstanding, seconds_of
from benchmark.runs.preparation import Prepared
from benchmark.runs.progress import Progress
from benchmark.runs.run import News, RunOutcome, SelectedWeights, to_record
from benchmark.store.atomic_files import StoreError
from benchmark.store.npz import Arrays
from benchmark.store.store import AlreadyDone, Store

T = TypeVar("T")

OTHERS_POLL_SECONDS = 2.0

RETRY_SECONDS, PATIENCE_SECONDS = 30.0, 600.0
"""While the store cannot be written to: the time between two attempts, and the least time before giving up."""


@dataclass
class _ActiveRun:
    """A run that is being executed, and our claim on it.

    `epochs` are by number, because a run that is started again repeats some of them.
    """

    job: RunJob
    claim: ExitStack
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    epochs: dict[int, dict[str, Any]] = field(default_factory=dict)
    weights: Arrays | None = None


@dataclass
class Execution:
    """Executes plans, one dataset at a time, until they are finished or the deadline is near.

    `keep_models`: whether to store the selected weights of finished runs. `deadline`: in `time.monotonic()` seconds.
    `out_of_time`: whether runs were left out because of the deadline. `attempted`: keys of the runs that were started
    here; no run is started twice. `active`: the runs being executed, by key.
    """

    store: Store
    engine: Engine
    overwrite: str = "never"
    deadline: float | None = None
    keep_models: bool = False
    out_of_time: bool = False
    attempted: set[str] = field(default_factory=set)
    active: dict[str, _ActiveRun] = field(default_factory=dict)

    def run(self, runs: Iterable[PlannedRun], prepared: Prepared) -> None:
        """Execute the outstanding ones of `runs`, and wait for those that another process is executing.

        On KeyboardInterrupt the active runs are recorded as interrupted, and the exception is raised again.
        """
        self.prepared, waiting = prepared, False
        self.durations = Durations(self.store.records(prepared.name), self.engine.device.type)
        while left := [run for run in runs if run.key not in self.attempted and self.is_outstanding(run)]:
            with Progress(prepared.title, len(left)) as self.progress:
                started = self._execute(left)
            if self.out_of_time:
                return
            if not started:
                if not waiting:
                    self.progress.say(f"{prepared.title}: {len(left)} left, waiting for another process to finish them")
                waiting = True
                time.sleep(OTHERS_POLL_SECONDS)

    def is_outstanding(self, run: PlannedRun) -> bool:
        """Whether a run has to be executed. Looks into the store, because another process may have finished it."""
        spec = run.spec
        return is_outstanding(self.store.find(spec.dataset, spec.method, run.key, spec.seed), self.overwrite)

    def _execute(self, left: list[PlannedRun]) -> int:
        """Execute and store the runs that no other process has claimed; returns how many were started."""
        before = len(self.attempted)
        finished = self.engine.run(self._jobs(left), self.prepared, self._on_news)
        try:
            for run in finished:
                self._save(run)
                self.progress.finished(run)
        except KeyboardInterrupt:
            self._record_interrupted()
            raise
        finally:
            finished.close()
            while self.active:
                self.active.popitem()[1].claim.close()
        return len(self.attempted) - before

    def _jobs(self, left: list[PlannedRun]) -> Iterator[RunJob]:
        """Yield the runs one at a time, claiming each only when the engine asks for it."""
        for run in left:
            if self._is_too_late(run):
                self.out_of_time = True
                return
            claim = ExitStack()
            if not self._retry(partial(self._claim, claim, run.key)):
                continue  # another process has it; the next pass looks again
            if not self.is_outstanding(run):
                claim.close()  # another process has just finished it
                continue
            checkpoint = self.store.checkpoint_path(run.key)
            if self.overwrite == "all":
                checkpoint.unlink(missing_ok=True)
            job = RunJob(run.key, run.spec, checkpoint)
            self.active[run.key] = _ActiveRun(job, claim)
            self.attempted.add(run.key)
            yield job

    def _claim(self, claim: ExitStack, key: str) -> bool:
        return claim.enter_context(self.store.claim(key))

    def _is_too_late(self, run: PlannedRun) -> bool:
        expected = self.durations.estimate(run.spec) or 0.0
        return self.deadline is not None and time.monotonic() + expected > self.deadline

    def _on_news(self, job: RunJob, news: News) -> None:
        if isinstance(news, SelectedWeights):
            self.active[job.key].weights = news.arrays if self.keep_models else None
            return
        if isinstance(news, dict):
            self.active[job.key].epochs[news["epoch"]] = news
        self.progress.follow(job, news)

    def _save(self, run: FinishedRun) -> None:
        """Store a finished run. While the store cannot be written to, keep it in memory for as long as it took."""
        is_over = run.record.status != "interrupted"
        overwrite = is_over and self.overwrite == "all"
        patience, weights = max(PATIENCE_SECONDS, seconds_of(run.record)), self.active[run.job.key].weights
        with suppress(AlreadyDone):  # it was imported meanwhile, or stored just before an error
            if weights and run.record.done:
                self._retry(partial(self.store.keep_model, run.record, weights), patience)
                command = f"python -m benchmark recommend --run {run.record.key} --out recommendations.csv"
                self.progress.say(f"{run.record.method}: its weights are kept; to use them: {command}")
            self._retry(partial(self.store.save, run.record, run.arrays, overwrite), patience)
        self.durations.add(run.record)
        if is_over:
            with suppress(OSError):  # the next start removes it
                run.job.checkpoint.unlink()
        self.active.pop(run.job.key).claim.close()

    def _record_interrupted(self) -> None:
        if self.overwrite == "all":
            return  # the earlier record is worth more
        for active in self.active.values():
            outcome = RunOutcome("interrupted", started=active.started, epochs=list(active.epochs.values()))
            record = to_record(active.job.spec, self.prepared, self.engine.device, outcome)
            with suppress(StoreError):  # it is done already, or the disk is full: exit in any case
                self.store.save(record, {})

    def _retry(self, action: Callable[[], T], patience: float = PATIENCE_SECONDS) -> T:
        """Call `action`, which writes to the store. While it fails, repeat it for up to `patience` seconds."""
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
                    self.progress.say(f"{said}; trying again every {RETRY_SECONDS:g} s, finished runs are in memory")
            try:
                time.sleep(RETRY_SECONDS)
            except KeyboardInterrupt:
                self.progress.say("run the same command again to resume what could not be stored")
                raise
            waited += RETRY_SECONDS
