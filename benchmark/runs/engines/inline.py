"""Runs one job after the other in this process."""

from __future__ import annotations

from collections.abc import Generator, Iterable
from functools import partial

import torch

from benchmark.runs.engines.engine import FinishedRun, OnNews, RunJob
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import execute


class InlineEngine:
    """The simplest engine: this process, on one device, with `threads` threads."""

    def __init__(self, device: torch.device, threads: int = 1) -> None:
        self.device, self.threads = device, threads

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute in order."""
        torch.set_num_threads(self.threads)
        for job in jobs:
            follow = partial(on_news, job)
            record, arrays = execute(job.spec, prepared, self.device, job.command, follow, job.checkpoint)
            yield FinishedRun(job, record, arrays)
