"""The data that is measured on: datasets that are there, and stand-ins of the published sizes for the others."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from benchmark.bench.naive import NaiveTask
from benchmark.plan.config import Configuration
from benchmark.plan.run_spec import TrainingSettings
from datasets import synthetic
from datasets.cases import Cases, Stage
from datasets.download import MissingData
from datasets.protocol import Protocol
from datasets.reading import read_interactions
from datasets.registry import DATASETS, locate
from datasets.sequences import Sequences
from datasets.split import Split, split

SIZES: dict[str, tuple[int, int, int]] = {
    "ml-1m": (6_040, 3_706, 1_000_209),
    "beauty": (22_363, 12_101, 198_502),
    "yelp": (42_429, 137_039, 2_294_707),
    "gowalla": (27_516, 173_511, 2_627_663),
    "kindle-store": (23_684, 96_830, 1_256_065),
}
"""Users, items and interactions of a stand-in; those of the last three are published after filtering."""

QUICK_SIZE = (300, 200, 6_000)
STEPS = 2  # batches in a lap


@dataclass(frozen=True, eq=False)
class BenchData:
    """A split dataset; `synthetic`: whether it is generated."""

    name: str
    title: str
    synthetic: bool
    split: Split

    def training(self, recipe: Recipe, steps: int | None = None) -> TrainingLoad:
        """All rows that the recipe trains on, or `steps` batches of them."""
        train, n_items, maxlen = self.split.train, self.split.n_items, recipe.encoder.maxlen
        if steps is None:
            return whole_load(train, n_items, maxlen)
        return training_load(train, n_items, maxlen, recipe.training.batch_size, steps)

    def evaluation(self, stage: Stage, encoder: EncoderSettings) -> EvaluationLoad:
        return EvaluationLoad(self.split.cases(stage), self.split.n_items, encoder)

    def about(self, recipe: Recipe) -> dict[str, int]:
        """What a table says of training on it."""
        sizes = {"batch_size": recipe.training.batch_size, "items": self.split.n_items}
        return sizes | {"maxlen": recipe.encoder.maxlen}


def load(name: str, data_dir: Path, quick: bool, notify: Callable[[str], None]) -> BenchData:
    """The dataset, split by the released protocol, or its stand-in. Raises DataError if its file cannot be used."""
    dataset, size = DATASETS[name], QUICK_SIZE if quick else SIZES[name]
    if not quick:
        try:
            interactions = read_interactions(locate(dataset, data_dir), dataset)
            protocol = Protocol(filter=dataset.released_filter, ties="file")
            return BenchData(name, dataset.title, False, split(interactions, protocol))
        except MissingData:
            notify(f"{name}: no file in the data directory; measured on a synthetic stand-in of {size[2]:,} rows")
    return BenchData(name, dataset.title, True, split(synthetic.stand_in(*size), Protocol(ties="file")))


@dataclass(frozen=True, eq=False)
class TrainingLoad(TrainingData):
    """All sequences, so that indices and statistics are the real ones; only the `rows` (n,) are trained on in a lap."""

    rows: Tensor

    @cached_property
    def trainable(self) -> Tensor:
        return self.rows

    def targets(self, rows: Tensor) -> int:
        """How many next items an epoch over these rows (n,) predicts."""
        return int((self.sequences.lengths[rows] - 1).clamp(0, self.maxlen).sum())

    def targets_of_epoch(self, batch_size: int) -> int:
        """How many of them the training loop learns from in an epoch, on average: it leaves an incomplete batch out."""
        rows = len(self.rows)
        return round(self.targets(self.rows) * max(rows // batch_size * batch_size, min(rows, batch_size)) / rows)

    def to(self, device: torch.device) -> TrainingLoad:
        return replace(self, sequences=self.sequences.to(device), rows=self.rows.to(device))


def training_load(train: Sequences, n_items: int, maxlen: int, batch_size: int, steps: int) -> TrainingLoad:
    """`steps` batches of random rows; at least one batch, which may be incomplete."""
    whole = whole_load(train, n_items, maxlen)
    order = np.random.default_rng(0).permutation(len(whole.rows))
    count = min(steps, max(len(order) // batch_size, 1)) * batch_size
    return replace(whole, rows=whole.rows[torch.from_numpy(order[:count])])


def whole_load(train: Sequences, n_items: int, maxlen: int) -> TrainingLoad:
    """All rows that can be trained on, in their order."""
    return TrainingLoad(train, n_items, maxlen, TrainingData(train, n_items, maxlen).trainable)


def random_sequences(count: int, length: int, n_items: int) -> Sequences:
    """`count` sequences of `length` uniformly drawn items."""
    items = np.random.default_rng(0).integers(n_items, size=count * length)
    return Sequences.from_arrays(items, np.arange(count + 1) * length)


@dataclass(frozen=True, eq=False)
class EvaluationLoad:
    """Cases to rank, over a catalogue of `n_items` items, and the encoder that scores them."""

    cases: Cases
    n_items: int
    encoder: EncoderSettings


def random_cases(users: int, length: int, n_items: int) -> Cases:
    """Histories of `length` uniformly drawn items and a target of the same kind."""
    sequences = random_sequences(users, length + 1, n_items)
    return Cases(sequences.without_last(1), sequences.final_items())


def final_items(count: int) -> np.ndarray:
    """(count,) int64 final items by Zipf's law, an item for every eight sequences: groups are as in real data."""
    n_items = max(count // 8, 2)
    weights = 1.0 / (np.arange(n_items) + synthetic.ZIPF_OFFSET)
    return np.random.default_rng(0).choice(n_items, size=count, p=weights / weights.sum())


@dataclass(frozen=True)
class Recipe:
    """A method of the registry with everything that its training needs, apart from data."""

    method: str
    settings: Any
    encoder: EncoderSettings
    training: TrainingSettings

    def lasting(self, epochs: int) -> Recipe:
        """The same for this number of epochs, without an early stop."""
        return replace(self, training=replace(self.training, epochs=epochs, patience=epochs))

    @property
    def usual_task(self) -> NaiveTask | None:
        """What the usual way trains; None for methods that `naive` does not have."""
        match self.method:
            case "sasrec-bce":
                return NaiveTask("bce", self.settings.objective.negatives)
            case "sasrec-ce":
                return NaiveTask("ce")
            case "btsr-ce":
                return NaiveTask("ce", alpha=self.settings.alpha, lambd=self.settings.lambd)
        return None


def recipe(method: str, data: BenchData, maxlen: int) -> Recipe:
    """As a run of the profile `paper` with equal hyper-parameters would train it, but with this `maxlen`."""
    configuration = Configuration(data.name, "equal", "paper", [f"encoder.maxlen={maxlen}"])
    spec = configuration.spec(data.title, data.synthetic, Protocol(), method, seed=0)
    return Recipe(method, _steady(spec.settings), spec.encoder, spec.training)


def plain_recipe(method: str, maxlen: int, batch_size: int) -> Recipe:
    """The method's defaults, for generated catalogues."""
    settings = METHODS[method].settings
    return Recipe(method, _steady(settings), EncoderSettings(maxlen=maxlen), TrainingSettings(batch_size=batch_size))


def _steady(settings: Any) -> Any:
    """What a method refreshes after some epochs is there after the first, the warm-up; before, it would cost less."""
    return replace(settings, refresh_after=(1,)) if hasattr(settings, "refresh_after") else settings
