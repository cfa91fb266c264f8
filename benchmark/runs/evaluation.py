"""Full-catalogue ranking of one model: the exact rank of every user's target, the top items, raw scores.

Items of the history are masked, unless the cases say otherwise. The rank of target t is
1 + #{unmasked j: s_j > s_t} + #{unmasked j < t: s_j = s_t}, or 0, a miss, if t itself is masked.
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
NEGATIVE_SEED = 20251026
"""Random negatives follow from this and the data alone, so that methods are compared on the same ones."""

USERS_AT_ONCE = 512
DRAWN_AT_ONCE = 256
"""Histories of tie draws, which come sorted by length: on a CPU more of them at once take longer (ML-1M: a sixth)."""

CELLS_AT_ONCE = 2**23
"""Scores held at once, 32 MiB of float32: on a CPU, larger matrices take more time per score, not less."""


class NonFiniteScores(ArithmeticError):
    """The model gave a NaN or an infinite score; its run has diverged."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """What one pass over C cases found, in their order.

    `ranks` (C,) int32: 1 = best, 0 = the target is masked. `top_items` (C, min(50, V)) int64: best first, V
    where no unmasked item is left. `confidence` (C,) float32: the top item's probability under a softmax over
    the unmasked items, 0 where there is none. `correct` (C,) bool: whether the top item is the target.
    `target_scores` (C,), `negative_scores` (C, 300) float32: raw scores of the target and of items drawn
    uniformly, with replacement, from those neither masked nor the target; NaN where there are none.
    """

    ranks: np.ndarray
    top_items: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    target_scores: np.ndarray
    negative_scores: np.ndarray


@torch.inference_mode()
def evaluate_ranks(score: Scorer, cases: Cases, n_items: int, maxlen: int) -> np.ndarray:
    """Rank of each case's target, (C,) int32 as in `Ranking`: all that choosing an epoch needs.

    Runs on the device that the cases are on. The model sees the last `maxlen` items of a history; the whole
    history is masked, unless `cases.mask_seen` is false. A history that several cases share is scored once. Raises
    NonFiniteScores.
    """
    histories, owners = _distinct_histories(cases)
    at_once = USERS_AT_ONCE if cases.draws is None else DRAWN_AT_ONCE
    chunks = _scored_chunks(score, cases, histories, owners, n_items, maxlen, at_once)
    return _joined(({"ranks": _ranks_of_cases(chunk)} for chunk in chunks), len(cases.targets))["ranks"]


@torch.inference_mode()
def evaluate(score: Scorer, cases: Cases, n_items: int, maxlen: int, batch_users: int = USERS_AT_ONCE) -> Ranking:
    """Ranks, and in the same pass what the metrics and probes of a finished model need.

    Runs on the device that the cases are on. Only the model's own arithmetic can make the result depend on
    `batch_users`. Raises NonFiniteScores.
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
    """The k best items of each history, (B, min(k, V)) for a few histories at a time, best first; V where no item is
    left. Masked as in `evaluate`. Raises NonFiniteScores.
    """
    cases = Cases(histories, histories.final_items(), mask_seen=mask_seen)  # the targets play no part
    each = torch.arange(len(histories), device=histories.items.device)
    for chunk in _scored_chunks(score, cases, histories, each, n_items, maxlen, USERS_AT_ONCE):
        with _masked(chunk) as masked:
            yield _top(masked, k)[0]


def _distinct_histories(cases: Cases) -> tuple[Sequences, Tensor]:
    """The H histories that differ from the one before, and the one of each case: owners (C,), ascending."""
    places = torch.stack([cases.histories.starts, cases.histories.lengths])
    is_new = torch.cat([places.new_ones(1, dtype=torch.bool), places.diff().any(0)])
    return cases.histories.select(is_new.nonzero().squeeze(1)), is_new.cumsum(0) - 1


