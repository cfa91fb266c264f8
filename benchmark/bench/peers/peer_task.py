"""What a driver in another library's environment is given; and how it serves the bench."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from itertools import islice, pairwise
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from benchmark.bench.turns import LapLine

INTERACTIONS, HISTORIES = "train", "validation.npz"


@dataclass(frozen=True)
class PeerTask:
    """What a driver trains, and on what.

    `folder` holds train/train.inter, tab-separated with the columns user_id:token, item_id:token and timestamp:float
    (which ascends along each user's sequence), and validation.npz with the arrays `items` and `offsets`, the histories
    of the users to validate on, one after the other. Items are numbered from 0 to `n_items` - 1. `model`: what the
    library calls the method. `batches`: how many make a lap; 0: a whole epoch. `judged`: whether the users' and items'
    vectors are written after each lap.
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
    library: str = ""
    model: str = "SASRec"
    batches: int = 0
    seed: int = 0
    judged: bool = False

    @property
    def interactions(self) -> Path:
        return Path(self.folder) / INTERACTIONS / f"{INTERACTIONS}.inter"

    @property
    def vectors(self) -> Path:
        """The file that gets the vectors after each lap."""
        return Path(self.folder) / f"{self.library}-{self.model}.npz"

    @property
    def log(self) -> Path:
        """What the library prints."""
        return Path(self.folder) / f"{self.library}-{self.model}.log"

    def histories(self) -> list[np.ndarray]:
        """The last `maxlen` items of every validation history."""
        with np.load(Path(self.folder) / HISTORIES) as arrays:
            items, offsets = arrays["items"], arrays["offsets"]
        return [items[max(start, end - self.maxlen) : end] for start, end in pairwise(offsets)]

    def padded(self, row_of: np.ndarray, padding: int, at_end: bool) -> tuple[Tensor, Tensor]:
        """The validation histories (N, maxlen) in the library's own numbers, with its `padding` at the end or at the
        front, and their lengths (N,). `row_of` (n_items,): its number for each item, NaN where it has none.
        """
        histories = [row_of[history] for history in self.histories()]
        histories = [history[~np.isnan(history)] for history in histories]
        lengths = torch.tensor([len(history) for history in histories])
        x = torch.full((len(histories), self.maxlen), padding)
        for row, history in zip(x, histories, strict=True):
            row[slice(len(history)) if at_end else slice(self.maxlen - len(history), None)] = torch.from_numpy(history)
        return x, lengths

    def write_vectors(self, users: Tensor, table: Tensor, row_of: np.ndarray) -> None:
        """Those of the users (N, D), and of the items, rows `row_of` (n_items,) of the table, NaN where that is NaN;
        their dot products are the scores.
        """
        items, known = np.full((self.n_items, users.shape[1]), np.nan, dtype=np.float32), ~np.isnan(row_of)
        items[known] = table[row_of[known].astype(int)].numpy()
        np.savez(self.vectors, users=users.numpy(), items=items)

    def laps_of(self, loader: Any) -> Iterator[Iterator[Any]]:
        """The loader's batches, over and over, in portions that make a lap each."""
        batches = (batch for _ in iter(int, 1) for batch in loader)
        while True:
            yield islice(batches, self.batches or len(loader))


def serve(main: Callable[[PeerTask, LapLine], None]) -> None:
    """Run a driver's `main`, which makes laps until it is enough: python DRIVER TASK CONNECTION"""
    task, line = PeerTask(**json.loads(sys.argv[1])), LapLine(Connection(int(sys.argv[2])))
    del sys.argv[1:]  # RecBole would take them for its own
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    line.serve(partial(main, task))
