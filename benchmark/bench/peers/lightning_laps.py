"""Turns of a library that trains with Lightning: a lap is one of its epochs, which `limit_train_batches` shortens."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from pytorch_lightning import Callback

from benchmark.bench.peers.peer_task import PeerTask
from benchmark.bench.turns import LapLine


@dataclass(eq=False)
class Laps(Callback):  # type: ignore[misc]  # Lightning is not there where types are checked
    """Holds every epoch until it is its turn, and reports it.

    `packages`: those whose versions are reported. `targets_of`: how many next items a batch predicts. `write_vectors`:
    writes those of the task after a lap, where it is judged.
    """

    task: PeerTask
    line: LapLine
    packages: list[str]
    targets_of: Callable[[Any], int]
    write_vectors: Callable[[Any], None]
    targets: int = 0
    clock: float = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Laps:
        return self  # RecTools trains with a copy of its trainer, but there is one line

    def trainer(self) -> dict[str, Any]:
        """Arguments of a trainer that never ends, without logger, checkpoints, progress bar or validation."""
        batches = self.task.batches or 1.0
        silent = dict.fromkeys(["logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"], False)
        limits = {"max_epochs": -1, "limit_train_batches": batches, "callbacks": [self]}
        return {"accelerator": "cpu", "devices": 1, **limits, **silent}

    def on_fit_start(self, trainer: Any, module: Any) -> None:
        """Data and model are there, the optimiser's state is not."""
        self.line.data_is_there()
        self.line.ready(*self.packages)

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
        self.line.lap(seconds, targets=self.targets)
