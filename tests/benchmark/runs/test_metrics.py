"""All metrics are compared with their definitions as loops, on arrays counted by hand and on random ones."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from benchmark.runs import metrics, summary
from benchmark.runs.metrics import CUTOFFS, METRICS

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

RANKS = np.array([1, 2, 4, 0, 11, 3], dtype=np.int32)


def random_lists(n_users: int, n_items: int, length: int, seed: int) -> np.ndarray:
    """Top lists without repeats. Every fourth user has fewer items than places, as if most were masked."""
    random = np.random.default_rng(seed)
    lists = np.stack([random.permutation(n_items)[:length] for _ in range(n_users)])
    lists[::4, length // 2 :] = n_items
    return lists.astype(np.uint16)


def test_accuracy_counted_by_hand() -> None:
    assert metrics.hit_rate(RANKS, 1) == pytest.approx(1 / 6)
    assert metrics.hit_rate(RANKS, 4) == pytest.approx(4 / 6)
    assert metrics.ndcg(RANKS, 3) == pytest.approx((1 + 1 / math.log2(3) + 1 / 2) / 6)
    assert metrics.accuracy(RANKS)["mrr@10"] == pytest.approx((1 + 1 / 2 + 1 / 4 + 1 / 3) / 6)


GAINS: dict[str, Callable[[int], float]] = {
    "hr": lambda rank: 1.0,
    "ndcg": lambda rank: math.log(2) / math.log(rank + 1),
    "mrr": lambda rank: 1 / rank,
}


@pytest.mark.parametrize("k", CUTOFFS)
@pytest.mark.parametrize("metric", GAINS)
def test_accuracy_agrees_with_loops(metric: str, k: int) -> None:
    ranks = np.random.default_rng(k).integers(0, 60, size=(3, 100)).astype(np.int32)
    expected = [[GAINS[metric](rank) if 0 < rank <= k else 0.0 for rank in row] for row in ranks.tolist()]
    np.testing.assert_allclose(metrics.per_user(f"{metric}@{k}", ranks), expected)
    assert metrics.accuracy(ranks[0])[f"{metric}@{k}"] == pytest.approx(sum(expected[0]) / 100)


@pytest.mark.parametrize("seed", range(5))
def test_accuracy_is_ordered(seed: int) -> None:
    values = metrics.accuracy(np.random.default_rng(seed).integers(0, 80, size=200))
    assert values.keys() == {f"{metric}@{k}" for metric in GAINS for k in CUTOFFS}
    for k in CUTOFFS:
        assert 0 < values["mrr@50"] <= values["ndcg@50"] <= values["hr@50"]
        assert values["hr@1"] == values["ndcg@1"] == values["mrr@1"]
        assert values[f"ndcg@{k}"] <= values["ndcg@50"]


@pytest.mark.parametrize("metric", ["ndcg", "cov@10", "hr@ten", "hr@", "hr@-1"])
def test_a_metric_that_is_not_defined_per_user_is_named(metric: str) -> None:
    with pytest.raises(ValueError, match=f"metric '{metric}' is not defined per user"):
        metrics.per_user(metric, RANKS)


# Of four training users three have item 0, two items 1 and 2, one items 3 and 4, and none item 5.
POPULARITY = np.array([3, 2, 2, 1, 1, 0]) / 4


def test_list_metrics_counted_by_hand() -> None:
    top_items = np.array([[0, 1, 2], [0, 3, 6], [1, 6, 6], [6, 6, 6]])  # 6 = no item
    values = {k: {name: METRICS[name].of_lists(top_items[:, :k], POPULARITY) for name in LISTS} for k in (1, 3)}
    assert values[1]["cov"] == pytest.approx(2 / 6)
    assert values[3]["cov"] == pytest.approx(4 / 6)
    assert values[1]["gini"] == pytest.approx((3 * 1 / 3 + 5 * 2 / 3) / 5)  # shares 1/3 and 2/3 at places 5 and 6
    assert values[3]["popularity"] == pytest.approx(((3 + 2 + 2) / 12 + (3 + 1) / 8 + 2 / 4) / 3)
    assert values[1]["novelty"] == pytest.approx((2 * math.log2(4 / 3) + 1) / 3)


def loops(top_items: list[list[int]], popularity: list[float]) -> dict[str, float]:
    """Compute the metrics from their definitions, one item at a time."""
    n = len(popularity)
    lists = [kept for row in top_items if (kept := [item for item in row if item < n])]
    counts = [sum(items.count(item) for items in lists) for item in range(n)]
    bits = [-math.log2(share) if share else -math.log2(min(filter(None, popularity))) for share in popularity]
    return {
        "cov": sum(count > 0 for count in counts) / n,
        # the mean absolute difference of all ordered pairs of items, over twice the mean, is the other form of Gini's
        "gini": sum(abs(a - b) for a in counts for b in counts) / (2 * (n - 1) * sum(counts)),
        "popularity": np.mean([np.mean([popularity[item] for item in items]) for items in lists]),
        "novelty": np.mean([np.mean([bits[item] for item in items]) for items in lists]),
    }


LISTS = ("cov", "gini", "popularity", "novelty")


@pytest.mark.parametrize(("n_items", "length"), [(7, 7), (30, 20), (300, 50)])
def test_list_metrics_agree_with_loops(n_items: int, length: int) -> None:
    top_items = random_lists(25, n_items, length, seed=n_items)
    top_items[3] = n_items
    popularity = np.random.default_rng(n_items).integers(0, 40, size=n_items) / 40
    values = metrics.of_lists(top_items, popularity)
    kept = [k for k in CUTOFFS if k <= length or n_items == length]
    assert values.keys() == {f"{name}@{k}" for name in LISTS for k in kept}
    for k in kept:
        expected = loops(top_items[:, :k].tolist(), popularity.tolist())
        assert {name: values[f"{name}@{k}"] for name in LISTS} == pytest.approx(expected)


def test_list_metrics_at_their_extremes() -> None:
    alike, one = np.arange(6).reshape(6, 1), np.full((4, 1), 2)
    assert (metrics.gini(alike, POPULARITY), metrics.gini(one, POPULARITY)) == (pytest.approx(0), pytest.approx(1))
    assert metrics.coverage(alike, POPULARITY) == 1
    nothing = np.full((2, 1), 6)
    for name in LISTS[1:]:
        assert math.isnan(METRICS[name].of_lists(nothing, POPULARITY)), name
    # More popular items everywhere make the lists more popular and less new.
    assert metrics.average_popularity(one, POPULARITY) < metrics.average_popularity(one - 2, POPULARITY)
    assert metrics.novelty(one, POPULARITY) > metrics.novelty(one - 2, POPULARITY)


def test_a_metric_has_one_definition_and_is_shown_where_it_says() -> None:
    for name, metric in METRICS.items():
        assert (metric.gain is None) != (metric.of_lists is None), name
        assert {k for cutoffs in (metric.paper, *metric.shown.values()) for k in cutoffs} <= set(CUTOFFS), name
    assert metrics.shown_in("sweeps") == ("ndcg@10", "hr@1", "hr@10", "cov@10")
    assert metrics.shown_in("run") == ("ndcg@10", "hr@10", "cov@10")
    assert [name for name in ("ndcg@10", "hr@1/bucket2", "cov@10", "overlap") if metrics.is_mean_over_users(name)] == [
        "ndcg@10",
        "hr@1/bucket2",
    ]


def test_bucket_accuracy_counts_the_buckets_users() -> None:
    buckets = np.array([0, 0, 2, 2, 0, 2], dtype=np.uint8)
    values = summary.bucket_accuracy(RANKS, buckets)
    assert values["hr@1/bucket1"] == pytest.approx(1 / 3)
    assert values["hr@10/bucket1"] == pytest.approx(2 / 3)
    assert values["ndcg@5/bucket3"] == pytest.approx((1 / math.log2(5) + 1 / 2) / 3)
    assert {name.partition("/")[2] for name in values} == {"bucket1", "bucket3"}
    assert len(values) == 2 * 2 * len(CUTOFFS)


@pytest.mark.parametrize("n_items", [4, 40])
def test_bucket_coverage_agrees_with_sets(n_items: int) -> None:
    random = np.random.default_rng(n_items)
    item_buckets, target_buckets = random.integers(3, size=n_items), random.integers(2, size=30)
    top_items = random_lists(30, n_items, min(20, n_items), seed=n_items)
    expected = {}
    for k in [k for k in CUTOFFS if k <= 20 or n_items <= 20]:
        for bucket in range(3):
            to_members = {i for row in top_items[target_buckets == bucket].tolist() for i in row[:k]}
            to_anyone = {i for row in top_items.tolist() for i in row[:k]} - {n_items}
            of_bucket = [i for i in to_anyone if item_buckets[i] == bucket]
            name = f"cov@{k}/bucket{bucket + 1}"
            expected[f"{name}/items"] = len(of_bucket) / n_items
            if bucket < 2:
                expected[f"{name}/users"] = len(to_members - {n_items}) / n_items
    assert summary.bucket_coverage(top_items, target_buckets, item_buckets) == pytest.approx(expected)


@pytest.mark.parametrize("n_items", [4, 40])
def test_shown_shares_agree_with_counting(n_items: int) -> None:
    item_buckets = np.random.default_rng(n_items).integers(3, size=n_items).astype(np.uint8)
    top_items = random_lists(30, n_items, min(20, n_items), seed=n_items)
    expected = {}
    for k in [k for k in CUTOFFS if k <= 20 or n_items <= 20]:
        places = [item_buckets[item] for row in top_items.tolist() for item in row[:k] if item < n_items]
        expected |= {f"shown@{k}/bucket{b + 1}": sum(place == b for place in places) / len(places) for b in range(3)}
    assert summary.shown_shares(top_items, item_buckets) == pytest.approx(expected)


def test_shown_shares_of_empty_lists_are_undefined() -> None:
    values = summary.shown_shares(np.full((2, 1), 3), np.zeros(3, dtype=np.uint8))
    assert values.keys() == {"shown@1/bucket1", "shown@1/bucket2", "shown@1/bucket3"}
    assert all(math.isnan(value) for value in values.values())


def test_effective_rank_of_plain_spectra() -> None:
    assert summary.effective_rank(np.ones(7)) == pytest.approx(7)
    assert summary.effective_rank(np.array([5.0, 5.0, 0.0, 0.0])) == pytest.approx(2)
    assert summary.effective_rank(np.array([3.0, 0.0])) == pytest.approx(1)
    assert summary.effective_rank(np.zeros(3)) == 0


@pytest.mark.parametrize("seed", range(5))
def test_effective_rank_is_exp_of_scipys_entropy_and_scale_free(seed: int) -> None:
    values = np.random.default_rng(seed).exponential(size=64)
    values[50:] = 0
    rank = summary.effective_rank(values)
    assert rank == pytest.approx(math.exp(stats.entropy(values)))
    assert rank == pytest.approx(summary.effective_rank(values * 1e-6))
    assert 1 < rank < 50


def test_popularity_divergence_agrees_with_scipys_entropy() -> None:
    random = np.random.default_rng(0)
    history, item_buckets = random.dirichlet(np.ones(3), size=40), random.integers(3, size=30)
    history[:5] = [0, 0, 1]
    top_items = random_lists(40, 30, 20, seed=1)
    divergences = []
    for p, row in zip(history, top_items[:, :10].tolist(), strict=True):
        recommended = [item_buckets[item] for item in row if item < 30]
        q = np.bincount(recommended, minlength=3) / len(recommended)
        divergences.append(stats.entropy(p, 0.99 * q + 0.01 * p))
    value = summary.popularity_divergence(history, top_items, item_buckets)
    assert value == pytest.approx(np.mean(divergences))


def test_popularity_divergence_between_perfect_and_worst() -> None:
    item_buckets, history = np.array([0, 1, 2]), np.array([[0.5, 0.5, 0.0]])
    assert summary.popularity_divergence(history, np.array([[0, 1]]), item_buckets) == pytest.approx(0)
    assert summary.popularity_divergence(history, np.array([[2, 3]]), item_buckets) == pytest.approx(math.log(100))


def test_popularity_divergence_leaves_out_users_without_a_distribution() -> None:
    item_buckets = np.array([0, 1, 2])
    history = np.array([[1.0, 0, 0], [0, 0, 0], [1.0, 0, 0]])
    top_items = np.array([[0, 1], [0, 1], [3, 3]])
    first = summary.popularity_divergence(history[:1], top_items[:1], item_buckets)
    assert summary.popularity_divergence(history, top_items, item_buckets) == first > 0.5
    assert math.isnan(summary.popularity_divergence(history[1:], top_items[1:], item_buckets))


def test_calibration_error_weighs_bins_by_their_count() -> None:
    count, confidence, accuracy = np.array([3, 1, 0]), np.array([0.2, 0.9, 0.0]), np.array([1 / 3, 0.0, 0.0])
    expected = (3 * abs(1 / 3 - 0.2) + 1 * 0.9) / 4
    assert summary.calibration_error(count, confidence, accuracy) == pytest.approx(expected)


def test_overlap_of_two_normal_densities() -> None:
    grid = np.linspace(-10, 12, 512)
    p, n = stats.norm.pdf(grid, 2), stats.norm.pdf(grid)
    assert summary.overlap(grid, p, n) == pytest.approx(2 * stats.norm.cdf(-1), abs=1e-4)
    assert summary.overlap(grid, p, p) == pytest.approx(1)
    assert summary.overlap(grid, 3 * p, 3 * n) == pytest.approx(summary.overlap(grid, p, n))
    assert summary.overlap(grid, p, np.zeros(512)) == 0


def record_arrays(n_users: int, n_items: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    return {
        "ranks": random.integers(0, n_items, size=n_users).astype(np.int32),
        "top_items": random_lists(n_users, n_items, min(50, n_items), seed=0),
        "target_buckets": (np.arange(n_users) % 3).astype(np.uint8),
        "history_buckets": random.dirichlet(np.ones(3), size=n_users).astype(np.float32),
        "singular_values": np.array([2.0, 1.0]),
        "singular_values_centred": np.array([1.0, 1.0]),
        "score_grid": np.linspace(0, 1, 512),
        "target_density": np.ones(512),
        "negative_density": np.linspace(0, 2, 512),
        "calibration_count": np.array([n_users]),
        "calibration_confidence": np.array([0.5]),
        "calibration_accuracy": np.array([0.25]),
    }


def summarised(arrays: dict[str, np.ndarray]) -> dict[str, float]:
    return summary.summarise([arrays], np.arange(90) % 3, np.arange(1, 91) / 90)


@pytest.mark.parametrize("n_items", [5, 90])
def test_summary_has_exactly_the_names_of_the_record(n_items: int) -> None:
    arrays = record_arrays(30, n_items)
    values = summary.summarise([arrays], (np.arange(n_items) % 3).astype(np.uint8), np.full(n_items, 0.5))
    buckets = ("bucket1", "bucket2", "bucket3")
    names = {f"{metric}@{k}" for metric in METRICS for k in CUTOFFS}
    names |= {f"{metric}@{k}/{bucket}" for metric in ("hr", "ndcg", "shown") for k in CUTOFFS for bucket in buckets}
    names |= {f"cov@{k}/{bucket}/{side}" for k in CUTOFFS for bucket in buckets for side in ("users", "items")}
    names |= {"masked_targets", "popularity_kl@10", "effective_rank", "effective_rank_centred", "overlap", "ece"}
    assert values.keys() == names
    assert all(type(value) is float and math.isfinite(value) for value in values.values())


def test_summary_puts_each_value_under_its_name() -> None:
    arrays = record_arrays(30, 90)
    values = summarised(arrays)
    ranks, top_items = arrays["ranks"], arrays["top_items"]
    assert values["masked_targets"] == np.mean(ranks == 0)
    for k in CUTOFFS:
        assert values[f"hr@{k}"] == metrics.hit_rate(ranks, k)
        assert values[f"ndcg@{k}"] == metrics.ndcg(ranks, k)
        assert values[f"novelty@{k}"] == metrics.novelty(top_items[:, :k], np.arange(1, 91) / 90)
        # The buckets part the catalogue, so their item-side coverages part the whole one.
        sides = [values[f"cov@{k}/bucket{bucket}/items"] for bucket in (1, 2, 3)]
        assert sum(sides) == pytest.approx(values[f"cov@{k}"])
        hits = [values[f"hr@{k}/bucket{bucket}"] for bucket in (1, 2, 3)]
        assert sum(hits) / 3 == pytest.approx(values[f"hr@{k}"])
    assert values["effective_rank"] == pytest.approx(math.exp(stats.entropy([2, 1])))
    assert values["effective_rank_centred"] == pytest.approx(2)
    assert values["overlap"] == pytest.approx(0.75, abs=1e-3)
    assert values["ece"] == 0.25


def test_summary_leaves_out_what_is_undefined() -> None:
    arrays = record_arrays(30, 90)
    required = {name: arrays[name] for name in ("ranks", "top_items", "target_buckets", "history_buckets")}
    required["top_items"] = required["top_items"][:, :20]
    required["target_buckets"] = np.zeros(30, dtype=np.uint8)
    required["history_buckets"] = np.zeros((30, 3), dtype=np.float32)
    missing = summarised(arrays).keys() - summarised(required).keys()
    expected = {"popularity_kl@10", "effective_rank", "effective_rank_centred", "overlap", "ece"}
    expected |= {f"{metric}@50" for metric in LISTS}
    for bucket in (2, 3):
        expected |= {f"{metric}@{k}/bucket{bucket}" for metric in ("hr", "ndcg") for k in CUTOFFS}
        expected |= {f"cov@{k}/bucket{bucket}/users" for k in CUTOFFS}
    expected |= {"cov@50/bucket1/users", *(f"cov@50/bucket{bucket}/items" for bucket in (1, 2, 3))}
    expected |= {f"shown@50/bucket{bucket}" for bucket in (1, 2, 3)}
    assert missing == expected


def draw_arrays(n_users: int, n_items: int, n_draws: int) -> list[dict[str, np.ndarray]]:
    """Arrays for each draw, as in a record, with users shuffled and other scores."""
    random, draws = np.random.default_rng(1), []
    for draw in range(n_draws):
        arrays = record_arrays(n_users, n_items)
        shuffled = random.permutation(n_users)
        draws.append(
            {
                name: array[shuffled] if name in summary.PER_USER else array * (1 + draw / 10)
                for name, array in arrays.items()
            }
        )
    return draws


def test_metrics_of_tie_draws_are_means_over_the_draws() -> None:
    draws = draw_arrays(20, 90, 4)
    assert len({tuple(draw["ranks"]) for draw in draws}) == 4
    arrays = summary.combine_draws(draws)
    assert arrays.keys() == draws[0].keys()
    assert arrays["top_items"].shape == (20, 4, 50)
    again = summary.split_draws(arrays)
    assert len(again) == 4
    for draw, found in zip(draws, again, strict=True):
        assert found.keys() == summary.PER_USER.keys() - {"validation_ranks"}
        assert all(found[name].tolist() == draw[name].tolist() for name in found)
    alone = [summarised(draw) for draw in draws]
    values = summary.summarise(draws, np.arange(90) % 3, np.arange(1, 91) / 90)
    assert values.keys() == alone[0].keys()
    for name, value in values.items():
        assert value == pytest.approx(np.mean([each[name] for each in alone])), name


def test_a_bucket_that_is_empty_in_some_draws_counts_in_the_others() -> None:
    first, second = draw_arrays(20, 90, 2)
    second["target_buckets"][:] = 0
    values = summary.summarise([first, second], np.arange(90) % 3, np.arange(1, 91) / 90)
    assert values["hr@50/bucket3"] == summarised(first)["hr@50/bucket3"]


def test_a_run_without_tie_draws_has_one_draw() -> None:
    arrays = record_arrays(20, 90)
    assert summary.combine_draws([arrays]) is arrays
    (only,) = summary.split_draws(arrays)
    assert only.keys() == arrays.keys()
    assert all(only[name] is arrays[name] for name in arrays)


def test_user_means_are_over_the_draws() -> None:
    ranks = np.array([[1, 2], [0, 3], [11, 5]])
    expected = [(1 + 1 / math.log2(3)) / 2, (0 + 1 / 2) / 2, (0 + 1 / math.log2(6)) / 2]
    np.testing.assert_allclose(summary.user_means("ndcg@10", {"ranks": ranks}), expected)
    alone = summary.user_means("ndcg@10", {"ranks": ranks[:, 0]})
    assert alone.tolist() == metrics.per_user("ndcg@10", ranks[:, 0]).tolist()


@pytest.mark.parametrize("bucket", [1, 2, 3])
def test_user_means_of_a_bucket_are_over_the_draws_in_that_bucket(bucket: int) -> None:
    draws = draw_arrays(20, 90, 4)
    expected = []
    for user in range(20):
        own = [draw for draw in draws if draw["target_buckets"][user] == bucket - 1]
        if own:
            expected.append(np.mean([metrics.per_user("hr@50", draw["ranks"])[user] for draw in own]))
    assert len(expected) < 20
    found = summary.user_means(f"hr@50/bucket{bucket}", summary.combine_draws(draws))
    assert found.tolist() == pytest.approx(expected)
    alone = draws[0]
    members = alone["ranks"][alone["target_buckets"] == bucket - 1]
    found = summary.user_means(f"hr@50/bucket{bucket}", alone)
    assert found.tolist() == metrics.per_user("hr@50", members).tolist()


def test_densities_bins_and_spectra_are_averaged_over_draws() -> None:
    draws = draw_arrays(20, 90, 4)
    for draw, low in zip(draws, (-12.0, -11.0, -10.0, -9.0), strict=True):
        draw["score_grid"] = np.linspace(low, low + 20, 512)
        draw["target_density"] = stats.norm.pdf(draw["score_grid"])
    arrays = summary.combine_draws(draws)
    np.testing.assert_allclose(arrays["target_density"], stats.norm.pdf(arrays["score_grid"]), atol=1e-3)
    assert arrays["score_grid"][[0, -1]].tolist() == [-12.0, 11.0]
    for name in ("singular_values", "calibration_confidence"):
        np.testing.assert_allclose(arrays[name], np.mean([draw[name] for draw in draws], axis=0), rtol=1e-6)


@pytest.mark.parametrize(("n_items", "kind"), [(2**16 - 2, "uint16"), (2**16 - 1, "int32"), (2**16, "int32")])
def test_small_item_types_keep_the_indices(n_items: int, kind: str) -> None:
    items = np.array([0, n_items - 1, n_items])
    small = summary.as_small_items(items, n_items)
    assert small.dtype == kind
    assert small.tolist() == items.tolist()
