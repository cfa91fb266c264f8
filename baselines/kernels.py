"""Losses against the item table that never hold the (T, V) logits and are fast on a single CPU thread.

T states x_t of width D, V items w_v. Each is an autograd.Function with a hand-written gradient, checked in the tests
against the plain formula. What they share: logits live only in blocks that fit a cache, nothing is kept for the
backward pass that can be had cheaply, and a loss whose gradient costs little more than its value computes both at once.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable

CPU_BLOCK = 96  # states at a time, by measurement: fewer waste the matrix product, more fall out of the cache
CPU_ELEMENTS = 2**18  # logits at a time, 1 MiB of float32, where their number per state is small
GPU_ELEMENTS = 2**26  # 256 MiB: few launches, each large
SAFE_LOGIT = 60.0  # exp(60) times any catalogue is far from overflow in float32, exp(-60) from underflow


def linear_cross_entropy(states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Mean of logsumexp_v(x_t . w_v) - x_t . w_target: `states` (T, D), `table` (V, D), `targets` (T,) -> scalar.

    The three (T, V) products are in the states' type, which may be bfloat16; sums, loss and table stay in the table's.
    """
    return _LinearCrossEntropy.apply(states, table, targets)


def sampled_logits(states: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
    """x_t . w_c for each state's candidates: `states` (T, D), `table` (V, D), `candidates` (T, n) int64 -> (T, n)."""
    states = states.to(table.dtype)
    if candidates.shape[1] >= len(table):  # the whole product is smaller, and torch's sparse one refuses
        return (states @ table.T).gather(1, candidates)
    if states.is_cuda:
        return torch.bmm(F.embedding(candidates, table), states[:, :, None]).squeeze(2)
    return _SampledLogits.apply(states, table, candidates)


def bucketed_cross_entropy(states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
    """Softmax inside buckets: the states `x_ids` (n_b, X) against the items `y_ids` (n_b, Y), rows ascending.

    A state's loss in a bucket is the cross-entropy of its own target against the bucket's items (the target counted
    once); of its buckets' losses it takes the largest; returned is the mean over the states in some bucket, a scalar.
    """
    return _BucketedCrossEntropy.apply(states.to(table.dtype), table, targets, x_ids, y_ids)


class _LinearCrossEntropy(torch.autograd.Function):
    """With E = exp(W X' - shift), s = 1' E: dX = (E / s)' W - the targets' rows, dW = E (X / s) - the targets' states.

    Blocks of a few states against all items, items along the rows: so all three products are fastest.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        block = _per_block(states, len(table)) if states.is_cuda else CPU_BLOCK
        bounded = _bounded(states, table)
        d_states, d_table = torch.empty_like(states), torch.zeros_like(table)
        lse = table.new_empty(len(states))
        buffer = states.new_empty(len(table) * min(block, len(states)))
        factor = table.to(states.dtype)
        for x, d_x, out in zip(states.split(block), d_states.split(block), lse.split(block), strict=True):
            e = torch.mm(factor, x.T, out=buffer[: len(table) * len(x)].view(len(table), len(x)))
            s = _exp_sum_(e, 0, bounded, out)[:, None]
            torch.mm(e.T, factor, out=d_x).div_(s)
            if e.dtype == d_table.dtype:
                d_table.addmm_(e, x / s)
            else:
                d_table += e @ (x / s).to(e.dtype)
        own = F.embedding(targets, table)
        d_table.index_add_(0, targets, states.to(table.dtype), alpha=-1)
        ctx.save_for_backward(d_states.sub_(own), d_table)
        return (lse - (states * own).sum(1)).mean()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_states, d_table = ctx.saved_tensors
        scale = gradient / len(d_states)
        return d_states * scale, d_table * scale, None


class _SampledLogits(torch.autograd.Function):
    """The gathered (T, n, D) rows are never built: dX = G W and dW = G' X, the gradient G (T, V) being sparse."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
        ctx.save_for_backward(states, table, candidates)
        count, n = candidates.shape
        starts, size = torch.arange(0, count * n + 1, n), (count, len(table))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            places = torch.sparse_csr_tensor(
                starts, candidates.flatten(), states.new_zeros(count * n), size, check_invariants=False
            )
        return torch.sparse.sampled_addmm(places, states, table.T, beta=0.0).values().view(count, n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, table, candidates = ctx.saved_tensors
        count, n = candidates.shape
        gradient = gradient.contiguous()
        d_states = F.embedding_bag(candidates, table, per_sample_weights=gradient, mode="sum")
        starts = np.arange(0, count * n + 1, n, dtype=np.int32)
        columns = candidates.flatten().int().numpy()
        g = sparse.csr_matrix((gradient.flatten().numpy(), columns, starts), (count, len(table)))
        return d_states, torch.from_numpy(g.T @ states.numpy()), None


class _BucketedCrossEntropy(torch.autograd.Function):
    """Two passes over the buckets: all losses, then the gradients of the few that are their state's largest."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
        own, targets_in = F.embedding(targets, table), targets[x_ids]
        correct = (states * own).sum(1)[x_ids]  # (n_b, X)
        lse = _bucket_lse(states, table, x_ids, y_ids)
        place = torch.searchsorted(y_ids, targets_in).clamp_max_(y_ids.shape[1] - 1)
        absent = y_ids.gather(1, place) != targets_in  # the bucket lacks the state's own target
        lse = torch.where(absent, torch.logaddexp(lse, correct), lse)

        losses, flat = lse - correct, x_ids.flatten()
        largest = torch.full_like(states[:, 0], -torch.inf)
        largest.scatter_reduce_(0, flat, losses.flatten(), "amax")
        wins = (losses == largest[x_ids]).to(states.dtype)
        ties = torch.zeros_like(largest).index_add_(0, flat, wins.flatten())
        weight = wins / ties[x_ids].clamp_min(1)  # over a state's buckets these sum to one

        d_states, d_table = _bucket_gradients(states, table, x_ids, y_ids, lse, weight)
        d_correct = weight * ((correct - lse).exp_() * absent - 1)
        d_correct = torch.zeros_like(largest).index_add_(0, flat, d_correct.flatten())[:, None]
        d_states.addcmul_(d_correct, own)
        d_table.index_add_(0, targets, d_correct * states)
        selected = largest > -torch.inf
        count = selected.sum()
        ctx.save_for_backward(d_states, d_table, count)
        return torch.where(selected, largest, 0.0).sum() / count

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        d_states, d_table, count = ctx.saved_tensors
        scale = gradient / count
        return d_states * scale, d_table * scale, None, None, None


def _bucket_lse(states: Tensor, table: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
    """logsumexp over each bucket's items for each of its states, (n_b, X)."""
    step = _per_block(states, x_ids.shape[1] * y_ids.shape[1])
    bounded = _bounded(states, table)
    lse = states.new_empty(x_ids.shape)
    for x, y, out in zip(x_ids.split(step), y_ids.split(step), lse.split(step), strict=True):
        _exp_sum_(F.embedding(x, states) @ F.embedding(y, table).mT, 2, bounded, out)
    return lse


def _bucket_gradients(
    states: Tensor, table: Tensor, x_ids: Tensor, y_ids: Tensor, lse: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Gradients of sum(weight * lse) for the states (T, D) and the table (V, D); most of `weight` (n_b, X) is zero."""
    size_x = x_ids.shape[1]
    d_states, d_table = torch.zeros_like(states), torch.zeros_like(table)
    order = weight.argsort(1, descending=True)
    counts = [size_x] * len(order) if states.is_cuda else weight.count_nonzero(1).tolist()
    step = _per_block(states, size_x * y_ids.shape[1]) if states.is_cuda else 1
    for i in range(0, len(order), step):
        rows = order[i : i + step, : counts[i]]
        x, y = x_ids[i : i + step].gather(1, rows), y_ids[i : i + step]
        shift, w = (values[i : i + step].gather(1, rows)[:, :, None] for values in (lse, weight))
        x_states, y_items = F.embedding(x, states), F.embedding(y, table)
        p = (x_states @ y_items.mT).sub_(shift).exp_().mul_(w)  # (step, winners, Y)
        d_states.index_add_(0, x.flatten(), (p @ y_items).flatten(0, 1))
        d_table.index_add_(0, y.flatten(), (p.mT @ x_states).flatten(0, 1))
    return d_states, d_table


def _exp_sum_(logits: Tensor, dim: int, bounded: bool, lse: Tensor) -> Tensor:
    """Turn logits into exp(logits - shift) in place, return the sums over `dim`, write logsumexp over it to `lse`."""
    if bounded:
        s = logits.exp_().sum(dim, dtype=lse.dtype)
        torch.log(s, out=lse)
        return s
    shift = logits.amax(dim, keepdim=True)
    s = logits.sub_(shift).exp_().sum(dim, dtype=lse.dtype)
    torch.add(shift.squeeze(dim), s.log(), out=lse)
    return s


def _bounded(states: Tensor, table: Tensor) -> bool:
    """Whether no logit can be large (Cauchy-Schwarz): exp needs no shift then, which saves two passes of five."""
    if states.is_cuda or len(states) == 0:  # asking would stall the queue
        return False
    return bool(states.norm(dim=1).max() * table.norm(dim=1).max() < SAFE_LOGIT)


def _per_block(states: Tensor, elements: int) -> int:
    """How many things of so many elements to hold at a time."""
    return max((GPU_ELEMENTS if states.is_cuda else CPU_ELEMENTS) // elements, 1)
