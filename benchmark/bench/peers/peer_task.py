"""The task that a driver gets in another library's environment, and how the driver serves the bench."""

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

from benchmark.bench.turns import LapReporter

INTERACTIONS, HISTORIES = "train", "validation.npz"


@dataclass(frozen=True)
class PeerTask:
    """What a driver trains.

    `folder` holds train/train.inter, tab-separated with the columns user_id:token, item_id:token and timestamp:float,
    which ascends along each user's sequence. It also holds validation.npz with the concatenated histories of the
    validation users, `items`, and their `offsets`. Items are numbered from 0 to `n_items` - 1.

    `model`: the library's name of the method. `batches`: batches per lap, 0 for a whole epoch. `judged`: whether to
    write the vectors of users and items after each lap.
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
        """The file to write the vectors to after each lap."""
        return Path(self.folder) / f"{self.library}-{self.model}.npz"

    @property
    def log(self) -> Path:
        """The file that gets everything the library prints."""
        return Path(self.folder) / f"{self.library}-{self.model}.log"

    def histories(self) -> list[np.ndarray]:
        """Return the last `maxlen` items of every validation history."""
        with np.load(Path(self.folder) / HISTORIES) as arrays:
            items, offsets = arrays["items"], arrays["offsets"]
        return [items[max(start, end - self.maxlen) : end] for start, end in pairwise(offsets)]

    def padded(self, row_of: np.ndarray, padding: int, at_end: bool) -> tuple[Tensor, Tensor]:
        """Return the validation histories (N, maxlen) in the library's item numbers, and their lengths (N,).

        `row_of` (n_items,): the library's number of each item, NaN if it has none. `padding`: its number for padding,
        which goes to the end or to the front.
        """
        histories = [row_of[history] for history in self.histories()]
        histories = [history[~np.isnan(history)] for history in histories]
        lengths = torch.tensor([len(history) for history in histories])
        x = torch.full((len(histories), self.maxlen), padding)
        for row, history in zip(x, histories, strict=True):
            row[slice(len(history)) if at_end else slice(self.maxlen - len(history), None)] = torch.from_numpy(history)
        return x, lengths

    def write_vectors(self, users: Tensor, table: Tensor, row_of: np.ndarray) -> None:
        """Write the vectors whose dot products are the scores: of the users (N, D), and of the items, which are the
        rows `row_of` (n_items,) of the `table`, or NaN where `row_of` is NaN.
        """
        items, known = np.full((self.n_items, users.shape[1]), np.nan, dtype=np.float32), ~np.isnan(row_of)
        items[known] = table[row_of[known].astype(int)].numpy()
        np.savez(self.vectors, users=users.numpy(), items=items)

    def laps_of(self, loader: Any) -> Iterator[Iterator[Any]]:
        """Yield the loader's batches without end, grouped into laps."""
        batches = (batch for _ in iter(int, 1) for batch in loader)
        while True:
            yield islice(batches, self.batches or len(loader))


def serve(main: Callable[[PeerTask, LapReporter], None]) -> None:
    """Run a driver's `main`, which makes laps until it is stopped: python DRIVER TASK CONNECTION"""
    task, reporter = PeerTask(**json.loads(sys.argv[1])), LapReporter(Connection(int(sys.argv[2])))
    del sys.argv[1:]  # RecBole would parse them as its own
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    reporter.serve(partial(main, task))
