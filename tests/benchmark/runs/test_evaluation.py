"""Ranking is compared with loops over users and items, with many ties, repeat visits and tiny catalogues."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import asdict, replace

import numpy as np
import pytest
import torch
from torch import Tensor

from benchmark.runs import evaluation
from benchmark.runs.evaluation import NEGATIVE_SEED, NEGATIVES, TOP_ITEMS, NonFiniteScores, evaluate, evaluate_ranks
from datasets.cases import Cases
from datasets.sequences import Batch, Sequences

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

MAXLEN = 4
DEVICES = [
    "cpu",
    pytest.param("cuda", marks=pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")),
]


def make_cases(histories: list[list[int]], targets: list[int], device: str = "cpu") -> Cases:
    packed = Sequences.from_arrays(np.concatenate(histories), np.cumsum([0, *map(len, histories)]))
    return Cases(packed.to(torch.device(device)), torch.tensor(targets, device=device))


def random_cases(n_users: int, n_items: int, seed: int, device: str = "cpu") -> Cases:
    """Histories with repeats, some longer than MAXLEN; every third target is a repeat visit."""
    random = np.random.default_rng(seed)
    histories = [random.integers(n_items, size=random.integers(1, 9)).tolist() for _ in range(n_users)]
    targets = random.integers(n_items, size=n_users)
    targets[::3] = [history[0] for history in histories[::3]]
    return make_cases(histories, targets.tolist(), device)


class IntegerModel:
    """Scores are small integers, so that there are many ties and no rounding errors."""

    def __init__(self, n_items: int, seed: int, device: str = "cpu") -> None:
        random = np.random.default_rng(seed)
        table = random.integers(-1, 2, size=(n_items + 1, 3))
        table[n_items] = 0
        self.table = torch.tensor(table, dtype=torch.float32, device=device)

    def __call__(self, batch: Batch) -> Tensor:
        return self.table[batch.items].sum(1) @ self.table[:-1].T

    def scores_of(self, history: list[int]) -> list[float]:
        state = sum(self.table[item] for item in history[-MAXLEN:])
        return [float(state @ row) for row in self.table[:-1]]


def constant(scores: list[float]) -> evaluation.Scorer:
    """A method with the same scores for every user, like most-popular: one row of memory, expanded."""
    return lambda batch: torch.tensor(scores, device=batch.items.device).expand(len(batch.lengths), -1)


def reference(scores: list[float], history: list[int], target: int, uniform: np.ndarray) -> dict[str, object]:
    """Compute one user's row of a Ranking from the definitions."""
    n_items = len(scores)
    allowed = [item for item in range(n_items) if item not in history]
    best_first = sorted(allowed, key=lambda item: (-scores[item], item))
    above = [j for j in allowed if scores[j] > scores[target] or (scores[j] == scores[target] and j < target)]
    negatives = [item for item in allowed if item != target]
    total = sum(math.exp(scores[item]) for item in allowed)
    return {
        "ranks": 0 if target in history else 1 + len(above),
        "top_items": (best_first + [n_items] * n_items)[: min(TOP_ITEMS, n_items)],
        "confidence": math.exp(scores[best_first[0]]) / total if allowed else 0.0,
        "correct": best_first[:1] == [target],
        "target_scores": scores[target],
        "negative_scores": [scores[negatives[int(u * len(negatives))]] if negatives else math.nan for u in uniform],
    }


