"""Views of sequences: crop, mask, reorder, substitute and same-target twins.

Most views are made in two steps. One function chooses positions and returns them as (B, L) bool, never true at padding.
Another changes the items there and returns a new Batch. All of them work on whole batches, on the device of the batch.
A share of a row's items is rounded down.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from scipy import sparse
from torch import Tensor

from baselines.settings import Shares
from baselines.training_data import TrainBatch, TrainingData
from datasets.sequences import Batch, Sequences, TwinIndex, windows

# --- choosing positions ---------------------------------------------------------------------------------------------


def scattered(batch: Batch, share: float, rng: torch.Generator) -> Tensor:
    """Choose a share of each row's positions uniformly at random."""
    return _lowest(_random_keys(batch, rng), batch, _count(batch.lengths, share))


def stretch(batch: Batch, share: float, rng: torch.Generator, at_least: int = 0) -> Tensor:
    """Choose a random contiguous stretch that covers a share of each row, `at_least` this many positions."""
    counts = _count(batch.lengths, share).clamp_min(at_least)
    u = torch.rand(len(counts), generator=rng, device=counts.device, dtype=torch.float64)
    start = (u * (batch.lengths - counts + 1)).long()[:, None]  # (B, 1)
    columns = torch.arange(batch.items.shape[1], device=counts.device)
    return (columns >= start) & (columns < start + counts[:, None])


def most_important(batch: Batch, importance: Tensor, share: float) -> Tensor:
    """Choose the share of each row's positions with the highest `importance` (B, L); ties go to the first."""
    return _lowest(-importance, batch, _count(batch.lengths, share))


def least_important(batch: Batch, importance: Tensor, share: float) -> Tensor:
    """Choose the share of each row's positions with the lowest `importance` (B, L); ties go to the first."""
    return _lowest(importance, batch, _count(batch.lengths, share))


# --- changing the items there ---------------------------------------------------------------------------------------


def remove(batch: Batch, touched: Tensor, pad_id: int) -> Batch:
    """Remove the touched items and keep the others in order. A row that would be empty keeps its last item."""
    columns = torch.arange(batch.items.shape[1], device=batch.items.device)  # (L,)
    emptied = touched.sum(1, keepdim=True) == batch.lengths[:, None]  # (B, 1)
    gone = touched & ~(emptied & (columns == batch.lengths[:, None] - 1))  # (B, L)
    lengths = batch.lengths - gone.sum(1)  # (B,)
    order = (gone | ~batch.mask()).sort(dim=1, stable=True).indices  # (B, L) columns that stay, in order, then the rest
    return Batch(torch.where(columns < lengths[:, None], batch.items.gather(1, order), pad_id), lengths)


def mask(batch: Batch, touched: Tensor, mask_id: int) -> Batch:
    """Replace the touched items by the mask token, which is neither an item nor padding."""
    return replace(batch, items=batch.items.masked_fill(touched, mask_id))


def shuffle(batch: Batch, touched: Tensor, rng: torch.Generator) -> Batch:
    """Randomly permute the touched items of each row among their positions."""
    keys = _random_keys(batch, rng).masked_fill_(~touched, 2.0)  # (B, L) below 1 where touched
    places = (~touched).sort(dim=1, stable=True).indices  # (B, L) touched columns in order, then the others
    source = keys.sort(dim=1, stable=True).indices  # (B, L) touched columns in random order, then the others
    return replace(batch, items=batch.items.scatter(1, places, batch.items.gather(1, source)))


def substitute(batch: Batch, touched: Tensor, nearest: Tensor) -> Batch:
    """Replace each touched item by the most similar one, which `nearest` (V,) lists for every item."""
    return replace(batch, items=torch.where(touched, nearest[batch.items.where(touched, 0)], batch.items))


def crop(batch: Batch, share: float, pad_id: int, rng: torch.Generator) -> Batch:
    """Keep a random stretch with a share of each row's items, at least one (CL4SRec; Xie et al., 2022)."""
    return remove(batch, batch.mask() & ~stretch(batch, share, rng, at_least=1), pad_id)


def reorder(batch: Batch, share: float, rng: torch.Generator) -> Batch:
    """Shuffle a random stretch with a share of each row's items (CL4SRec; Xie et al., 2022)."""
    return shuffle(batch, stretch(batch, share, rng), rng)


# --- choosing among operators ---------------------------------------------------------------------------------------


def two_random_views(batch: Batch, data: TrainingData, shares: Shares, rng: torch.Generator) -> tuple[Batch, Batch]:
    """Return two views of the batch, each row under two different random operators: crop, mask or reorder (CL4SRec)."""
    views = [
        crop(batch, shares.crop, data.pad_id, rng),
        mask(batch, scattered(batch, shares.mask, rng), data.mask_id),
        reorder(batch, shares.reorder, rng),
    ]
    first, operator = _choose_per_row(views, rng)
    second, _ = _choose_per_row(views, rng, avoid=operator)
    return first, second


