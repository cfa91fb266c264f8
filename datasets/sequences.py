"""Packed sequences: one flat item array and where each sequence lies in it; batches and twins by index arithmetic."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Sequences:
    """n item sequences of any length, sharing one flat array.

    Shapes: `items` (total,) int64; `starts`, `lengths` (n,) int64. Sequence i is `items[starts[i] : starts[i] +
    lengths[i]]`, in time order. Dropping events from the end changes `lengths` alone, so validation and test
    histories cost no copy.
    """

    items: Tensor
    starts: Tensor
    lengths: Tensor

    @classmethod
    def from_arrays(cls, items: np.ndarray, offsets: np.ndarray) -> Sequences:
        """From a flat item array (total,) and offsets (n + 1,): sequence i is `items[offsets[i] : offsets[i + 1]]`."""
        bounds = torch.as_tensor(np.asarray(offsets, dtype=np.int64))
        return cls(torch.as_tensor(np.asarray(items, dtype=np.int64)), bounds[:-1], bounds.diff())

    def __reduce__(self) -> tuple[Any, ...]:
        """Travels to another process by value, as arrays; tensors would stay in memory that the two share."""
        return _from_host, tuple(values.cpu().numpy() for values in (self.items, self.starts, self.lengths))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> Tensor:
        start = int(self.starts[i])
        return self.items[start : start + int(self.lengths[i])]

    @cached_property
    def host_lengths(self) -> np.ndarray:
        """(n,) `lengths` in host memory, fetched once, so that no later question about them stalls a GPU's queue."""
        return self.lengths.cpu().numpy()

    @cached_property
    def longest(self) -> int:
        return int(self.host_lengths.max())

    def without_last(self, k: int) -> Sequences:
        """Every sequence short of its last k items (empty where it had fewer); nothing is copied."""
        return replace(self, lengths=(self.lengths - k).clamp_min(0))

    def final_items(self) -> Tensor:
        """(n,) the last item of each sequence; every sequence must have one."""
        return self.items[self.starts + self.lengths - 1]

    def select(self, rows: Tensor) -> Sequences:
        """The sequences named by `rows` (m,), over the same flat array."""
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])

    def prefixes(self) -> tuple[Tensor, Sequences]:
        """Every prefix that has two items or more, over the same flat array, those of a sequence one after the other by
        length: of which sequence each is one, (P,), and the P prefixes.
        """
        counts = (self.lengths - 1).clamp_min(0)  # (n,)
        rows = torch.arange(len(self), device=counts.device).repeat_interleave(counts)  # (P,)
        before = (counts.cumsum(0) - counts)[rows]  # (P,) how many prefixes the sequences before have
        lengths = torch.arange(len(rows), device=counts.device) - before + 2  # (P,) 2, 3, ... for each sequence
        return rows, Sequences(self.items, self.starts[rows], lengths)

    def positions(self) -> tuple[Tensor, Tensor]:
        """Of every item, row by row, its row and its place in the flat array: (T,), (T,)."""
        before = self.lengths.cumsum(0) - self.lengths
        rows = torch.arange(len(self), device=self.lengths.device).repeat_interleave(self.lengths)
        return rows, (self.starts - before)[rows] + torch.arange(len(rows), device=rows.device)

    def flatten(self) -> tuple[Tensor, Tensor]:
        """Every item with its row: rows (T,), items (T,), row by row."""
        rows, places = self.positions()
        return rows, self.items[places]

    def to(self, device: torch.device) -> Sequences:
        return Sequences(self.items.to(device), self.starts.to(device), self.lengths.to(device))


def _from_host(*arrays: np.ndarray) -> Sequences:
    return Sequences(*map(torch.from_numpy, arrays))


@dataclass(frozen=True, eq=False)
class Batch:
    """B sequences side by side: `items` (B, L) int64, each row's items first and padding after; `lengths` (B,) int64.

    Real items come first, so a causal mask alone keeps every real position from seeing the padding. `total`: the sum of
    the lengths, None where the host does not know it; on a CPU it need not be given. `rows` (B,): which of the
    sequences that they were cut from these are, where that is known.
    """

    items: Tensor
    lengths: Tensor
    total: int | None = None
    rows: Tensor | None = None

    def mask(self) -> Tensor:
        """(B, L) bool, true at real positions."""
        return torch.arange(self.items.shape[1], device=self.items.device) < self.lengths[:, None]

    @cached_property
    def is_dense(self) -> bool:
        """Whether `positions` are all B * L, padding included: a GPU alone knows how many are real."""
        return self.items.is_cuda and self.total is None

    @cached_property
    def starts(self) -> Tensor:
        """(B,) where each row begins among the `positions`."""
        if self.is_dense:
            return torch.arange(len(self.items), device=self.items.device) * self.items.shape[1]
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def positions(self) -> tuple[Tensor, Tensor]:
        """Row (T,) and column (T,) of the real positions, row by row."""
        rows = torch.arange(len(self.items), device=self.items.device)
        if self.is_dense:
            rows = rows.repeat_interleave(self.items.shape[1])
        else:
            rows = rows.repeat_interleave(self.lengths, output_size=self.total)
        return rows, torch.arange(len(rows), device=rows.device) - self.starts[rows]

    @classmethod
    def concatenate(cls, batches: Iterable[Batch], pad_id: int) -> Batch:
        """The rows of all, one below the other, as wide as the widest."""
        batches = list(batches)
        width = max(batch.items.shape[1] for batch in batches)
        padded = [torch.nn.functional.pad(b.items, (0, width - b.items.shape[1]), value=pad_id) for b in batches]
        return cls(torch.cat(padded), torch.cat([batch.lengths for batch in batches]))


