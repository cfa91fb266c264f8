"""Item sequences packed into one flat array, padded batches of them, and an index of twins."""

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
    """n item sequences of any length that share one flat array.

    Sequence i is `items[starts[i] : starts[i] + lengths[i]]`, in time order. Dropping events from the end only changes
    `lengths`, so validation and test histories need no copy.
    """

    items: Tensor  # (total,) int64
    starts: Tensor  # (n,) int64
    lengths: Tensor  # (n,) int64

    @classmethod
    def from_arrays(cls, items: np.ndarray, offsets: np.ndarray) -> Sequences:
        """Build from `items` (total,) and `offsets` (n + 1,): sequence i is `items[offsets[i] : offsets[i + 1]]`."""
        bounds = torch.as_tensor(np.asarray(offsets, dtype=np.int64))
        return cls(torch.as_tensor(np.asarray(items, dtype=np.int64)), bounds[:-1], bounds.diff())

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle as arrays, because pickled tensors would live in memory shared between the processes."""
        return _from_numpy, tuple(values.cpu().numpy() for values in (self.items, self.starts, self.lengths))

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, i: int) -> Tensor:
        start = int(self.starts[i])
        return self.items[start : start + int(self.lengths[i])]

    @cached_property
    def host_lengths(self) -> np.ndarray:
        """(n,) `lengths` in host memory, copied only once because every copy stalls the GPU."""
        return self.lengths.cpu().numpy()

    @cached_property
    def longest(self) -> int:
        return int(self.host_lengths.max())

    def without_last(self, k: int) -> Sequences:
        """Drop the last k items of every sequence, or all of a shorter one, without copying."""
        return replace(self, lengths=(self.lengths - k).clamp_min(0))

    def final_items(self) -> Tensor:
        """Return the last item of each sequence, (n,). No sequence may be empty."""
        return self.items[self.starts + self.lengths - 1]

    def select(self, rows: Tensor) -> Sequences:
        """Return the sequences `rows` (m,), sharing the flat array."""
        return replace(self, starts=self.starts[rows], lengths=self.lengths[rows])

    def prefixes(self) -> tuple[Tensor, Sequences]:
        """Return all P prefixes of two or more items, sharing the flat array, and whose each of them is, (P,).

        They are ordered by sequence and then by length.
        """
        counts = (self.lengths - 1).clamp_min(0)  # (n,)
        rows = torch.arange(len(self), device=counts.device).repeat_interleave(counts)  # (P,)
        before = (counts.cumsum(0) - counts)[rows]  # (P,) number of prefixes of earlier sequences
        lengths = torch.arange(len(rows), device=counts.device) - before + 2  # (P,) 2, 3, ... for each sequence
        return rows, Sequences(self.items, self.starts[rows], lengths)

    def positions(self) -> tuple[Tensor, Tensor]:
        """Return the row (T,) and the place in the flat array (T,) of every item, row by row."""
        before = self.lengths.cumsum(0) - self.lengths
        rows = torch.arange(len(self), device=self.lengths.device).repeat_interleave(self.lengths)
        return rows, (self.starts - before)[rows] + torch.arange(len(rows), device=rows.device)

    def flatten(self) -> tuple[Tensor, Tensor]:
        """Return the row (T,) and the index (T,) of every item, row by row."""
        rows, places = self.positions()
        return rows, self.items[places]

    def to(self, device: torch.device) -> Sequences:
        return Sequences(self.items.to(device), self.starts.to(device), self.lengths.to(device))


def _from_numpy(*arrays: np.ndarray) -> Sequences:
    return Sequences(*map(torch.from_numpy, arrays))


@dataclass(frozen=True, eq=False)
class Batch:
    """B sequences with padding after them, so that a causal mask is enough to hide padding from real positions."""

    items: Tensor  # (B, L) int64
    lengths: Tensor  # (B,) int64
    total: int | None = None  # the sum of the lengths if the host knows it; only needed on a GPU
    rows: Tensor | None = None  # (B,) the sequences that these are windows of, if known

    def mask(self) -> Tensor:
        """(B, L) bool, true at real positions."""
        return torch.arange(self.items.shape[1], device=self.items.device) < self.lengths[:, None]

    @cached_property
    def _with_padding(self) -> bool:
        """Whether `positions` must include padding, because the host does not know how many positions are real."""
        return self.items.is_cuda and self.total is None

    @cached_property
    def starts(self) -> Tensor:
        """(B,) the index of each row's first item in `positions`."""
        if self._with_padding:
            return torch.arange(len(self.items), device=self.items.device) * self.items.shape[1]
        return self.lengths.cumsum(0) - self.lengths

    @cached_property
    def positions(self) -> tuple[Tensor, Tensor]:
        """Row (T,) and column (T,) of the real positions, row by row. On a GPU without `total`, of all B * L."""
        rows = torch.arange(len(self.items), device=self.items.device)
        if self._with_padding:
            rows = rows.repeat_interleave(self.items.shape[1])
        else:
            rows = rows.repeat_interleave(self.lengths, output_size=self.total)
        return rows, torch.arange(len(rows), device=rows.device) - self.starts[rows]

    @classmethod
    def concatenate(cls, batches: Iterable[Batch], pad_id: int) -> Batch:
        """Stack the rows of several batches, padded to the widest."""
        batches = list(batches)
        width = max(batch.items.shape[1] for batch in batches)
        padded = [torch.nn.functional.pad(b.items, (0, width - b.items.shape[1]), value=pad_id) for b in batches]
        return cls(torch.cat(padded), torch.cat([batch.lengths for batch in batches]))


