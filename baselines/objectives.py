"""Next-item objectives L_pred: BCE, gBCE, CE, SCE and sampled CE, each a mean over the predicted positions of a batch.

All take the encoder's states (T, D) at the T predicted positions, the batch they come from, the item table (V, D) and a
generator.
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
"""How many negatives are drawn for each position."""


@dataclass(frozen=True)
class Objective(ABC):
    """A next-item objective with its settings."""

    name: ClassVar[str]

    @abstractmethod
    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        """The loss, a scalar."""


@dataclass(frozen=True)
class BinaryCrossEntropy(Objective):
    """BT-SR paper, Eq. 1, with `negatives` uniform negatives per position, the user's own items excluded."""

    name: ClassVar[str] = "bce"
    negatives: Negatives = 64

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        """Mean over the 1 + n logits of a position, then over positions."""
        logits = _sampled_logits(states, batch, table, self.negatives, rng)
        return (F.softplus(logits).sum() - logits[:, 0].sum()) / logits.numel()  # -log(1 - p) = softplus


@dataclass(frozen=True)
class GeneralisedBinaryCrossEntropy(Objective):
    """gBCE (Petrov & Macdonald, RecSys 2023): as BCE, but with the target's probability to the power of beta. What is
    lacking to a sampling rate a of all negatives makes BCE overconfident; beta = 1 - t * (1 - a) makes up for the
    share `t` of it. With t = 0 it is BCE, with t = 1 the probabilities are calibrated.
    """

    name: ClassVar[str] = "gbce"
    negatives: Negatives = 256
    t: Share = 0.75

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        logits = _sampled_logits(states, batch, table, self.negatives, rng)
        rate = min(self.negatives / max(len(table) - 1, 1), 1.0)  # a, of the V - 1 items that are not the target
        beta = 1 - self.t * (1 - rate)
        target = logits[:, 0]
        return (F.softplus(logits[:, 1:]).sum() + beta * F.softplus(-target).sum()) / logits.numel()


@dataclass(frozen=True)
class CrossEntropy(Objective):
    """BT-SR paper, Eq. 3: softmax over the whole catalogue, without the (T, V) matrix ever being held whole."""

    name: ClassVar[str] = "ce"

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        return kernels.linear_cross_entropy(states, table, batch.next_items)


@dataclass(frozen=True)
class SampledCrossEntropy(Objective):
    """BT-SR paper, Eq. 4 and 5 as printed: softmax over the target and K uniform negatives."""

    name: ClassVar[str] = "sampled-ce"
    negatives: Negatives = 256

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        logits = _sampled_logits(states, batch, table, self.negatives, rng)
        return F.cross_entropy(logits, logits.new_zeros(len(logits), dtype=torch.long))


@dataclass(frozen=True)
class ScalableCrossEntropy(Objective):
    """SCE (Mezentsev et al., RecSys 2024): softmax inside buckets of states and items that point the same way."""

    name: ClassVar[str] = "sce"
    buckets: Annotated[int, Interval(ge=0, le=1_000_000)] = 0  # n_b; 0 stands for factor * sqrt(T)
    size_x: Annotated[int, Interval(ge=0, le=1_000_000)] = 0  # states in a bucket; 0 stands for factor * sqrt(T)
    size_y: Annotated[int, Interval(ge=1, le=1_000_000)] = 256  # items that compete in a bucket
    mix: bool = False  # a bucket's direction is a random mixture of the batch's states, not a random vector
    factor: Annotated[float, Interval(ge=0.01, le=100)] = field(default=2.0, metadata={NEUTRAL: 2.0})

    def __call__(self, states: Tensor, batch: TrainBatch, table: Tensor, rng: torch.Generator) -> Tensor:
        """Mean over the states that some bucket selected, each with its largest loss."""
        x_ids, y_ids = self.select(states.detach().to(table.dtype), table.detach(), rng)
        return kernels.bucketed_cross_entropy(states, table, batch.next_items, x_ids, y_ids)

    def select(self, states: Tensor, table: Tensor, rng: torch.Generator) -> tuple[Tensor, Tensor]:
        """The states (n_b, size_x) and items (n_b, size_y) of each bucket, ascending; no gradient flows through it."""
        default = round(self.factor * math.sqrt(len(states)))
        n_buckets, size_x = self.buckets or default, min(self.size_x or default, len(states))
        drawn = len(states) if self.mix else states.shape[1]
        directions = torch.randn(n_buckets, drawn, generator=rng, device=states.device, dtype=states.dtype)
        if self.mix:
            directions = directions @ states
        x_ids = _top(directions @ states.T, size_x)
        y_ids = _top(directions @ table.T, min(self.size_y, len(table)))
        return x_ids, y_ids


def _sampled_logits(states: Tensor, batch: TrainBatch, table: Tensor, negatives: int, rng: torch.Generator) -> Tensor:
    """(T, 1 + n): the target's logit first; -inf for the negatives of a user who owns the whole catalogue."""
    drawn = uniform_negatives(batch, negatives, rng)
    candidates = torch.cat([batch.next_items[:, None], drawn], dim=1)
    if not batch.data.someone_owns_all:
        return kernels.sampled_logits(states, table, candidates)
    exhausted = candidates == len(table)
    logits = kernels.sampled_logits(states, table, candidates.masked_fill(exhausted, 0))
    return logits.masked_fill(exhausted, -torch.inf)


def uniform_negatives(batch: TrainBatch, negatives: int, rng: torch.Generator) -> Tensor:
    """(T, n) uniform draws, per predicted position, from the items that the row's user has nowhere in training.

    Exact and without rejection: the r-th item outside an ascending set s is r + #{k : s_k - k <= r}. Where nothing is
    outside, the draw is V.
    """
    n_items, owned = batch.data.n_items, batch.data.owned.select(batch.users)
    total = int(batch.data.owned.host_lengths[batch.host_users].sum())
    arange = partial(torch.arange, device=batch.rows.device)
    before = owned.lengths.cumsum(0) - owned.lengths  # (B,) how many items the rows above own
    rows = arange(len(owned)).repeat_interleave(owned.lengths, output_size=total)
    k = arange(len(rows)) - before[rows]
    thresholds = owned.items[owned.starts[rows] + k] - k + rows * n_items  # s_k - k, ascending over all rows

    rows = batch.predicted[0][:, None]  # (T, 1)
    u = torch.rand(len(rows), negatives, generator=rng, device=rows.device, dtype=torch.float64)
    free = (n_items - owned.lengths).clamp_min(1)[rows]
    r = u.mul_(free).long().add_(rows * n_items)
    # With hardly more possible answers than questions, tabulate them; but counting makes the host wait for a GPU.
    if not r.is_cuda and len(owned) * n_items <= 4 * r.numel():
        passed = thresholds.bincount(minlength=len(owned) * n_items).cumsum(0, dtype=torch.int32)[r]
    else:
        passed = torch.searchsorted(thresholds, r, right=True)
    return r.add_(passed).sub_(rows * n_items + before[rows])


def _top(scores: Tensor, k: int) -> Tensor:
    """The columns of each row's k largest scores, ascending. numpy's partition is vectorised, torch's is not."""
    if scores.is_cuda:
        return scores.topk(k, sorted=False).indices.sort(1).values
    columns = scores.shape[1]
    ids = scores.numpy().argpartition(columns - k, axis=1)[:, columns - k :]
    return torch.from_numpy(ids).sort(1).values
