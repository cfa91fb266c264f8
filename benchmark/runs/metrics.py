"""The metrics with a cut-off: accuracy, from the ranks of the targets, and what is recommended, from the lists.

To add one is to add its entry to METRICS; `python -m benchmark recompute` then brings it to stored runs. Throughout,
`ranks` (N,) holds the rank of each user's target, from 1, 0 for a miss; `top_items` (N, K) holds item indices, best
first, with V, the catalogue's size, where there is no item; `popularity` (V,) is the share of the training users who
have an item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmark.plan.selection import METRIC

CUTOFFS = (1, 5, 10, 20, 50)


def shown_items(top_items: np.ndarray, n_items: int) -> np.ndarray:
    """(V,) int64, in how many users' lists each item is."""
    return np.bincount(top_items.ravel(), minlength=n_items + 1)[:n_items]


def coverage(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """The share of the catalogue that is in at least one list."""
    return float((shown_items(top_items, len(popularity)) > 0).mean())


def gini(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """How unevenly the lists' places are shared out among the catalogue: 0 = alike, 1 = all to one item.

    sum_j (2j - V - 1) p_j / (V - 1), p_j the items' shares of the places, ascending (Shani and Gunawardana 2011,
    "Evaluating recommendation systems"). NaN if nothing is recommended, or there is one item.
    """
    places, n_items = np.sort(shown_items(top_items, len(popularity))), len(popularity)
    if n_items < 2 or not places[-1]:
        return float("nan")
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float((weights * places).sum() / places.sum() / (n_items - 1))


def average_popularity(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """The mean popularity of a user's list, averaged over the users who have one (Yin et al. 2012, "Challenging the
    long tail recommendation"; in its number of ratings, here in shares of the training users); NaN without any.
    """
    return _mean_over_lists(top_items, popularity)


def novelty(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """The mean of log2(1 / popularity), in bits, over a user's list, averaged over the users who have one (Zhou et al.
    2010, "Solving the apparent diversity-accuracy dilemma of recommender systems"); NaN without any.

    An item that no training user has counts as if it were as popular as the least popular of the other items.
    """
    least = popularity[popularity > 0].min(initial=1.0)
    return _mean_over_lists(top_items, -np.log2(np.maximum(popularity, least)))


def _mean_over_lists(top_items: np.ndarray, values: np.ndarray) -> float:
    by_place = np.append(values, np.nan)[top_items]  # (N, k)
    counts = (~np.isnan(by_place)).sum(1)
    return float((np.nansum(by_place, 1)[counts > 0] / counts[counts > 0]).mean()) if counts.any() else float("nan")


@dataclass(frozen=True)
class Metric:
    """A metric that is measured at every cut-off K, as `name@K`, and where it is shown.

    It has one of two definitions. `gain`: what a hit is worth by its rank; the metric is then the mean over the test
    users of what their targets' ranks give, 0 beyond K. `of_lists`: one number of all the lists, from (N, K)
    `top_items` and (V,) `popularity`. `title`: in figures and texts. `decimals`: as printed.

    `paper`: the cut-offs that the paper's Table 2 prints, and ours therefore shows. `shown`: other places and the
    cut-offs shown there: `run` (each run, on the page and in `compare`), `windows`, `sweeps`, `ties` and `lists` (what
    is recommended, with and without Barlow Twins beside Table 1, and of every method).
    """

    title: str
    gain: Callable[[np.ndarray], np.ndarray] | None = None
    of_lists: Callable[[np.ndarray, np.ndarray], float] | None = None
    higher_is_better: bool = True
    decimals: int = 4
    paper: tuple[int, ...] = ()
    shown: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


METRICS: dict[str, Metric] = {
    "hr": Metric(
        "HR",
        gain=np.ones_like,
        paper=(1, 5, 10),
        shown={"run": (10,), "windows": (10,), "sweeps": (1, 10), "ties": (1, 10)},
    ),
    "ndcg": Metric(  # with one relevant item the ideal DCG, which NDCG divides by, is 1
        "NDCG",
        gain=lambda rank: 1 / np.log2(rank + 1),
        paper=(5, 10, 50),
        shown={"run": (10,), "windows": (10,), "sweeps": (10,), "ties": (10,)},
    ),
    "mrr": Metric("MRR", gain=np.reciprocal),
    "cov": Metric(
        "coverage",
        of_lists=coverage,
        paper=(1, 5, 10),
        shown={"run": (10,), "windows": (10,), "sweeps": (10,), "lists": (1, 5, 10)},
    ),
    "gini": Metric("Gini index", of_lists=gini, higher_is_better=False, shown={"lists": (10,)}),
    "popularity": Metric(
        "average popularity", of_lists=average_popularity, higher_is_better=False, shown={"lists": (10,)}
    ),
    "novelty": Metric("novelty (bits)", of_lists=novelty, decimals=2, shown={"lists": (10,)}),
}
"""Every metric with a cut-off, by name."""


def definition(metric: str) -> Metric | None:
    """The entry of METRICS for a name such as `hr@10` or `hr@10/bucket1`; None if it is unknown or has no cut-off."""
    name, _, cutoff = metric.partition("@")
    return METRICS.get(name) if cutoff else None


def is_mean_over_users(metric: str) -> bool:
    """Whether a metric is a mean over users, so that users can be resampled; accuracy is one, coverage is not."""
    known = definition(metric)
    return known is not None and known.gain is not None


def is_higher_better(metric: str) -> bool:
    """Whether a higher value is better, as for every metric that METRICS does not have."""
    known = definition(metric)
    return known is None or known.higher_is_better


def shown_in(place: str) -> tuple[str, ...]:
    """The metrics of a place, as `Metric.shown` has it, that of model selection first."""
    names = [f"{name}@{k}" for name, metric in METRICS.items() for k in metric.shown.get(place, ())]
    return tuple(sorted(names, key=lambda name: name != METRIC))


def per_user(metric: str, ranks: np.ndarray) -> np.ndarray:
    """What each user contributes to a metric that is a mean over users: float64 in the shape of `ranks`, any shape.

    Raises ValueError for another metric.
    """
    known, cutoff = definition(metric), metric.partition("@")[2]
    if known is None or known.gain is None or not cutoff.isdecimal():
        raise ValueError(f"metric {metric!r} is not defined per user; give hr@K, ndcg@K or mrr@K")
    hit = (ranks >= 1) & (ranks <= int(cutoff))
    return np.where(hit, known.gain(np.where(hit, ranks, 1.0)), 0.0)


def hit_rate(ranks: np.ndarray, k: int) -> float:
    """HR@k, the share of users whose target is among the first k."""
    return float(per_user(f"hr@{k}", ranks).mean())


def ndcg(ranks: np.ndarray, k: int) -> float:
    """NDCG@k, the mean of 1 / log2(rank + 1) over all users, 0 beyond k."""
    return float(per_user(f"ndcg@{k}", ranks).mean())


def accuracy(ranks: np.ndarray) -> dict[str, float]:
    """The metrics that are means over users, at every cut-off."""
    names = (f"{name}@{k}" for name, metric in METRICS.items() if metric.gain for k in CUTOFFS)
    return {name: float(per_user(name, ranks).mean()) for name in names}


def of_lists(top_items: np.ndarray, popularity: np.ndarray) -> dict[str, float]:
    """The metrics of what is recommended, at the cut-offs that the lists are long enough for."""
    return {
        f"{name}@{k}": metric.of_lists(top_items[:, :k], popularity)
        for name, metric in METRICS.items()
        if metric.of_lists
        for k in cutoffs_within(top_items, len(popularity))
    }


def cutoffs_within(top_items: np.ndarray, n_items: int) -> list[int]:
    """The cut-offs that the lists kept are long enough for."""
    return [k for k in CUTOFFS if top_items.shape[1] >= min(k, n_items)]