def guided_view(
    batch: Batch, data: TrainingData, touched: Tensor, rng: torch.Generator, avoid: Tensor | None = None
) -> tuple[Batch, Tensor]:
    """Remove, mask or shuffle the touched items, at random for each row; also return each row's operator, (B,).

    Pass the operators of a first view as `avoid` (B,) to make the second view differ from it.
    """
    views = [remove(batch, touched, data.pad_id), mask(batch, touched, data.mask_id), shuffle(batch, touched, rng)]
    return _choose_per_row(views, rng, avoid)


def _choose_per_row(views: list[Batch], rng: torch.Generator, avoid: Tensor | None = None) -> tuple[Batch, Tensor]:
    """Choose one of the views, all equally wide, for each row, but never `avoid` (B,); also return the choice, (B,)."""
    rows = torch.arange(len(views[0].items), device=views[0].items.device)
    lowest = 0 if avoid is None else 1
    step = torch.randint(lowest, len(views), (len(rows),), generator=rng, device=rows.device)
    chosen = step if avoid is None else (avoid + step) % len(views)
    items = torch.stack([view.items for view in views])[chosen, rows]  # (views, B, L) -> (B, L)
    return Batch(items, torch.stack([view.lengths for view in views])[chosen, rows]), chosen


# --- twins ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TwinPool:
    """The prefixes from which same-target twins are drawn."""

    data: TrainingData
    prefixes: Sequences  # without the items that follow them, which are the targets
    index: TwinIndex  # groups the prefixes by target
    own: Tensor  # (n,) the index of each row's own prefix

    @classmethod
    def build(cls, data: TrainingData, pool: Literal["final", "prefix"] = "final") -> TwinPool:
        """Build the pool. Twins are prefixes that are followed by the same item.

        "final" takes the prefixes of whole sequences, without their final item (BT-SR, section 3.2). "prefix" takes
        those before any item of any training sequence, which makes a far larger pool. If the rows are prefixes
        themselves, both take the other rows with the same target.
        """
        sequences = data.sequences
        if pool == "final" or data.by_prefix:
            rows = torch.arange(len(sequences), device=sequences.lengths.device)
            return cls(data, data.inputs, data.same_target_index(), rows)
        _, prefixes = sequences.prefixes()
        index = TwinIndex.build(prefixes.final_items())
        inputs = replace(prefixes.without_last(1), items=data.inputs.items)
        longest = (sequences.lengths - 1).clamp_min(0).cumsum(0) - 1  # (n,)
        return cls(data, inputs, index, longest)

    def draw(self, rows: Tensor, rng: torch.Generator) -> Batch:
        """Draw a twin for each row (B,) uniformly; a row without one gets its own prefix."""
        return self.batch(self.index.draw(self.own[rows], rng))

    def batch(self, prefixes: Tensor) -> Batch:
        """Return these prefixes, cut to their last `maxlen` items."""
        return windows(self.prefixes, prefixes, self.data.maxlen, self.data.pad_id)

    def is_twinless(self, rows: Tensor) -> Tensor:
        """Return which rows have no twin, (B,) bool."""
        return self.index.group_sizes[self.own[rows]] == 1

    @cached_property
    def host_sizes(self) -> np.ndarray:
        """(n,) the number of prefixes with each row's target, its own included, in host memory."""
        return self.index.group_sizes[self.own].cpu().numpy()

    def with_twin(self, batch: TrainBatch) -> Tensor:
        """Return the indices of the batch's rows that have a twin, ascending."""
        count = int((self.host_sizes[batch.host_rows] > 1).sum())
        return self.is_twinless(batch.rows).int().argsort(stable=True)[:count]

    @property
    def twinless_share(self) -> float:
        """The share of trainable rows without a twin."""
        return float(self.is_twinless(self.data.trainable).double().mean())


