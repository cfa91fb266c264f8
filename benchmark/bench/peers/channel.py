"""The side of a contender that runs in another environment: told "go" or "stop", it answers in JSON lines.

It knows nothing of the suite but how memory is measured, and needs nothing but torch and numpy. First it sends
{"about": ...}; for every "go" it then makes a lap and sends {"seconds": ..., "targets": ...}; for "stop" it sends
{"peak": ..., "added": ...}, bytes, and ends.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path
from platform import python_version
from typing import Any

import numpy as np
import torch

from benchmark.runs.environment import peak_memory, reset_peak_memory

CPU = torch.device("cpu")
INTERACTIONS, HISTORIES = "train", "validation.npz"


@dataclass(frozen=True)
class Job:
    """What a driver is to train, and on what.

    `folder` holds train/train.inter, tab-separated with the columns user_id:token, item_id:token and timestamp:float
    (the place in the user's sequence), and validation.npz with the arrays `items` and `offsets`, the histories of the
    users to validate on, one after the other. Items are numbered from 0 to `n_items` - 1. `name`: the contender's.
    `batches`: how many make a lap; 0: a whole epoch. `judged`: whether the users' and items' vectors are written after
    each lap.
    """

    folder: str
    name: str
    n_items: int
    maxlen: int
    width: int
    blocks: int
    heads: int
    dropout: float
    learning_rate: float
    betas: tuple[float, float]
    batch_size: int
    batches: int
    threads: int
    seed: int
    judged: bool

    @classmethod
    def read(cls, path: Path) -> Job:
        """As `launch` wrote it."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def vectors(self) -> Path:
        """The file of the last lap's vectors."""
        return Path(self.folder) / f"{self.name}.vectors.npz"

    def histories(self) -> list[np.ndarray]:
        """The last `maxlen` items of every validation history."""
        with np.load(Path(self.folder) / HISTORIES) as arrays:
            items, offsets = arrays["items"], arrays["offsets"]
        return [items[max(start, end - self.maxlen) : end] for start, end in pairwise(offsets)]

    def write_vectors(self, users: np.ndarray, items: np.ndarray) -> None:
        """`users` (N, D) and `items` (n_items, D), whose dot products are the scores; NaN for items that the model
        does not have.
        """
        np.savez(self.vectors, users=users, items=items)


class Channel:
    """Standard input and output; what others print goes to standard error."""

    def __init__(self) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends us
        self._answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
        os.dup2(2, 1)
        self._before = 0
        self._clock = 0.0

    def __deepcopy__(self, memo: dict[int, Any]) -> Channel:
        return self  # there is one standard output

    def data_is_there(self) -> None:
        """From here on memory counts as added."""
        reset_peak_memory(CPU)
        self._before = peak_memory(CPU)

    def ready(self, packages: list[str], settings: dict[str, Any]) -> None:
        """Say with which versions of the packages and with which settings the laps will be made."""
        versions = {"python": python_version()} | {package: version(package) for package in packages}
        self._send({"about": {"versions": versions, "settings": settings}})

    def turn(self) -> None:
        """Wait for it, then start the clock. Raises SystemExit when there is none."""
        if sys.stdin.readline().strip() != "go":
            peak = peak_memory(CPU)
            self._send({"peak": peak, "added": peak - self._before})
            raise SystemExit
        self._clock = time.perf_counter()

    def seconds(self) -> float:
        """Since the turn began."""
        return time.perf_counter() - self._clock

    def lap(self, seconds: float, targets: int, **more: float) -> None:
        """Say what was done: so many next items were predicted and learnt from."""
        self._send({"seconds": seconds, "targets": targets, **more})

    def _send(self, answer: dict[str, Any]) -> None:
        self._answers.write(json.dumps(answer) + "\n")
        self._answers.flush()
