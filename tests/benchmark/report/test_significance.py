"""Tests and intervals compared with scipy where it has them, with loops and simulations where it does not."""

from __future__ import annotations

import math
import tracemalloc

import numpy as np
import pytest
from scipy import stats

from benchmark.report import significance
from benchmark.report.significance import (
    holm,
    paired_bootstrap,
    paired_t_test,
    smallest_detectable_over_seeds,
    summarise_seeds,
    variance_ratio_test,
)

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

NAN = math.nan


def column(*values: float) -> np.ndarray:
    return np.array(values, dtype=np.float64)


@pytest.mark.parametrize("n", [3, 4, 5, 20])
def test_paired_test_is_scipys(n: int) -> None:
    random = np.random.default_rng(n)
    candidate, baseline = random.normal(0.3, size=n), random.normal(size=n)
    test = paired_t_test(candidate, baseline)
    expected = stats.ttest_rel(candidate, baseline)
    assert (test.t, test.p) == pytest.approx((expected.statistic, expected.pvalue))
    assert test.n == n
    assert test.difference == pytest.approx((candidate - baseline).mean())
    mirrored = paired_t_test(baseline, candidate)
    assert (mirrored.difference, mirrored.t, mirrored.p) == pytest.approx((-test.difference, -test.t, test.p))


def test_differences_that_are_all_zero_give_p_one() -> None:
    runs = column(0.1, 0.2, 0.3)
    test = paired_t_test(runs, runs)
    assert (test.difference, test.t, test.p) == (0, 0, 1)
    assert not paired_t_test(runs, runs).star


def test_rounding_noise_counts_as_zero() -> None:
    test = paired_t_test(column(*[0.1 + 0.2] * 3), column(0.3, 0.3, 0.3))
    assert (test.difference, test.t, test.p, test.star) == (0, 0, 1, False)
    mixed = paired_t_test(column(0.1 + 0.2, 0.5, 0.7), column(0.3, 0.4, 0.5))
    assert mixed == paired_t_test(column(0.3, 0.5, 0.7), column(0.3, 0.4, 0.5))


@pytest.mark.parametrize("shift", [0.5, -0.5, 0.1])
def test_the_same_difference_on_every_seed_has_no_test(shift: float) -> None:
    runs = column(0.1, 0.2, 0.3)
    test = paired_t_test(runs + shift, runs)
    assert test.difference == pytest.approx(shift)
    assert math.isnan(test.t)
    assert math.isnan(test.p)
    assert not test.star
    # Three in a million apart, the differences are no longer the same.
    assert paired_t_test(runs + shift * column(1, 1 + 1e-6, 1 + 2e-6), runs).p < 1e-6


@pytest.mark.parametrize("runs", [(), (1.0,), (1.0, 1.2)])
def test_fewer_than_three_pairs_have_no_test(runs: tuple[float, ...]) -> None:
    test = paired_t_test(column(*runs), np.zeros(len(runs)))
    assert test.n == len(runs)
    assert math.isnan(test.t)
    assert math.isnan(test.p)
    assert not test.star
    assert test.difference == pytest.approx(np.mean(runs)) if runs else math.isnan(test.difference)


@pytest.mark.parametrize(
    ("candidate", "earned"),
    [
        (column(1.1, 2.15, 3.12), True),
        (column(0.9, 1.85, 2.88), False),  # as sure, but worse
        (column(1.1, 2.15), False),  # two pairs
        (column(1.1, 3.9, 2.9), False),  # p > 0.05
    ],
)
def test_star_needs_three_pairs_small_p_and_a_gain(candidate: np.ndarray, earned: bool) -> None:
    assert paired_t_test(candidate, column(1, 2, 3)[: len(candidate)]).star is earned


def test_improvement_is_relative_to_the_baseline() -> None:
    assert significance.improvement(0.06, 0.05) == pytest.approx(20)
    assert significance.improvement(0.04, 0.05) == pytest.approx(-20)
    assert math.isnan(significance.improvement(0.04, 0.0))


