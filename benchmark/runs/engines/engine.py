"""Where runs execute. An engine takes jobs and hands back finished runs; it neither plans nor stores.

The simplest one, for this process, is here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Protocol

import torch

from benchmark.plan.run_spec import RunSpec
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import News, RunOutcome, execute, to_record
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

ATTEMPTS = 2
"""How many workers may die of a job before that is recorded; the next start tries again."""


@dataclass(frozen=True)
class RunJob:
    """One run to do: its key, its spec, the command that repeats it, and where its state is kept until it ends."""

    key: str
    spec: RunSpec
    command: str
    checkpoint: Path


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended; `arrays` is empty unless it is done."""

    job: RunJob
    record: RunRecord
    arrays: Arrays


OnNews = Callable[[RunJob, News], None]


class Engine(Protocol):
    """Runs jobs on one dataset, some at a time, and yields each as it ends.

    Jobs are taken from the iterable only when there is room for one, so that the caller may stop giving. Closing the
    iterator abandons the runs under way.
    """

    device: torch.device

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute."""
        ...


class InlineEngine:
    """Runs one job after the other in this process, on one device, with one thread."""

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute in order."""
        torch.set_num_threads(1)
        for job in jobs:
            follow = partial(on_news, job)
            yield FinishedRun(job, *execute(job.spec, prepared, self.device, job.command, follow, job.checkpoint))


class JobQueue:
    """The jobs of one `Engine.run`: first those to do again because a worker died, then those that wait."""

    def __init__(self, device: torch.device, jobs: Iterable[RunJob], prepared: Prepared) -> None:
        self.device, self.waiting, self.prepared = device, iter(jobs), prepared
        self.retries: list[RunJob] = []
        self.deaths: Counter[tuple[str, str]] = Counter()

    def next_job(self) -> RunJob | None:
        return self.retries.pop(0) if self.retries else next(self.waiting, None)

    def after_death(
        self, job: RunJob, started: datetime, error: str, cause: str, what: str, limit: int
    ) -> FinishedRun | None:
        """Give the job out again (None), or record its end if `what` it was given to has died `limit` times."""
        self.deaths[job.key, what] += 1
        if self.deaths[job.key, what] < limit:
            self.retries.append(job)
            return None
        message = f"the {what} died in each of {limit} attempts, at last {cause}"
        outcome = RunOutcome("interrupted", started, error={"type": error, "message": message})
        return FinishedRun(job, to_record(job.spec, self.prepared, self.device, job.command, outcome), {})
