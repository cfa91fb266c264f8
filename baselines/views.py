"""Views of sequences: crop, mask, reorder, substitute, twins, and what guides them.

A view is an operator applied at chosen positions. The functions that choose return (B, L) bool, never true at padding;
operators return a new Batch and leave their input unchanged. All work on whole batches, on the batch's device. A share
of a row's items is rounded down.
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

# --- which positions ------------------------------------------------------------------------------------------------


def scattered(batch: Batch, share: float, rng: torch.Generator) -> Tensor:
    """A share of each row's positions, any of them equally likely."""
    return _lowest(_uniform(batch, rng), batch, _count(batch.lengths, share))


def stretch(batch: Batch, share: float, rng: torch.Generator, at_least: int = 0) -> Tensor:
    """A share of each row's positions, at least `at_least`, next to one another; each place is equally likely."""
    counts = _count(batch.lengths, share).clamp_min(at_least)
    u = torch.rand(len(counts), generator=rng, device=counts.device, dtype=torch.float64)
    start = (u * (batch.lengths - counts + 1)).long()[:, None]  # (B, 1)
    columns = torch.arange(batch.items.shape[1], device=counts.device)
    return (columns >= start) & (columns < start + counts[:, None])


def most_important(batch: Batch, importance: Tensor, share: float) -> Tensor:
    """The share of each row's positions with the highest `importance` (B, L), of equals the first."""
    return _lowest(-importance, batch, _count(batch.lengths, share))


def least_important(batch: Batch, importance: Tensor, share: float) -> Tensor:
    """The share of each row's positions with the lowest `importance` (B, L), of equals the first."""
    return _lowest(importance, batch, _count(batch.lengths, share))


# --- what is done there ---------------------------------------------------------------------------------------------


def remove(batch: Batch, touched: Tensor, pad_id: int) -> Batch:
    """Without the touched items, the others in their order; a row that would be empty keeps its last item."""
    columns = torch.arange(batch.items.shape[1], device=batch.items.device)  # (L,)
    emptied = touched.sum(1, keepdim=True) == batch.lengths[:, None]  # (B, 1)
    gone = touched & ~(emptied & (columns == batch.lengths[:, None] - 1))  # (B, L)
    lengths = batch.lengths - gone.sum(1)  # (B,)
    order = (gone | ~batch.mask()).sort(dim=1, stable=True).indices  # (B, L) what stays, in order, then the rest
    return Batch(torch.where(columns < lengths[:, None], batch.items.gather(1, order), pad_id), lengths)


def mask(batch: Batch, touched: Tensor, mask_id: int) -> Batch:
    """With the touched items hidden behind a token that is neither an item nor padding."""
    return replace(batch, items=batch.items.masked_fill(touched, mask_id))


def shuffle(batch: Batch, touched: Tensor, rng: torch.Generator) -> Batch:
    """With the touched items in random order among the places they had."""
    keys = _uniform(batch, rng).masked_fill_(~touched, 2.0)  # (B, L) below 1 where touched
    places = (~touched).sort(dim=1, stable=True).indices  # (B, L) the touched columns in order, then the others
    source = keys.sort(dim=1, stable=True).indices  # (B, L) the touched columns in random order, then the others
    return replace(batch, items=batch.items.scatter(1, places, batch.items.gather(1, source)))


def substitute(batch: Batch, touched: Tensor, nearest: Tensor) -> Batch:
    """With the touched items replaced by their `nearest` (V,)."""
    return replace(batch, items=torch.where(touched, nearest[batch.items.where(touched, 0)], batch.items))


# --- the operators of CL4SRec ---------------------------------------------------------------------------------------


def crop(batch: Batch, share: float, pad_id: int, rng: torch.Generator) -> Batch:
    """A stretch of each row that holds `share` of its items, at least one (Xie et al., 2022)."""
    return remove(batch, batch.mask() & ~stretch(batch, share, rng, at_least=1), pad_id)


def reorder(batch: Batch, share: float, rng: torch.Generator) -> Batch:
    """A stretch of each row that holds `share` of its items is shuffled (Xie et al., 2022)."""
    return shuffle(batch, stretch(batch, share, rng), rng)


