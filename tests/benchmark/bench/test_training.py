"""The case training measures each precision, compiled or not; compiled blocks and sparse gradients train alike."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.btsr import BTSR
from baselines.method import TrainedMethod
from baselines.objectives import ScalableCrossEntropy
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from baselines.transformer import Transformer as Encoder
from benchmark.bench import cases, laps
from benchmark.bench.measures import BenchOptions
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.workloads import recipe, training_load
from datasets.sequences import Sequences

CPU = torch.device("cpu")
N_ITEMS = 40


def training_batch(maxlen: int = 9) -> TrainBatch:
    random = np.random.default_rng(0)
    lengths = random.integers(1, 21, size=60)
    sequences = Sequences.from_arrays(random.integers(N_ITEMS, size=lengths.sum()), np.cumsum([0, *lengths]))
    data = TrainingData(sequences, N_ITEMS, maxlen)
    return data.batch(data.trainable[:16])


def encoder() -> Encoder:
    torch.manual_seed(0)
    return Encoder(N_ITEMS, EncoderSettings(width=16, blocks=2, heads=2, dropout=0.0, maxlen=9))


def gradients(model: Encoder, loss: torch.Tensor) -> torch.Tensor:
    """The gradients of all parameters, flattened into one vector."""
    model.zero_grad()
    loss.backward()
    return torch.cat([parameter.grad.to_dense().flatten() for parameter in model.parameters()])


def loss_of(method: TrainedMethod, batch: TrainBatch, model: Encoder) -> torch.Tensor:
    method.prepare(batch.data)
    return torch.stack([*method.loss(model, batch, torch.Generator().manual_seed(3)).values()]).sum()


@pytest.mark.slow
def test_compiled_blocks_give_the_same_loss() -> None:
    batch, model = training_batch(), encoder()
    eager = loss_of(SASRec(SASRec.Settings()), batch, model)
    expected = gradients(model, eager)
    for block in model.blocks:
        block.compile(dynamic=True)
    compiled = loss_of(SASRec(SASRec.Settings()), batch, model)
    torch.testing.assert_close(compiled, eager, rtol=1e-5, atol=0)
    assert (gradients(model, compiled) - expected).norm() <= 1e-5 * expected.norm()


def test_sparse_gradients_are_those_of_the_method(monkeypatch: pytest.MonkeyPatch) -> None:
    batch, model = training_batch(), encoder()
    monkeypatch.setattr(laps, "BUCKETS_AT_ONCE", 12)  # all at once, so that both draw the same buckets
    method = BTSR(BTSR.Settings(ScalableCrossEntropy(buckets=12, size_x=6, size_y=5)))
    dense = loss_of(method, batch, model)
    expected = gradients(model, dense)
    model.items.sparse = True
    sparse = laps.sparse_loss(method, model, batch, torch.Generator().manual_seed(3))
    found = gradients(model, sparse)
    touched = model.items.weight.grad.coalesce().indices().unique()
    torch.testing.assert_close(sparse, dense)
    torch.testing.assert_close(found, expected, atol=1e-7, rtol=1e-4)
    assert len(touched) < N_ITEMS


def test_a_step_with_sparse_gradients_updates_only_the_touched_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(0)
    sequences = Sequences.from_arrays(random.integers(5000, size=8 * 9), np.arange(9) * 9)
    load = training_load(sequences, 5000, 8, batch_size=8, steps=1)
    spec = recipe("btsr-sce", "ml-1m", 8, 8)
    tables: list[torch.Tensor] = []
    built = Encoder.__init__

    def build(self: Encoder, *arguments: Any) -> None:
        built(self, *arguments)
        tables.append(self.items.weight)

    def lap(seconds: float) -> None:
        tables.append(tables[0].detach().clone())
        if len(tables) == 3:
            raise InterruptedError

    monkeypatch.setattr(Encoder, "__init__", build)
    with pytest.raises(InterruptedError):
        laps.train_sparse(load, spec, CPU, lap)
    moved = (tables[2] != tables[1]).any(1)
    assert 0 < int(moved.sum()) < 4000
    assert moved[sequences.items[: 8 * 9].view(8, 9)[:, 1:].flatten()].all(), "every target"


# --- the case ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("device", ["cpu", "cuda"])
def test_training_is_measured_in_each_precision_and_compiled(device: str, monkeypatch: pytest.MonkeyPatch) -> None:
    found: list[Contender] = []

    def measure(self: Turns, contenders: list[Contender], *_: Any) -> list[Result]:
        found.extend(contenders)
        work = {"flops": 2e9, "bytes": 5e8}
        return [
            Result(each.name, 1, "measured", [2.0], 2, 1, seen=work if each.profilers else {}) for each in contenders
        ]

    monkeypatch.setattr(Turns, "measure", measure)
    monkeypatch.setattr(cases, "peaks", lambda device, quick: {"fp32": 1e10, "bf16": 4e10, "bytes": 1e9})
    turns = Turns(torch.device(device), 2)
    options = BenchOptions(turns, ("beauty",), Path("nowhere"), True, lambda line: None, tuple(cases.VARIANTS))
    case = cases.training(options)
    [group] = case.groups
    by_name = {contender.name: contender for contender in found}
    for method in cases.VARIED:
        labels = [method, *(f"{method}, {label}" for label in cases.VARIANTS)]
        trained = [by_name[label].run.args[1].training for label in labels]
        assert [each.precision for each in trained] == ["fp32", "bf16", "fp32", "bf16"]
        assert [each.compile for each in trained] == [False, False, True, True]
        skipped = [by_name[label].run.args[2] for label in labels]
        assert skipped == [0, 0, 1, 1], "the epoch spent compiling is not a lap"
    columns = {result.contender: result.columns for result in group.results}
    shares = {
        label: [columns[f"sasrec-ce{label}"][name] for name in ("% of peak", "% of bandwidth")]
        for label in ("", ", bf16", ", compiled", ", bf16-compiled")
    }
    assert shares[""] == shares[", compiled"] == pytest.approx([10, 25])
    assert shares[", bf16"] == shares[", bf16-compiled"] == pytest.approx([2.5, 25])
    assert ("sasrec-ce, the usual way" in by_name) == (device == "cpu")
    assert next(name for name in by_name if "profile" in by_name[name].profilers) == "sasrec-ce"
    assert all(ratio["value"] is not None for ratio in group.to_json()["ratios"])
    assert "0.01 TFLOP/s in fp32" in case.notes[0]


def test_the_seconds_of_an_epoch_are_scaled_up_from_those_of_a_lap() -> None:
    data = training_batch().data
    part = training_load(data.sequences, N_ITEMS, 9, batch_size=16, steps=2)
    whole = training_load(data.sequences, N_ITEMS, 9, batch_size=16)
    assert len(part.rows) == 32
    assert part.targets(part.rows) == len(part.to(CPU).batch(part.rows).next_items)
    assert len(training_load(data.sequences, N_ITEMS, 9, batch_size=500, steps=2).rows) == len(data.trainable)
    complete = len(whole.rows) // 16 * 16
    epoch = whole.targets_of_epoch(16)
    assert epoch == round(whole.targets(whole.rows) * complete / len(whole.rows))
    result = Result("ours", part.targets(part.rows), seconds=[3.0])
    columns = cases._columns(result, {}, epoch, 1.0, 1.0)
    assert columns == {"epoch s": pytest.approx(3.0 * epoch / part.targets(part.rows))}


def test_pretraining_is_measured_separately() -> None:
    load = training_load(training_batch().data.sequences, N_ITEMS, 9, batch_size=16, steps=2)
    main, pretraining = cases.ours(Turns(CPU, 3), load, recipe("two-stage", "ml-1m", 9, 16))
    epochs: dict[str, list[float]] = {}
    for contender in (main, pretraining):
        spec, skipped = contender.run.args[1:3]
        method = cases.METHODS["two-stage"].method(spec.settings)
        epochs[contender.name] = [skipped, method.pretraining_epochs(spec.training.epochs)]
        assert spec.training.epochs - skipped > 3 + 4
    assert epochs["two-stage"][0] == epochs["two-stage"][1] > 0
    assert epochs["two-stage, pretraining"][0] == 0
    assert epochs["two-stage, pretraining"][1] > 3 + 4
    assert replace(main, name="") != replace(pretraining, name="")
    assert isinstance(main.run, partial)
