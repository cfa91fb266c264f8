"""What methods train on: whole sequences with their indices, and batches of them."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

from datasets.sequences import Batch, Sequences, TwinIndex, shifted_windows, windows

NOISE_STREAM = 20251026
"""Keeps the draws of noise apart from other draws with the same seed."""


@dataclass(frozen=True, eq=False)
class TrainingData:
    """Rows to train on: the training users' sequences in time order, over a catalogue of `n_items` items.

    A row is the whole of a user's sequence, with a next item to predict at every position. Or, with `users` and
    `owners`, it is a prefix of one: row r begins the sequence number `owners[r]` of `users`, and its final item alone
    is to be predicted. `noisy`: the same sequences with some items replaced, if inputs are to be taken from these.
    """

    sequences: Sequences
    n_items: int
    maxlen: int
    noisy: Sequences | None = field(default=None, kw_only=True)
    users: Sequences | None = field(default=None, kw_only=True)
    owners: Tensor | None = field(default=None, kw_only=True)

    @property
    def pad_id(self) -> int:
        """The index after the last item stands for padding."""
        return self.n_items

    @property
    def mask_id(self) -> int:
        """The index after padding stands for a masked item."""
        return self.n_items + 1

    @property
    def by_prefix(self) -> bool:
        """Whether a row is a prefix of a user's sequence."""
        return self.owners is not None

    @cached_property
    def host_owners(self) -> np.ndarray | None:
        return None if self.owners is None else self.owners.cpu().numpy()

    @cached_property
    def trainable(self) -> Tensor:
        """(n,) the rows with an input and a target, that is with two items or more."""
        return torch.nonzero(self.sequences.lengths >= 2).squeeze(1)

    @cached_property
    def inputs(self) -> Sequences:
        """Every sequence without its final item: what both views of Barlow Twins are cut from."""
        return (self.sequences if self.noisy is None else self.noisy).without_last(1)

    @cached_property
    def owned(self) -> Sequences:
        """Each user's distinct items, ascending, all of them whatever the rows are."""
        sequences = self.sequences if self.users is None else self.users
        users, flat = sequences.flatten()
        pairs = torch.unique(users * self.n_items + flat)
        owners = torch.div(pairs, self.n_items, rounding_mode="floor")
        counts = torch.bincount(owners, minlength=len(sequences))
        return Sequences(pairs % self.n_items, counts.cumsum(0) - counts, counts)

    @cached_property
    def someone_owns_all(self) -> bool:
        """Whether some user has every item of the catalogue, so that none is left as a negative."""
        return bool((self.owned.lengths == self.n_items).any())

    def same_target_index(self) -> TwinIndex:
        """Which trainable sequences share their final item; one that is too short to train on is never a twin."""
        final = self.sequences.final_items()
        unique = self.n_items + torch.arange(len(final), device=final.device)
        return TwinIndex.build(torch.where(self.sequences.lengths >= 2, final, unique))

    def batch(self, rows: Tensor, host_rows: np.ndarray | None = None) -> TrainBatch:
        """The training batch of the named sequences, (B,) int64; `host_rows` (B,): the same in host memory, so that
        nothing has to be copied back from a GPU.
        """
        if host_rows is None:
            host_rows = rows.cpu().numpy()
        inputs, targets = shifted_windows(self.sequences, rows, self.maxlen, self.pad_id, host_rows)
        if self.noisy is not None:
            inputs = windows(self.inputs, rows, self.maxlen, self.pad_id, host_rows)
        return TrainBatch(self, rows, host_rows, inputs, targets)

    def with_noise(self, share: float, seed: int) -> TrainingData:
        """The same data with this share of all input positions replaced by uniform random items; the final items of the
        sequences and all targets stay.
        """
        if share == 0:
            return self
        rng = np.random.default_rng([NOISE_STREAM, seed])
        rows, places = self.sequences.without_last(1).positions()
        chosen = places[torch.from_numpy(rng.permutation(len(rows))[: round(share * len(rows))])]
        items = self.sequences.items.clone()
        items[chosen] = torch.from_numpy(rng.integers(0, self.n_items, len(chosen)))
        return replace(self, noisy=replace(self.sequences, items=items))

    def with_prefix_rows(self) -> TrainingData:
        """The same data with a row for every prefix of two items or more, as RecBole and the published code of DuoRec
        and CL4SRec train: a sequence of n items makes n - 1 rows.
        """
        owners, prefixes = self.sequences.prefixes()
        noisy = None if self.noisy is None else replace(prefixes, items=self.noisy.items)
        return replace(self, sequences=prefixes, noisy=noisy, users=self.sequences, owners=owners)

    def to(self, device: torch.device) -> TrainingData:
        noisy, users = (None if each is None else each.to(device) for each in (self.noisy, self.users))
        owners = None if self.owners is None else self.owners.to(device)
        return replace(self, sequences=self.sequences.to(device), noisy=noisy, users=users, owners=owners)


@dataclass(frozen=True, eq=False)
class TrainBatch:
    """B training rows: `rows` (B,) name them, `host_rows` (B,) in host memory too, `inputs` holds all but the last
    item, `targets` (B, L) the next items.
    """

    data: TrainingData
    rows: Tensor
    host_rows: np.ndarray
    inputs: Batch
    targets: Tensor

    @property
    def last_only(self) -> bool:
        """Whether the next item is predicted at each row's last position alone."""
        return self.data.by_prefix

    @property
    def users(self) -> Tensor:
        """(B,) the user of each row, as `TrainingData.owned` counts them."""
        return self.rows if self.data.owners is None else self.data.owners[self.rows]

    @property
    def host_users(self) -> np.ndarray:
        return self.host_rows if self.data.host_owners is None else self.data.host_owners[self.host_rows]

    @cached_property
    def predicted(self) -> tuple[Tensor, Tensor]:
        """Row (T,) and column (T,) of the positions at which the next item is predicted: all real ones, or the last."""
        if self.last_only:
            return torch.arange(len(self.rows), device=self.rows.device), self.inputs.lengths - 1
        return self.inputs.positions

    @cached_property
    def next_items(self) -> Tensor:
        """(T,) the target of every predicted position, in the order of the encoder's states."""
        return self.targets[self.predicted]
