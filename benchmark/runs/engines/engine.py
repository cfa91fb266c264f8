"""Where runs execute. An engine takes jobs and hands back finished runs; it neither plans nor stores."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch

from benchmark.plan.run_spec import RunSpec
from benchmark.runs.preparation import Prepared
from benchmark.store.record import RunRecord


@dataclass(frozen=True)
class RunJob:
    """One run to do: its key, its spec, the command that repeats it, and where its state is kept until it ends."""

    key: str
    spec: RunSpec
    command: str
    checkpoint: Path | None = None


@dataclass(frozen=True)
class FinishedRun:
    """A run that has ended; `arrays` is empty unless it is done."""

    job: RunJob
    record: RunRecord
    arrays: dict[str, np.ndarray]


OnNews = Callable[[RunJob, dict[str, Any] | str], None]
"""Gets the row of each epoch, and in words what a run is doing after the last one."""


class Engine(Protocol):
    """Runs jobs on one dataset, some at a time, and yields each as it ends.

    Jobs are taken from the iterable only when there is room for one, so that the caller may stop giving. Closing the
    iterator abandons the runs under way.
    """

    device: torch.device

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute."""
        ...
