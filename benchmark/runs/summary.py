"""Compute a run's test metrics from the arrays of its record: accuracy, popularity buckets, calibration, geometry.

Needs numpy only, neither the model nor the data. Arrays have the names and shapes of metrics.py. Popularity buckets are
0, 1 and 2 in arrays, where 0 is the most popular one, and bucket1 to bucket3 in names. The metrics of a run on tie
draws are means over the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np

from benchmark.runs.metrics import CUTOFFS, accuracy, cutoffs_within, hit_rate, ndcg, of_lists, per_user, shown_items
from benchmark.store.npz import Arrays
from benchmark.store.record import CALIBRATION, DENSITIES, PER_USER
from datasets.protocol import N_BUCKETS

POPULARITY_CUTOFF = 10
SMOOTHING = 0.01  # share of the history mixed into recommendations to keep the divergence finite (Steck 2018)


def as_small_items(items: np.ndarray, n_items: int) -> np.ndarray:
    """Convert item indices, and `n_items` for no item, to uint16 if they fit, otherwise to int32."""
    return items.astype(np.uint16 if n_items < 2**16 - 1 else np.int32)


def bucket_accuracy(ranks: np.ndarray, target_buckets: np.ndarray) -> dict[str, float]:
    """Compute HR and NDCG, such as `hr@10/bucket1`, over the users whose target is in a bucket, if there are any."""
    metrics = {}
    for bucket in range(N_BUCKETS):
        members = ranks[target_buckets == bucket]
        if len(members):
            for k in CUTOFFS:
                metrics[f"hr@{k}/bucket{bucket + 1}"] = hit_rate(members, k)
                metrics[f"ndcg@{k}/bucket{bucket + 1}"] = ndcg(members, k)
    return metrics


def bucket_coverage(top_items: np.ndarray, target_buckets: np.ndarray, item_buckets: np.ndarray) -> dict[str, float]:
    """Compute coverage per bucket in two readings, both as a share of the whole catalogue. `item_buckets` (V,).

    `cov@K/bucketB/users`: all items shown to users whose target is in B (as in the released code), for buckets with
    users. `cov@K/bucketB/items`: the items of B shown to any user.
    """
    n_items = len(item_buckets)
    metrics = {}
    for k in cutoffs_within(top_items, n_items):
        shown = shown_items(top_items[:, :k], n_items) > 0
        for bucket in range(N_BUCKETS):
            name, members = f"cov@{k}/bucket{bucket + 1}", target_buckets == bucket
            if members.any():
                metrics[f"{name}/users"] = float((shown_items(top_items[members, :k], n_items) > 0).mean())
            metrics[f"{name}/items"] = float((shown & (item_buckets == bucket)).mean())
    return metrics


def shown_shares(top_items: np.ndarray, item_buckets: np.ndarray) -> dict[str, float]:
    """Compute `shown@K/bucketB`, the share of bucket B among all items in the users' top K. `item_buckets` (V,).

    NaN if no user has any item.
    """
    by_rank = np.append(item_buckets, N_BUCKETS)[top_items]  # (N, top), N_BUCKETS where no item was left
    metrics: dict[str, float] = {}
    for k in cutoffs_within(top_items, len(item_buckets)):
        counts = np.bincount(by_rank[:, :k].ravel(), minlength=N_BUCKETS)[:N_BUCKETS]
        shares = counts / counts.sum() if counts.any() else np.full(N_BUCKETS, np.nan)
        metrics |= {f"shown@{k}/bucket{bucket + 1}": float(shares[bucket]) for bucket in range(N_BUCKETS)}
    return metrics


def effective_rank(singular_values: np.ndarray) -> float:
    """Compute exp(-sum p log p), where p are the singular values over their sum (paper, Eq. 9; Roy and Vetterli 2007).

    The result is between 1 and the number of non-zero values, or 0 if there are none.
    """
    positive = singular_values[singular_values > 0]
    shares = positive / positive.sum()
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def popularity_divergence(history_buckets: np.ndarray, top_items: np.ndarray, item_buckets: np.ndarray) -> float:
    """Compute the mean over users of KL(p || 0.99 q + 0.01 p), in nats: calibration to popularity (Steck 2018).

    p: shares of the buckets in a user's history, `history_buckets` (N, 3). q: shares in the user's top 10. Users
    without a history or recommendations are left out; NaN if no users remain.
    """
    history = np.asarray(history_buckets, dtype=np.float64)
    shown = np.append(item_buckets, N_BUCKETS)[top_items[:, :POPULARITY_CUTOFF]]  # (N, 10)
    recommended = (shown[:, :, None] == np.arange(N_BUCKETS)).sum(1)
    defined = (history.sum(1) > 0) & (recommended.sum(1) > 0)
    if not defined.any():
        return float("nan")
    p, q = (counts[defined] / counts[defined].sum(1, keepdims=True) for counts in (history, recommended))
    ratio = np.divide(p, (1 - SMOOTHING) * q + SMOOTHING * p, out=np.ones_like(p), where=p > 0)
    return float((p * np.log(ratio)).sum(1).mean())


def calibration_error(count: np.ndarray, confidence: np.ndarray, accuracy: np.ndarray) -> float:
    """Compute the expected calibration error: the mean of |accuracy - confidence| over users (Guo et al. 2017)."""
    return float((count * np.abs(accuracy - confidence)).sum() / count.sum())


def overlap(grid: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> float:
    """Compute the integral of min(p, n) over that of p, the densities of target and negative scores (paper, Fig. 2)."""
    return float(np.trapezoid(np.minimum(targets, negatives), grid) / np.trapezoid(targets, grid))


PROBES: dict[str, tuple[Callable[..., float], tuple[str, ...]]] = {
    "effective_rank": (effective_rank, ("singular_values",)),
    "effective_rank_centred": (effective_rank, ("singular_values_centred",)),
    "overlap": (overlap, DENSITIES),
    "ece": (calibration_error, CALIBRATION),
}
"""Metrics computed from probes of the model, each with its function and the arrays that the function takes."""


def split_draws(arrays: Mapping[str, np.ndarray]) -> list[Arrays]:
    """Split the arrays of a record into those of each tie draw, in the shapes of a run without tie draws.

    Only the arrays in PER_USER are stored for each draw. A run without tie draws counts as one draw with all arrays.
    """
    if arrays["ranks"].ndim == 1:
        return [dict(arrays)]
    per_user = {name: array for name, array in arrays.items() if name in PER_USER}
    return [{name: array[:, draw] for name, array in per_user.items()} for draw in range(arrays["ranks"].shape[1])]


def combine_draws(draws: Sequence[Arrays]) -> Arrays:
    """Combine the arrays of each tie draw into the arrays of a record.

    Arrays in PER_USER are stacked to (N, K, ...). Of densities, bins and spectra, the mean over draws is kept as
    float32.
    """
    if len(draws) == 1:
        return draws[0]
    stacked = {name: np.stack([draw[name] for draw in draws], axis=1) for name in draws[0] if name in PER_USER}
    means = {name: np.mean([draw[name] for draw in draws], axis=0) for name in draws[0] if name not in PER_USER}
    if "score_grid" in means:
        means |= zip(DENSITIES, mean_densities(draws, len(means["score_grid"])), strict=True)
    return stacked | {name: array.astype(np.float32) for name, array in means.items()}


def mean_densities(
    arrays: Sequence[Mapping[str, np.ndarray]], n_points: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Average densities of scores that each have a grid of their own.

    Returns one grid that covers all of theirs and the mean densities of targets and negatives on it, (n_points,) each.
    """
    grids = [each["score_grid"] for each in arrays]
    grid = np.linspace(min(each.min() for each in grids), max(each.max() for each in grids), n_points)
    targets, negatives = (
        np.mean([np.interp(grid, each["score_grid"], each[name], left=0, right=0) for each in arrays], axis=0)
        for name in DENSITIES[1:]
    )
    return grid, targets, negatives