def _joined(parts: Iterable[dict[str, Tensor]], n_cases: int) -> dict[str, np.ndarray]:
    """The parts' rows one below the other, written straight to their place.

    Small results kept between the large matrices of a chunk would fragment the heap, by gigabytes.
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
    """B histories: raw `scores` (B, V), and `seen` (M,), the cells of their own items that are to be masked.

    These are indices into the flattened matrix, repeats included. `targets` (C,) of the C >= B cases that these
    histories have, `owners` (C,) their rows, ascending; every history has a case.
    """

    scores: Tensor
    seen: Tensor
    targets: Tensor
    owners: Tensor


def _scored_chunks(
    score: Scorer, cases: Cases, histories: Sequences, owners: Tensor, n_items: int, maxlen: int, batch_users: int
) -> Iterator[_Chunk]:
    """H histories a few at a time, with the targets of the C cases to whose history `owners` (C,) points."""
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
    """The cells of the users' own items in the flattened (B, V) matrix, (M,), in the sequences' order."""
    rows, items = sequences.flatten()
    return rows * n_items + items


@contextmanager
def _masked(chunk: _Chunk) -> Iterator[Tensor]:
    """The scores (B, V) with -inf at the histories' own items, in place, for a copy takes as long as ranking does.

    The matrix may be the method's own, so what was overwritten is put back.
    """
    cells = chunk.scores.view(-1)
    kept = cells[chunk.seen]
    cells[chunk.seen] = -torch.inf
    try:
        yield chunk.scores
    finally:
        cells[chunk.seen] = kept


def _ranks_of_cases(chunk: _Chunk) -> Tensor:
    """(C,) the rank of each case's target."""
    is_first = chunk.owners.diff(prepend=chunk.owners.new_tensor([-1])) > 0  # (C,) of the cases of a history
    with _masked(chunk) as masked:
        if is_first.all():
            return ranks_of(masked, chunk.targets)
        ranks = torch.empty_like(chunk.targets, dtype=torch.int32)
        ranks[is_first] = ranks_of(masked, chunk.targets[is_first])
        others = ~is_first
        ranks[others] = ranks_of(masked[chunk.owners[others]], chunk.targets[others])
        return ranks


def ranks_of(masked: Tensor, targets: Tensor) -> Tensor:
    """(B,) int32: the rank of one target in each row of `masked` (B, V), 0 where that is -inf."""
    columns = targets[:, None]
    target = masked.gather(1, columns)  # (B, 1)
    cells = torch.empty_like(masked)
    # Sums of ones in float32 are exact up to 2**24 items and, on a CPU, much faster than counting booleans.
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
    """The k best items, (B, min(k, V)), ties by ascending index, V where masked; and the best score, (B,)."""
    n_items = masked.shape[1]
    values, items = masked.topk(min(k + 1, n_items))
    if n_items > k:
        crossing = values[:, k - 1] == values[:, k]
        items = items[:, :k]
        if crossing.any():
            items[crossing] = _top_of_tied(masked[crossing], values[crossing, k - 1 : k], k)
    items = items.sort().values
    values = masked.gather(1, items) + 0.0  # -0.0 becomes the 0.0 it ties with; a GPU's radix sort tells them apart
    values, order = values.sort(descending=True, stable=True)
    return items.gather(1, order).masked_fill(values.isneginf(), n_items), values[:, 0]


def _top_of_tied(masked: Tensor, boundary: Tensor, k: int) -> Tensor:
    """The k best items, in any order, of rows whose k-th best score, `boundary` (B, 1), recurs after place k.

    `topk` keeps any of the tied items; a key that falls with the item's index makes it keep the first ones.
    """
    n_items = masked.shape[1]
    items = torch.arange(n_items, dtype=torch.int32, device=masked.device)
    key = torch.where(masked == boundary, -items, -n_items).masked_fill_(masked > boundary, 1)
    return key.topk(k).indices


def _negatives(chunk: _Chunk, uniform: Tensor) -> tuple[Tensor, Tensor]:
    """Items outside history and target, (B, n), from `uniform` (B, n) in [0, 1); whether there are any, (B,).

    Sort the excluded cells of the flattened (B, V) matrix, e_0 < e_1 < ...; e_i - i allowed cells lie before
    e_i. So allowed cell number a is cell a + #{i: e_i - i <= a}.
    """
    n_users, n_items = chunk.scores.shape
    starts = torch.arange(n_users + 1, device=uniform.device) * n_items
    excluded = torch.cat([chunk.seen, starts[:-1] + chunk.targets]).unique()
    before = torch.searchsorted(excluded, starts)  # (B + 1,) excluded cells ahead of each row
    allowed = n_items - before.diff()
    chosen = (starts - before)[:-1, None] + (uniform * allowed[:, None]).long()
    gaps = excluded - torch.arange(len(excluded), device=excluded.device)
    cells = chosen + torch.searchsorted(gaps, chosen, right=True)
    return cells % n_items, allowed > 0
