"""Where runs execute. An engine takes jobs and hands back finished runs; it neither plans nor stores.

The simplest one, for this process, is here, and what engines with workers have in common.
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

ATTEMPTS = 2
"""How many workers may die of a job before that is recorded; the next start tries again."""


@dataclass(frozen=True)
class RunJob:
    """One run to do: its key, its spec, and where its state is kept until it ends."""

    key: str
    spec: RunSpec
    checkpoint: Path


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended; `arrays` is empty unless it is done."""

    job: RunJob
    record: RunRecord
    arrays: Arrays


OnNews = Callable[[RunJob, News], None]


class Engine(ABC):
    """Runs jobs on one dataset, some at a time, and yields each as it ends."""

    device: torch.device

    @abstractmethod
    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute. Jobs are taken only when there is room for one, so that the caller may stop giving.

        Closing the iterator abandons the runs under way.
        """


class InlineEngine(Engine):
    """Runs one job after the other in this process, on one device, with one thread."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute in order."""
        torch.set_num_threads(1)
        for job in jobs:
            follow = partial(on_news, job)
            yield FinishedRun(job, *execute(job.spec, prepared, self.device, follow, job.checkpoint))


@dataclass(frozen=True)
class Death:
    """How a worker ended without a result: the error's type, its cause in words, and what died.

    A job is given up after `limit` deaths of the same kind.
    """

    error: str
    cause: str
    what: str
    limit: int


class WorkerEngine(Engine):
    """Gives each job to a worker, whatever that is. If one dies, its job is given out again, before all others."""

    @abstractmethod
    def room(self) -> int:
        """How many jobs may be under way."""

    @abstractmethod
    def start(self, job: RunJob, prepared: Prepared) -> Any:
        """Give a job to a worker, and return that."""

    @abstractmethod
    def ready(self, workers: Collection[Any]) -> Iterable[Any]:
        """The workers that have a message or are dead; waits for one, but perhaps not for ever."""

    @abstractmethod
    def receive(self, worker: Any) -> tuple[str, Any]:
        """The worker's next message: ("news", ...), ("checkpoint", bytes), ("finished", record and arrays), or
        ("dead", Death). The last two end its work on the job.
        """

    @abstractmethod
    def stop(self, worker: Any) -> None:
        """End a worker that is at work."""

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute as many at a time as there is room for."""
        waiting, again = iter(jobs), list[RunJob]()
        deaths: Counter[tuple[str, str]] = Counter()
        under_way: dict[Any, tuple[RunJob, datetime]] = {}
        try:
            while True:
                while len(under_way) < self.room() and (job := again.pop(0) if again else next(waiting, None)):
                    under_way[self.start(job, prepared)] = job, datetime.now(UTC)
                if not under_way:
                    return
                for worker in self.ready(under_way):
                    job, started = under_way[worker]
                    kind, content = self.receive(worker)
                    if kind == "news":
                        on_news(job, content)
                    elif kind == "checkpoint":
                        Checkpoint(job.checkpoint).keep(content)
                    else:
                        del under_way[worker]
                    if kind == "finished":
                        yield FinishedRun(job, *content)
                    elif kind == "dead":
                        deaths[job.key, content.what] += 1
                        if deaths[job.key, content.what] < content.limit:
                            again.append(job)
                        else:
                            yield self._given_up(job, prepared, started, content)
        finally:
            for worker in under_way:
                self.stop(worker)

    def _given_up(self, job: RunJob, prepared: Prepared, started: datetime, death: Death) -> FinishedRun:
        message = f"the {death.what} died in each of {death.limit} attempts, at last {death.cause}"
        outcome = RunOutcome("interrupted", started, error={"type": death.error, "message": message})
        return FinishedRun(job, to_record(job.spec, prepared, self.device, outcome), {})