def windows(sequences: Sequences, rows: Tensor, maxlen: int, pad_id: int, host_rows: np.ndarray | None = None) -> Batch:
    """Cut the last `maxlen` items of the sequences `rows` (B,); the batch is as wide as the longest of them.

    `host_rows` (B,) are the same rows in host memory. Without them, a GPU would have to be asked for the lengths; its
    batch is then as wide as the longest of all sequences and has no `total`.
    """
    lengths = sequences.lengths[rows].clamp_max(maxlen)
    starts = sequences.starts[rows] + sequences.lengths[rows] - lengths
    if not rows.is_cuda:
        host_rows = rows.numpy()
    if host_rows is None:
        longest, total = sequences.longest, None
    else:
        host_lengths = sequences.host_lengths[host_rows].clip(max=maxlen)
        longest, total = int(host_lengths.max()), int(host_lengths.sum())
    width = max(1, min(longest, maxlen))
    return Batch(_gather(sequences.items, starts, lengths, width, pad_id), lengths, total, rows)


def shifted_targets(sequences: Sequences, rows: Tensor, inputs: Batch, pad_id: int) -> Tensor:
    """Return the item that follows each position of `inputs`, (B, L), and `pad_id` at padding.

    `inputs` must be the windows of the same `rows` (B,) of these sequences without their last item.
    """
    starts = sequences.starts[rows] + sequences.lengths[rows] - inputs.lengths
    return _gather(sequences.items, starts, inputs.lengths, inputs.items.shape[1], pad_id)


def _gather(items: Tensor, starts: Tensor, lengths: Tensor, width: int, pad_id: int) -> Tensor:
    """Return `lengths` (B,) items from `starts` (B,) on, padded to (B, width)."""
    columns = torch.arange(width, device=items.device)
    real = columns < lengths[:, None]  # (B, L)
    index = (starts[:, None] + columns).clamp_max(len(items) - 1)
    return torch.where(real, items[index], pad_id)


@dataclass(frozen=True, eq=False)
class TwinIndex:
    """Groups n sequences by their final item, so that random twins can be drawn by index arithmetic."""

    order: Tensor  # (n,) the rows sorted by final item, so that groups are contiguous
    place: Tensor  # (n,) the inverse of `order`
    group_starts: Tensor  # (n,) where in `order` the group of each row begins
    group_sizes: Tensor  # (n,) the number of rows in each row's group

    @classmethod
    def build(cls, final_items: Tensor) -> TwinIndex:
        """Build from the final items, (n,) int64 and not negative, in O(n + largest item) time and memory."""
        counts = final_items.bincount()
        starts = counts.cumsum(0) - counts
        order = final_items.argsort(stable=True) if final_items.is_cuda else _counting_sort(final_items)
        place = torch.empty_like(order)
        place[order] = torch.arange(len(order), device=order.device)
        return cls(order, place, starts[final_items], counts[final_items])

    def draw(self, rows: Tensor, generator: torch.Generator) -> Tensor:
        """Draw another row with the same final item for each of `rows` (B,), uniformly, or the row if it is alone."""
        others = self.group_sizes[rows] - 1
        draw = torch.rand(len(rows), generator=generator, device=rows.device, dtype=torch.float64)
        step = 1 + (draw * others).long().clamp_max((others - 1).clamp_min(0))
        step = torch.where(others > 0, step, 0)
        start = self.group_starts[rows]
        return self.order[start + (self.place[rows] - start + step) % self.group_sizes[rows]]


def _counting_sort(values: Tensor) -> Tensor:
    """Stable argsort of (n,) int64 on the CPU, through a sparse matrix: six times as fast as torch's sort."""
    n, width = len(values), int(values.max()) + 1
    cells = np.empty(n, np.int8), values.numpy().astype(np.int32), np.arange(n + 1, dtype=np.int32)
    return torch.from_numpy(sparse.csr_matrix(cells, (n, width)).tocsc().indices).long()
