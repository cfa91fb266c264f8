"""Where runs execute. An engine takes jobs and hands back events; it neither plans nor stores."""

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
class Job:
    """One run to do: its key, its spec, the command that regenerates it, and where its state is kept in flight."""

    key: str
    spec: RunSpec
    command: str
    checkpoint: Path | None = None


@dataclass(frozen=True)
class Finished:
    """A run ended; `arrays` is empty unless it is done."""

    job: Job
    record: RunRecord
    arrays: dict[str, np.ndarray]


OnEpoch = Callable[[Job, dict[str, Any]], None]


class Engine(Protocol):
    """Runs jobs on one dataset, some at a time, and yields each as it ends, in whatever order they end.

    Jobs are drawn from the iterable only when there is room for one, so that the caller may stop giving. Closing the
    iterator abandons what is in flight.
    """

    device: torch.device

    def run(self, jobs: Iterable[Job], prepared: Prepared, on_epoch: OnEpoch) -> Generator[Finished]:
        """Execute."""
        ...
