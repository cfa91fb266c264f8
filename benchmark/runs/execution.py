"""The stage `train`: hand the runs that are left to an engine, and store each as it ends."""

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
from benchmark.runs.outstanding import Durations, is_left, seconds_of
from benchmark.runs.preparation import Prepared
from benchmark.runs.progress import Progress
from benchmark.runs.run import News, RunOutcome, SelectedWeights, to_record
from benchmark.store.npz import Arrays
from benchmark.store.store import AlreadyDone, Store, StoreError

T = TypeVar("T")

OTHERS_POLL_SECONDS = 2.0

RETRY_SECONDS, PATIENCE_SECONDS = 30.0, 600.0
"""While the store cannot be written: how long to wait before the next try, and how long to go on at least."""


@dataclass
class _Held:
    """A run under way: its claim, and its epochs by number (a run that is started again repeats some)."""

    job: RunJob
    claim: ExitStack
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    epochs: dict[int, dict[str, Any]] = field(default_factory=dict)
    weights: Arrays | None = None


@dataclass
class Execution:
    """Executes plans, one dataset after the other, until they are finished or the deadline is near.

    `keep_models`: whether the selected weights of finished runs are stored. `deadline`: in `time.monotonic()` seconds,
    None for none. `out_of_time`: whether runs were left because of it. `attempted`: the keys of the runs that were
    started here; none of them is started twice. `held`: the runs under way, by their keys.
    """

    store: Store
    engine: Engine
    overwrite: str = "never"
    deadline: float | None = None
    keep_models: bool = False
    out_of_time: bool = False
    attempted: set[str] = field(default_factory=set)
    held: dict[str, _Held] = field(default_factory=dict)

    def run(self, runs: Iterable[PlannedRun], prepared: Prepared) -> None:
        """Execute what is left of `runs`, and wait for the runs that another process holds.

        On KeyboardInterrupt the runs under way are recorded as interrupted, and the exception is raised again.
        """
        self.prepared, waiting = prepared, False
        self.durations = Durations(self.store.records(prepared.name), self.engine.device.type)
        while left := [run for run in runs if run.key not in self.attempted and self.is_left(run)]:
            with Progress(prepared.title, len(left)) as self.progress:
                started = self._execute(left)
            if self.out_of_time:
                return
            if not started:
                if not waiting:
                    self.progress.say(
                        f"{prepared.title}: waiting for the {len(left)} runs left, which another process has"
                    )
                waiting = True
                time.sleep(OTHERS_POLL_SECONDS)

    def is_left(self, run: PlannedRun) -> bool:
        """Whether the store, as it is now, lacks this run."""
        spec = run.spec
        return is_left(self.store.find(spec.dataset, spec.method, run.key, spec.seed), self.overwrite)

    def _execute(self, left: list[PlannedRun]) -> int:
        """Execute and store runs that no other process holds; returns how many were started. Every claim is released,
        whatever happens.
        """
        before = len(self.attempted)
        finished = self.engine.run(self._jobs(left), self.prepared, self._follow)
        try:
            for run in finished:
                self._save(run)
                self.progress.finished(run)
        except KeyboardInterrupt:
            self._record_interrupted()
            raise
        finally:
            finished.close()
            while self.held:
                self.held.popitem()[1].claim.close()
        return len(self.attempted) - before

    def _jobs(self, left: list[PlannedRun]) -> Iterator[RunJob]:
        """The runs, one at a time, each claimed and checked once more when the engine asks for it."""
        for run in left:
            if self._is_too_late(run):
                self.out_of_time = True
                return
            claim = ExitStack()
            if not self._insist(partial(self._claim, claim, run.key)):
                continue  # another process has it; the next pass looks again
            if not self.is_left(run):
                claim.close()  # another process has just finished it
                continue
            checkpoint = self.store.checkpoint_path(run.key)
            if self.overwrite == "all":
                checkpoint.unlink(missing_ok=True)
            job = RunJob(run.key, run.spec, checkpoint)
            self.held[run.key] = _Held(job, claim)
            self.attempted.add(run.key)
            yield job

    def _claim(self, claim: ExitStack, key: str) -> bool:
        return claim.enter_context(self.store.claim(key))

    def _is_too_late(self, run: PlannedRun) -> bool:
        deadline, expected = self.deadline, self.durations.estimate(run.spec) or 0.0
        return deadline is not None and time.monotonic() + expected > deadline

    def _follow(self, job: RunJob, news: News) -> None:
        if isinstance(news, SelectedWeights):
            self.held[job.key].weights = news.arrays if self.keep_models else None
            return
        if isinstance(news, dict):
            self.held[job.key].epochs[news["epoch"]] = news
        self.progress.follow(job, news)

    def _save(self, run: FinishedRun) -> None:
        """Store a finished run. As long as that fails it stays in memory, at least for as long as it took."""
        is_over = run.record.status != "interrupted"
        overwrite = is_over and self.overwrite == "all"
        save = partial(self.store.save, run.record, run.arrays, overwrite=overwrite)
        patience, weights = max(PATIENCE_SECONDS, seconds_of(run.record)), self.held[run.job.key].weights
        with suppress(AlreadyDone):  # imported meanwhile, or stored before an error at the very end
            if weights and run.record.done:
                self._insist(partial(self.store.keep_model, run.record, weights), patience)
                self.progress.say(f"{run.record.method}: python -m benchmark recommend --run {run.record.key} uses it")
            self._insist(save, patience)
        self.durations.add(run.record)
        if is_over:
            with suppress(OSError):  # the next start removes it
                run.job.checkpoint.unlink()
        self.held.pop(run.job.key).claim.close()

    def _record_interrupted(self) -> None:
        if self.overwrite == "all":
            return  # the earlier record is worth more
        for held in self.held.values():
            outcome = RunOutcome("interrupted", started=held.started, epochs=list(held.epochs.values()))
            device = self.engine.device
            record = to_record(held.job.spec, self.prepared, device, outcome)
            with suppress(StoreError):  # it is done already, or the disk is full: neither keeps us from ending
                self.store.save(record, {})

    def _insist(self, action: Callable[[], T], patience: float = PATIENCE_SECONDS) -> T:
        """Do something that writes to the store, again and again for `patience` seconds while it fails."""
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
                self.progress.say("the same command repeats, from its last checkpoint, what could not be stored")
                raise
            waited += RETRY_SECONDS
