"""Tests of the GPU code paths that need no GPU.

`as_if_on_gpu` makes tensors claim to be on a GPU, so that the code takes its GPU path. With real numbers that path must
agree with the CPU's. With meta tensors, which have shapes but no values, a training step only succeeds if the host
never asks for a value, that is, if it never waits for the GPU. These tests cannot see what CUDA kernels do;
`tests/test_cuda.py` checks that on a GPU.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from baselines.btsr import BTSR
from baselines.duorec import DuoRec
from baselines.ec4srec import EC4SRec
from baselines.encoder import Encoder
from baselines.importance import IMPORTANCES
from baselines.method import TrainedMethod
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from baselines.views import TwinPool
from benchmark.runs.environment import reset_peak_memory
from datasets.sequences import Batch, Sequences, TwinIndex, windows
from tests.baselines.batches import MakeData

META = torch.device("meta")

CASES: dict[str, tuple[type[TrainedMethod], Any]] = {
    name: (entry.method, entry.settings) for name, entry in METHODS.items() if issubclass(entry.method, TrainedMethod)
}
CASES |= {f"btsr view {view}": (BTSR, BTSR.Settings(view=view)) for view in ("mask", "crop", "reorder", "substitute")}
CASES |= {
    "btsr view dropout": (BTSR, BTSR.Settings(view="dropout")),
    "btsr skip": (BTSR, BTSR.Settings(no_twin="skip")),
    "btsr prefix": (BTSR, BTSR.Settings(twin_pool="prefix")),
    "btsr projector": (BTSR, BTSR.Settings(projector_layers=2, projector_width=8)),
    "duorec un": (DuoRec, DuoRec.Settings(mode="un")),
    "duorec us": (DuoRec, DuoRec.Settings(mode="us")),
    "duorec su": (DuoRec, DuoRec.Settings(mode="su")),
}


@pytest.fixture
def as_if_on_gpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Return a function that makes every tensor claim to be on a GPU from then on."""
    return lambda: monkeypatch.setattr(torch.Tensor, "is_cuda", property(lambda tensor: True))


@pytest.fixture
def data(random_data: MakeData) -> TrainingData:
    """Sequences shorter and longer than `maxlen`, some without a twin. Inputs are noisy, targets are not."""
    return random_data(users=40, n_items=25, maxlen=10, seed=1).with_noise(0.3, 0)


def begun(name: str, data: TrainingData) -> tuple[TrainedMethod, Encoder, nn.Module]:
    """Return a method whose next epoch uses all its loss terms, its encoder, and its other trained modules."""
    torch.manual_seed(0)
    kind, settings = CASES[name]
    method = kind(replace(settings, refresh_after=(1,)) if kind is EC4SRec else settings)
    sizes = EncoderSettings(width=8, heads=2, dropout=0.0, maxlen=data.maxlen)
    method.prepare(data)
    encoder = method.build_encoder(data.n_items, sizes, "fp32")
    beside = method.build(8)
    method.pretraining_epochs(10)
    method.on_epoch(encoder, data, 1)
    return method, encoder.train(), beside


def step(method: TrainedMethod, encoder: Encoder, batch: TrainBatch, rng: torch.Generator | None) -> dict[str, Tensor]:
    terms = method.loss(encoder, batch, rng)  # type: ignore[arg-type]
    encoder.zero_grad()
    torch.stack(list(terms.values())).sum().backward()
    return {name: term.detach() for name, term in terms.items()}


# --- the same numbers -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", CASES)
def test_a_step_on_a_gpu_has_the_loss_and_gradients_of_one_on_a_cpu(
    name: str, data: TrainingData, as_if_on_gpu: Callable[[], None]
) -> None:
    method, encoder, _ = begun(name, data)
    rows = torch.randperm(len(data.trainable), generator=torch.Generator().manual_seed(2))[:24]

    def go() -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        terms = step(method, encoder, data.batch(rows, rows.numpy()), torch.Generator().manual_seed(3))
        return terms, {key: p.grad.clone() for key, p in encoder.named_parameters() if p.grad is not None}

    on_cpu = go()
    as_if_on_gpu()
    for expected, found in zip(on_cpu, go(), strict=True):
        assert expected.keys() == found.keys()
        for key, value in expected.items():
            assert (found[key] - value).abs().max() <= 1e-5 * value.abs().max() + 1e-7, key


@pytest.mark.parametrize("name", IMPORTANCES)
def test_importances_on_a_gpu_are_those_on_a_cpu(
    name: str, data: TrainingData, as_if_on_gpu: Callable[[], None]
) -> None:
    _, encoder, _ = begun("sasrec-ce", data)
    expected = IMPORTANCES[name](encoder, data)
    as_if_on_gpu()
    assert torch.allclose(IMPORTANCES[name](encoder, data), expected, atol=1e-4)  # of differences of like scores


