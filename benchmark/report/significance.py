"""Which differences between methods are more than noise: tests and intervals of plain arrays, nothing else.

Runs lie along the first axis, one row per seed; a pair is the same seed of two methods. NaN marks a run
that is missing or unusable: it is left out together with its partner, and results say how many remained.
That statistics know arrays alone is a habit learnt from rliable (Agarwal et al., NeurIPS 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
POWER = 0.8
MIN_SEEDS = 3
"""Pairs of runs below which there is no test over seeds."""
RESAMPLES = 10_000
ROUNDING = 1e-9
"""Numbers that differ by a smaller share of themselves are equal."""
CELLS_AT_ONCE = 2**21


@dataclass(frozen=True)
class SeedSummary:
    """A metric over n seeds: mean and sample standard deviation (NaN if n < 2)."""

    n: int
    mean: float
    deviation: float

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % t interval of the mean; NaN if n < 2."""
        if self.n < 2:
            return math.nan, math.nan
        reach = float(stats.t.ppf(1 - LEVEL / 2, self.n - 1)) * self.deviation / math.sqrt(self.n)
        return self.mean - reach, self.mean + reach


@dataclass(frozen=True)
class PairedTest:
    """A candidate against a baseline over n pairs: the means of both, their difference, and a two-sided t-test of it,
    whose `t` and `p` are NaN where there is none.
    """

    n: int
    candidate: float
    baseline: float
    difference: float
    t: float = math.nan
    p: float = math.nan
    higher_is_better: bool = True

    @property
    def improvement(self) -> float:
        """As the paper's Improve, in percent."""
        return improvement(self.candidate, self.baseline)

    @property
    def star(self) -> bool:
        """Whether the candidate earns a star: p < 0.05 and a difference in its favour."""
        return self.p < LEVEL and (self.difference > 0 if self.higher_is_better else self.difference < 0)


@dataclass(frozen=True)
class PairedBootstrap:
    """A mean difference over n users, its 95 % percentile interval and two-sided p by resampling users."""

    n: int
    difference: float
    low: float
    high: float
    p: float


def summarise_seeds(runs: np.ndarray) -> SeedSummary:
    """Mean and deviation of `runs` (R,)."""
    values = np.asarray(runs, dtype=np.float64)
    values = values[~np.isnan(values)]
    n = len(values)
    return SeedSummary(n, float(values.mean()) if n else math.nan, float(values.std(ddof=1)) if n > 1 else math.nan)


def paired_t_test(candidate: np.ndarray, baseline: np.ndarray, higher_is_better: bool = True) -> PairedTest:
    """Two-sided paired t-test of two columns of runs, (R,) each, paired by position.

    Differences that are all zero give p = 1. There is no test of fewer than three pairs, and none of a difference
    that is the same but not zero on every seed. What is rounding noise counts as equal. Raises ValueError if the
    lengths differ.
    """
    ours, theirs = np.asarray(candidate, dtype=np.float64), np.asarray(baseline, dtype=np.float64)
    if ours.shape != theirs.shape:
        shapes = f"{ours.shape} and {theirs.shape}"
        raise ValueError(f"runs of shapes {shapes} do not pair; give one per seed, NaN where there is none")
    pairs = ~np.isnan(ours - theirs)
    ours, theirs = ours[pairs], theirs[pairs]
    if not (n := len(ours)):
        return PairedTest(0, math.nan, math.nan, math.nan, higher_is_better=higher_is_better)
    noise = ROUNDING * np.maximum(np.abs(ours), np.abs(theirs))
    differences = np.where(np.abs(ours - theirs) <= noise, 0.0, ours - theirs)
    mean, t, p = float(differences.mean()), math.nan, math.nan
    if n >= MIN_SEEDS and not differences.any():
        t, p = 0.0, 1.0
    elif n >= MIN_SEEDS and (deviation := float(differences.std(ddof=1))) > noise.max():
        t = mean / (deviation / math.sqrt(n))
        p = float(2 * stats.t.sf(abs(t), n - 1))
    return PairedTest(n, float(ours.mean()), float(theirs.mean()), mean, t, p, higher_is_better)


def improvement(candidate: float, baseline: float) -> float:
    """The paper's Improve: the difference in percent of the baseline; NaN for a baseline of 0."""
    return 100 * (candidate - baseline) / baseline if baseline else math.nan


