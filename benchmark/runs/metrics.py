"""Metrics with a cut-off K: accuracy, computed from the targets' ranks, and properties of the recommended lists.

To add a metric, add an entry to METRICS; `python -m benchmark recompute` then computes it for stored runs.

`ranks` (N,): the rank of each user's target, 1 = best, 0 = miss. `top_items` (N, K): item indices, best first, V (the
size of the catalogue) if there is no item. `popularity` (V,): the share of training users who have the item.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np

from benchmark.plan.selection import METRIC

CUTOFFS = (1, 5, 10, 20, 50)


def shown_items(top_items: np.ndarray, n_items: int) -> np.ndarray:
    """Count for each item how many users' lists contain it, (V,) int64."""
    return np.bincount(top_items.ravel(), minlength=n_items + 1)[:n_items]


def coverage(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """Return the share of the catalogue that occurs in at least one list."""
    return float((shown_items(top_items, len(popularity)) > 0).mean())


def gini(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """Return the Gini index of how often items are recommended: 0 = all equally often, 1 = always the same item.

    sum_j (2j - V - 1) p_j / (V - 1), where p_j are the items' shares of all recommendations, ascending (Shani and
    Gunawardana 2011, "Evaluating recommendation systems"). NaN if nothing is recommended or V = 1.
    """
    places, n_items = np.sort(shown_items(top_items, len(popularity))), len(popularity)
    if n_items < 2 or not places[-1]:
        return float("nan")
    weights = 2 * np.arange(1, n_items + 1) - n_items - 1
    return float((weights * places).sum() / places.sum() / (n_items - 1))


def average_popularity(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """Return the mean popularity of a user's list, averaged over users with a list; NaN if there are none.

    From Yin et al. 2012, "Challenging the long tail recommendation". They measure popularity by the number of ratings;
    here it is the share of training users.
    """
    return _mean_over_lists(top_items, popularity)


def novelty(top_items: np.ndarray, popularity: np.ndarray) -> float:
    """Return the mean of log2(1 / popularity), in bits, of a user's list, averaged over users with a list, or NaN.

    From Zhou et al. 2010, "Solving the apparent diversity-accuracy dilemma of recommender systems". Items that no
    training user has are treated like the least popular of the other items.
    """
    least = popularity[popularity > 0].min(initial=1.0)
    return _mean_over_lists(top_items, -np.log2(np.maximum(popularity, least)))


def _mean_over_lists(top_items: np.ndarray, values: np.ndarray) -> float:
    by_place = np.append(values, np.nan)[top_items]  # (N, k)
    counts = (~np.isnan(by_place)).sum(1)
    return float((np.nansum(by_place, 1)[counts > 0] / counts[counts > 0]).mean()) if counts.any() else float("nan")


@dataclass(frozen=True)
class Metric:
    """A metric, computed at every cut-off K under the name `name@K`, and where it is shown.

    A metric is defined in one of two ways. `gain` maps a target's rank to the value of the hit; the metric is the mean
    over test users, with 0 for ranks beyond K. `of_lists` maps all lists to one number, from `top_items` (N, K) and
    `popularity` (V,). `title` is used in figures and texts, `decimals` in print.

    `paper`: the cut-offs in the paper's Table 2, and therefore in ours. `shown`: the cut-offs shown in other places:
    `run` (a run on the page and in `compare`), `windows`, `sweeps`, `ties`, and `lists` (the tables about what is
    recommended).
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
"""All metrics with a cut-off, by name."""


def definition(metric: str) -> Metric | None:
    """Return the entry of METRICS for a name such as `hr@10` or `hr@10/bucket1`, or None if there is none."""
    name, _, cutoff = metric.partition("@")
    return METRICS.get(name) if cutoff else None


def is_mean_over_users(metric: str) -> bool:
    """Whether a metric is a mean over users, like accuracy and unlike coverage, so that users can be resampled."""
    known = definition(metric)
    return known is not None and known.gain is not None


def is_higher_better(metric: str) -> bool:
    """Whether a higher value is better. Assumed for metrics that are not in METRICS."""
    known = definition(metric)
    return known is None or known.higher_is_better


def shown_in(place: str) -> tuple[str, ...]:
    """List the metrics that `Metric.shown` assigns to a place, the one used for model selection first."""
    names = [f"{name}@{k}" for name, metric in METRICS.items() for k in metric.shown.get(place, ())]
    return tuple(sorted(names, key=lambda name: name != METRIC))


def per_user(metric: str, ranks: np.ndarray) -> np.ndarray:
    """Compute each user's contribution to a metric that is a mean over users: float64, in the shape of `ranks`.

    Raises ValueError for other metrics.
    """
    known, cutoff = definition(metric), metric.partition("@")[2]
    if known is None or known.gain is None or not cutoff.isdecimal():
        raise ValueError(f"metric {metric!r} is not defined per user; give hr@K, ndcg@K or mrr@K")
    hit = (ranks >= 1) & (ranks <= int(cutoff))
    return np.where(hit, known.gain(np.where(hit, ranks, 1.0)), 0.0)


def hit_rate(ranks: np.ndarray, k: int) -> float:
    """Compute HR@k, the share of users whose target is among the first k."""
    return float(per_user(f"hr@{k}", ranks).mean())


def ndcg(ranks: np.ndarray, k: int) -> float:
    """Compute NDCG@k, the mean over users of 1 / log2(rank + 1), or 0 beyond k."""
    return float(per_user(f"ndcg@{k}", ranks).mean())


def accuracy(ranks: np.ndarray) -> dict[str, float]:
    """Compute all metrics that are means over users, at every cut-off."""
    names = (f"{name}@{k}" for name, metric in METRICS.items() if metric.gain for k in CUTOFFS)
    return {name: float(per_user(name, ranks).mean()) for name in names}


def of_lists(top_items: np.ndarray, popularity: np.ndarray) -> dict[str, float]:
    """Compute the metrics of the recommended lists, at every cut-off that the lists are long enough for."""
    return {
        f"{name}@{k}": metric.of_lists(top_items[:, :k], popularity)
        for name, metric in METRICS.items()
        if metric.of_lists
        for k in cutoffs_within(top_items, len(popularity))
    }


def cutoffs_within(top_items: np.ndarray, n_items: int) -> list[int]:
    """List the cut-offs that the lists are long enough for."""
    return [k for k in CUTOFFS if top_items.shape[1] >= min(k, n_items)]
