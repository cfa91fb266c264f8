from __future__ import annotations

import errno
import os
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from baselines.objectives import BinaryCrossEntropy
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs import checkpoint as checkpoint_module
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.training import Trained, train
from benchmark.store.atomic_files import StoreError
from datasets.cases import Cases
from datasets.sequences import Sequences

ENCODER = EncoderSettings(width=8, blocks=1, dropout=0.3, maxlen=6)
TRAINING = TrainingSettings(batch_size=16, epochs=7)
CHANGES: dict[str, dict[str, Any]] = {
    "sasrec-bce": {"objective": BinaryCrossEntropy(4)},
    "sasrec-sce": {},
    "btsr-ce": {"projector_layers": 2, "projector_width": 8},
    "cl4srec": {},
    "ec4srec": {"refresh_after": (1, 3)},
    "two-stage": {"pretraining": 0.5},
}


class Cut(Exception):
    """Simulates the end of the process."""


@pytest.fixture(scope="module")
def data() -> TrainingData:
    rng = np.random.default_rng(0)
    lengths = torch.from_numpy(rng.integers(2, 9, 64))
    items = torch.from_numpy(rng.integers(0, 20, int(lengths.sum())))
    return TrainingData(Sequences(items, lengths.cumsum(0) - lengths, lengths), 20, 6)


@pytest.fixture(scope="module")
def validation(data: TrainingData) -> Cases:
    return Cases(data.inputs.select(data.trainable), data.sequences.select(data.trainable).final_items())


def run(name: str, data: TrainingData, validation: Cases, path: Path | None, cut_after: int | None = None) -> Trained:
    entry = METHODS[name]
    method = entry.method(replace(entry.settings, **CHANGES[name]))

    def on_epoch(row: dict[str, Any]) -> None:
        if row["epoch"] == cut_after:
            raise Cut

    kept = Checkpoint(path, seconds=0.0) if path else None
    return train(method, data, validation, ENCODER, TRAINING, 5, on_epoch, kept)


def assert_same(first: Trained, second: Trained) -> None:
    timeless = [
        [{k: v for k, v in row.items() if k != "seconds"} for row in trained.epochs] for trained in (first, second)
    ]
    assert timeless[0] == timeless[1]
    assert first.selected_epoch == second.selected_epoch
    states = first.encoder.state_dict(), second.encoder.state_dict()
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


@pytest.mark.parametrize("name", CHANGES)
def test_a_run_that_is_interrupted_twice_ends_with_the_same_bits(
    name: str, data: TrainingData, validation: Cases, tmp_path: Path
) -> None:
    path = tmp_path / "run.pt"
    for cut_after in (3, 6):  # at 3 the state is that of epoch 2
        torch.manual_seed(cut_after)  # whatever the process did before
        with pytest.raises(Cut):
            run(name, data, validation, path, cut_after)
    continued = run(name, data, validation, path)
    assert continued.continued == 2
    assert continued.seconds_before > 0
    assert_same(run(name, data, validation, None), continued)


def test_a_damaged_or_foreign_checkpoint_restarts_the_run(
    data: TrainingData, validation: Cases, tmp_path: Path
) -> None:
    path, whole = tmp_path / "run.pt", run("sasrec-sce", data, validation, None)
    with pytest.raises(Cut):
        run("sasrec-sce", data, validation, path, 3)
    good = path.read_bytes()
    for content in (b"", b"no state", good[: len(good) // 2], pickle.dumps({"encoder": 1}, protocol=2)):
        path.write_bytes(content)
        again = run("sasrec-sce", data, validation, path)
        assert again.continued == 0
        assert_same(whole, again)


def test_a_file_that_would_run_code_is_not_loaded(tmp_path: Path) -> None:
    class Harm:
        def __reduce__(self) -> tuple[Any, ...]:
            return Path.touch, (tmp_path / "harmed",)

    torch.save({"encoder": Harm()}, tmp_path / "run.pt")
    assert Checkpoint(tmp_path / "run.pt").load() is None
    assert not (tmp_path / "harmed").exists()


def test_it_is_written_when_due(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "run.pt"
    Checkpoint(path, seconds=1000.0).save_if_due(lambda: {"a": 1})
    assert not path.exists()
    Checkpoint(path, seconds=0.0).save_if_due(lambda: {"a": 1})
    assert Checkpoint(path).load() == {"a": 1}


def test_it_is_written_at_intervals(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now, kept = 1000.0, []
    monkeypatch.setattr("time.monotonic", lambda: now)
    checkpoint = Checkpoint(tmp_path / "run.pt", seconds=60.0)
    for epoch in range(1, 11):  # of 20 seconds each
        now += 20.0
        checkpoint.save_if_due(lambda: {"epoch": epoch})  # noqa: B023
        state = checkpoint.load()
        kept.append(state["epoch"] if state else 0)
    assert kept == [0, 0, 3, 3, 3, 6, 6, 6, 9, 9]


def test_a_full_disk_loses_the_checkpoint_but_not_the_run(
    data: TrainingData, validation: Cases, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Path, content: bytes) -> None:
        raise StoreError(f"{path}: no space left")

    monkeypatch.setattr(checkpoint_module, "write_file", refuse)
    assert_same(run("sasrec-sce", data, validation, None), run("sasrec-sce", data, validation, tmp_path / "run.pt"))


def test_if_writing_fails_the_earlier_state_is_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoint(tmp_path / "run.pt", seconds=0.0)
    kept.save_if_due(lambda: {"epoch": 1})

    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    with monkeypatch.context() as failing:
        failing.setattr(os, "fsync", full)
        kept.save_if_due(lambda: {"epoch": 2})
    assert kept.load() == {"epoch": 1}
    assert [path.name for path in tmp_path.iterdir()] == ["run.pt"]


def test_a_clock_that_jumps_back_does_not_delay_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = Checkpoint(tmp_path / "run.pt", seconds=60.0)
    monkeypatch.setattr("time.monotonic", lambda: kept.written - 3600.0)
    kept.save_if_due(lambda: {"epoch": 1})
    assert kept.load() == {"epoch": 1}
