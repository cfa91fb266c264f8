"""What the settings `training.precision` and `training.compile` change, and what they must not change."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F

from baselines.kernels import bucketed_cross_entropy, linear_cross_entropy, sampled_logits
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from baselines.transformer import Transformer
from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import RunSpec, TrainingSettings
from benchmark.runs import training
from benchmark.runs.training import check_compiler, train
from datasets import synthetic
from datasets.cases import Cases
from datasets.protocol import Protocol
from datasets.sequences import windows
from datasets.split import split
from tests.baselines.batches import MakeData

PREDICTING = [name for name, entry in METHODS.items() if hasattr(entry.settings, "objective")]
ROUNDING = 2.0**-8
"""The relative rounding error of bfloat16."""


def spec(*assignments: str) -> RunSpec:
    return Configuration("ml-1m", "equal", "paper", assignments).spec(
        DatasetFacts("ML-1M", False, Protocol(), "f"), "sasrec-ce", 0
    )


@pytest.fixture(scope="module")
def world() -> tuple[TrainingData, Cases]:
    whole = split(synthetic.generate(200, 60, 3_000, seed=2), Protocol())
    return TrainingData(whole.train, whole.n_items, 12), whole.cases("validation")


def losses(world: tuple[TrainingData, Cases], name: str, **options: Any) -> list[float]:
    entry, settings = METHODS[name], TrainingSettings(batch_size=32, epochs=4, **options)
    encoder = EncoderSettings(width=16, dropout=0.0, maxlen=12)
    trained = train(entry.method(entry.settings), *world, encoder, settings, seed=0)
    assert all(value.dtype == torch.float32 for value in trained.encoder.state_dict().values())
    return [row["loss"] for row in trained.epochs]


# --- in the run key ---------------------------------------------------------------------------------------------------


def test_neutral_values_are_in_the_record_but_not_in_the_key() -> None:
    plain = spec()
    assert not {"precision", "compile"} & set(plain.identity()["training"])
    assert (plain.to_json()["training"]["precision"], plain.to_json()["training"]["compile"]) == ("fp32", False)
    assert spec("training.precision=fp32", "training.compile=false").identity() == plain.identity()


def test_other_values_are_part_of_the_key() -> None:
    assert spec("training.precision=bf16").identity()["training"]["precision"] == "bf16"
    assert spec("training.compile=true").identity()["training"]["compile"] is True


@pytest.mark.parametrize(
    ("assignment", "message"),
    [("training.precision=fp16", "use one of fp32, bf16"), ("training.compile=yes", "use true or false")],
)
def test_impossible_values_are_refused(assignment: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        spec(assignment)


# --- bfloat16 ---------------------------------------------------------------------------------------------------------


def test_the_projection_in_bfloat16_is_near_the_plain_formula() -> None:
    rng = torch.Generator().manual_seed(0)
    states, table = (torch.randn(n, 16, generator=rng).requires_grad_() for n in (300, 500))
    targets = torch.randint(500, (300,), generator=rng)
    expected = F.cross_entropy(states @ table.T, targets)
    found = linear_cross_entropy(states.bfloat16(), table, targets)
    assert found.dtype == torch.float32
    assert abs(found - expected) < ROUNDING * expected
    for ours, theirs in zip(
        torch.autograd.grad(found, (states, table)), torch.autograd.grad(expected, (states, table)), strict=True
    ):
        assert ours.dtype == torch.float32
        assert (ours - theirs).norm() < 4 * ROUNDING * theirs.norm()
        assert not torch.equal(ours, theirs)


def test_only_the_full_projection_is_rounded_to_bfloat16() -> None:
    rng = torch.Generator().manual_seed(0)
    states, table = torch.randn(20, 8, generator=rng).bfloat16(), torch.randn(50, 8, generator=rng)
    candidates = torch.randint(50, (20, 5), generator=rng)
    assert torch.equal(sampled_logits(states, table, candidates), sampled_logits(states.float(), table, candidates))
    buckets = torch.arange(10)[None], torch.arange(0, 50, 2)[None]
    values = [bucketed_cross_entropy(x, table, candidates[:, 0], *buckets) for x in (states, states.float())]
    assert torch.equal(*values)


def test_validation_and_last_states_are_float32_whatever_the_precision(random_data: MakeData) -> None:
    data = random_data()
    encoder = Transformer(data.n_items, EncoderSettings(width=8, dropout=0.0, maxlen=data.maxlen), "bf16")
    inputs = windows(data.inputs, data.trainable, data.maxlen, data.pad_id)
    states, z = encoder.train()(inputs)
    assert (states.dtype, z.dtype, encoder.last(inputs).dtype) == (torch.bfloat16, torch.float32, torch.float32)
    with torch.no_grad():
        scored, (states, _) = encoder.eval().score(inputs), encoder(inputs)
    assert (scored.dtype, states.dtype) == (torch.float32, torch.float32)


@pytest.mark.parametrize("name", PREDICTING)
def test_every_objective_learns_in_bfloat16_as_in_float32(name: str, world: tuple[TrainingData, Cases]) -> None:
    coarse, exact = losses(world, name, precision="bf16"), losses(world, name)
    assert coarse == pytest.approx(exact, rel=4 * ROUNDING)
    assert coarse != exact


# --- torch.compile ----------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_compiled_encoder_learns_the_same(world: tuple[TrainingData, Cases]) -> None:
    try:
        check_compiler(torch.device("cpu"))
    except ConfigError as error:
        pytest.skip(str(error))
    assert losses(world, "btsr-ce", compile=True) == pytest.approx(losses(world, "btsr-ce"), rel=1e-3)


def test_without_a_compiler_the_setting_is_refused_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> Callable[..., None]:
        raise RuntimeError("no C++ compiler\nwas found")

    monkeypatch.setattr(training.torch, "compile", broken)
    with pytest.raises(ConfigError, match=r"training.compile: .*RuntimeError.*install a C\+\+ compiler") as caught:
        check_compiler(torch.device("cpu"))
    assert "\n" not in str(caught.value)


def test_only_the_setting_makes_the_encoder_compile(
    world: tuple[TrainingData, Cases], monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[bool] = []
    monkeypatch.setattr(torch.nn.Module, "compile", lambda module, dynamic: asked.append(dynamic))
    losses(world, "sasrec-ce")
    assert not asked
    losses(world, "sasrec-ce", compile=True)
    assert asked == [True] * EncoderSettings().blocks
