"""The data that methods train on: sequences with their indices, and batches of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from datasets.sequences import Batch, Sequences, TwinIndex, shifted_targets, windows

NOISE_STREAM = 20251026
"""Makes the noise independent of other draws from the same seed."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """The rows to train on, over a catalogue of `n_items` items.

    By default a row is a user's whole sequence in time order, and the next item is predicted at every position. With
    `user_sequences` and `row_users`, row r is instead a prefix of the sequence of user `row_users[r]`, and only its
    final item is predicted.
    """

    sequences: Sequences
    n_items: int
    maxlen: int
    noisy: Sequences | None = field(default=None, kw_only=True)  # with some items replaced; inputs come from these
    user_sequences: Sequences | None = field(default=None, kw_only=True)
    row_users: Tensor | None = field(default=None, kw_only=True)

    @property
    def pad_id(self) -> int:
        """The index of padding, the first one after the items."""
        return self.n_items

    @property
    def mask_id(self) -> int:
        """The index of a masked item, the one after padding."""
        return self.n_items + 1

    @property
    def by_prefix(self) -> bool:
        """Whether rows are prefixes of the users' sequences."""
        return self.row_users is not None

    @cached_property
    def host_row_users(self) -> np.ndarray:
        assert self.row_users is not None
        return self.row_users.cpu().numpy()

    @cached_property
    def trainable(self) -> Tensor:
        """(n,) the rows with at least two items, that is, with an input and a target."""
        return torch.nonzero(self.sequences.lengths >= 2).squeeze(1)

    @cached_property
    def inputs(self) -> Sequences:
        """Every row, noisy if there is noise, without its final item."""
        return (self.sequences if self.noisy is None else self.noisy).without_last(1)

    @cached_property
    def user_items(self) -> Sequences:
        """Each user's distinct items over their whole sequence, in ascending order."""
        sequences = self.sequences if self.user_sequences is None else self.user_sequences
        users, flat = sequences.flatten()
        pairs = torch.unique(users * self.n_items + flat)
        owners = torch.div(pairs, self.n_items, rounding_mode="floor")
        counts = torch.bincount(owners, minlength=len(sequences))
        return Sequences(pairs % self.n_items, counts.cumsum(0) - counts, counts)

    @cached_property
    def has_user_with_all_items(self) -> bool:
        """Whether some user has the entire catalogue, so that no negatives can be drawn for them."""
        return bool((self.user_items.lengths == self.n_items).any())

    def same_target_index(self) -> TwinIndex:
        """Group the rows by final item. Rows that are too short to train on have no twins and are never twins."""
        final = self.sequences.final_items()
        unique = self.n_items + torch.arange(len(final), device=final.device)
        return TwinIndex.build(torch.where(self.sequences.lengths >= 2, final, unique))

    def batch(self, rows: Tensor, host_rows: np.ndarray | None = None) -> TrainBatch:
        """Return the training batch of `rows`, (B,) int64.

        `host_rows` is the same array in host memory; with it, nothing has to be copied back from a GPU.
        """
        if host_rows is None:
            host_rows = rows.cpu().numpy()
        inputs = windows(self.inputs, rows, self.maxlen, self.pad_id, host_rows)
        return TrainBatch(self, rows, host_rows, inputs, shifted_targets(self.sequences, rows, inputs, self.pad_id))

    def with_noise(self, share: float, seed: int) -> TrainingData:
        """Replace this share of all input positions by uniformly random items; targets stay as they are."""
        if share == 0:
            return self
        rng = np.random.default_rng([NOISE_STREAM, seed])
        rows, places = self.sequences.without_last(1).positions()
        chosen = places[torch.from_numpy(rng.permutation(len(rows))[: round(share * len(rows))])]
        items = self.sequences.items.clone()
        items[chosen] = torch.from_numpy(rng.integers(0, self.n_items, len(chosen)))
        return replace(self, noisy=replace(self.sequences, items=items))

    def with_prefix_rows(self) -> TrainingData:
        """Make a row of every prefix of two or more items, n - 1 rows for a sequence of n items.

        RecBole and the published code of DuoRec and CL4SRec train on such rows.
        """
        row_users, prefixes = self.sequences.prefixes()
        noisy = None if self.noisy is None else replace(prefixes, items=self.noisy.items)
        return replace(self, sequences=prefixes, noisy=noisy, user_sequences=self.sequences, row_users=row_users)

    def to(self, device: torch.device) -> TrainingData:
        tensors = {name: getattr(self, name) for name in ("sequences", "noisy", "user_sequences", "row_users")}
        return replace(self, **{name: value.to(device) for name, value in tensors.items() if value is not None})


@dataclass(frozen=True, eq=False)
class TrainBatch:
    """B training rows."""

    data: TrainingData
    rows: Tensor  # (B,) int64, indices into `data`
    host_rows: np.ndarray  # (B,) the same in host memory
    inputs: Batch  # all but the last item of each row
    targets: Tensor  # (B, L) the next item at each input position

    @property
    def last_only(self) -> bool:
        """Whether only the last position of each row is predicted."""
        return self.data.by_prefix

    @property
    def users(self) -> tuple[Tensor, np.ndarray]:
        """(B,) the user of each row, an index into `TrainingData.user_items`, and the same in host memory."""
        if self.data.row_users is None:
            return self.rows, self.host_rows
        return self.data.row_users[self.rows], self.data.host_row_users[self.host_rows]

    @cached_property
    def predicted(self) -> tuple[Tensor, Tensor]:
        """Row (T,) and column (T,) of the predicted positions: all real ones, or the last one of each row."""
        if self.last_only:
            return torch.arange(len(self.rows), device=self.rows.device), self.inputs.lengths - 1
        return self.inputs.positions

    @cached_property
    def next_items(self) -> Tensor:
        """(T,) the target at each predicted position, in the order of the encoder's states."""
        return self.targets[self.predicted]
