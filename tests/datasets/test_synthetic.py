"""Synthetic data: its exact size and its structure."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets import synthetic
from datasets.interactions import DataError, Interactions
from datasets.protocol import Protocol
from datasets.registry import DATASETS
from datasets.split import split

SEEDS = (0, 1, 2)


@pytest.fixture(scope="module", params=SEEDS)
def demo(request: pytest.FixtureRequest) -> Interactions:
    return synthetic.demo(request.param)


def test_the_same_seed_gives_the_same_data() -> None:
    first, again, other = synthetic.demo(3), synthetic.demo(3), synthetic.demo(4)
    assert (first.item_ids == again.item_ids).all()
    assert (first.timestamps == again.timestamps).all()
    assert not np.array_equal(first.item_ids, other.item_ids)


@pytest.mark.parametrize("size", [(1, 1, 1), (3, 2, 3), (2, 30, 30), (30, 2, 31), (500, 2_000, 9_000), (40, 7, 4_000)])
def test_generated_data_has_exactly_the_requested_size(size: tuple[int, int, int]) -> None:
    data = synthetic.generate(*size, seed=1)
    assert (data.n_users, data.n_items, len(data)) == size
    assert data.user_labels.tolist() == list(range(size[0]))
    assert data.item_labels.tolist() == list(range(size[1]))


@pytest.mark.parametrize("size", [(0, 1, 1), (1, 0, 1), (5, 1, 4), (1, 5, 4)])
def test_impossible_sizes(size: tuple[int, int, int]) -> None:
    with pytest.raises(DataError, match="cannot be generated"):
        synthetic.generate(*size)


def test_users_are_in_time_order_with_few_ties_and_repeats(demo: Interactions) -> None:
    same_user = np.diff(demo.user_ids) == 0
    steps = np.diff(demo.timestamps)[same_user]
    assert steps.min() >= 0
    assert 0 < np.mean(steps == 0) < 0.03
    pairs = np.unique(demo.user_ids.astype(np.int64) * demo.n_items + demo.item_ids)
    assert 1 - len(pairs) / len(demo) < 0.1


def test_users_differ_in_length_and_arrival(demo: Interactions) -> None:
    lengths = np.bincount(demo.user_ids)
    assert lengths.min() >= 5
    assert lengths.max() > 4 * np.median(lengths)
    arrivals = demo.timestamps[np.flatnonzero(np.diff(demo.user_ids, prepend=-1))]
    share_by_quarter = np.histogram(arrivals, bins=4)[0] / demo.n_users
    assert share_by_quarter.min() > 0.1


def test_popularity_has_a_head_and_a_tail(demo: Interactions) -> None:
    counts = np.sort(np.bincount(demo.item_ids))[::-1]
    assert counts[: demo.n_items // 10].sum() > 0.3 * len(demo)
    assert counts[demo.n_items // 2 :].sum() < 0.25 * len(demo)


def test_popularity_drifts(demo: Interactions) -> None:
    early = demo.timestamps < np.quantile(demo.timestamps, 0.25)
    late = demo.timestamps > np.quantile(demo.timestamps, 0.75)
    halves = np.random.default_rng(0).random(len(demo)) < 0.5

    def likeness(first: np.ndarray, second: np.ndarray) -> float:
        counts = [np.bincount(demo.item_ids[rows], minlength=demo.n_items) for rows in (first, second)]
        return float(np.corrcoef(*counts)[0, 1])

    assert likeness(early, late) < likeness(halves, ~halves) - 0.1


def test_the_split_leaves_test_users_and_twins(demo: Interactions) -> None:
    summary = split(demo, Protocol()).summary
    assert summary["test_users"] >= 80
    assert summary["train_users"] >= 1_000
    assert summary["items"] == synthetic.DEMO_ITEMS
    assert summary["twinless_share"] < 0.15
    assert summary["masked_share"] < 0.1


def test_order_carries_signal(demo: Interactions) -> None:
    parts = split(demo, Protocol())
    items, lengths = parts.train.items.numpy(), parts.train.lengths.numpy()
    transitions = np.zeros((parts.n_items, parts.n_items))
    inside = np.ones(len(items), dtype=bool)
    inside[np.cumsum(lengths) - 1] = False
    np.add.at(transitions, (items[:-1][inside[:-1]], items[1:][inside[:-1]]), 1)
    popularity = np.bincount(items, minlength=parts.n_items)
    cases = parts.cases("test")
    last, targets = cases.histories.final_items().numpy(), cases.targets.numpy()

    def hit_rate(scores: np.ndarray) -> float:
        better = scores > np.take_along_axis(scores, targets[:, None], axis=1)
        return float(np.mean(better.sum(axis=1) < 10))

    by_popularity = hit_rate(np.tile(popularity / len(items), (len(targets), 1)))
    assert hit_rate(transitions[last] + popularity / len(items)) > 2 * by_popularity


@pytest.mark.slow
def test_generated_data_of_full_size_survives_writing_and_reading(tmp_path: Path) -> None:
    data = synthetic.generate(107_092, 1_280_969, 6_442_892)
    assert (data.n_users, data.n_items, len(data)) == (107_092, 1_280_969, 6_442_892)
    times = np.datetime_as_string(data.timestamps.astype("datetime64[s]"))
    with (tmp_path / "gowalla.txt").open("w") as file:
        rows = zip(data.user_ids.tolist(), times.tolist(), data.item_ids.tolist(), strict=True)
        file.writelines(f"{user}\t{time}Z\t30.2\t-97.7\t{item}\n" for user, time, item in rows)
    again = DATASETS["gowalla"].reader(tmp_path / "gowalla.txt")
    for field in ("user_ids", "item_ids", "timestamps", "user_labels", "item_labels"):
        assert np.array_equal(getattr(data, field), getattr(again, field))
