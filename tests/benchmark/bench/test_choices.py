"""What is measured beside the chosen ways computes the same losses; precision and compiler are raced where they run."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.btsr import BTSR
from baselines.encoder import CausalAttention, Encoder
from baselines.method import TrainedMethod
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from benchmark.bench import cases, choices
from benchmark.bench.alternatives import ConcatenatedBTSR, Team, builtin_attention
from benchmark.bench.measures import Group
from benchmark.bench.race import Contender, Lap, Result, Track
from benchmark.bench.setting import Setting
from benchmark.bench.workloads import load, recipe, training_load
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


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("method", [SASRec, BTSR])
def test_builtin_attention_gives_the_same_loss(heads: int, method: type[Any]) -> None:
    batch, model, chosen = training_batch(), encoder(heads), CausalAttention._attend
    ours = learned(method(method.Settings()), batch, model)
    with builtin_attention():
        assert CausalAttention._attend is not chosen
        assert_same(ours, learned(method(method.Settings()), batch, model))
    assert CausalAttention._attend is chosen


def test_anchors_and_twins_in_one_forward_give_the_same_loss() -> None:
    batch, settings, model = training_batch(), BTSR.Settings(alpha=0.7), encoder()
    assert_same(learned(BTSR(settings), batch, model), learned(ConcatenatedBTSR(settings), batch, model))


@pytest.mark.slow
def test_compiled_blocks_give_the_same_loss() -> None:
    batch, model = training_batch(), encoder()
    ours = learned(SASRec(SASRec.Settings()), batch, model)
    for block in model.blocks:
        block.compile(dynamic=True)
    assert_same(ours, learned(SASRec(SASRec.Settings()), batch, model))


# --- several at once --------------------------------------------------------------------------------------------------


def meet(folder: str, device: torch.device, lap: Lap) -> None:
    """A lap begins when all are there, and lasts longer for the second to come; says on how many threads."""
    number = 0
    while True:
        number += 1
        place = next(i for i in range(2) if _taken(Path(folder) / f"{number}-{i}"))
        deadline = time.monotonic() + 60
        while not (Path(folder) / f"{number}-1").exists():
            if time.monotonic() > deadline:
                raise TimeoutError("nobody came")
            time.sleep(0.01)
        lap(torch.get_num_threads() + place / 4)


def _taken(path: Path) -> bool:
    try:
        path.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True


def test_a_team_works_at_once_and_is_as_fast_as_its_last(tmp_path: Path) -> None:
    team = Team("both", Contender("one", partial(meet, str(tmp_path)), 5), copies=2, threads=3)
    [result] = Track(CPU, 1, 2).race([team], print)
    assert (result.status, result.amount, result.seconds) == ("measured", 10, [3.25, 3.25])
    assert result.peak_memory_bytes is not None
    assert result.peak_memory_bytes > 2 * 2**20


def die(device: torch.device, lap: Lap) -> None:
    raise SystemExit(3)


def fail(device: torch.device, lap: Lap) -> None:
    raise ValueError("no such thing")


@pytest.mark.parametrize(("run", "note"), [(die, "one of its processes died"), (fail, "ValueError: no such thing")])
def test_a_team_fails_with_one_of_its_members(run: Callable[..., None], note: str) -> None:
    [result] = Track(CPU, 1, 2).race([Team("both", Contender("one", run, 5), 2, 1)], lambda line: None)
    assert (result.status, result.note) == ("failed", note)


# --- precision and compiler -------------------------------------------------------------------------------------------


def setting(device: str = "cpu", **changes: Any) -> Setting:
    track = Track(torch.device(device), 1, 2)
    return Setting(track, ("beauty",), (20,), Path("nowhere"), True, lambda line: None, **changes)


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(choices, "check_compiler", lambda device: None)


@pytest.fixture
def raced(monkeypatch: pytest.MonkeyPatch) -> list[list[Any]]:
    """Who would have raced, instead of a race."""
    found: list[list[Any]] = []

    def race(self: Setting, title: str, runners: list[Any]) -> Group:
        found.append(runners)
        return Group(title, "", True, {}, [Result(runner.name, runner.amount, seconds=[1.0]) for runner in runners])

    monkeypatch.setattr(Setting, "race", race)
    return found


def test_on_a_gpu_training_is_raced_in_each_precision_and_compiled(compiler: None, raced: list[list[Any]]) -> None:
    [group] = cases.training(setting("cuda")).groups
    by_name = {runner.name: runner for runner in raced[0]}
    for method in ("sasrec-ce", "btsr-ce"):
        options = {
            label: by_name[f"{method}{label}"].run.args[1].training
            for label in ("", ", bf16", ", compiled", ", bf16 and compiled")
        }
        assert [training.precision for training in options.values()] == ["fp32", "bf16", "fp32", "bf16"]
        assert [training.compile for training in options.values()] == [False, False, True, True]
    assert by_name["sasrec-ce, compiled"].run.args[2] == 1  # the epoch that the compiler takes is no lap
    ratios = {(ratio.ours, ratio.usual) for ratio in group.ratios}
    assert ("btsr-ce, bf16 and compiled", "btsr-ce") in ratios
    group.to_json()


def test_on_a_cpu_training_is_raced_as_it_is(raced: list[list[Any]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cases, "_training_breakdown", lambda *_: None)
    cases.training(setting())
    assert not [runner.name for runner in raced[0] if "bf16" in runner.name or "compiled" in runner.name]


def test_without_a_compiler_what_needs_one_is_skipped(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(device: torch.device) -> None:
        raise ConfigError("no compiler")

    monkeypatch.setattr(choices, "check_compiler", broken)
    data = load("beauty", Path("nowhere"), True, lambda line: None)
    found, absent = choices.variants(
        setting(), training_load(data.split.train, data.split.n_items, 20, 256, 1), recipe("sasrec-ce", data, 20)
    )
    assert [contender.name for contender in found] == ["sasrec-ce, bf16"]
    assert [(result.contender, result.status, result.note) for result in absent] == [
        ("sasrec-ce, compiled", "skipped", "no compiler"),
        ("sasrec-ce, bf16 and compiled", "skipped", "no compiler"),
    ]


def test_choices_compares_each_with_what_was_not_chosen(compiler: None, raced: list[list[Any]]) -> None:
    groups = choices.choices(setting()).groups
    assert [group.title.partition(",")[0] for group in groups] == [
        "attention",
        "twins of BT-SR",
        "processes and threads",
        "precision and compiler",
    ]
    for group in groups:
        assert all(ratio["value"] is not None for ratio in group.to_json()["ratios"])
        assert group.details["seconds_per_step"].keys() == {result.contender for result in group.results}


def test_precision_trains_twice_from_one_seed_and_says_how_well() -> None:
    [group] = choices.precision(setting()).groups
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
