"""Next-item objectives L_pred: BCE, gBCE, CE, SCE and sampled CE, averaged over the predicted positions of a batch.

Each is called with the encoder's states (T, D) at the T predicted positions, their batch, the item table (V, D) and a
random generator.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from functools import partial
from typing import Annotated, ClassVar

from annotated_types import Interval

from baselines.deferred import F, Tensor, TrainBatch, kernels, torch
from baselines.settings import NEUTRAL, Share

Negatives = Annotated[int, Interval(ge=1, le=100_000)]
"""The number of negatives drawn for each position."""


@dataclass(frozen=True)
class Objective(ABC):
    """A next-item objective and its settings."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        """Return the loss, a scalar."""


@dataclass(frozen=True)
class BinaryCrossEntropy(Objective):
    """BCE (BT-SR paper, Eq. 1) with uniformly drawn `negatives` per position, none of which the user has."""

    name: ClassVar[str] = "bce"
    negatives: Negatives = 64

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        """Average over the 1 + n logits of each position, then over positions."""
        logits = _sampled_logits(states, batch, table, self.negatives, rng)
        return (F.softplus(logits).sum() - logits[:, 0].sum()) / logits.numel()  # -log(1 - p) = softplus


@dataclass(frozen=True)
class GeneralisedBinaryCrossEntropy(Objective):
    """gBCE (Petrov & Macdonald, RecSys 2023): BCE with the target's probability raised to the power of beta.

    BCE is overconfident because it samples only a share a of the negatives. beta = 1 - t * (1 - a) corrects the share
    `t` of that: with t = 0 the loss is BCE, with t = 1 its probabilities are calibrated.
    """

    name: ClassVar[str] = "gbce"
    negatives: Negatives = 256
    t: Share = 0.75

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        logits = _sampled_logits(states, batch, table, self.negatives, rng)
        rate = min(self.negatives / max(len(table) - 1, 1), 1.0)  # a: V - 1 items could be negatives
        beta = 1 - self.t * (1 - rate)
        target = logits[:, 0]
        return (F.softplus(logits[:, 1:]).sum() + beta * F.softplus(-target).sum()) / logits.numel()


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """Softmax over the whole catalogue (BT-SR paper, Eq. 3), without ever holding the full (T, V) logits."""

    name: ClassVar[str] = "ce"

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        return kernels.linear_cross_entropy(states, table, batch.next_items)


@dataclass(frozen=True)
class SampledCrossEntropy(Objective):
    """Softmax over the target and K uniform negatives (BT-SR paper, Eq. 4 and 5 as printed)."""

    name: ClassVar[str] = "sampled-ce"
    negatives: Negatives = 256

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        logits = _sampled_logits(states, batch, table, self.negatives, rng)
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


@dataclass(frozen=True)
class ScalableCrossEntropy(Objective):
    """SCE (Mezentsev et al., RecSys 2024): softmax inside buckets of states and items with similar directions."""

    name: ClassVar[str] = "sce"
    buckets: Annotated[int, Interval(ge=0, le=1_000_000)] = 0  # n_b; 0 means factor * sqrt(T)
    size_x: Annotated[int, Interval(ge=0, le=1_000_000)] = 0  # states per bucket; 0 means factor * sqrt(T)
    size_y: Annotated[int, Interval(ge=1, le=1_000_000)] = 256  # items per bucket
    mix: bool = False  # a bucket's direction is a random mixture of the batch's states instead of a random vector
    factor: Annotated[float, Interval(ge=0.01, le=100)] = field(default=2.0, metadata={NEUTRAL: 2.0})

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        """Average over the states in at least one bucket, taking the largest loss of each."""
        x_ids, y_ids = self.select(states.detach().to(table.dtype), table.detach(), rng)
        return kernels.bucketed_cross_entropy(states, table, batch.next_items, x_ids, y_ids)

    def select(self, states: Tensor, table: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """Return the state indices (n_b, size_x) and item indices (n_b, size_y) of each bucket, rows ascending."""
        default = round(self.factor * math.sqrt(len(states)))
        n_buckets, size_x = self.buckets or default, min(self.size_x or default, len(states))
        drawn = len(states) if self.mix else states.shape[1]
        directions = torch.randn(n_buckets, drawn, generator=rng, device=states.device, dtype=states.dtype)
        if self.mix:
            directions = directions @ states
        x_ids = _top_columns(directions @ states.T, size_x)
        return x_ids, _top_columns(directions @ table.T, min(self.size_y, len(table)))


def _sampled_logits(states: Tensor, batch: TrainBatch, table: Tensor, negatives: int, rng: torch.Generator) -> Tensor:
    """Return the logits of each position's target and sampled negatives, (T, 1 + n), with the target first.

    Negatives are -inf for a user who has the whole catalogue, because none exist.
    """
    drawn = uniform_negatives(batch, negatives, rng)
    candidates = torch.cat([batch.next_items[:, None], drawn], dim=1)
    if not batch.data.has_user_with_all_items:
        return kernels.sampled_logits(states, table, candidates)
    missing = candidates == len(table)
    logits = kernels.sampled_logits(states, table, candidates.masked_fill(missing, 0))
    return logits.masked_fill(missing, -torch.inf)


def uniform_negatives(batch: TrainBatch, negatives: int, rng: torch.Generator) -> Tensor:
    """Draw n items per predicted position, (T, n), uniformly from those that the row's user never has in training.

    This is exact and needs no rejection: the r-th item outside an ascending set s is r + #{k : s_k - k <= r}. For a
    user who has every item the draw is V.
    """
    users, host_users = batch.users
    n_items, owned = batch.data.n_items, batch.data.user_items.select(users)
    total = int(batch.data.user_items.host_lengths[host_users].sum())
    arange = partial(torch.arange, device=batch.rows.device)
    before = owned.lengths.cumsum(0) - owned.lengths  # (B,) number of items of the users in earlier rows
    rows = arange(len(owned)).repeat_interleave(owned.lengths, output_size=total)
    k = arange(len(rows)) - before[rows]
    thresholds = owned.items[owned.starts[rows] + k] - k + rows * n_items  # s_k - k, ascending over all rows

    rows = batch.predicted[0][:, None]  # (T, 1)
    u = torch.rand(len(rows), negatives, generator=rng, device=rows.device, dtype=torch.float64)
    free = (n_items - owned.lengths).clamp_min(1)[rows]
    r = u.mul_(free).long().add_(rows * n_items)
    # Tabulate all answers if there are few. Not on a GPU: the host would have to wait for the counts.
    if not r.is_cuda and len(owned) * n_items <= 4 * r.numel():
        passed = thresholds.bincount(minlength=len(owned) * n_items).cumsum(0, dtype=torch.int32)[r]
    else:
        passed = torch.searchsorted(thresholds, r, right=True)
    return r.add_(passed).sub_(rows * n_items + before[rows])


def _top_columns(scores: Tensor, k: int) -> Tensor:
    """Return the columns of each row's k largest scores, ascending. On a CPU numpy's partition is faster than topk."""
    if scores.is_cuda:
        return scores.topk(k, sorted=False).indices.sort(1).values
    columns = scores.shape[1]
    ids = scores.numpy().argpartition(columns - k, axis=1)[:, columns - k :]
    return torch.from_numpy(ids).sort(1).values
