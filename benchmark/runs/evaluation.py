"""Rank the full catalogue with one model: the exact rank of every user's target, the top items, and raw scores.

Items in the history are masked unless the cases say otherwise. The rank of target t is
1 + #{unmasked j: s_j > s_t} + #{unmasked j < t: s_j = s_t}, or 0, which counts as a miss, if t itself is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from baselines.method import Scorer
from datasets.cases import Cases
from datasets.sequences import Sequences, windows

TOP_ITEMS = 50
NEGATIVES = 300
NEGATIVE_SEED = 20251026  # not the run's seed, so that all methods are compared on the same negatives

USERS_AT_ONCE = 512
DRAWN_AT_ONCE = 256  # for tie draws, whose histories are sorted by length: on a CPU 512 is slower (by a sixth on ML-1M)
CELLS_AT_ONCE = 2**23  # scores per matrix, 32 MiB of float32: on a CPU, larger matrices take longer per score


class NonFiniteScores(ArithmeticError):
    """The model's scores include NaN or infinity, so its run has diverged."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """The results for C cases, in their order.

    `ranks` (C,) int32: 1 = best, 0 = the target is masked. `top_items` (C, min(50, V)) int64: best first, V
    where no unmasked item is left. `confidence` (C,) float32: the top item's probability under a softmax over
    the unmasked items, 0 if there are none. `correct` (C,) bool: whether the top item is the target.
    `target_scores` (C,), `negative_scores` (C, 300) float32: raw scores of the target and of items drawn
    uniformly with replacement from those that are neither masked nor the target, NaN if there are none.
    """

    ranks: np.ndarray
    top_items: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    target_scores: np.ndarray
    negative_scores: np.ndarray


@torch.inference_mode()
def evaluate_ranks(score: Scorer, cases: Cases, n_items: int, maxlen: int) -> np.ndarray:
    """Compute only the ranks, (C,) int32 as in `Ranking`; this is all that choosing an epoch needs.

    Runs on the device of the cases. The model sees the last `maxlen` items of a history; the whole history is masked,
    unless `cases.mask_seen` is false. A history that several cases share is scored once. Raises NonFiniteScores.
    """
    histories, owners = _distinct_histories(cases)
    at_once = USERS_AT_ONCE if cases.draws is None else DRAWN_AT_ONCE
    chunks = _scored_chunks(score, cases, histories, owners, n_items, maxlen, at_once)
    return _joined(({"ranks": _ranks_of_cases(chunk)} for chunk in chunks), len(cases.targets))["ranks"]


@torch.inference_mode()
def evaluate(score: Scorer, cases: Cases, n_items: int, maxlen: int, batch_users: int = USERS_AT_ONCE) -> Ranking:
    """Compute ranks and, in the same pass, everything that the metrics and probes of a finished model need.

    Runs on the device of the cases. The result does not depend on `batch_users`, except through rounding inside the
    model. Raises NonFiniteScores.
    """
    random, device = np.random.default_rng(NEGATIVE_SEED), cases.targets.device
    each = torch.arange(len(cases.targets), device=device)
    parts = (
        _measure(chunk, torch.from_numpy(random.random((len(chunk.targets), NEGATIVES))).to(device))
        for chunk in _scored_chunks(score, cases, cases.histories, each, n_items, maxlen, batch_users)
    )
    return Ranking(**_joined(parts, len(cases.targets)))


@torch.inference_mode()
def top_lists(
    score: Scorer, histories: Sequences, n_items: int, maxlen: int, k: int, mask_seen: bool
) -> Iterator[Tensor]:
    """Yield the k best items of B histories at a time, (B, min(k, V)), best first, V where no item is left.

    Raises NonFiniteScores.
    """
    cases = Cases(histories, histories.final_items(), mask_seen=mask_seen)  # the targets are not used
    each = torch.arange(len(histories), device=histories.items.device)
    for chunk in _scored_chunks(score, cases, histories, each, n_items, maxlen, USERS_AT_ONCE):
        with _masked(chunk) as masked:
            yield _top(masked, k)[0]


def _distinct_histories(cases: Cases) -> tuple[Sequences, Tensor]:
    """Merge equal neighbours. Returns the H histories that are left and, for each case, the index of its own, (C,)."""
    places = torch.stack([cases.histories.starts, cases.histories.lengths])
    is_new = torch.cat([places.new_ones(1, dtype=torch.bool), places.diff().any(0)])
    return cases.histories.select(is_new.nonzero().squeeze(1)), is_new.cumsum(0) - 1


def _joined(parts: Iterable[dict[str, Tensor]], n_cases: int) -> dict[str, np.ndarray]:
    """Concatenate the parts' arrays, copying each part to its place in a preallocated array as it arrives.

    If the small results were kept between the large matrices of the chunks, they would fragment the heap by gigabytes.
    """
    whole: dict[str, Tensor] = {}
    first = 0
    for part in parts:
        for name, rows in part.items():
            if name not in whole:
                whole[name] = rows.new_empty(n_cases, *rows.shape[1:])
            whole[name][first : first + len(rows)] = rows
        first += len(part["ranks"])
    return {name: rows.cpu().numpy() for name, rows in whole.items()}


@dataclass(frozen=True, eq=False)
class _Chunk:
    """Raw `scores` (B, V) of B histories, and the C >= B cases that have these histories.

    `seen` (M,): indices into the flattened scores of the items to mask, with repeats. `targets` (C,). `owners` (C,):
    the row of each case's history, ascending. Every history has at least one case.
    """

    scores: Tensor
    seen: Tensor
    targets: Tensor
    owners: Tensor


def _scored_chunks(
    score: Scorer, cases: Cases, histories: Sequences, owners: Tensor, n_items: int, maxlen: int, batch_users: int
) -> Iterator[_Chunk]:
    """Score H histories, a few at a time. `owners` (C,) has the index of each case's history."""
    every = torch.arange(len(histories), device=owners.device)
    for rows in every.split(max(1, min(batch_users, CELLS_AT_ONCE // n_items))):
        scores = score(windows(histories, rows, maxlen, pad_id=n_items)).float().contiguous()
        _check(scores, rows, n_items)
        seen = cells_of(histories.select(rows if cases.mask_seen else rows[:0]), n_items)
        first, end = torch.searchsorted(owners, torch.stack([rows[0], rows[-1] + 1])).tolist()
        yield _Chunk(scores, seen, cases.targets[first:end], owners[first:end] - rows[0])


def _check(scores: Tensor, rows: Tensor, n_items: int) -> None:
    if scores.shape != (len(rows), n_items):
        raise ValueError(
            f"scores have shape {tuple(scores.shape)}, expected {(len(rows), n_items)}: users x real items"
        )
    if not torch.isfinite(torch.stack(scores.aminmax())).all():
        count = int(scores.isfinite().logical_not().sum())
        raise NonFiniteScores(f"{count} of the {scores.numel()} scores of users {rows[0]} to {rows[-1]} are not finite")


def cells_of(sequences: Sequences, n_items: int) -> Tensor:
    """Return the indices of the users' own items in a flattened (B, V) matrix, (M,), in the sequences' order."""
    rows, items = sequences.flatten()
    return rows * n_items + items


@contextmanager
def _masked(chunk: _Chunk) -> Iterator[Tensor]:
    """Set the scores of the items to mask to -inf, in place, because copying would take as long as ranking.

    The matrix may belong to the method, so the original scores are restored at the end.
    """
    cells = chunk.scores.view(-1)
    kept = cells[chunk.seen]
    cells[chunk.seen] = -torch.inf
    try:
        yield chunk.scores
    finally:
        cells[chunk.seen] = kept


def _ranks_of_cases(chunk: _Chunk) -> Tensor:
    """Return the rank of each case's target, (C,) int32."""
    is_first = chunk.owners.diff(prepend=chunk.owners.new_tensor([-1])) > 0  # (C,), among the cases of a history
    with _masked(chunk) as masked:
        if is_first.all():
            return ranks_of(masked, chunk.targets)
        ranks = torch.empty_like(chunk.targets, dtype=torch.int32)
        ranks[is_first] = ranks_of(masked, chunk.targets[is_first])
        others = ~is_first
        ranks[others] = ranks_of(masked[chunk.owners[others]], chunk.targets[others])
        return ranks


def ranks_of(masked: Tensor, targets: Tensor) -> Tensor:
    """Return the rank of one target in each row of `masked` (B, V), (B,) int32, 0 where the target's score is -inf."""
    columns = targets[:, None]
    target = masked.gather(1, columns)  # (B, 1)
    cells = torch.empty_like(masked)
    # Summing ones in float32 is exact up to 2**24 items and, on a CPU, much faster than counting booleans.
    above = torch.gt(masked, target, out=cells).sum(1)
    tied = torch.ge(masked, target, out=cells).sum(1) - above > 1
    if tied.any():
        items = torch.arange(masked.shape[1], device=masked.device)
        above[tied] += ((masked[tied] == target[tied]) & (items < columns[tied])).sum(1)
    return torch.where(target.squeeze(1).isneginf(), 0, 1 + above).int()


def _measure(chunk: _Chunk, uniform: Tensor) -> dict[str, Tensor]:
    scores, targets = chunk.scores, chunk.targets[:, None]
    masked = scores.flatten().index_fill(0, chunk.seen, -torch.inf).view_as(scores)
    top_items, best = _top(masked, TOP_ITEMS)
    negatives, exist = _negatives(chunk, uniform)
    return {
        "ranks": ranks_of(masked, chunk.targets),
        "top_items": top_items,
        "confidence": (best - masked.logsumexp(1)).exp().nan_to_num(0.0),
        "correct": top_items[:, 0] == chunk.targets,
        "target_scores": scores.gather(1, targets).squeeze(1),
        "negative_scores": scores.gather(1, negatives).masked_fill(~exist[:, None], torch.nan),
    }


def _top(masked: Tensor, k: int) -> tuple[Tensor, Tensor]:
    """Return the k best items, (B, min(k, V)), ties by ascending index, V where masked; and the best score, (B,)."""
    n_items = masked.shape[1]
    values, items = masked.topk(min(k + 1, n_items))
    if n_items > k:
        crossing = values[:, k - 1] == values[:, k]
        items = items[:, :k]
        if crossing.any():
            items[crossing] = _top_of_tied(masked[crossing], values[crossing, k - 1 : k], k)
    items = items.sort().values
    values = masked.gather(1, items) + 0.0  # turns -0.0 into 0.0: they tie, but a GPU's radix sort would order them
    values, order = values.sort(descending=True, stable=True)
    return items.gather(1, order).masked_fill(values.isneginf(), n_items), values[:, 0]


def _top_of_tied(masked: Tensor, boundary: Tensor, k: int) -> Tensor:
    """Return the k best items, in any order, of rows where places k and k + 1 have the same score, `boundary` (B, 1).

    `topk` would keep an arbitrary choice of the tied items. A key that decreases with the item's index makes it keep
    the first ones.
    """
    n_items = masked.shape[1]
    items = torch.arange(n_items, dtype=torch.int32, device=masked.device)
    key = torch.where(masked == boundary, -items, -n_items).masked_fill_(masked > boundary, 1)
    return key.topk(k).indices


def _negatives(chunk: _Chunk, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Draw items that are neither masked nor the target, (B, n), and tell which rows have any such items, (B,).

    `uniform` (B, n): numbers in [0, 1). Let e_0 < e_1 < ... be the excluded cells of the flattened (B, V) matrix. There
    are e_i - i allowed cells before e_i, so allowed cell number a is cell a + #{i: e_i - i <= a}.
    """
    n_users, n_items = chunk.scores.shape
    starts = torch.arange(n_users + 1, device=uniform.device) * n_items
    excluded = torch.cat([chunk.seen, starts[:-1] + chunk.targets]).unique()
    before = torch.searchsorted(excluded, starts)  # (B + 1,), the number of excluded cells before each row
    allowed = n_items - before.diff()
    chosen = (starts - before)[:-1, None] + (uniform * allowed[:, None]).long()
    gaps = excluded - torch.arange(len(excluded), device=excluded.device)
    cells = chosen + torch.searchsorted(gaps, chosen, right=True)
    return cells % n_items, allowed > 0
