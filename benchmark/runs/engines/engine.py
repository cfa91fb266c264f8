"""Engines execute runs: they take jobs and return finished runs, but neither plan nor store them.

This module has the base class, the engine for this process, and the base of engines with several workers.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Generator, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch

from benchmark.plan.run_spec import RunSpec
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import News, RunOutcome, execute, to_record
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

ATTEMPTS = 2  # workers that may die while executing a job before its run is recorded as interrupted


@dataclass(frozen=True)
class RunJob:
    """One run to execute. `checkpoint`: the file for its state."""

    key: str
    spec: RunSpec
    checkpoint: Path


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended. `arrays` is empty unless it is done."""

    job: RunJob
    record: RunRecord
    arrays: Arrays


OnNews = Callable[[RunJob, News], None]


class Engine(ABC):
    """Executes jobs on one dataset."""

    device: torch.device

    @abstractmethod
    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute the jobs and yield each run when it ends. Closing the generator abandons the active runs.

        A job is taken from the iterator only when it can start right away, so the caller can stop at any time.
        """


class InlineEngine(Engine):
    """Executes one job after the other in this process, with one thread."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        torch.set_num_threads(1)
        for job in jobs:
            follow = partial(on_news, job)
            yield FinishedRun(job, *execute(job.spec, prepared, self.device, follow, Checkpoint(job.checkpoint)))


@dataclass(frozen=True)
class Death:
    """A worker ended without a result. `error`: the error's type; `cause`: its cause; `what`: "worker" or "node".

    A job is given up after `limit` deaths of the same kind.
    """

    error: str
    cause: str
    what: str
    limit: int


class WorkerEngine(Engine):
    """Gives each job to a worker. If a worker dies, its job is started again before any other."""

    @abstractmethod
    def room(self) -> int:
        """Return how many jobs may be active at a time."""

    @abstractmethod
    def start(self, job: RunJob, prepared: Prepared) -> Any:
        """Start a job and return its worker."""

    @abstractmethod
    def ready(self, workers: Collection[Any]) -> Iterable[Any]:
        """Wait, perhaps with a timeout, for workers that have sent a message or died, and return them."""

    @abstractmethod
    def receive(self, worker: Any) -> tuple[str, Any]:
        """Return a worker's next message: ("news", News), ("checkpoint", bytes), ("finished", (record, arrays)) or
        ("dead", Death). After the last two the worker no longer works on the job.
        """

    @abstractmethod
    def stop(self, worker: Any) -> None:
        """Stop a worker in the middle of its job."""

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        waiting, again = iter(jobs), list[RunJob]()
        deaths: Counter[tuple[str, str]] = Counter()
        active: dict[Any, tuple[RunJob, datetime]] = {}
        try:
            while True:
                while len(active) < self.room() and (job := again.pop(0) if again else next(waiting, None)):
                    active[self.start(job, prepared)] = job, datetime.now(UTC)
                if not active:
                    return
                for worker in self.ready(active):
                    job, started = active[worker]
                    kind, content = self.receive(worker)
                    if kind == "news":
                        on_news(job, content)
                    elif kind == "checkpoint":
                        Checkpoint(job.checkpoint).write(content)
                    else:
                        del active[worker]
                    if kind == "finished":
                        yield FinishedRun(job, *content)
                    elif kind == "dead":
                        deaths[job.key, content.what] += 1
                        if deaths[job.key, content.what] < content.limit:
                            again.append(job)
                        else:
                            yield self._given_up(job, prepared, started, content)
        finally:
            for worker in active:
                self.stop(worker)

    def _given_up(self, job: RunJob, prepared: Prepared, started: datetime, death: Death) -> FinishedRun:
        message = f"the {death.what} died in each of {death.limit} attempts, at last {death.cause}"
        outcome = RunOutcome("interrupted", started, error={"type": death.error, "message": message})
        return FinishedRun(job, to_record(job.spec, prepared, self.device, outcome), {})
