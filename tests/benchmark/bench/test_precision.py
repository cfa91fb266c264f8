"""Compiled blocks compute the same losses; precision and compiler are measured where they run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.encoder import Encoder
from baselines.method import TrainedMethod
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from benchmark.bench import cases, precision
from benchmark.bench.measures import Group
from benchmark.bench.options import BenchOptions
from benchmark.bench.turns import Result, Turns
from benchmark.bench.workloads import BenchData, load, recipe, training_load
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


def encoder(heads: int = 2) -> Encoder:
    torch.manual_seed(0)
    return Encoder(N_ITEMS, EncoderSettings(width=16, blocks=2, heads=heads, dropout=0.0, maxlen=9))


def learned(method: TrainedMethod, batch: TrainBatch, model: Encoder) -> tuple[float, torch.Tensor]:
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


def precision_data() -> BenchData:
    return options().data("beauty")


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(precision, "check_compiler", lambda device: None)


@pytest.fixture
def measured(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Which contenders would have been measured; none is."""
    found: list[list[Any]] = []

    def measure(self: BenchOptions, title: str, runners: list[Any]) -> Group:
        found.append(runners)
        return Group(title, "", True, {}, [Result(runner.name, runner.amount, seconds=[1.0]) for runner in runners])

    monkeypatch.setattr(BenchOptions, "measure", measure)
    return found


def test_on_a_gpu_training_is_measured_in_each_precision(compiler: None, measured: list[list[Any]]) -> None:
    [group] = cases.training(options("cuda")).groups
    by_name = {runner.name: runner for runner in measured[0]}
    for method in ("sasrec-ce", "btsr-ce"):
        trained = {
            label: by_name[f"{method}{label}"].run.args[1].training
            for label in ("", ", bf16", ", compiled", ", bf16 and compiled")
        }
        assert [training.precision for training in trained.values()] == ["fp32", "bf16", "fp32", "bf16"]
        assert [training.compile for training in trained.values()] == [False, False, True, True]
    assert by_name["sasrec-ce, compiled"].run.args[2] == 1  # the epoch that the compiler takes is no lap
    ratios = {(ratio.ours, ratio.usual) for ratio in group.ratios}
    assert ("btsr-ce, bf16 and compiled", "btsr-ce") in ratios
    group.to_json()


def test_on_a_cpu_training_is_measured_as_it_is(measured: list[list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "_training_breakdown", lambda *_: None)
    cases.training(options())
    assert not [runner.name for runner in measured[0] if "bf16" in runner.name or "compiled" in runner.name]


def test_without_a_compiler_what_needs_one_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device) -> None:
        raise ConfigError("no compiler")

    monkeypatch.setattr(precision, "check_compiler", broken)
    data = load("beauty", Path("nowhere"), True, lambda line: None)
    found, absent = precision.variants(
        options(), training_load(data.split.train, data.split.n_items, 20, 256, 1), recipe("sasrec-ce", data, 20)
    )
    assert [contender.name for contender in found] == ["sasrec-ce, bf16"]
    assert [(result.contender, result.status, result.note) for result in absent] == [
        ("sasrec-ce, compiled", "skipped", "no compiler"),
        ("sasrec-ce, bf16 and compiled", "skipped", "no compiler"),
    ]


def test_on_a_cpu_precision_and_compiler_are_a_case_of_their_own(compiler: None, measured: list[list[Any]]) -> None:
    group = precision._speed(options(), precision_data())
    assert [contender.name for contender in measured[0]] == [group.results[i].contender for i in range(4)]
    assert {(ratio.ours, ratio.usual) for ratio in group.ratios} == {
        (f"sasrec-ce, {label}", "sasrec-ce") for label in ("bf16", "compiled", "bf16 and compiled")
    }
    assert all(ratio["value"] is not None for ratio in group.to_json()["ratios"])


def test_precision_trains_twice_from_one_seed_and_says_how_well() -> None:
    group = precision._accuracy(options(), precision_data())
    plain, coarse = group.results
    assert (plain.contender, coarse.contender) == ("sasrec-ce", "sasrec-ce, bf16")
    assert "one seed" in group.title
    for result in group.results:
        found = group.details[result.contender]
        assert len(found["epochs"]) == len(result.seconds) == 2
        assert found["best_ndcg"] == max(row["validation"]["ndcg@10"] for row in found["epochs"])
        assert f"best validation NDCG@10 {found['best_ndcg']:.4f}" in result.note
    losses = [group.details[result.contender]["epochs"][0]["loss"] for result in group.results]
    assert losses[0] != losses[1]
    assert losses[1] == pytest.approx(losses[0], rel=2**-6)
