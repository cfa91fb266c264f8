from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
import torch

from baselines.counting import Markov, Popularity
from baselines.training_data import TrainingData
from datasets.sequences import Batch
from tests.baselines.batches import MakeData, batch_of


def scores_after(data: TrainingData, histories: list[list[int]]) -> torch.Tensor:
    return Markov(Markov.Settings()).fit(data)(batch_of(histories, data.pad_id))


def order(scores: torch.Tensor) -> list[int]:
    return sorted(range(len(scores)), key=lambda item: (-scores[item].item(), item))


def test_items_are_ranked_by_how_often_they_followed_and_then_by_popularity(make_data: MakeData) -> None:
    random, n_items = np.random.default_rng(0), 15
    sequences = [random.zipf(1.5, random.integers(1, 12)) % (n_items - 2) for _ in range(40)]
    data = make_data(sequences, n_items)
    follows: dict[int, Counter[int]] = {item: Counter() for item in range(n_items)}
    popularity: Counter[int] = Counter()
    for sequence in sequences:
        popularity.update(sequence.tolist())
        for item, following in zip(sequence[:-1].tolist(), sequence[1:].tolist(), strict=True):
            follows[item][following] += 1
    assert any(follows[item][item] for item in range(n_items)), "repeats count too"

    last = range(n_items)
    scores = scores_after(data, [[(item + 1) % n_items] * (item % 4) + [item] for item in last])
    top = max(popularity.values())
    for item in last:
        expected = [follows[item][j] + popularity[j] / (top + 1) for j in range(n_items)]
        assert scores[item].tolist() == pytest.approx(expected, abs=1e-6)
        ranked = sorted(range(n_items), key=lambda j, item=item: (-follows[item][j], -popularity[j], j))
        assert order(scores[item]) == ranked


def test_one_transition_outweighs_any_popularity(make_data: MakeData) -> None:
    data = make_data([[0, 1], *[[2, 2, 2, 2]] * 50], 4)
    assert order(scores_after(data, [[0]])[0]) == [1, 2, 0, 3]


def test_items_that_nothing_followed_fall_back_to_popularity(make_data: MakeData) -> None:
    data = make_data([[0, 1, 4], [1, 4], [2, 1], [1, 0, 4]], 6)
    histories = Batch(torch.tensor([[4, 6], [1, 5]]), torch.tensor([1, 2]))  # 4 only ever came last, 5 never
    backed_off = Markov(Markov.Settings()).fit(data)(histories)
    popular = Popularity(Popularity.Settings()).fit(data)(histories)
    assert [order(row) for row in backed_off] == [order(row) for row in popular]
    assert (backed_off < 1).all()


def test_transitions_never_cross_sequences_whatever_their_place_in_memory(make_data: MakeData) -> None:
    data = make_data([[0, 1], [2, 3]], 4)
    turned = data.sequences.select(torch.tensor([1, 0]))
    for sequences in (data.sequences, turned):
        scores = scores_after(TrainingData(sequences, 4, 12), [[1], [3], [0], [2]])
        assert [int(row.argmax()) for row in scores[2:]] == [1, 3]
        assert (scores[:2] < 1).all()


def test_only_the_last_item_of_a_history_counts(make_data: MakeData) -> None:
    data = make_data([[0, 1, 2, 3], [3, 1, 0]], 4)
    long, short = scores_after(data, [[3, 0, 2, 1], [1]])
    assert torch.equal(long, short)
