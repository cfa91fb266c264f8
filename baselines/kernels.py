"""Losses against the item table that never hold the (T, V) logits and are fast on a single CPU thread.

T states of width D, V items. Each is an autograd.Function with a hand-written gradient, checked in the tests against
the plain formula that its docstring states. What they share: logits live only in blocks that fit a cache, and a loss
whose gradient costs little more than its value computes both at once, so that nothing is computed twice or kept for
the backward pass.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import torch
from scipy import sparse
from torch import Tensor
from torch.autograd.function import once_differentiable

CACHE_ELEMENTS = 2**19  # 2 MiB of float32: two such blocks fit the second-level caches of current server cores
DEVICE_ELEMENTS = 2**26  # on a GPU: large enough to keep it busy, 256 MiB


def linear_cross_entropy(states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Mean of logsumexp_v(x_t . w_v) - x_t . w_target: `states` (T, D), `table` (V, D), `targets` (T,) -> scalar."""
    return _LinearCrossEntropy.apply(states, table, targets)


def sampled_logits(states: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
    """x_t . w_c for each state's candidates: `states` (T, D), `table` (V, D), `candidates` (T, n) int64 -> (T, n)."""
    if candidates.shape[1] >= len(table):  # the whole product is smaller, and torch's sparse one refuses
        return (states @ table.T).gather(1, candidates)
    if states.is_cuda:
        return torch.bmm(torch.nn.functional.embedding(candidates, table), states[:, :, None]).squeeze(2)
    return _SampledLogits.apply(states, table, candidates)


def bucketed_cross_entropy(states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
    """Softmax inside buckets: the states `x_ids` (n_b, X) against the items `y_ids` (n_b, Y), rows ascending.

    A state's loss in a bucket is the cross-entropy of its own target against the bucket's items (the target counted
    once); of its buckets' losses it takes the largest; returned is the mean over the states in some bucket, a scalar.
    """
    return _BucketedCrossEntropy.apply(states, table, targets, x_ids, y_ids)


class _LinearCrossEntropy(torch.autograd.Function):
    """With E = exp(X W' - max), s = E 1: dX = E W / s - W_target and dW = E' (X / s) - sum of the x of each target."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        rows = min(_per_block(states, len(table), at_least=64), max(len(states), 1))
        d_states, d_table = torch.empty_like(states), torch.zeros_like(table)
        lse = states.new_empty(len(states), 1)
        buffer = states.new_empty(rows, len(table))
        for x, d_x, out in zip(states.split(rows), d_states.split(rows), lse.split(rows), strict=True):
            e = torch.mm(x, table.T, out=buffer[: len(x)])
            largest = e.amax(1, keepdim=True)
            s = e.sub_(largest).exp_().sum(1, keepdim=True)
            torch.mm(e, table, out=d_x).div_(s)
            d_table.addmm_(e.T, x / s)
            torch.add(largest, s.log(), out=out)
        own = table[targets]
        loss = (lse.squeeze(1) - (states * own).sum(1)).mean()
        d_table.index_add_(0, targets, states, alpha=-1)
        ctx.save_for_backward(d_states.sub_(own), d_table)
        return loss

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
        rows, size = torch.arange(0, count * n + 1, n), (count, len(table))
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            places = torch.sparse_csr_tensor(
                rows, candidates.flatten(), states.new_zeros(count * n), size, check_invariants=False
            )
        return torch.sparse.sampled_addmm(places, states, table.T, beta=0.0).values().view(count, n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, table, candidates = ctx.saved_tensors
        count, n = candidates.shape
        d_states = torch.nn.functional.embedding_bag(
            candidates, table, per_sample_weights=gradient.contiguous(), mode="sum"
        )
        rows = np.arange(0, count * n + 1, n, dtype=np.int32)
        g = sparse.csr_matrix(
            (gradient.flatten().numpy(), candidates.flatten().int().numpy(), rows), (count, len(table))
        )
        return d_states, torch.from_numpy(g.T @ states.numpy()), None


class _BucketedCrossEntropy(torch.autograd.Function):
    """Two passes over the buckets: all losses, then the gradients of the few that are their state's largest."""

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
        size_y = y_ids.shape[1]
        step = _per_block(states, x_ids.shape[1] * size_y)
        own = table[targets]
        correct = (states * own).sum(1)[x_ids]  # (n_b, X)
        lse = torch.cat(
            [(states[x] @ table[y].mT).logsumexp(2) for x, y in zip(x_ids.split(step), y_ids.split(step), strict=True)]
        )  # (n_b, X)
        place = torch.searchsorted(y_ids, targets[x_ids]).clamp_max_(size_y - 1)
        absent = y_ids.gather(1, place) != targets[x_ids]  # the bucket does not contain the state's own target
        lse = torch.where(absent, torch.logaddexp(lse, correct), lse)
        losses = lse - correct
        largest = torch.full_like(states[:, 0], -torch.inf)
        largest.scatter_reduce_(0, x_ids.flatten(), losses.flatten(), "amax")
        wins = (losses == largest[x_ids]).to(states.dtype)
        ties = torch.zeros_like(largest).scatter_add_(0, x_ids.flatten(), wins.flatten())
        weight = wins / ties[x_ids].clamp_min(1)  # a state's weights over its buckets sum to one

        d_states, d_table = torch.zeros_like(states), torch.zeros_like(table)
        for x, y, shift, w in zip(
            x_ids.split(step), y_ids.split(step), lse.split(step), weight.split(step), strict=True
        ):
            most = x.shape[1] if states.is_cuda else int(w.count_nonzero(1).max())
            winners = w.argsort(1, descending=True)[:, :most]
            x, shift, w = x.gather(1, winners), shift.gather(1, winners), w.gather(1, winners)
            x_states, y_items = states[x], table[y]
            p = (x_states @ y_items.mT).sub_(shift[:, :, None]).exp_().mul_(w[:, :, None])
            d_states.index_add_(0, x.flatten(), (p @ y_items).flatten(0, 1))
            d_table.index_add_(0, y.flatten(), (p.mT @ x_states).flatten(0, 1))
        d_correct = weight * ((correct - lse).exp_() * absent - 1)
        d_correct = torch.zeros_like(largest).scatter_add_(0, x_ids.flatten(), d_correct.flatten())[:, None]
        d_table.index_add_(0, targets, d_correct * states)
        d_states.addcmul_(d_correct, own)
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


def _per_block(states: Tensor, elements: int, at_least: int = 1) -> int:
    """How many things of so many elements to hold at a time."""
    return max((DEVICE_ELEMENTS if states.is_cuda else CACHE_ELEMENTS) // elements, at_least)
