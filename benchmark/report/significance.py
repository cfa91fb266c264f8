"""Tests and intervals that tell differences between methods from noise. Plain arrays in, plain numbers out.

Runs lie along the first axis, one entry per seed, and a pair is the same seed of two methods. That statistics know
nothing but arrays is a habit learnt from rliable (Agarwal et al., NeurIPS 2021).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from scipy import stats

LEVEL = 0.05
POWER = 0.8
MIN_SEEDS = 3
"""A test over seeds needs at least this many pairs."""
RESAMPLES = 10_000
ROUNDING = 1e-9
"""Numbers count as equal if they differ by less than this share of their size."""
CELLS_AT_ONCE = 2**21


@dataclass(frozen=True)
class SeedSummary:
    """A metric over n seeds: mean and sample standard deviation (NaN if n < 2)."""

    n: int
    mean: float
    deviation: float

    @property
    def columns(self) -> dict[str, object]:
        """For CSV files."""
        return {"mean": self.mean, "deviation": self.deviation, "runs": self.n}

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % t interval of the mean; NaN if n < 2."""
        if self.n < 2:
            return math.nan, math.nan
        reach = float(stats.t.ppf(1 - LEVEL / 2, self.n - 1)) * self.deviation / math.sqrt(self.n)
        return self.mean - reach, self.mean + reach


@dataclass(frozen=True)
class PairedTest:
    """A candidate against a baseline over n pairs: both means, their difference and a two-sided t-test of it.

    `t` and `p` are NaN if there is no test.
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
        """The paper's Improve, in percent."""
        return improvement(self.candidate, self.baseline)

    @property
    def star(self) -> bool:
        """Whether the candidate earns a star: p < 0.05 and a difference in its favour."""
        return self.p < LEVEL and (self.difference > 0 if self.higher_is_better else self.difference < 0)


@dataclass(frozen=True)
class PairedBootstrap:
    """A mean difference over n users with its 95 % percentile interval and two-sided p, from resampled users."""

    n: int
    difference: float
    low: float
    high: float
    p: float


def summarise_seeds(runs: np.ndarray) -> SeedSummary:
    """Return the mean and deviation of `runs` (R,), NaN where there are too few."""
    n = len(runs)
    return SeedSummary(n, float(runs.mean()) if n else math.nan, float(runs.std(ddof=1)) if n > 1 else math.nan)


def paired_t_test(candidate: np.ndarray, baseline: np.ndarray, higher_is_better: bool = True) -> PairedTest:
    """Run a two-sided paired t-test on two columns of runs, (R,) each, paired by position.

    If all differences are zero, p is 1. There is no test with fewer than three pairs, nor if the difference is the same
    non-zero number on every seed. Differences as small as rounding noise count as zero.
    """
    if not (n := len(candidate)):
        return PairedTest(0, math.nan, math.nan, math.nan, higher_is_better=higher_is_better)
    noise = ROUNDING * np.maximum(np.abs(candidate), np.abs(baseline))
    differences = np.where(np.abs(candidate - baseline) <= noise, 0.0, candidate - baseline)
    mean, t, p = float(differences.mean()), math.nan, math.nan
    if n >= MIN_SEEDS and not differences.any():
        t, p = 0.0, 1.0
    elif n >= MIN_SEEDS and (deviation := float(differences.std(ddof=1))) > noise.max():
        t = mean / (deviation / math.sqrt(n))
        p = float(2 * stats.t.sf(abs(t), n - 1))
    return PairedTest(n, float(candidate.mean()), float(baseline.mean()), mean, t, p, higher_is_better)


def improvement(candidate: float, baseline: float) -> float:
    """Return the paper's Improve, the difference in percent of the baseline; NaN if the baseline is 0."""
    return 100 * (candidate - baseline) / baseline if baseline else math.nan