@pytest.mark.parametrize(("target", "rank"), [(0, 3), (1, 0), (2, 1), (3, 4), (4, 2)])
def test_rank_counted_by_hand(target: int, rank: int) -> None:
    # Without item 1, which is history: 2 and 4 tie at the top, then 0, then 3.
    cases = make_cases([[1]], [target])
    scores = constant([3.0, 5.0, 5.0, 1.0, 5.0])
    assert evaluate_ranks(scores, cases, 5, MAXLEN).tolist() == [rank]
    assert evaluate(scores, cases, 5, MAXLEN).top_items.tolist() == [[2, 4, 0, 3, 5]]


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("mask_seen", [True, False])
@pytest.mark.parametrize("n_items", [1, 2, 3, 8, 50, 51, 60, 400])
def test_agrees_with_loops(n_items: int, mask_seen: bool, device: str) -> None:
    cases, model = random_cases(40, n_items, n_items), IntegerModel(n_items, n_items)
    uniform = np.random.default_rng(NEGATIVE_SEED).random((40, NEGATIVES))
    rows = [
        reference(model.scores_of(history.tolist()), history.tolist() if mask_seen else [], int(target), u)
        for history, target, u in zip(cases.histories, cases.targets, uniform, strict=True)
    ]
    on_device = replace(random_cases(40, n_items, n_items, device), mask_seen=mask_seen), n_items, MAXLEN
    ranking = evaluate(IntegerModel(n_items, n_items, device), *on_device, batch_users=16)

    for name, values in asdict(ranking).items():
        expected = np.array([row[name] for row in rows])
        np.testing.assert_allclose(values, expected, rtol=1e-5 if name == "confidence" else 0, err_msg=name)
    ranks = evaluate_ranks(IntegerModel(n_items, n_items, device), *on_device)
    np.testing.assert_array_equal(ranks, ranking.ranks)


def test_types_and_shapes() -> None:
    ranking = evaluate(IntegerModel(60, 0), random_cases(3, 60, 0), 60, MAXLEN)
    types = {name: (values.dtype.name, values.shape) for name, values in asdict(ranking).items()}
    assert types == {
        "ranks": ("int32", (3,)),
        "top_items": ("int64", (3, 50)),
        "confidence": ("float32", (3,)),
        "correct": ("bool", (3,)),
        "target_scores": ("float32", (3,)),
        "negative_scores": ("float32", (3, 300)),
    }


@pytest.mark.parametrize("seed", range(5))
def test_ranks_agree_with_the_top_lists(seed: int) -> None:
    cases = random_cases(200, 70, seed)
    ranking = evaluate(IntegerModel(70, seed), cases, 70, MAXLEN)
    listed = ranking.top_items == cases.targets.numpy()[:, None]
    in_list = (ranking.ranks >= 1) & (ranking.ranks <= TOP_ITEMS)
    np.testing.assert_array_equal(listed.any(1), in_list)
    np.testing.assert_array_equal(listed.argmax(1)[in_list] + 1, ranking.ranks[in_list])
    assert in_list.sum() > 50
    assert (ranking.ranks > TOP_ITEMS).any()
    assert (ranking.ranks == 0).any()


@pytest.mark.parametrize("batch_users", [1, 7, 1000])
def test_user_batches_change_nothing(batch_users: int) -> None:
    cases, model = random_cases(50, 80, 3), IntegerModel(80, 3)
    whole = asdict(evaluate(model, cases, 80, MAXLEN))
    for name, values in asdict(evaluate(model, cases, 80, MAXLEN, batch_users)).items():
        np.testing.assert_array_equal(values, whole[name], err_msg=name)


def test_score_matrix_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    model, sizes = IntegerModel(80, 3), []

    def watched(batch: Batch) -> Tensor:
        sizes.append(len(batch.lengths))
        return model(batch)

    cases = random_cases(50, 80, 3)
    expected = evaluate_ranks(model, cases, 80, MAXLEN)
    monkeypatch.setattr(evaluation, "CELLS_AT_ONCE", 80 * 20 + 79)
    np.testing.assert_array_equal(evaluate_ranks(watched, cases, 80, MAXLEN), expected)
    assert sizes == [20, 20, 10]


def test_model_sees_the_window_and_the_whole_history_is_masked() -> None:
    seen = []

    def scores(batch: Batch) -> Tensor:
        seen.extend(zip(batch.items.tolist(), batch.lengths.tolist(), strict=True))
        return torch.arange(9.0).expand(len(batch.lengths), -1)

    ranking = evaluate(scores, make_cases([[8, 7, 6, 5, 4, 3], [2]], [1, 8]), 9, MAXLEN)
    assert seen == [([6, 5, 4, 3], 4), ([2, 9, 9, 9], 1)]
    assert ranking.top_items.tolist() == [[2, 1, 0] + [9] * 6, [8, 7, 6, 5, 4, 3, 1, 0, 9]]
    assert ranking.ranks.tolist() == [2, 1]


