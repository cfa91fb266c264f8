"""Losses over the item table that never hold the full (T, V) logits and are fast on a single CPU thread.

There are T states x_t of width D and V items w_v. Each loss is an autograd.Function with a hand-written gradient; the
tests compare it with the gradient of the plain formula. Logits only exist in blocks that fit in a cache, and nothing
that is cheap to recompute is saved for the backward pass. Where the gradient costs little more than the loss itself,
the forward pass computes both and the backward pass only scales the gradient.
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

CPU_BLOCK = 96  # states per block. Measured: smaller blocks make the product slow, larger ones leave the cache
CPU_ELEMENTS = 2**18  # logits per block where each state has few of them: 1 MiB of float32
GPU_ELEMENTS = 2**26  # logits per block on a GPU: 256 MiB, so that there are few, large kernel launches
SAFE_LOGIT = 60.0  # in float32, exp(60) summed over any catalogue does not overflow, and exp(-60) does not underflow


def linear_cross_entropy(states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
    """Average logsumexp_v(x_t . w_v) - x_t . w_target: `states` (T, D), `table` (V, D), `targets` (T,) -> scalar.

    The three (T, V) products use the dtype of `states`, which may be bfloat16. Sums and loss use that of `table`.
    """
    return _LinearCrossEntropy.apply(states, table, targets)


def sampled_logits(states: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
    """Compute x_t . w_c for each state's candidates: `states` (T, D), `table` (V, D), `candidates` (T, n) -> (T, n)."""
    states = states.to(table.dtype)
    if candidates.shape[1] >= len(table):  # the full product is smaller, and torch's sparse one would refuse
        return (states @ table.T).gather(1, candidates)
    if states.is_cuda:
        return torch.bmm(F.embedding(candidates, table), states[:, :, None]).squeeze(2)
    return _SampledLogits.apply(states, table, candidates)


