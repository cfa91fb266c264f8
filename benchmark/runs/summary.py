"""All numbers of a run from the arrays of its record: metrics, popularity buckets, calibration, geometry.

Pure numpy, no model and no data. Arrays are named and shaped as in metrics.py; popularity buckets are 0, 1, 2 in
arrays, 0 = most popular, and bucket1 to bucket3 in names. A run that was tested on tie draws is measured draw by draw;
its metrics are the means over the draws.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import numpy as np

from benchmark.runs.metrics import CUTOFFS, accuracy, cutoffs_within, hit_rate, ndcg, of_lists, per_user, shown_items
from benchmark.store.npz import Arrays
from benchmark.store.record import PER_USER
from datasets.protocol import N_BUCKETS

POPULARITY_CUTOFF = 10
SMOOTHING = 0.01
"""Share of the history mixed into the recommendations, which keeps the divergence finite (Steck 2018)."""


def as_small_items(items: np.ndarray, n_items: int) -> np.ndarray:
    """Items by index, and `n_items` for none, in the smaller of the two types that records keep them in."""
    return items.astype(np.uint16 if n_items < 2**16 - 1 else np.int32)


def bucket_accuracy(ranks: np.ndarray, target_buckets: np.ndarray) -> dict[str, float]:
    """HR and NDCG, as `hr@10/bucket1`, over the users whose target lies in a bucket; absent without any."""
    metrics = {}
    for bucket in range(N_BUCKETS):
        members = ranks[target_buckets == bucket]
        if len(members):
            for k in CUTOFFS:
                metrics[f"hr@{k}/bucket{bucket + 1}"] = hit_rate(members, k)
                metrics[f"ndcg@{k}/bucket{bucket + 1}"] = ndcg(members, k)
    return metrics


def bucket_coverage(top_items: np.ndarray, target_buckets: np.ndarray, item_buckets: np.ndarray) -> dict[str, float]:
    """Coverage per bucket in both readings, each over the whole catalogue; `item_buckets` (V,).

    `cov@K/bucketB/users`: items of any bucket shown to the users whose target lies in B (the released code),
    absent where there is no such user. `cov@K/bucketB/items`: items of B shown to anyone.
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
    """`shown@K/bucketB`: of all places in the users' top K, the share taken by items of bucket B; `item_buckets` (V,).

    Places that no unmasked item was left for do not count; undefined, NaN, if that is all of them.
    """
    by_rank = np.append(item_buckets, N_BUCKETS)[top_items]  # (N, top), N_BUCKETS where no item was left
    metrics: dict[str, float] = {}
    for k in cutoffs_within(top_items, len(item_buckets)):
        counts = np.bincount(by_rank[:, :k].ravel(), minlength=N_BUCKETS)[:N_BUCKETS]
        shares = counts / counts.sum() if counts.any() else np.full(N_BUCKETS, np.nan)
        metrics |= {f"shown@{k}/bucket{bucket + 1}": float(shares[bucket]) for bucket in range(N_BUCKETS)}
    return metrics


def effective_rank(singular_values: np.ndarray) -> float:
    """exp(-sum p log p) with p the singular values over their sum (paper, Eq. 9; Roy and Vetterli 2007).

    Between 1 and the number of non-zero values; 0 if there is none.
    """
    positive = singular_values[singular_values > 0]
    shares = positive / positive.sum()
    return float(np.exp(-(shares * np.log(shares)).sum())) if len(shares) else 0.0


def popularity_divergence(history_buckets: np.ndarray, top_items: np.ndarray, item_buckets: np.ndarray) -> float:
    """Mean over users of KL(p || 0.99 q + 0.01 p), in nats: calibration to taste in popularity (Steck 2018).

    p: shares of the buckets in a user's history, `history_buckets` (N, 3); q: in the user's top 10. Users
    with an empty history or without any recommendation are left out; NaN if that is all of them.
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
    """Expected calibration error: mean |accuracy - confidence|, bins weighted by count (Guo et al. 2017)."""
    return float((count * np.abs(accuracy - confidence)).sum() / count.sum())


def overlap(grid: np.ndarray, targets: np.ndarray, negatives: np.ndarray) -> float:
    """Integral of min(p, n) over that of p, densities of target and negative scores on `grid` (Fig. 2)."""
    return float(np.trapezoid(np.minimum(targets, negatives), grid) / np.trapezoid(targets, grid))


PROBES: dict[str, tuple[Callable[..., float], tuple[str, ...]]] = {
    "effective_rank": (effective_rank, ("singular_values",)),
    "effective_rank_centred": (effective_rank, ("singular_values_centred",)),
    "overlap": (overlap, ("score_grid", "target_density", "negative_density")),
    "ece": (calibration_error, ("calibration_count", "calibration_confidence", "calibration_accuracy")),
}
"""Metrics of what was measured while the model was there, each with the arrays that it is computed from."""


def by_draw(arrays: Mapping[str, np.ndarray]) -> list[Arrays]:
    """The arrays of a run's record draw by draw, each in the shapes of a run without tie draws, which is its only draw.

    Of a run with draws, only arrays PER_USER are known for each of them.
    """
    if arrays["ranks"].ndim == 1:
        return [dict(arrays)]
    per_user = {name: array for name, array in arrays.items() if name in PER_USER}
    return [{name: array[:, draw] for name, array in per_user.items()} for draw in range(arrays["ranks"].shape[1])]


def together(draws: Sequence[Arrays]) -> Arrays:
    """The arrays of a run's record from those of each draw, all in the shapes of a run without tie draws.

    Arrays PER_USER become (N, K, ...); of densities, bins and spectra the mean over the draws is kept, in float32.
    """
    if len(draws) == 1:
        return draws[0]
    stacked = {name: np.stack([draw[name] for draw in draws], axis=1 if name in PER_USER else 0) for name in draws[0]}
    if "score_grid" in stacked:  # each draw has a grid of its own
        grids = stacked["score_grid"]
        grid = np.linspace(grids.min(), grids.max(), grids.shape[1])
        for name in ("target_density", "negative_density"):
            on_grid = [np.interp(grid, *draw, left=0, right=0) for draw in zip(grids, stacked[name], strict=True)]
            stacked[name] = np.stack(on_grid)
        stacked["score_grid"] = grid[None]
    return {name: array if name in PER_USER else array.mean(0).astype(np.float32) for name, array in stacked.items()}


def user_means(metric: str, arrays: Mapping[str, np.ndarray]) -> np.ndarray:
    """What each user contributes to a mean over users, on average over tie draws: (N,) float64.

    `.../bucketB` is about the draws in which the user's target lies in that bucket, and the users who have any.
    """
    name, _, bucket = metric.partition("/bucket")
    values = per_user(name, arrays["ranks"]).reshape(len(arrays["ranks"]), -1)  # (N, K)
    if not bucket:
        return values.mean(1)
    inside = (arrays["target_buckets"] == int(bucket) - 1).reshape(values.shape)
    counts = inside.sum(1)
    return (values * inside).sum(1)[counts > 0] / counts[counts > 0]


def summarise(draws: Sequence[Arrays], item_buckets: np.ndarray, popularity: np.ndarray) -> dict[str, float]:
    """All test metrics of a run from its arrays draw by draw, as in `by_draw`; means over the draws.

    `item_buckets`, `popularity`: (V,). Needs `ranks` and `target_buckets`; lists, spectra, densities and calibration
    bins are used where present. A metric that is undefined is absent: of an empty bucket, of a probe that was not
    taken, of a cut-off beyond the lists kept.
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
        "masked_targets": float(np.mean(ranks == 0)),  # they cannot be recommended: the user's history holds them
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
