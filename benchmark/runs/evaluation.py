"""Full-catalogue ranking of one model: the exact rank of every user's target, the top items, raw scores.

Items of the history are masked. The rank of target t is
1 + #{unmasked j: s_j > s_t} + #{unmasked j < t: s_j = s_t}, or 0, a miss, if t itself is masked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from baselines.method import Scorer
from datasets.sequences import Sequences, windows
from datasets.split import Cases

TOP_ITEMS = 50
NEGATIVES = 300
NEGATIVE_SEED = 20251026
"""Random negatives follow from this and the data alone, so that methods are compared on the same ones."""

USERS_AT_ONCE = 512
CELLS_AT_ONCE = 2**23
"""Scores held at once, 32 MiB of float32: on a CPU, larger matrices take more time per score, not less."""


class NonFiniteScores(ArithmeticError):
    """The model gave a NaN or an infinite score; its run has diverged."""


@dataclass(frozen=True, eq=False)
class Ranking:
    """What one pass over N users found, in the order of the cases.

    `ranks` (N,) int32: 1 = best, 0 = the target is masked. `top_items` (N, min(50, V)) int64: best first, V
    where no unmasked item is left. `confidence` (N,) float32: the top item's probability under a softmax over
    the unmasked items, 0 where there is none. `correct` (N,) bool: whether the top item is the target.
    `target_scores` (N,), `negative_scores` (N, 300) float32: raw scores of the target and of items drawn
    uniformly, with replacement, from those neither in the history nor the target; NaN where there are none.
    """

    ranks: np.ndarray
    top_items: np.ndarray
    confidence: np.ndarray
    correct: np.ndarray
    target_scores: np.ndarray
    negative_scores: np.ndarray


@torch.inference_mode()
def evaluate_ranks(
    score: Scorer, cases: Cases, n_items: int, maxlen: int, batch_users: int = USERS_AT_ONCE
) -> np.ndarray:
    """Rank of each user's target, (N,) int32 as in `Ranking`: all that choosing an epoch needs.

    Runs on the device that the cases are on. The model sees the last `maxlen` items of a history; the whole
    history is masked. Raises NonFiniteScores.
    """
    chunks = _scored_chunks(score, cases, n_items, maxlen, batch_users)
    return _joined(({"ranks": _ranks(chunk)} for chunk in chunks), len(cases.targets))["ranks"]


@torch.inference_mode()
def evaluate(score: Scorer, cases: Cases, n_items: int, maxlen: int, batch_users: int = USERS_AT_ONCE) -> Ranking:
    """Ranks, and in the same pass what the metrics and probes of a finished model need.

    Runs on the device that the cases are on. Only the model's own arithmetic can make the result depend on
    `batch_users`. Raises NonFiniteScores.
    """
    random, device = np.random.default_rng(NEGATIVE_SEED), cases.targets.device
    parts = (
        _measure(chunk, torch.from_numpy(random.random((len(chunk.targets), NEGATIVES))).to(device))
        for chunk in _scored_chunks(score, cases, n_items, maxlen, batch_users)
    )
    return Ranking(**_joined(parts, len(cases.targets)))


def _joined(parts: Iterable[dict[str, Tensor]], n_users: int) -> dict[str, np.ndarray]:
    """The parts' rows one below the other, written straight to their place.

    Small results kept between the large matrices of a chunk would fragment the heap, by gigabytes.
    """
    whole: dict[str, Tensor] = {}
    first = 0
    for part in parts:
        for name, rows in part.items():
            if name not in whole:
                whole[name] = rows.new_empty(n_users, *rows.shape[1:])
            whole[name][first : first + len(rows)] = rows
        first += len(part["ranks"])
    return {name: rows.cpu().numpy() for name, rows in whole.items()}


@dataclass(frozen=True, eq=False)
class _Chunk:
    """B users and their `targets` (B,): raw `scores` (B, V), and `masked`, the same with -inf at history items.

    `seen` (M,): the cells masked, as indices into the flattened matrix, repeats included.
    """

    scores: Tensor
    masked: Tensor
    seen: Tensor
    targets: Tensor


def _scored_chunks(score: Scorer, cases: Cases, n_items: int, maxlen: int, batch_users: int) -> Iterator[_Chunk]:
    histories, targets = cases.histories, cases.targets
    users = torch.arange(len(targets), device=targets.device)
    for rows in users.split(max(1, min(batch_users, CELLS_AT_ONCE // n_items))):
        scores = score(windows(histories, rows, maxlen, pad_id=n_items)).float()
        _check(scores, rows, n_items)
        seen = cells_of(histories.select(rows), n_items)
        masked = scores.index_put((seen // n_items, seen % n_items), scores.new_tensor(-torch.inf))
        yield _Chunk(scores, masked, seen, targets[rows])


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


def _ranks(chunk: _Chunk) -> Tensor:
    masked, columns = chunk.masked, chunk.targets[:, None]
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
    top_items, best = _top(chunk.masked, TOP_ITEMS)
    negatives, exist = _negatives(chunk, uniform)
    return {
        "ranks": _ranks(chunk),
        "top_items": top_items,
        "confidence": (best - chunk.masked.logsumexp(1)).exp().nan_to_num(0.0),
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
    values = masked.gather(1, items) + 0.0  # -0.0 becomes the 0.0 it ties with: some sorts tell them apart
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
