"""Small training data for the methods' tests."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from baselines.training_data import TrainingData
from datasets.sequences import Sequences
from tests.baselines.batches import MakeData


@pytest.fixture(scope="session")
def make_data() -> MakeData:
    """Return `make_data(sequences, n_items, maxlen)`, which builds training data from lists of items."""

    def make(sequences: Sequence[Sequence[int]], n_items: int, maxlen: int = 12) -> TrainingData:
        items = np.concatenate([np.asarray(sequence) for sequence in sequences])
        offsets = np.concatenate([[0], np.cumsum([len(sequence) for sequence in sequences])])
        return TrainingData(Sequences.from_arrays(items, offsets), n_items, maxlen)

    return make


@pytest.fixture(scope="session")
def random_data(make_data: MakeData) -> MakeData:
    """Return `random_data(users, n_items, maxlen, seed)`: sequences of 2 to 1.5 maxlen random items, with repeats."""

    def make(users: int = 24, n_items: int = 30, maxlen: int = 12, seed: int = 0) -> TrainingData:
        rng = np.random.default_rng(seed)
        lengths = rng.integers(2, maxlen + maxlen // 2, users)
        return make_data([rng.integers(0, n_items, length) for length in lengths], n_items, maxlen)

    return make