def test_a_batch_of_unknown_lengths_has_the_same_last_states(
    data: TrainingData, as_if_on_gpu: Callable[[], None]
) -> None:
    _, encoder, _ = begun("sasrec-ce", data)
    rows = torch.arange(0, 40, 3)
    histories = windows(data.inputs, rows, data.maxlen, data.pad_id)
    expected = encoder.last(histories)
    as_if_on_gpu()
    unknown = windows(data.inputs, rows, data.maxlen, data.pad_id)
    assert unknown.total is None
    assert torch.allclose(encoder.last(unknown), expected, atol=1e-5)
    assert torch.allclose(encoder(unknown)[1], expected, atol=1e-5)
    known = windows(data.inputs, rows, data.maxlen, data.pad_id, rows.numpy())
    assert known.total == int(known.lengths.sum())
    assert torch.allclose(encoder.last(known), expected, atol=1e-5)


# --- no waiting -------------------------------------------------------------------------------------------------------


class NoTransfer(TorchFunctionMode):
    """Fails when a tensor is created on the device from host values, or copied between the two."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            made = func in (torch.tensor, torch.as_tensor, Tensor.new_tensor) and result.device == META
            came = args and isinstance(args[0], Tensor) and args[0].device != result.device
            assert not made, f"{func.__name__} copies to the device"
            assert not came, f"{func.__name__} copies between host and device"
        return result


def on_meta(thing: Any, known: dict[int, Any]) -> Any:
    """Copy data, indices and methods with their tensors moved to the meta device, where they have no values."""
    if isinstance(thing, nn.Module):
        return known.setdefault(id(thing), thing.to(META))
    if isinstance(thing, Tensor):
        return thing.to(META)
    if not isinstance(thing, TrainingData | Sequences | TwinIndex | TwinPool | TrainedMethod):
        return thing
    if id(thing) not in known:
        known[id(thing)] = twin = copy.copy(thing)
        for name, value in vars(thing).items():
            vars(twin)[name] = on_meta(value, known)
    return known[id(thing)]


@pytest.mark.parametrize("rows_are", ["user", "prefix"])
@pytest.mark.parametrize("name", CASES)
def test_no_training_step_waits_for_the_gpu(
    name: str, rows_are: str, data: TrainingData, as_if_on_gpu: Callable[[], None]
) -> None:
    data = data.with_prefix_rows() if rows_are == "prefix" else data
    method, encoder, _ = begun(name, data)
    rows = data.trainable[:24]
    as_if_on_gpu()
    step(method, encoder, data.batch(rows, rows.numpy()), torch.Generator().manual_seed(0))  # fills what is cached
    known: dict[int, Any] = {}
    data, method = on_meta(data, known), on_meta(method, known)
    encoder, host_rows = encoder.to(META), rows.numpy()
    rows = rows.to(META)
    with NoTransfer():
        terms = step(method, encoder, data.batch(rows, host_rows), None)
    assert all(term.device == META for term in terms.values())


@pytest.mark.parametrize("name", ["a number", "counting", "a copied list", "a mask", "as many as it says"])
def test_a_step_that_waits_is_detected(name: str, data: TrainingData, as_if_on_gpu: Callable[[], None]) -> None:
    class Waits(TrainedMethod):
        version = 1

        def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> dict[str, Tensor]:
            match name:
                case "a number":
                    batch.inputs.lengths.max().item()
                case "counting":
                    batch.next_items.bincount()
                case "a copied list":
                    torch.tensor([1, 2], device=batch.rows.device)
                case "a mask":
                    batch.targets[batch.inputs.mask()]
                case "as many as it says":
                    batch.rows.repeat_interleave(batch.inputs.lengths)
            return {"zero": encoder.items.weight.sum() * 0}

    _, encoder, _ = begun("sasrec-ce", data)
    as_if_on_gpu()
    data.inputs.host_lengths  # noqa: B018
    rows = data.trainable[:8]
    everything = on_meta(data, {})
    with NoTransfer(), pytest.raises((AssertionError, RuntimeError, NotImplementedError)):
        step(Waits(), encoder.to(META), everything.batch(rows.to(META), rows.numpy()), None)


def test_a_changed_batch_keeps_its_total() -> None:
    batch = Batch(torch.tensor([[1, 2, 3], [4, 9, 9]]), torch.tensor([3, 1]), total=4)
    assert replace(batch, items=batch.items + 1).total == 4
    assert batch.positions[0].tolist() == [0, 0, 0, 1]
    assert batch.positions[1].tolist() == [0, 1, 2, 0]


def test_peak_memory_is_reset_in_a_process_that_has_used_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before CUDA is initialised, it reports every device as invalid."""
    calls: list[str] = []
    monkeypatch.setattr(torch.cuda, "init", lambda: calls.append("init"))
    monkeypatch.setattr(torch.cuda, "reset_peak_memory_stats", lambda device: calls.append("reset"))
    reset_peak_memory(torch.device("cuda"))
    assert calls == ["init", "reset"]
