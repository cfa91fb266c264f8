"""Downstream tasks: the draw of labelled users, the measures, the probe, and whole runs."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import BATCH_SIZES, PRETRAINED, experiments
from benchmark.runs import downstream
from benchmark.runs.downstream import SHARES, Task, Users, tasks_of
from benchmark.runs.preparation import Prepared, prepare, with_labels
from benchmark.runs.run import execute
from benchmark.store.store import Store
from datasets.protocol import Protocol
from datasets.sequences import Sequences
from datasets.user_labels import UserLabels

SMALL = (("encoder.width", 8), ("encoder.maxlen", 8), ("training.epochs", 2), ("evaluation.downstream", True))


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Prepared:
    pytest.importorskip("sklearn", reason='scikit-learn is not installed: pip install -e ".[downstream]"')
    path = tmp_path_factory.mktemp("downstream")
    store = Store(path / "results")
    data = prepare("synthetic", path, None, Protocol(), path / "cache", store, lambda line: None, download=False)
    return with_labels(data, path, None)


def many_users(count: int) -> UserLabels:
    lengths = np.full(count, 3)
    lengths[0] = 1
    items = np.arange(lengths.sum()) % 11
    known = Sequences.from_arrays(items, np.append(0, lengths.cumsum()))
    return UserLabels(known, count - 50, {"age": np.arange(count) % 3})


def test_labelled_users_are_nested_and_disjoint_from_validation_and_test() -> None:
    users = Users.draw(many_users(1050), seed=1)
    test, validation = set(users.test), set(users.validation)
    assert test == set(range(1000, 1050))
    assert len(validation) == 100
    given = [set(users.labelled[share]) for share in SHARES]
    assert [len(each) for each in given] == [9, 90, 899]  # one of a thousand has no next item
    assert given[0] < given[1] < given[2]
    assert not given[2] & (test | validation)
    assert given[2] | validation == set(range(1, 1000))
    assert set(Users.draw(many_users(1050), seed=2).labelled[10]) != given[1]


def test_the_next_item_is_measured_by_its_rank_among_unseen_items() -> None:
    known = Sequences.from_arrays(np.array([0, 1, 4, 2, 3, 3]), np.array([0, 3, 6]))
    [task] = tasks_of(UserLabels(known, 1, {}), 5)
    scores = np.array([[9.0, 8.0, 3.0, 2.0, 2.0], [1.0, 5.0, 9.0, 4.0, -np.inf]])
    for users, expected in [
        ([0], 1 / math.log2(4)),  # 0 and 1 are seen; of 2, 3 and 4 the last is the target, and level with 3
        ([1], 0.0),  # the target is the user's own item
    ]:
        assert task.quality(scores[users], np.array(users)) == pytest.approx(expected)


def test_classes_are_measured_by_accuracy() -> None:
    task = Task("age", np.array([2, 0, 1]), 3)
    scores = np.array([[0.0, 0.0, 1.0], [1.0, 2.0, 0.0]])
    assert task.quality(scores, np.array([0, 2])) == 1.0
    assert task.quality(scores, np.array([0, 1])) == 0.5


def test_a_probe_learns_a_linear_class_and_constant_features_give_the_majority() -> None:
    pytest.importorskip("sklearn")
    random = np.random.default_rng(0)
    features = random.normal(size=(1050, 4))
    task = Task("age", (features @ [1.0, -2.0, 0.5, 0.0] > 0.3).astype(np.int64), 2)
    users = Users.draw(many_users(1050), seed=0)
    labelled = users.labelled[100]
    assert downstream.probe(features, task, users, labelled) > 0.9
    majority = np.bincount(task.classes[labelled]).argmax()
    constant = downstream.probe(np.zeros((1050, 1)), task, users, labelled)
    assert constant == (task.classes[users.test] == majority).mean()
    same = replace(task, classes=np.ones_like(task.classes))
    assert downstream.probe(features, same, users, labelled) == 1.0


def run(prepared: Prepared, method: str, seed: int = 0) -> dict[str, float]:
    configuration = Configuration("synthetic", "equal", "quick")
    spec = configuration.spec(DatasetFacts("Synthetic", True, prepared.facts.protocol, "f"), method, seed, SMALL)
    record, _ = execute(spec, prepared, torch.device("cpu"))
    assert record.done, record.error
    assert record.selected_epoch in (None, 2)  # the last one: nothing is chosen
    return record.metrics["downstream"]


@pytest.mark.parametrize("method", [*PRETRAINED, "popularity"])
def test_a_run_has_all_downstream_metrics(method: str, prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(downstream, "FINE_TUNING_EPOCHS", 2)
    metrics = run(prepared, method)
    ways = ("majority", "bag") if method == "popularity" else ("probe", "tuned")
    asked = {f"{task}/{way}/{share}" for task in ("next-item", "bucket", "return") for way in ways for share in SHARES}
    assert metrics.keys() == {name for name in asked if not name.startswith("next-item/bag")}
    assert all(0 <= value <= 1 for value in metrics.values())


def test_fine_tuning_learns_and_leaves_the_pretrained_encoder_alone(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A class that depends on the last item is learned, and a second task gives the same result."""
    monkeypatch.setattr(downstream, "FINE_TUNING_EPOCHS", 30)
    known = prepared.labels
    assert known
    final = known.known.without_last(1).final_items().numpy() % 2
    easy = replace(prepared, labels=replace(known, labels={"easy": final, "again": final}))
    metrics = run(easy, "dual-encoder")
    assert metrics["easy/tuned/100"] > 0.9
    assert metrics["easy/tuned/100"] > np.bincount(final).max() / len(final) + 0.2
    assert metrics["easy/tuned/100"] == metrics["again/tuned/100"]


def test_the_plan_has_two_methods_with_three_batch_sizes_and_popularity() -> None:
    variants = experiments("ml-1m")["downstream"].variants
    assert len(variants) == 1 + len(PRETRAINED) * len(BATCH_SIZES)
    assert all(("evaluation.downstream", True) in variant.changes for variant in variants)