def two_random_views(batch: Batch, data: TrainingData, shares: Shares, rng: torch.Generator) -> tuple[Batch, Batch]:
    """Each row under two different operators out of crop, mask and reorder, drawn for each row (CL4SRec)."""
    views = [
        crop(batch, shares.crop, data.pad_id, rng),
        mask(batch, scattered(batch, shares.mask, rng), data.mask_id),
        reorder(batch, shares.reorder, rng),
    ]
    first, operator = _drawn(views, rng)
    second, _ = _drawn(views, rng, avoid=operator)
    return first, second


def guided_view(
    batch: Batch, data: TrainingData, touched: Tensor, rng: torch.Generator, avoid: Tensor | None = None
) -> tuple[Batch, Tensor]:
    """The touched items of each row removed, masked or shuffled, drawn for each row; and which it was, (B,).

    `avoid` (B,): operators not to use, so that a second view differs from a first.
    """
    views = [remove(batch, touched, data.pad_id), mask(batch, touched, data.mask_id), shuffle(batch, touched, rng)]
    return _drawn(views, rng, avoid)


def _drawn(views: list[Batch], rng: torch.Generator, avoid: Tensor | None = None) -> tuple[Batch, Tensor]:
    """For each row one of the views, which are equally wide, any but `avoid` (B,) equally likely; and which, (B,)."""
    rows = torch.arange(len(views[0].items), device=views[0].items.device)
    lowest = 0 if avoid is None else 1
    step = torch.randint(lowest, len(views), (len(rows),), generator=rng, device=rows.device)
    chosen = step if avoid is None else (avoid + step) % len(views)
    items = torch.stack([view.items for view in views])[chosen, rows]  # (views, B, L) -> (B, L)
    return Batch(items, torch.stack([view.lengths for view in views])[chosen, rows]), chosen


# --- other sequences and other items --------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class TwinPool:
    """Where same-target views come from: `prefixes` share a final item by `index`; `own` (n,) is each row's prefix."""

    data: TrainingData
    prefixes: Sequences
    index: TwinIndex
    own: Tensor

    @classmethod
    def build(cls, data: TrainingData, pool: Literal["final", "prefix"] = "final") -> TwinPool:
        """`final`: other sequences that end in the same item, without it (BT-SR, section 3.2). `prefix`: whatever
        comes before the same item in any training sequence, a far larger pool. Where the rows themselves are prefixes,
        both are the other rows with the same target.
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
        """For each of the named sequences (B,) another one, uniformly; itself where there is none."""
        return self.batch(self.index.draw(self.own[rows], rng))

    def batch(self, prefixes: Tensor) -> Batch:
        """The named prefixes, cut to the last `maxlen`."""
        return windows(self.prefixes, prefixes, self.data.maxlen, self.data.pad_id)

    def alone(self, rows: Tensor) -> Tensor:
        """(B,) bool, true for sequences without a twin."""
        return self.index.alone(self.own[rows])

    @cached_property
    def host_sizes(self) -> np.ndarray:
        """(n,) how many prefixes share each training sequence's final item, itself included, in host memory."""
        return self.index.group_sizes[self.own].cpu().numpy()

    def with_twin(self, batch: TrainBatch) -> Tensor:
        """The rows of the batch that have a twin, ascending."""
        count = int((self.host_sizes[batch.host_rows] > 1).sum())
        return self.alone(batch.rows).int().argsort(stable=True)[:count]

    @property
    def twinless_share(self) -> float:
        """The share of trainable sequences without a twin."""
        return float(self.alone(self.data.trainable).double().mean())