def holm(p_values: np.ndarray) -> np.ndarray:
    """Adjust p-values by Holm's step-down procedure (1979), (M,) to (M,). NaN stays NaN and is not counted."""
    p = np.asarray(p_values, dtype=np.float64)
    adjusted = np.full_like(p, np.nan)
    order = np.argsort(p, kind="stable")[: np.count_nonzero(~np.isnan(p))]
    steps = p[order] * np.arange(len(order), 0, -1)
    adjusted[order] = np.minimum(np.maximum.accumulate(steps), 1.0)
    return adjusted


def paired_bootstrap(
    differences: np.ndarray, resamples: int = RESAMPLES, users: np.ndarray | None = None
) -> PairedBootstrap:
    """Resample N of N users with replacement: what would other test users of the same kind have shown?

    `differences` (N,), N >= 1: per user, with each method averaged over its seeds. p is twice the smaller share of
    resampled means on one side of zero, after the usual 1 is added to count and total. Memory stays around 24 MiB for N
    up to two million.

    `users` (N,) says which user each difference belongs to, if a user can have several. Whole users are then resampled,
    and n is the number of users.
    """
    values = np.asarray(differences, dtype=np.float64)
    difference, counts = float(values.mean()), None
    if users is not None:
        values, counts = _sums_of_users(values, users)
    n = len(values)
    random = np.random.default_rng(0)
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


def smallest_detectable_difference(differences: np.ndarray, users: np.ndarray | None = None) -> float:
    """Return the true mean difference that a two-sided paired test over N users detects with 80 % power.

    By normal approximation: (z_0.975 + z_0.8) sd / sqrt(N), with sd from the users' `differences` (N,). NaN
    if N < 2, or if all differences are equal and so give no sd. `users` as in `paired_bootstrap`.
    """
    error = standard_error(differences) if users is None else _error_over_users(differences, users)
    if error <= ROUNDING * float(np.abs(differences).max(initial=1.0)):
        return math.nan
    return float(stats.norm.ppf(1 - LEVEL / 2) + stats.norm.ppf(POWER)) * error


def smallest_detectable_over_seeds(differences: np.ndarray) -> float:
    """The same for a paired t-test over S >= 2 seeds, `differences` (S,), with quantiles of t instead of z."""
    reach = sum(stats.t.ppf(q, len(differences) - 1) for q in (1 - LEVEL / 2, POWER))
    return float(reach) * float(differences.std(ddof=1)) / math.sqrt(len(differences))


def variance_ratio_test(steady: np.ndarray, other: np.ndarray) -> tuple[float, float]:
    """Return F = var(other) / var(steady) and its two-sided p, twice the smaller tail.

    `steady` (S,) and `other` (S',) must each vary.
    """
    f = (summarise_seeds(other).deviation / summarise_seeds(steady).deviation) ** 2
    tail = stats.f(len(other) - 1, len(steady) - 1)
    return f, min(1.0, 2 * float(min(tail.sf(f), tail.cdf(f))))


def standard_error(values: np.ndarray) -> float:
    """Return the sampling error of a mean over users, sd / sqrt(N), from per-user `values` (N,); NaN if N < 2."""
    n = len(values)
    return float(np.std(values, ddof=1, dtype=np.float64)) / math.sqrt(n) if n > 1 else math.nan


def _error_over_users(values: np.ndarray, users: np.ndarray) -> float:
    """Sampling error of the mean of `values` (N,) when whole users are sampled; NaN for fewer than two users.

    The mean is a ratio of two sums over users. Its error follows from each user's summed deviations from the mean.
    """
    deviations, counts = _sums_of_users(values - np.mean(values, dtype=np.float64), users)
    return standard_error(deviations) / float(counts.mean())


def _sums_of_users(values: np.ndarray, users: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the sum of each user's values and how many values the user has, both (U,)."""
    _, owners, counts = np.unique(users, return_inverse=True, return_counts=True)
    return np.bincount(owners, weights=values), counts