def test_holm_counted_by_hand() -> None:
    np.testing.assert_allclose(holm(column(0.01, 0.04, 0.03, 0.005)), [0.03, 0.06, 0.06, 0.02])
    np.testing.assert_allclose(holm(column(0.9, 0.6)), [1, 1])
    np.testing.assert_allclose(holm(column(0.02, NAN, 0.01)), [0.02, NAN, 0.02])
    assert holm(np.array([])).shape == (0,)


@pytest.mark.parametrize("seed", range(5))
def test_holm_rejects_what_the_step_down_procedure_rejects(seed: int) -> None:
    p = np.random.default_rng(seed).random(30) ** 4
    p[:4] = p[4]
    adjusted = holm(p)
    for level in (0.01, 0.05, 0.2):
        rejected, by_size = np.zeros(30, dtype=bool), np.argsort(p, kind="stable")
        for step, which in enumerate(by_size):
            if p[which] > level / (30 - step):
                break
            rejected[which] = True
        np.testing.assert_array_equal(adjusted <= level, rejected)
        assert rejected.any()
    assert (adjusted >= p).all()
    assert (adjusted <= np.minimum(1, 30 * p)).all()  # never stricter than Bonferroni


def test_bootstrap_interval_agrees_with_scipys() -> None:
    differences = np.random.default_rng(0).exponential(size=300) - 0.9
    ours = paired_bootstrap(differences)
    theirs = stats.bootstrap((differences,), np.mean, n_resamples=10_000, method="percentile", random_state=1)
    interval = theirs.confidence_interval
    assert (ours.low, ours.high) == pytest.approx((interval.low, interval.high), abs=0.01)
    assert ours.difference == pytest.approx(differences.mean())
    assert ours.n == 300


def test_bootstrap_p_agrees_with_all_resamples_of_three_users() -> None:
    differences = column(-1, 1, 3)
    means = [np.mean([a, b, c]) for a in differences for b in differences for c in differences]
    exact = 2 * min(np.mean(np.array(means) <= 0), np.mean(np.array(means) >= 0))
    assert paired_bootstrap(differences, resamples=50_000).p == pytest.approx(exact, abs=0.01)


def test_bootstrap_of_equal_methods_and_of_a_certain_gain() -> None:
    same = paired_bootstrap(np.zeros(50))
    assert (same.difference, same.low, same.high, same.p) == (0, 0, 0, 1)
    gain = paired_bootstrap(np.full(50, 0.25), resamples=999)
    assert (gain.difference, gain.low, gain.high, gain.p) == (0.25, 0.25, 0.25, 2 / 1000)


def test_bootstrap_is_the_same_every_time(monkeypatch: pytest.MonkeyPatch) -> None:
    differences = np.random.default_rng(0).normal(size=101)
    first = paired_bootstrap(differences, resamples=500)
    assert paired_bootstrap(differences, resamples=500) == first
    assert paired_bootstrap(differences[::-1], resamples=500) != first
    assert paired_bootstrap(-differences, resamples=500).low == pytest.approx(-first.high)
    monkeypatch.setattr(significance, "CELLS_AT_ONCE", 64)
    assert paired_bootstrap(differences, resamples=500) == first


def test_users_with_one_difference_each_are_resampled_as_before() -> None:
    differences = np.random.default_rng(0).normal(size=101)
    users = np.arange(101) * 7
    assert paired_bootstrap(differences, users=users) == paired_bootstrap(differences)
    size = significance.smallest_detectable_difference
    assert size(differences, users=users) == pytest.approx(size(differences))


