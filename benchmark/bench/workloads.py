"""The data to measure on: datasets that are present, and synthetic stand-ins of the published sizes for the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from baselines.training_data import TrainingData
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import UNKNOWN
from benchmark.plan.run_spec import RunSpec
from datasets import synthetic
from datasets.cases import Cases
from datasets.download import MissingData
from datasets.protocol import Protocol
from datasets.registry import DATASETS, locate, read_interactions
from datasets.sequences import Sequences
from datasets.split import Split, split

SIZES: dict[str, tuple[int, int, int]] = {
    "ml-1m": (6_040, 3_706, 1_000_209),
    "beauty": (22_363, 12_101, 198_502),
    "yelp": (42_429, 137_039, 2_294_707),
    "gowalla": (27_516, 173_511, 2_627_663),
    "kindle-store": (23_684, 96_830, 1_256_065),
}
"""Users, items and interactions of a stand-in. For the last three these are the published sizes after filtering."""

QUICK_SIZE = (300, 200, 6_000)


@dataclass(frozen=True, eq=False)
class BenchData:
    """A split dataset; `synthetic`: whether it is generated."""

    name: str
    title: str
    synthetic: bool
    split: Split

    def training(self, spec: RunSpec, steps: int | None = None) -> TrainingLoad:
        """Return the `training_load` for the sequence length and batch size of a run."""
        maxlen, batch_size = spec.encoder.maxlen, spec.training.batch_size
        return training_load(self.split.train, self.split.n_items, maxlen, batch_size, steps)

    def about(self, batch_size: int, maxlen: int) -> dict[str, int]:
        """Describe training on this data for a table."""
        return {"batch_size": batch_size, "items": self.split.n_items, "maxlen": maxlen}


def load(name: str, ties: str, data_dir: Path, quick: bool, notify: Callable[[str], None]) -> BenchData:
    """Read and split a dataset by the released protocol, or generate its stand-in if its file is missing.

    `ties`: the order of simultaneous events, as in Protocol. Raises DataError if the file cannot be used.
    """
    dataset, size = DATASETS[name], QUICK_SIZE if quick else SIZES[name]
    if not quick:
        try:
            interactions = read_interactions(locate(dataset, data_dir), dataset)
            protocol = Protocol(filter=dataset.released_filter, ties=ties)
            return BenchData(name, dataset.title, False, split(interactions, protocol))
        except MissingData:
            notify(f"{name}: no file in the data directory; measured on a synthetic stand-in of {size[2]:,} rows")
    return BenchData(name, dataset.title, True, split(synthetic.generate(*size), Protocol(ties=ties)))


@dataclass(frozen=True, eq=False)
class TrainingLoad(TrainingData):
    """Training data of which a lap trains only on `rows` (n,), with the indices and statistics of all of it."""

    rows: Tensor

    @cached_property
    def trainable(self) -> Tensor:
        return self.rows

    def targets(self, rows: Tensor) -> int:
        """Count the next items that an epoch over these rows (n,) predicts."""
        return int((self.sequences.lengths[rows] - 1).clamp(0, self.maxlen).sum())

    def targets_of_epoch(self, batch_size: int) -> int:
        """Count the targets of an epoch of the training loop, on average: it drops an incomplete last batch."""
        rows = len(self.rows)
        return round(self.targets(self.rows) * max(rows // batch_size * batch_size, min(rows, batch_size)) / rows)

    def to(self, device: torch.device) -> TrainingLoad:
        return replace(self, sequences=self.sequences.to(device), rows=self.rows.to(device))


def training_load(
    train: Sequences, n_items: int, maxlen: int, batch_size: int, steps: int | None = None
) -> TrainingLoad:
    """Return all trainable rows, or `steps` random batches of them; at least one batch, which may be incomplete."""
    rows = TrainingData(train, n_items, maxlen).trainable
    if steps is not None:
        order = np.random.default_rng(0).permutation(len(rows))
        rows = rows[torch.from_numpy(order[: min(steps, max(len(order) // batch_size, 1)) * batch_size])]
    return TrainingLoad(train, n_items, maxlen, rows)


def random_sequences(count: int, length: int, n_items: int) -> Sequences:
    """Draw `count` sequences of `length` uniform random items."""
    items = np.random.default_rng(0).integers(n_items, size=count * length)
    return Sequences.from_arrays(items, np.arange(count + 1) * length)


def random_cases(users: int, length: int, n_items: int) -> Cases:
    """Draw a history of `length` uniform random items and a target for each user."""
    sequences = random_sequences(users, length + 1, n_items)
    return Cases(sequences.without_last(1), sequences.final_items())


def random_final_items(count: int) -> np.ndarray:
    """Draw the final items, (count,) int64, of `count` sequences from a catalogue of the same size, by Zipf's law."""
    weights = 1.0 / (np.arange(count) + synthetic.ZIPF_OFFSET)
    return np.random.default_rng(0).choice(count, size=count, p=weights / weights.sum())


def recipe(method: str, dataset: str, maxlen: int, batch_size: int | None = None) -> RunSpec:
    """Specify a run of the profile `paper` with equal hyper-parameters, but this `maxlen` and perhaps `batch_size`.

    A method that refreshes something after some epochs does so after the first one, the warm-up. Its laps before that
    would be too cheap.
    """
    assignments = [f"encoder.maxlen={maxlen}"] + ([f"training.batch_size={batch_size}"] if batch_size else [])
    spec = Configuration(dataset, "equal", "paper", assignments).spec(UNKNOWN, method, seed=0)
    changes = {"refresh_after": (1,)} if hasattr(spec.settings, "refresh_after") else {}
    return replace(spec, settings=replace(spec.settings, **changes))


def lasting(spec: RunSpec, epochs: int) -> RunSpec:
    """Return the run with this number of epochs and no early stopping."""
    return replace(spec, training=replace(spec.training, epochs=epochs, patience=epochs))