def bucketed_cross_entropy(states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
    """Cross-entropy inside buckets of states `x_ids` (n_b, X) and items `y_ids` (n_b, Y), both with ascending rows.

    In each of its buckets a state's target competes with the bucket's items (and counts once). The loss of a state is
    the largest over its buckets. Returns the mean over the states that are in some bucket, a scalar.
    """
    return _BucketedCrossEntropy.apply(states.to(table.dtype), table, targets, x_ids, y_ids)


class _LinearCrossEntropy(torch.autograd.Function):
    """With E = exp(W X' - shift) and s = 1' E, the gradients are dX = (E / s)' W and dW = E (X / s). From dX we then
    subtract each state's target vector, and from each target's row of dW the state.

    A block holds b states against all items. Items run along the rows, (V, b), which makes all three products fastest.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, targets: Tensor) -> Tensor:
        block = _block_size(states, len(table)) if states.is_cuda else CPU_BLOCK
        no_shift = _exp_is_safe(states, table)
        d_states, d_table = torch.empty_like(states), torch.zeros_like(table)
        lse = table.new_empty(len(states))  # (T,)
        buffer = states.new_empty(len(table) * min(block, len(states)))  # fits the largest block, (V * b,)
        factor = table.to(states.dtype)  # (V, D)
        for x, d_x, out in zip(states.split(block), d_states.split(block), lse.split(block), strict=True):
            e = torch.mm(factor, x.T, out=buffer[: len(table) * len(x)].view(len(table), len(x)))  # (V, b) logits
            s = _exp_sum_(e, 0, no_shift, out)[:, None]  # (b, 1); e now holds the exponentials
            torch.mm(e.T, factor, out=d_x).div_(s)  # (b, V) @ (V, D) -> (b, D)
            if e.dtype == d_table.dtype:
                d_table.addmm_(e, x / s)  # (V, b) @ (b, D) -> (V, D)
            else:
                d_table += e @ (x / s).to(e.dtype)  # the same product in bfloat16, accumulated in float32
        own = F.embedding(targets, table)  # (T, D) the vector of each state's target
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
    """Avoids building the candidates' vectors, (T, n, D). If the gradient of the logits is a sparse matrix G (T, V)
    with n entries per row, then dX = G W and dW = G' X.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, candidates: Tensor) -> Tensor:
        ctx.save_for_backward(states, table, candidates)
        count, n = candidates.shape
        starts, size = torch.arange(0, count * n + 1, n), (count, len(table))  # row t holds entries t * n to t * n + n
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Sparse CSR tensor support is in beta")
            places = torch.sparse_csr_tensor(
                starts, candidates.flatten(), states.new_zeros(count * n), size, check_invariants=False
            )
        # This computes only n entries per row of the (T, V) product: (T * n,) -> (T, n).
        return torch.sparse.sampled_addmm(places, states, table.T, beta=0.0).values().view(count, n)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        states, table, candidates = ctx.saved_tensors
        count, n = candidates.shape
        gradient = gradient.contiguous()
        d_states = F.embedding_bag(candidates, table, per_sample_weights=gradient, mode="sum")  # G W, (T, D)
        starts = np.arange(0, count * n + 1, n, dtype=np.int32)
        columns = candidates.flatten().int().numpy()
        g = sparse.csr_matrix((gradient.flatten().numpy(), columns, starts), (count, len(table)))
        return d_states, torch.from_numpy(g.T @ states.numpy()), None  # G' X, (V, D)


class _BucketedCrossEntropy(torch.autograd.Function):
    """The first pass over the buckets computes all losses. The second computes gradients only where a loss is the
    largest of its state, since the others do not count.
    """

    @staticmethod
    def forward(ctx: Any, states: Tensor, table: Tensor, targets: Tensor, x_ids: Tensor, y_ids: Tensor) -> Tensor:
        own, targets_in = F.embedding(targets, table), targets[x_ids]  # (T, D), (n_b, X)
        correct = (states * own).sum(1)[x_ids]  # (T,) -> (n_b, X) the logit of each state's target
        lse = _bucket_lse(states, table, x_ids, y_ids)  # (n_b, X)
        place = torch.searchsorted(y_ids, targets_in).clamp_max_(y_ids.shape[1] - 1)  # (n_b, X), rows are ascending
        absent = y_ids.gather(1, place) != targets_in  # (n_b, X) where the bucket lacks the state's target
        lse = torch.where(absent, torch.logaddexp(lse, correct), lse)  # now the target counts exactly once

        losses, flat = lse - correct, x_ids.flatten()  # (n_b, X), (n_b * X,)
        largest = torch.full_like(states[:, 0], -torch.inf)  # (T,), stays -inf for a state in no bucket
        largest.scatter_reduce_(0, flat, losses.flatten(), "amax")
        wins = (losses == largest[x_ids]).to(states.dtype)  # (n_b, X)
        ties = torch.zeros_like(largest).index_add_(0, flat, wins.flatten())  # (T,) how many buckets share the maximum
        weight = wins / ties[x_ids].clamp_min(1)  # (n_b, X), sums to one over a state's buckets

        d_states, d_table = _bucket_gradients(states, table, x_ids, y_ids, lse, weight)
        # d(lse - correct) / d correct is -1, plus the target's probability where we added it to the bucket above.
        d_correct = weight * ((correct - lse).exp_() * absent - 1)  # (n_b, X)
        d_correct = torch.zeros_like(largest).index_add_(0, flat, d_correct.flatten())[:, None]  # (T, 1)
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
    """Return the logsumexp over each bucket's items for each of its states, (n_b, X)."""
    step = _block_size(states, x_ids.shape[1] * y_ids.shape[1])
    no_shift = _exp_is_safe(states, table)
    lse = states.new_empty(x_ids.shape)
    for x, y, out in zip(x_ids.split(step), y_ids.split(step), lse.split(step), strict=True):
        # (step, X, D) @ (step, D, Y) -> (step, X, Y); its logsumexp (step, X) goes into lse
        _exp_sum_(F.embedding(x, states) @ F.embedding(y, table).mT, 2, no_shift, out)
    return lse


def _bucket_gradients(
    states: Tensor, table: Tensor, x_ids: Tensor, y_ids: Tensor, lse: Tensor, weight: Tensor
) -> tuple[Tensor, Tensor]:
    """Return the gradients of sum(weight * lse), (T, D) and (V, D), where most of `weight` (n_b, X) is zero."""
    size_x = x_ids.shape[1]
    d_states, d_table = torch.zeros_like(states), torch.zeros_like(table)
    order = weight.argsort(1, descending=True)  # (n_b, X) states with a weight first; call them winners
    # On a CPU only the winners of each bucket are computed. Counting them would stall a GPU, so it computes all states.
    counts = [size_x] * len(order) if states.is_cuda else weight.count_nonzero(1).tolist()
    step = _block_size(states, size_x * y_ids.shape[1]) if states.is_cuda else 1
    for i in range(0, len(order), step):
        rows = order[i : i + step, : counts[i]]  # (step, winners)
        x, y = x_ids[i : i + step].gather(1, rows), y_ids[i : i + step]  # (step, winners), (step, Y)
        shift, w = (values[i : i + step].gather(1, rows)[:, :, None] for values in (lse, weight))  # (step, winners, 1)
        x_states, y_items = F.embedding(x, states), F.embedding(y, table)  # (step, winners, D), (step, Y, D)
        p = (x_states @ y_items.mT).sub_(shift).exp_().mul_(w)  # (step, winners, Y) weighted probabilities
        d_states.index_add_(0, x.flatten(), (p @ y_items).flatten(0, 1))  # adds (step * winners, D)
        d_table.index_add_(0, y.flatten(), (p.mT @ x_states).flatten(0, 1))  # adds (step * Y, D)
    return d_states, d_table


def _exp_sum_(logits: Tensor, dim: int, no_shift: bool, lse: Tensor) -> Tensor:
    """Replace the logits by exp(logits - shift), write their logsumexp to `lse` and return the sums over `dim`."""
    if no_shift:
        s = logits.exp_().sum(dim, dtype=lse.dtype)
        torch.log(s, out=lse)
        return s
    shift = logits.amax(dim, keepdim=True)
    s = logits.sub_(shift).exp_().sum(dim, dtype=lse.dtype)
    torch.add(shift.squeeze(dim), s.log(), out=lse)
    return s


def _exp_is_safe(states: Tensor, table: Tensor) -> bool:
    """Return whether all logits are certain to be small (Cauchy-Schwarz), so that exp needs no shift.

    Skipping the shift saves two of five passes. On a GPU the answer is False, because asking would stall it.
    """
    if states.is_cuda or len(states) == 0:
        return False
    return bool(states.norm(dim=1).max() * table.norm(dim=1).max() < SAFE_LOGIT)


def _block_size(states: Tensor, elements: int) -> int:
    """Return how many states or buckets to compute at a time if each has this many logits."""
    return max((GPU_ELEMENTS if states.is_cuda else CPU_ELEMENTS) // elements, 1)