def draw_by_overlap(pool: TwinPool, batch: TrainBatch, importance: Tensor, rng: torch.Generator) -> Batch:
    """A twin of each anchor, with probability by the importance of the anchor's items that the twin has too (EC4SRec).

    `importance` (B, L) of the anchors' input positions, zero at padding. Where no twin shares an item, all are equally
    likely; an anchor without a twin is its own.
    """
    index, own, device = pool.index, pool.own[batch.rows], batch.rows.device
    sizes, total = index.group_sizes[own], int(pool.host_sizes[batch.host_rows].sum())  # (B,) candidates, their sum P
    anchors = torch.arange(len(own), device=device).repeat_interleave(sizes, output_size=total)  # (P,) whose candidate
    step = torch.arange(len(anchors), device=device) - (sizes.cumsum(0) - sizes)[anchors]  # (P,) 0, 1, ... per anchor
    candidates = index.order[index.group_starts[own][anchors] + step]  # (P,) ascending for each anchor
    overlap = _overlap(batch.inputs, importance, anchors, pool.batch(candidates), pool.data.pad_id + 1).double()  # (P,)

    is_self = candidates == own[anchors]  # (P,)
    overlap.masked_fill_(is_self, 0.0)
    none = overlap.new_zeros(len(own)).index_add_(0, anchors, overlap)[anchors] == 0  # (P,) the anchor shares nothing
    chance = torch.where(none, (~is_self | (sizes == 1)[anchors]).double(), overlap)  # (P,)
    # One draw per anchor, weighted by chance: of independent exponential times the smallest wins with just that weight.
    u = torch.rand(len(anchors), generator=rng, device=device, dtype=torch.float64)
    times = (-torch.log1p(-u) / chance).masked_fill_(chance == 0, torch.inf)  # (P,)
    first = torch.full_like(times[: len(own)], torch.inf).scatter_reduce_(0, anchors, times, "amin")  # (B,)
    won = candidates.where(times == first[anchors], -1)  # (P,)
    return pool.batch(torch.full_like(own, -1).scatter_reduce_(0, anchors, won, "amax"))


def _overlap(anchors: Batch, importance: Tensor, pairs: Tensor, others: Batch, stride: int) -> Tensor:
    """(P,) for row p of `others`, the summed importance of the items that it shares with anchor pairs[p].

    `stride` is larger than any item and than padding, so that anchor * stride + item is one number for each pair.
    """
    owned = torch.arange(len(anchors.items), device=pairs.device)[:, None] * stride + anchors.items  # (B, L)
    known = owned.flatten().sort().values  # (B * L,)
    place = torch.searchsorted(known, owned.flatten())  # (B * L,) of equals the first
    weight = importance.new_zeros(len(known)).index_add_(0, place, importance.flatten())  # (B * L,)
    wanted = (pairs[:, None] * stride + others.items).sort(1).values  # (P, L)
    found = torch.searchsorted(known, wanted).clamp_max_(len(known) - 1)  # (P, L)
    shared = known[found] == wanted  # (P, L)
    shared[:, 1:] &= wanted[:, 1:] != wanted[:, :-1]  # an item that the other has twice counts once
    return (weight[found] * shared).sum(1)


def nearest_items(data: TrainingData, rows_at_once: int = 1024) -> Tensor:
    """(V,) for each item the one most similar by cosine over training co-occurrence in a sequence; itself if alone."""
    owned = data.owned.to(torch.device("cpu"))
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
        some = similar.max(1).toarray().ravel() > 0
        nearest[start : start + rows_at_once][some] = np.asarray(similar.argmax(1)).ravel()[some]
    return torch.from_numpy(nearest).to(data.sequences.items.device)


# --- arithmetic -----------------------------------------------------------------------------------------------------


def _count(lengths: Tensor, share: float) -> Tensor:
    """floor(share * length); 0.7 * 10 counts as 7, whatever its last bit."""
    return (lengths.double() * share + 1e-9).long()


def _uniform(batch: Batch, rng: torch.Generator) -> Tensor:
    return torch.rand(batch.items.shape, generator=rng, device=batch.items.device, dtype=torch.float64)


def _lowest(keys: Tensor, batch: Batch, counts: Tensor) -> Tensor:
    """The `counts` (B,) real positions of each row with the lowest keys (B, L)."""
    order = keys.masked_fill(~batch.mask(), torch.inf).sort(dim=1, stable=True).indices
    columns = torch.arange(keys.shape[1], device=keys.device)
    return torch.zeros_like(order, dtype=torch.bool).scatter_(1, order, columns < counts[:, None])