@pytest.mark.parametrize("ranking", [evaluate, evaluate_ranks])
def test_scoring_runs_in_inference_mode(ranking: Callable[..., object]) -> None:
    """Otherwise every score would cost memory, and a result would keep the model alive."""
    weights = torch.ones(6, requires_grad=True)
    modes = []

    def scores(batch: Batch) -> Tensor:
        modes.append(torch.is_inference_mode_enabled())
        return weights.expand(len(batch.lengths), -1) * 2

    ranking(scores, make_cases([[1, 2], [3]], [4, 3]), 6, MAXLEN)
    assert modes == [True]


def test_an_exhausted_catalogue_is_a_miss_without_confidence() -> None:
    ranking = evaluate(constant([1.0, 2.0, 3.0]), make_cases([[0, 1, 2]], [2]), 3, MAXLEN)
    assert ranking.ranks.tolist() == [0]
    assert ranking.top_items.tolist() == [[3, 3, 3]]
    assert ranking.confidence.tolist() == [0.0]
    assert ranking.correct.tolist() == [False]
    assert ranking.target_scores.tolist() == [3.0]
    assert np.isnan(ranking.negative_scores).all()


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("zeros", [(0.0, -0.0), (-0.0, 0.0)])
def test_negative_zero_ties_with_zero(zeros: tuple[float, float], device: str) -> None:
    scores = list(zeros) * 30
    ranking = evaluate(constant(scores), make_cases([[0], [0]], [1, 2], device), 60, MAXLEN)
    assert ranking.ranks.tolist() == [1, 2]
    assert ranking.top_items.tolist() == [list(range(1, 51))] * 2


def test_negatives_are_uniform_and_shared_by_all_methods() -> None:
    cases = make_cases([[2, 5, 2, 7]] * 200, [9] * 200)
    up = evaluate(constant([float(item) for item in range(10)]), cases, 10, MAXLEN).negative_scores
    down = evaluate(constant([-float(item) for item in range(10)]), cases, 10, MAXLEN).negative_scores
    np.testing.assert_array_equal(up, -down)
    items, counts = np.unique(up, return_counts=True)
    assert items.tolist() == [0, 1, 3, 4, 6, 8]
    expected = 200 * NEGATIVES / 6
    assert (np.abs(counts - expected) < 5 * math.sqrt(expected)).all()
    assert (up[0] != up[1]).any()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("item", [0, 2])
@pytest.mark.parametrize("ranking", [evaluate, evaluate_ranks])
def test_a_score_that_is_not_finite_raises(ranking: object, item: int, value: float) -> None:
    scores = [1.0, 2.0, 3.0]
    scores[item] = value
    with pytest.raises(NonFiniteScores, match="1 of the 3 scores of users 0 to 0 are not finite"):
        ranking(constant(scores), make_cases([[0]], [1]), 3, MAXLEN)


def test_huge_finite_scores_are_fine() -> None:
    largest = torch.finfo(torch.float32).max
    ranking = evaluate(constant([-largest, largest, largest]), make_cases([[1]], [2]), 3, MAXLEN)
    assert ranking.ranks.tolist() == [1]
    assert ranking.confidence.tolist() == [1.0]


def test_scores_with_a_padding_column_are_refused() -> None:
    with pytest.raises(ValueError, match=r"shape \(1, 4\), expected \(1, 3\)"):
        evaluate_ranks(constant([1.0] * 4), make_cases([[0]], [1]), 3, MAXLEN)


@pytest.mark.parametrize("ranking", [evaluate, evaluate_ranks])
def test_the_methods_own_scores_are_restored(ranking: Callable[..., object]) -> None:
    table = torch.arange(12.0).reshape(2, 6)
    before = table.clone()
    ranking(lambda batch: table, make_cases([[1, 2, 1], [3]], [4, 3]), 6, MAXLEN)
    assert torch.equal(table, before)