def test_a_user_who_is_counted_again_tells_nothing_new() -> None:
    differences, users = np.random.default_rng(0).normal(size=60), np.arange(60)
    again, owners = np.tile(differences, 4), np.tile(users, 4)
    once, four = paired_bootstrap(differences), paired_bootstrap(again, users=owners)
    assert (four.n, four.low, four.high, four.p) == pytest.approx((60, once.low, once.high, once.p))
    assert paired_bootstrap(again).high < once.high, "as if they were different users"
    size = significance.smallest_detectable_difference
    assert size(again, users=owners) == pytest.approx(size(differences))


def test_bootstrap_memory_is_bounded() -> None:
    tracemalloc.start()
    paired_bootstrap(np.random.default_rng(0).normal(size=40_000), resamples=200)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 32 * 2**20  # all resamples at once would be 64 MB of values and 32 MB of indices


def test_smallest_detectable_difference_is_found_at_its_power() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(scale=0.2, size=400)
    size = significance.smallest_detectable_difference(noise)
    assert size == pytest.approx((1.959964 + 0.841621) * noise.std(ddof=1) / 20, rel=1e-6)
    samples = random.normal(size, 0.2, size=(4000, 400))
    found = stats.ttest_1samp(samples, 0, axis=1).pvalue < 0.05
    assert found.mean() == pytest.approx(0.8, abs=0.04)
    assert math.isnan(significance.smallest_detectable_difference(noise[:1]))
    assert math.isnan(significance.smallest_detectable_difference(np.zeros(20)))
    assert math.isnan(significance.smallest_detectable_difference(column(*[0.3, 0.1 + 0.2] * 10) - 0.3))


def test_standard_error_is_scipys() -> None:
    values = np.random.default_rng(0).random(750)
    assert significance.standard_error(values) == pytest.approx(stats.sem(values))
    assert math.isnan(significance.standard_error(values[:1]))


@pytest.mark.parametrize("n", [2, 3, 5])
def test_seed_summary_has_students_interval(n: int) -> None:
    runs = np.random.default_rng(n).normal(size=n)
    summary = summarise_seeds(runs)
    interval = stats.ttest_1samp(runs, 0).confidence_interval(0.95)
    assert summary.interval == pytest.approx((interval.low, interval.high))
    assert (summary.n, summary.mean) == (n, pytest.approx(runs.mean()))
    assert summary.deviation == pytest.approx(stats.tstd(runs))


def test_seed_summary_of_one_run_and_of_none() -> None:
    one, none = summarise_seeds(column(0.5)), summarise_seeds(column())
    assert (one.n, one.mean) == (1, 0.5)
    assert all(math.isnan(value) for value in (one.deviation, *one.interval))
    assert none.n == 0
    assert all(math.isnan(value) for value in (none.mean, none.deviation, *none.interval))


@pytest.mark.parametrize(("factor", "f"), [(5.0, 25.0), (0.2, 0.04), (1.0, 1.0)])
def test_unequal_variances_count_in_both_directions(factor: float, f: float) -> None:
    steady = np.array([0.1, 0.2, 0.3])
    # With 2 and 2 degrees of freedom P(F > f) = 1 / (1 + f), and the smaller tail of 1/f is that of f.
    assert variance_ratio_test(steady, factor * steady) == pytest.approx((f, 2 / (1 + max(f, 1 / f))))


def test_variances_of_unequal_numbers_of_seeds() -> None:
    steady, other = np.array([0.1, 0.2, 0.3]), np.array([0.1, 0.5, 0.2, 0.9, 0.4])
    f, p = variance_ratio_test(steady, other)
    assert f == pytest.approx(np.var(other, ddof=1) / np.var(steady, ddof=1))
    assert p == pytest.approx(2 * stats.f.sf(f, 4, 2))


def test_smallest_difference_over_seeds_by_hand() -> None:
    # t.975 + t.8 with two degrees of freedom are 4.3027 + 1.0607
    assert smallest_detectable_over_seeds(np.array([0.1, 0.2, 0.3])) == pytest.approx(5.3633 * 0.1 / 3**0.5, abs=1e-5)