def holm(p_values: np.ndarray) -> np.ndarray:
    """Step-down adjusted p-values (Holm 1979), (M,) to (M,); NaN stays NaN and is no part of the family."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def paired_bootstrap(
    differences: np.ndarray, resamples: int = RESAMPLES, seed: int = 0, users: np.ndarray | None = None
) -> PairedBootstrap:
    """Resample users, N of N with replacement: what if other users of this kind had been the test users?

    `differences` (N,): per user, each method averaged over its seeds; N >= 1. p is twice the smaller share of
    resampled means on either side of zero, with the customary one added to count and total. Memory stays within some
    24 MiB for N up to two million.

    `users` (N,): whose each difference is, if a user may have several; then whole users are resampled, and n is the
    number of users.
    """
    values = np.asarray(differences, dtype=np.float64)
    difference, counts = float(values.mean()), None
    if users is not None:
        values, counts = _sums_of_users(values, users)
    n = len(values)
    random = np.random.default_rng(seed)
    means = np.empty(resamples)
    rows_at_once = max(1, CELLS_AT_ONCE // n)
    for first in range(0, resamples, rows_at_once):
        rows = min(rows_at_once, resamples - first)
        drawn = random.integers(n, size=(rows, n), dtype=np.int32)
        total = n if counts is None else counts[drawn].sum(1)
        means[first : first + rows] = values[drawn].sum(1) / total
    low, high = np.quantile(means, [LEVEL / 2, 1 - LEVEL / 2]).tolist()
    beyond = min(np.count_nonzero(means <= 0), np.count_nonzero(means >= 0))
    p = 2 * (int(beyond) + 1) / (resamples + 1)
    return PairedBootstrap(n, difference, low, high, min(1.0, p))


def smallest_detectable_difference(
    differences: np.ndarray, power: float = POWER, level: float = LEVEL, users: np.ndarray | None = None
) -> float:
    """The true mean difference that a two-sided paired test over N users would find with the given power.

    Normal approximation, (z_{1 - level/2} + z_power) sd / sqrt(N); sd from the users' `differences` (N,).
    NaN if N < 2, and where the users do not differ at all, so that nothing tells how much chance would make of them.
    `users` as in `paired_bootstrap`.
    """
    error = standard_error(differences) if users is None else _error_over_users(differences, users)
    if error <= ROUNDING * float(np.abs(differences).max(initial=1.0)):
        return math.nan
    return float(stats.norm.ppf(1 - level / 2) + stats.norm.ppf(power)) * error


def smallest_detectable_over_seeds(differences: np.ndarray) -> float:
    """The same for a paired t-test over the S >= 2 seeds of `differences` (S,), by quantiles of t in the place of z."""
    reach = sum(stats.t.ppf(q, len(differences) - 1) for q in (1 - LEVEL / 2, POWER))
    return float(reach) * float(differences.std(ddof=1)) / math.sqrt(len(differences))


def variance_ratio_test(steady: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """F = var(other) / var(steady) and its two-sided p, twice the smaller tail; (S,) and (S',), both of which vary."""
    f = (summarise_seeds(other).deviation / summarise_seeds(steady).deviation) ** 2
    tail = stats.f(len(other) - 1, len(steady) - 1)
    return f, min(1.0, 2 * float(min(tail.sf(f), tail.cdf(f))))


def standard_error(values: np.ndarray) -> float:
    """Sampling error of a mean over users, sd / sqrt(N), from the per-user `values` (N,); NaN if N < 2."""
    n = len(values)
    return float(np.std(values, ddof=1, dtype=np.float64)) / math.sqrt(n) if n > 1 else math.nan


def _error_over_users(values: np.ndarray, users: np.ndarray) -> float:
    """Sampling error of the mean of `values` (N,) where whole users are sampled; NaN for fewer than two.

    The mean is a ratio of two sums over users, so the error is that of the sums of what each user departs from it.
    """
    departures, counts = _sums_of_users(values - np.mean(values, dtype=np.float64), users)
    return standard_error(departures) / float(counts.mean())


def _sums_of_users(values: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The sum of each user's values, and how many they are: (U,), (U,)."""
    _, owners, counts = np.unique(users, return_inverse=True, return_counts=True)
    return np.bincount(owners, weights=values), counts