def windows(sequences: Sequences, rows: Tensor, maxlen: int, pad_id: int, host_rows: np.ndarray | None = None) -> Batch:
    """The last `maxlen` items of the named sequences, trimmed to the longest of them: B = len(rows), L <= maxlen.

    `host_rows` (B,): the same rows in host memory. A GPU that drew them itself is not asked how long they are: without
    `host_rows`, its batch is as wide as the longest of all sequences and its total unknown.
    """
    lengths = sequences.lengths[rows].clamp_max(maxlen)
    starts = sequences.starts[rows] + sequences.lengths[rows] - lengths
    width, total = _extent(sequences, 0, rows, maxlen, host_rows)
    return Batch(_gather(sequences.items, starts, lengths, width, pad_id), lengths, total, rows)


def shifted_windows(
    sequences: Sequences, rows: Tensor, maxlen: int, pad_id: int, host_rows: np.ndarray | None = None
) -> tuple[Batch, Tensor]:
    """Training inputs and targets: all but the last item, and the same shifted by one, cut to the last `maxlen`.

    Returns the inputs and the targets (B, L), `pad_id` where the input is padding. `host_rows` as in `windows`.
    """
    lengths = (sequences.lengths[rows] - 1).clamp(0, maxlen)
    starts = sequences.starts[rows] + sequences.lengths[rows] - 1 - lengths
    width, total = _extent(sequences, 1, rows, maxlen, host_rows)
    inputs = Batch(_gather(sequences.items, starts, lengths, width, pad_id), lengths, total, rows)
    return inputs, _gather(sequences.items, starts + 1, lengths, width, pad_id)


def _extent(
    sequences: Sequences, dropped: int, rows: Tensor, maxlen: int, host_rows: np.ndarray | None
) -> tuple[int, int | None]:
    """Width and total of a batch of the rows, each short of its last `dropped` items, from what the host knows."""
    if not rows.is_cuda:
        host_rows = rows.numpy()
    if host_rows is None:
        return max(1, min(sequences.longest - dropped, maxlen)), None
    lengths = (sequences.host_lengths[host_rows] - dropped).clip(0, maxlen)
    return max(1, int(lengths.max())), int(lengths.sum())


def _gather(items: Tensor, starts: Tensor, lengths: Tensor, width: int, pad_id: int) -> Tensor:
    columns = torch.arange(width, device=items.device)
    real = columns < lengths[:, None]  # (B, L)
    index = (starts[:, None] + columns).clamp_max(len(items) - 1)
    return torch.where(real, items[index], pad_id)


@dataclass(frozen=True, eq=False)
class TwinIndex:
    """Which sequences share their final item, built by one sort, so that a twin is drawn by arithmetic.

    `order` (n,): rows sorted by final item; `place` (n,): where each row stands in it; `group_starts`, `group_sizes`
    (n,): its group there.
    """

    order: Tensor
    place: Tensor
    group_starts: Tensor
    group_sizes: Tensor

    @classmethod
    def build(cls, final_items: Tensor) -> TwinIndex:
        """From the final item of each of n sequences, (n,) int64, from 0 on; O(n + largest) time and memory."""
        counts = final_items.bincount()
        starts = counts.cumsum(0) - counts
        order = final_items.argsort(stable=True) if final_items.is_cuda else _counting_sort(final_items)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return cls(order, place, starts[final_items], counts[final_items])

    def draw(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """For each row (B,), another one with the same final item, uniformly; the row itself if there is none."""
        others = self.group_sizes[rows] - 1
        draw = torch.rand(len(rows), generator=generator, device=rows.device, dtype=torch.float64)
        step = 1 + (draw * others).long().clamp_max((others - 1).clamp_min(0))
        step = torch.where(others > 0, step, 0)
        start = self.group_starts[rows]
        return self.order[start + (self.place[rows] - start + step) % self.group_sizes[rows]]

    def alone(self, rows: Tensor) -> Tensor:
        """(B,) bool, true where no other sequence ends in the same item."""
        return self.group_sizes[rows] == 1


def _counting_sort(values: Tensor) -> Tensor:
    """Stable argsort of (n,) int64 on the CPU: a sparse matrix's columns come out sorted, in a sixth of sort's time."""
    n, width = len(values), int(values.max()) + 1
    cells = np.empty(n, np.int8), values.numpy().astype(np.int32), np.arange(n + 1, dtype=np.int32)
    return torch.from_numpy(sparse.csr_matrix(cells, (n, width)).tocsc().indices).long()
