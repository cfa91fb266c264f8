"""A GPU gives the same results as a CPU, within rounding; and whole runs on a GPU, also from a checkpoint.

Random generators differ between devices, so where the two are compared, all draws are made on the CPU and dropout is
off. `tests/baselines/test_gpu_path.py` checks what can be checked without a GPU.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.ec4srec import EC4SRec
from baselines.encoder import Encoder
from baselines.importance import IMPORTANCES
from baselines.method import FittedMethod, TrainedMethod
from baselines.registry import METHODS
from baselines.settings import EncoderSettings, Shares
from baselines.training_data import TrainingData
from baselines.views import TwinPool, two_random_views
from benchmark.plan.config import ConfigError
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.evaluation import evaluate, evaluate_ranks
from benchmark.runs.training import check_compiler, train
from benchmark.store.store import Store
from datasets import synthetic
from datasets.cases import Cases
from datasets.protocol import Protocol
from datasets.sequences import Batch
from datasets.split import Split, split

ROOT = Path(__file__).resolve().parent.parent
CPU, GPU = torch.device("cpu"), torch.device("cuda")
TRAINED = [name for name, entry in METHODS.items() if issubclass(entry.method, TrainedMethod)]
FITTED = [name for name, entry in METHODS.items() if issubclass(entry.method, FittedMethod)]
MAXLEN = 16

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine or this torch has no CUDA")


@pytest.fixture(scope="module")
def world() -> Split:
    return split(synthetic.generate(300, 120, 6_000, seed=4), Protocol())


def data_on(device: torch.device, world: Split) -> TrainingData:
    return TrainingData(world.train, world.n_items, MAXLEN).with_noise(0.1, 0).to(device)


def cases_on(device: torch.device, world: Split, stage: str = "validation") -> Cases:
    cases = world.cases(stage)  # type: ignore[arg-type]
    return Cases(cases.histories.to(device), cases.targets.to(device))


@pytest.fixture
def drawn_on_cpu(monkeypatch: pytest.MonkeyPatch) -> Callable[[int], None]:
    """Returns a function that makes all later draws on the CPU, from the given seed, whatever the device."""
    makers = {name: getattr(torch, name) for name in ("rand", "randn", "randint")}

    def seed_draws(seed: int) -> None:
        source = torch.Generator().manual_seed(seed)
        for name, maker in makers.items():

            def draw(*size: Any, maker: Any = maker, generator: Any = None, device: Any = None, **rest: Any) -> Tensor:
                return maker(*size, generator=source, **rest).to(device or CPU)

            monkeypatch.setattr(torch, name, draw)

    return seed_draws


@contextmanager
def no_synchronisation() -> Iterator[None]:
    """Let CUDA raise an error if the host waits for the GPU within the block."""
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode("error")
    try:
        yield
    finally:
        torch.cuda.set_sync_debug_mode("default")


def prepared_method(name: str, data: TrainingData) -> tuple[TrainedMethod, Encoder]:
    """The method at the start of an epoch that uses all of its terms, and the encoder in training mode."""
    torch.manual_seed(0)
    entry = METHODS[name]
    settings = entry.settings
    method = entry.method(replace(settings, refresh_after=(1,)) if entry.method is EC4SRec else settings)
    sizes = EncoderSettings(width=32, heads=2, dropout=0.0, maxlen=MAXLEN)
    method.prepare(data)
    encoder = method.build_encoder(data.n_items, sizes, "fp32").to(data.sequences.items.device)
    method.build(32).to(data.sequences.items.device)
    method.pretraining_epochs(10)
    method.on_epoch(encoder, data, 1)
    return method, encoder.train()


def step(method: TrainedMethod, encoder: Encoder, data: TrainingData, host_rows: np.ndarray, rows: Tensor) -> Tensor:
    rng = torch.Generator(rows.device).manual_seed(0)
    loss = torch.stack(list(method.loss(encoder, data.batch(rows, host_rows), rng).values())).sum()
    encoder.zero_grad()
    loss.backward()
    return loss.detach()


@pytest.mark.parametrize("name", TRAINED)
def test_loss_and_gradients(name: str, world: Split, drawn_on_cpu: Callable[[int], None]) -> None:
    found, state = [], prepared_method(name, data_on(CPU, world))[0].state()
    for device in (CPU, GPU):
        data = data_on(device, world)
        method, encoder = prepared_method(name, data)
        method.restore({key: value.to(device) for key, value in state.items()})
        encoder.double()
        rows = data.trainable[:64]
        drawn_on_cpu(1)
        loss = step(method, encoder, data, rows.cpu().numpy(), rows)
        gradients = {key: p.grad.cpu() for key, p in encoder.named_parameters() if p.grad is not None}
        found.append(gradients | {"loss": loss.cpu()})
    assert found[0].keys() == found[1].keys()
    for key, value in found[0].items():
        assert (found[1][key] - value).abs().max() <= 1e-5 * value.abs().max() + 1e-9, key


@pytest.mark.parametrize("name", TRAINED)
def test_no_training_step_waits_for_the_gpu(name: str, world: Split) -> None:
    data = data_on(GPU, world)
    method, encoder = prepared_method(name, data)
    optimizer = torch.optim.Adam(encoder.parameters(), fused=True)
    rows = data.trainable[:64]
    host_rows = rows.cpu().numpy()
    for _ in range(2):  # the first steps fill caches and the state of the optimiser
        step(method, encoder, data, host_rows, rows)
        optimizer.step()
    rng = torch.Generator(GPU).manual_seed(0)
    with no_synchronisation():
        loss = torch.stack(list(method.loss(encoder, data.batch(rows, host_rows), rng).values())).sum()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()


@pytest.mark.parametrize("pool", ["final", "prefix"])
def test_twins(pool: Any, world: Split, drawn_on_cpu: Callable[[int], None]) -> None:
    rows = []
    for device in (CPU, GPU):
        data = data_on(device, world)
        twins = TwinPool.build(data, pool)
        drawn_on_cpu(2)
        rows.append(items_of(twins.draw(data.trainable, torch.Generator(device))))
        assert twins.twinless_share == pytest.approx(TwinPool.build(data_on(CPU, world), pool).twinless_share)
    assert rows[0] == rows[1]


def test_views(world: Split, drawn_on_cpu: Callable[[int], None]) -> None:
    rows = []
    for device in (CPU, GPU):
        data = data_on(device, world)
        drawn_on_cpu(3)
        views = two_random_views(data.batch(data.trainable).inputs, data, Shares(), torch.Generator(device))
        rows.append([items_of(view) for view in views])
    assert rows[0] == rows[1]


def items_of(batch: Batch) -> list[list[int]]:
    return [row[:n] for row, n in zip(batch.items.tolist(), batch.lengths.tolist(), strict=True)]


@pytest.mark.parametrize("name", IMPORTANCES)
def test_importances(name: str, world: Split) -> None:
    on_cpu, on_gpu = (
        IMPORTANCES[name](prepared_method("sasrec-ce", data)[1], data).cpu()
        for data in (data_on(CPU, world), data_on(GPU, world))
    )
    assert torch.allclose(on_gpu, on_cpu, atol=1e-3)


def test_ranks_and_top_lists_of_tied_scores(world: Split) -> None:
    """Scores are small whole numbers with many ties, the same on both devices."""
    table = torch.from_numpy(np.random.default_rng(0).integers(-3, 4, (world.n_items, world.n_items))).float()

    def rank(device: torch.device) -> Any:
        scores = table.to(device)

        def score(histories: Batch) -> Tensor:
            return scores[histories.items.gather(1, histories.lengths[:, None] - 1).squeeze(1)]

        cases = cases_on(device, world, "test")
        ranking = evaluate(score, cases, world.n_items, MAXLEN)
        np.testing.assert_array_equal(evaluate_ranks(score, cases, world.n_items, MAXLEN), ranking.ranks)
        return ranking

    on_cpu, on_gpu = rank(CPU), rank(GPU)
    for field in ("ranks", "top_items", "correct", "target_scores", "negative_scores"):
        np.testing.assert_array_equal(getattr(on_gpu, field), getattr(on_cpu, field), err_msg=field)
    np.testing.assert_allclose(on_gpu.confidence, on_cpu.confidence, rtol=1e-5)


@pytest.mark.parametrize("name", FITTED)
def test_counting_methods(name: str, world: Split) -> None:
    entry = METHODS[name]
    ranks = [
        evaluate_ranks(
            entry.method(entry.settings).fit(data_on(device, world)), cases_on(device, world), world.n_items, MAXLEN
        )
        for device in (CPU, GPU)
    ]
    np.testing.assert_array_equal(*ranks)


def short_training(name: str, device: torch.device, world: Split, **options: Any) -> list[dict[str, Any]]:
    entry, encoder = METHODS[name], EncoderSettings(width=32, dropout=0.0, maxlen=MAXLEN)
    settings = TrainingSettings(batch_size=64, epochs=7, **options)
    method = entry.method(entry.settings)
    return train(method, data_on(device, world), cases_on(device, world), encoder, settings, seed=0).epochs


@pytest.mark.parametrize("name", TRAINED)
def test_short_training(name: str, world: Split, drawn_on_cpu: Callable[[int], None]) -> None:
    losses, accuracy = [], []
    for device in (CPU, GPU):
        drawn_on_cpu(5)
        epochs = short_training(name, device, world)
        losses.append([row["loss"] for row in epochs])
        accuracy.append([row["validation"]["ndcg@10"] for row in epochs])
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)
    assert accuracy[1] == pytest.approx(accuracy[0], abs=0.03)


class Stopped(Exception):
    """Raised to end a training run."""


@pytest.mark.parametrize("name", TRAINED)
def test_continues_from_a_checkpoint(name: str, world: Split, tmp_path: Path) -> None:
    """A GPU sums in no fixed order, so bits may differ, as they may between two runs from the start."""
    entry, encoder = METHODS[name], EncoderSettings(width=32, dropout=0.1, maxlen=MAXLEN)
    settings = TrainingSettings(batch_size=64, epochs=8)

    def run(checkpoint: Checkpoint | None, last: int = 8) -> Any:
        def stop(row: dict[str, Any]) -> None:
            if row["epoch"] > last:
                raise Stopped

        method = entry.method(entry.settings)
        data, cases = data_on(GPU, world), cases_on(GPU, world)
        return train(method, data, cases, encoder, settings, 0, stop, checkpoint)

    checkpoint = Checkpoint(tmp_path / "run.pt", seconds=0.0)
    with pytest.raises(Stopped):
        run(checkpoint, last=5)
    continued, whole = run(checkpoint), run(None)
    assert continued.continued == 1
    losses = [[row["loss"] for row in trained.epochs] for trained in (continued, whole)]
    assert losses[0] == pytest.approx(losses[1], rel=1e-3)


@pytest.mark.parametrize("engine", ["inline", "local"])
def test_the_one_command(engine: str, tmp_path: Path) -> None:
    """In a separate process, which has not used the GPU yet."""
    words = "--dataset synthetic --profile quick --methods markov,sasrec-bce,btsr-ce --seeds 0 --experiments main"
    command = [sys.executable, str(ROOT / "run_all.py"), *words.split(), "--stages", "prepare,train"]
    command += ["--device", "cuda", "--engine", engine, "--workers", "1" if engine == "inline" else "2"]
    done = subprocess.run([*command, "--out-dir", str(tmp_path)], capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr
    records = Store(tmp_path / "results").records()
    assert [(record.method, record.status) for record in records] == [
        (name, "done") for name in ("btsr-ce", "markov", "sasrec-bce")
    ]
    assert {record.hardware["device"] for record in records} == {"cuda"}
    assert all(record.peak_memory_bytes > 0 for record in records)


@pytest.mark.parametrize("name", TRAINED)
def test_bfloat16(name: str, world: Split, drawn_on_cpu: Callable[[int], None]) -> None:
    losses = []
    for precision in ("fp32", "bf16"):
        drawn_on_cpu(6)
        losses.append([row["loss"] for row in short_training(name, GPU, world, precision=precision)])
    assert losses[1] == pytest.approx(losses[0], rel=0.05)


@pytest.mark.slow
def test_compiled(world: Split, drawn_on_cpu: Callable[[int], None]) -> None:
    try:
        check_compiler(GPU)
    except ConfigError as error:
        pytest.skip(str(error))
    losses = []
    for compiled in (False, True):
        drawn_on_cpu(7)
        losses.append([row["loss"] for row in short_training("btsr-ce", GPU, world, compile=compiled)])
    assert losses[1] == pytest.approx(losses[0], rel=5e-3)
