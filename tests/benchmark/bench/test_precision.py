"""Compiled blocks compute the same losses; precision and compiler are measured where they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.method import TrainedMethod
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from baselines.transformer import Transformer
from benchmark.bench import precision
from benchmark.bench.measures import BenchOptions, Group
from benchmark.bench.turns import Result, Turns
from benchmark.bench.workloads import Recipe, recipe
from benchmark.plan.config import ConfigError
from datasets.sequences import Sequences

CPU = torch.device("cpu")
N_ITEMS = 40


def training_batch(maxlen: int = 9) -> TrainBatch:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 21, size=60)
    sequences = Sequences.from_arrays(random.integers(N_ITEMS, size=lengths.sum()), np.cumsum([0, *lengths]))
    data = TrainingData(sequences, N_ITEMS, maxlen)
    return data.batch(data.trainable[:16])


def encoder(heads: int = 2) -> Transformer:
    torch.manual_seed(0)
    return Transformer(N_ITEMS, EncoderSettings(width=16, blocks=2, heads=heads, dropout=0.0, maxlen=9))


def learned(method: TrainedMethod, batch: TrainBatch, model: Transformer) -> tuple[float, torch.Tensor]:
    """The loss and all gradients, end to end."""
    method.prepare(batch.data)
    model.zero_grad()
    loss = torch.stack([*method.loss(model, batch, torch.Generator().manual_seed(3)).values()]).sum()
    loss.backward()
    return loss.item(), torch.cat([parameter.grad.flatten() for parameter in model.parameters()])


def assert_same(ours: tuple[float, torch.Tensor], other: tuple[float, torch.Tensor]) -> None:
    assert other[0] == pytest.approx(ours[0], rel=1e-5)
    assert (other[1] - ours[1]).norm() <= 1e-5 * ours[1].norm()


@pytest.mark.slow
def test_compiled_blocks_give_the_same_loss() -> None:
    batch, model = training_batch(), encoder()
    ours = learned(SASRec(SASRec.Settings()), batch, model)
    for block in model.blocks:
        block.compile(dynamic=True)
    assert_same(ours, learned(SASRec(SASRec.Settings()), batch, model))


def options(device: str = "cpu", **changes: Any) -> BenchOptions:
    turns = Turns(torch.device(device), 1, 2)
    return BenchOptions(turns, ("beauty",), (20,), Path("nowhere"), True, lambda line: None, **changes)


def a_recipe(given: BenchOptions) -> Recipe:
    return recipe("sasrec-ce", given.data("beauty"), 20)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "check_compiler", lambda device: None)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Which contenders would have been measured; none is."""
    found: list[list[Any]] = []

    def measure(
        self: BenchOptions, title: str, runners: list[Any], unit: str, workload: Any, ratios: Any, *_: Any
    ) -> Group:
        found.append(runners)
        results = [Result(runner.name, runner.amount, seconds=[1.0]) for runner in runners]
        return Group(title, "", True, {}, results, ratios)

    monkeypatch.setattr(BenchOptions, "measure", measure)
    return found


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_training_is_measured_in_each_precision_and_compiled(
    device: str, compiler: None, measured: list[list[Any]]
) -> None:
    given = options(device)
    group = precision._speed(given, given.data("beauty"), a_recipe(given))
    by_name = {contender.name: contender for contender in measured[0]}
    labels = ["", ", bf16", ", compiled", ", bf16 and compiled"]
    trained = [by_name[f"sasrec-ce{label}"].run.args[1].training for label in labels]
    assert [training.precision for training in trained] == ["fp32", "bf16", "fp32", "bf16"]
    assert [training.compile for training in trained] == [False, False, True, True]
    skipped = [by_name[f"sasrec-ce{label}"].run.args[2] for label in labels]
    assert skipped == [0, 0, 1, 1], "the epoch that the compiler takes is no lap"
    assert {(ratio.ours, ratio.usual) for ratio in group.ratios} == {
        (f"sasrec-ce{label}", "sasrec-ce") for label in labels[1:]
    }
    assert all(ratio["value"] is not None for ratio in group.to_json()["ratios"])


def test_without_a_compiler_what_needs_one_is_skipped(
    monkeypatch: pytest.MonkeyPatch, measured: list[list[Any]]
) -> None:
    def broken(device: torch.device) -> None:
        raise ConfigError("no compiler")

    monkeypatch.setattr(precision, "check_compiler", broken)
    given = options()
    precision._speed(given, given.data("beauty"), a_recipe(given))
    assert {contender.name: contender.lack for contender in measured[0]} == {
        "sasrec-ce": "",
        "sasrec-ce, bf16": "",
        "sasrec-ce, compiled": "no compiler",
        "sasrec-ce, bf16 and compiled": "no compiler",
    }


def test_precision_trains_twice_from_one_seed_and_says_how_well() -> None:
    given = options()
    group = precision._accuracy(given, given.data("beauty"), a_recipe(given))
    plain, coarse = group.results
    assert (plain.contender, coarse.contender) == ("sasrec-ce", "sasrec-ce, bf16")
    assert "one seed" in group.title
    for result in group.results:
        points = group.details[result.contender]["epochs"]
        assert len(points) == len(result.seconds) == 2
        assert result.peak_memory_bytes > result.added_memory_bytes > 0
        assert f"best validation NDCG@10 {max(point['ndcg'] for point in points):.4f}" in result.note
    losses = [group.details[result.contender]["epochs"][0]["loss"] for result in group.results]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=2**-6)
