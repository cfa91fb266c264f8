"""Laps of a library that trains with Lightning: each lap is an epoch, which `limit_train_batches` may shorten."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import Callback

from benchmark.bench.peers.peer_task import PeerTask
from benchmark.bench.turns import LapReporter


@dataclass(eq=False)
class Laps(Callback):  # type: ignore[misc]  # Lightning is not installed where types are checked
    """A callback that holds each epoch until it is the contender's turn, and reports it as a lap.

    `packages`: packages whose versions to report. `targets_of`: counts the next items that a batch predicts.
    `write_vectors`: writes the task's vectors after a lap, if the task is judged.
    """

    task: PeerTask
    reporter: LapReporter
    packages: list[str]
    targets_of: Callable[[Any], int]
    write_vectors: Callable[[Any], None]
    targets: int = 0
    clock: float = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Laps:
        return self  # RecTools trains with a copy of its trainer, but there is only one reporter

    def trainer(self) -> dict[str, Any]:
        """Return the arguments of a trainer that never ends and does nothing besides training."""
        batches = self.task.batches or 1.0
        silent = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
        limits = {"max_epochs": -1, "limit_train_batches": batches, "callbacks": [self]}
        return {"accelerator": "cpu", "devices": 1, **limits, **silent}

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        """Wait for the first turn. The data and the model exist by now, the optimiser's state does not."""
        self.reporter.data_loaded()
        self.reporter.ready(*self.packages)

    def on_train_epoch_start(self, trainer: Any, module: Any) -> None:
        self.targets, self.clock = 0, time.perf_counter()

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        self.targets += self.targets_of(batch)

    def on_train_epoch_end(self, trainer: Any, module: Any) -> None:
        seconds = time.perf_counter() - self.clock
        if self.task.judged:
            module.eval()
            with torch.no_grad():
                self.write_vectors(module)
            module.train()
        self.reporter.lap(seconds, targets=self.targets)
