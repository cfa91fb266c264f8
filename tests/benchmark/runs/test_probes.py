"""Probes are compared with scipy and with loops."""

from __future__ import annotations

import time

import numpy as np
import pytest
import torch
from scipy import stats

from benchmark.runs import probes, summary
from datasets.sequences import Sequences

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")


@pytest.mark.parametrize("centred", [False, True])
@pytest.mark.parametrize(("n_users", "width"), [(200, 16), (5, 16)])
def test_spectrum_is_the_root_of_the_gram_matrixs_eigenvalues(n_users: int, width: int, centred: bool) -> None:
    embeddings = torch.randn(n_users, width, generator=torch.Generator().manual_seed(0)) + 1
    matrix = embeddings.double().numpy()
    if centred:
        matrix = matrix - matrix.mean(0)
    expected = np.sqrt(np.linalg.eigvalsh(matrix.T @ matrix).clip(0))[::-1]
    values = probes.spectrum(embeddings, centred)
    assert values.dtype == np.float64
    assert values.shape == (width,)
    np.testing.assert_allclose(values, expected, atol=1e-6)


def test_spectrum_of_a_collapsed_model() -> None:
    embeddings = torch.ones(30, 8, requires_grad=True)
    assert summary.effective_rank(probes.spectrum(embeddings)) == pytest.approx(1)
    assert summary.effective_rank(probes.spectrum(embeddings, centred=True)) == 0


def test_calibration_bins_counted_by_hand() -> None:
    confidence = np.array([0.9, 0.1, 0.2, 0.8, 0.5], dtype=np.float32)
    correct = np.array([True, False, True, False, True])
    count, mean, accuracy = probes.calibration_bins(confidence, correct, bins=2)
    assert count.tolist() == [2, 3]
    np.testing.assert_allclose(mean, [0.15, (0.5 + 0.8 + 0.9) / 3], rtol=1e-6)
    np.testing.assert_allclose(accuracy, [1 / 2, 2 / 3])


@pytest.mark.parametrize("n_users", [1, 4, 14, 15, 16, 750])
def test_calibration_bins_agree_with_loops(n_users: int) -> None:
    random = np.random.default_rng(n_users)
    confidence = random.choice(np.float32([0.1, 0.25, 0.7]), size=n_users)
    correct = random.random(n_users) < confidence
    order = sorted(range(n_users), key=lambda user: (confidence[user], user))
    bins = [order[n_users * b // 15 : n_users * (b + 1) // 15] for b in range(15)]

    count, mean, accuracy = probes.calibration_bins(confidence, correct)
    assert count.tolist() == [len(members) for members in bins]
    assert count.max() - count.min() <= 1
    assert count.sum() == n_users
    for b, members in enumerate(bins):
        assert mean[b] == pytest.approx(np.mean(confidence[members]) if members else 0, rel=1e-5)
        assert accuracy[b] == pytest.approx(np.mean(correct[members]) if members else 0)


def test_a_calibrated_model_has_a_small_calibration_error() -> None:
    random = np.random.default_rng(0)
    confidence = random.random(100_000)
    correct = random.random(100_000) < confidence
    assert summary.calibration_error(*probes.calibration_bins(confidence, correct)) < 0.01
    assert summary.calibration_error(*probes.calibration_bins(confidence, ~correct)) > 0.4


@pytest.mark.parametrize("n_users", [4, 400])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 1e4])
def test_densities_agree_with_scipys_kernel_estimate(scale: float, n_users: int) -> None:
    random = np.random.default_rng(n_users)
    targets = (random.normal(2, 1, n_users) * scale).astype(np.float32)
    negatives = (random.gumbel(size=(n_users, 20)) * scale).astype(np.float32)
    grid, p, n = probes.score_densities(targets, negatives)
    for density, sample in ((p, targets), (n, negatives.ravel())):
        expected = stats.gaussian_kde(sample.astype(np.float64), "scott")(grid)
        np.testing.assert_allclose(density, expected, atol=1e-3 * expected.max())
        assert np.trapezoid(density, grid) == pytest.approx(1, abs=1e-3)
    assert grid.shape == p.shape == n.shape == (512,)
    assert all(array.dtype == np.float64 for array in (grid, p, n))


@pytest.mark.parametrize("value", [0.0, -3.5, 1e8, 1e30])
def test_equal_scores_make_one_peak(value: float) -> None:
    targets, negatives = np.full(10, value, np.float32), np.full((10, 3), value, np.float32)
    grid, p, n = probes.score_densities(targets, negatives)
    assert summary.overlap(grid, p, n) == pytest.approx(1)
    assert np.trapezoid(p, grid) == pytest.approx(1, abs=1e-3)
    assert abs(grid[p.argmax()] - value) <= grid[1] - grid[0]


def test_two_distant_points_do_not_overlap() -> None:
    grid, p, n = probes.score_densities(np.full(10, 5.0), np.full((10, 3), 1.0))
    assert summary.overlap(grid, p, n) == pytest.approx(0, abs=1e-6)
    assert np.trapezoid(p, grid) == pytest.approx(1, abs=1e-3)
    assert np.trapezoid(n, grid) == pytest.approx(1, abs=1e-3)


def test_densities_integrate_to_one_with_an_outlier() -> None:
    targets, negatives = np.random.default_rng(0).normal(size=(2, 100))
    negatives[0] = 1e4
    grid, p, n = probes.score_densities(targets, negatives)
    assert np.trapezoid(p, grid) == pytest.approx(1, abs=1e-3)
    assert np.trapezoid(n, grid) == pytest.approx(1, abs=1e-3)


def test_nan_scores_are_ignored() -> None:
    random = np.random.default_rng(0)
    targets, negatives = random.normal(size=50), random.normal(size=(50, 4))
    expected = probes.score_densities(targets, negatives[:49])
    negatives[49] = np.nan
    np.testing.assert_array_equal(probes.score_densities(targets, negatives), expected)
    _, p, n = probes.score_densities(targets, np.full((50, 4), np.nan))
    assert np.isfinite(p).all()
    assert np.isnan(n).all()


def test_densities_of_a_large_test_population_are_fast() -> None:
    random = np.random.default_rng(0)
    targets = random.normal(size=20_000).astype(np.float32)
    negatives = random.normal(size=(20_000, 300)).astype(np.float32)
    started = time.process_time()
    probes.score_densities(targets, negatives)
    assert time.process_time() - started < 2


def test_history_bucket_shares_agree_with_loops() -> None:
    random = np.random.default_rng(0)
    lengths = random.integers(0, 12, size=60)
    items, item_buckets = random.integers(20, size=lengths.sum()), random.integers(3, size=20).astype(np.uint8)
    histories = Sequences.from_arrays(items, np.concatenate([[0], np.cumsum(lengths)])).without_last(2)
    expected = np.zeros((60, 3))
    for user, history in enumerate(histories):
        for item in history.tolist():
            expected[user, item_buckets[item]] += 1 / len(history)

    shares = probes.history_bucket_shares(histories, item_buckets)
    assert shares.dtype == np.float32
    np.testing.assert_allclose(shares, expected, atol=1e-6)
    np.testing.assert_allclose(shares.sum(1), lengths > 2, atol=1e-6)
    assert (lengths <= 2).any()
