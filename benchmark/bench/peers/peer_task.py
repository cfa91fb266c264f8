"""What a driver in another library's environment is given; and how it serves the bench."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from itertools import pairwise
from multiprocessing.connection import Connection
from pathlib import Path

import numpy as np
import torch

from benchmark.bench.lap_line import LapLine

INTERACTIONS, HISTORIES = "train", "validation.npz"


@dataclass(frozen=True)
class PeerTask:
    """What a driver trains, and on what.

    `folder` holds train/train.inter, tab-separated with the columns user_id:token, item_id:token and timestamp:float
    (which ascends along each user's sequence), and validation.npz with the arrays `items` and `offsets`, the histories
    of the users to validate on, one after the other. Items are numbered from 0 to `n_items` - 1. `name`: the
    contender's. `batches`: how many make a lap; 0: a whole epoch. `judged`: whether the users' and items' vectors are
    written after each lap.
    """

    folder: str
    n_items: int
    maxlen: int
    width: int
    blocks: int
    heads: int
    dropout: float
    learning_rate: float
    batch_size: int
    name: str = ""
    batches: int = 0
    threads: int = 1
    seed: int = 0
    judged: bool = False

    @classmethod
    def read(cls, path: Path) -> PeerTask:
        """The task in the file that `peers` wrote."""
        return cls(**json.loads(path.read_text(encoding="utf-8")))

    @property
    def vectors(self) -> Path:
        """The file that gets the vectors after each lap."""
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


def serve(main: Callable[[PeerTask, LapLine], None]) -> None:
    """Run a driver's `main`, which makes laps until it is enough: python DRIVER TASK CONNECTION"""
    task, line = PeerTask.read(Path(sys.argv[1])), LapLine(Connection(int(sys.argv[2])))
    del sys.argv[1:]  # RecBole would take them for its own
    torch.set_num_threads(task.threads)
    line.serve(lambda: main(task, line))