def draw_by_overlap(pool: TwinPool, batch: TrainBatch, importance: Tensor, rng: torch.Generator) -> Batch:
    """Draw a twin of each anchor in proportion to the summed importance of the items that the two share (EC4SRec).

    `importance` (B, L) belongs to the anchors' input positions and is zero at padding. If no twin shares an item, all
    are equally likely. An anchor without a twin gets itself.
    """
    # There are P pairs of an anchor and a candidate; the candidates of an anchor include itself.
    index, own, device = pool.index, pool.own[batch.rows], batch.rows.device
    sizes, total = index.group_sizes[own], int(pool.host_sizes[batch.host_rows].sum())  # (B,) candidates, and P
    anchors = torch.arange(len(own), device=device).repeat_interleave(sizes, output_size=total)  # (P,)
    step = torch.arange(len(anchors), device=device) - (sizes.cumsum(0) - sizes)[anchors]  # (P,) 0, 1, ... per anchor
    candidates = index.order[index.group_starts[own][anchors] + step]  # (P,) ascending per anchor
    overlap = _overlap(batch.inputs, importance, anchors, pool.batch(candidates), pool.data.pad_id + 1).double()  # (P,)

    is_self = candidates == own[anchors]  # (P,)
    overlap.masked_fill_(is_self, 0.0)
    none = overlap.new_zeros(len(own)).index_add_(0, anchors, overlap)[anchors] == 0  # (P,) no candidate shares an item
    chance = torch.where(none, (~is_self | (sizes == 1)[anchors]).double(), overlap)  # (P,)
    # Draw one candidate per anchor in proportion to chance: among independent exponential times with these rates, each
    # is the smallest with just that probability.
    u = torch.rand(len(anchors), generator=rng, device=device, dtype=torch.float64)
    times = (-torch.log1p(-u) / chance).masked_fill_(chance == 0, torch.inf)  # (P,)
    first = torch.full_like(times[: len(own)], torch.inf).scatter_reduce_(0, anchors, times, "amin")  # (B,)
    won = candidates.where(times == first[anchors], -1)  # (P,)
    return pool.batch(torch.full_like(own, -1).scatter_reduce_(0, anchors, won, "amax"))


def _overlap(anchors: Batch, importance: Tensor, pairs: Tensor, others: Batch, stride: int) -> Tensor:
    """Sum the importance of the items that row p of `others` shares with anchor pairs[p], (P,).

    `stride` must exceed all items and padding, so that anchor * stride + item is unique to an anchor and an item.
    """
    owned = torch.arange(len(anchors.items), device=pairs.device)[:, None] * stride + anchors.items  # (B, L)
    known = owned.flatten().sort().values  # (B * L,)
    place = torch.searchsorted(known, owned.flatten())  # (B * L,) the first of equal values
    weight = importance.new_zeros(len(known)).index_add_(0, place, importance.flatten())  # (B * L,)
    wanted = (pairs[:, None] * stride + others.items).sort(1).values  # (P, L)
    found = torch.searchsorted(known, wanted).clamp_max_(len(known) - 1)  # (P, L)
    shared = known[found] == wanted  # (P, L)
    shared[:, 1:] &= wanted[:, 1:] != wanted[:, :-1]  # count an item only once
    return (weight[found] * shared).sum(1)


def nearest_items(data: TrainingData, rows_at_once: int = 1024) -> Tensor:
    """Return the most similar item to each item, (V,), by the cosine of the sets of users who have them.

    An item that no user has together with another one is its own nearest.
    """
    owned = data.user_items.to(torch.device("cpu"))
    offsets = np.append(owned.starts.numpy(), len(owned.items))
    ones, shape = np.ones(len(owned.items), np.float32), (len(owned), data.n_items)
    has = sparse.csr_matrix((ones, owned.items.numpy(), offsets), shape)
    norms = np.sqrt(np.maximum(np.asarray(has.sum(0)).ravel(), 1))
    unit = (has @ sparse.diags(1 / norms)).tocsc()
    nearest = np.arange(data.n_items)
    for start in range(0, data.n_items, rows_at_once):
        similar = (unit[:, start : start + rows_at_once].T @ unit).tocoo()
        similar.data[similar.col == similar.row + start] = 0  # an item is not its own neighbour
        similar = similar.tocsr()
        has_similar = similar.max(1).toarray().ravel() > 0
        nearest[start : start + rows_at_once][has_similar] = np.asarray(similar.argmax(1)).ravel()[has_similar]
    return torch.from_numpy(nearest).to(data.sequences.items.device)


# --- arithmetic -----------------------------------------------------------------------------------------------------


def _count(lengths: Tensor, share: float) -> Tensor:
    """Return floor(share * length), with a margin so that rounding never makes 0.7 * 10 count as 6."""
    return (lengths.double() * share + 1e-9).long()


def _random_keys(batch: Batch, rng: torch.Generator) -> Tensor:
    return torch.rand(batch.items.shape, generator=rng, device=batch.items.device, dtype=torch.float64)


def _lowest(keys: Tensor, batch: Batch, counts: Tensor) -> Tensor:
    """Mark the `counts` (B,) real positions of each row that have the lowest keys (B, L)."""
    order = keys.masked_fill(~batch.mask(), torch.inf).sort(dim=1, stable=True).indices
    columns = torch.arange(keys.shape[1], device=keys.device)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order, columns < counts[:, None])