def user_means(metric: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """Compute each user's contribution to a mean over users, averaged over tie draws, (N,) float64.

    For `.../bucketB`, only draws count in which the user's target is in that bucket, and users without any are left
    out.
    """
    name, _, bucket = metric.partition("/bucket")
    values = per_user(name, arrays["ranks"]).reshape(len(arrays["ranks"]), -1)  # (N, K)
    if not bucket:
        return values.mean(1)
    inside = (arrays["target_buckets"] == int(bucket) - 1).reshape(values.shape)
    counts = inside.sum(1)
    return (values * inside).sum(1)[counts > 0] / counts[counts > 0]


def summarise(draws: Sequence[Arrays], item_buckets: np.ndarray, popularity: np.ndarray) -> dict[str, float]:
    """Compute all test metrics of a run from the arrays of its draws, as returned by `split_draws`.

    `item_buckets`, `popularity`: (V,). Each draw needs `ranks` and `target_buckets`; lists and probes are optional.
    Metrics that cannot be computed are left out: for empty buckets, missing probes, and cut-offs beyond the lists.
    """
    found = [_summarise_draw(draw, item_buckets, popularity) for draw in draws]
    if len(found) == 1:
        return found[0]
    names = {name: None for metrics in found for name in metrics}  # a bucket may be empty in some draws
    return {name: fmean(metrics[name] for metrics in found if name in metrics) for name in names}


def _summarise_draw(
    arrays: Mapping[str, np.ndarray], item_buckets: np.ndarray, popularity: np.ndarray
) -> dict[str, float]:
    ranks, target_buckets = arrays["ranks"], arrays["target_buckets"]
    metrics = {
        "masked_targets": float(np.mean(ranks == 0)),  # in the user's history, so they cannot be recommended
        **accuracy(ranks),
        **bucket_accuracy(ranks, target_buckets),
    }
    if "top_items" in arrays:
        lists = arrays["top_items"]
        metrics |= of_lists(lists, popularity) | bucket_coverage(lists, target_buckets, item_buckets)
        metrics |= shown_shares(lists, item_buckets)
        divergence = popularity_divergence(arrays["history_buckets"], lists, item_buckets)
        metrics[f"popularity_kl@{POPULARITY_CUTOFF}"] = divergence
    for name, (of, needed) in PROBES.items():
        if needed[0] in arrays:
            metrics[name] = of(*(arrays[each] for each in needed))
    return {name: value for name, value in metrics.items() if np.isfinite(value)}
