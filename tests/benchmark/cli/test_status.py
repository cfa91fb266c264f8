"""The estimate of how long the runs left take."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmark.cli.status import describe, hours_left, likely_device
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.planner import PlannedRun, plan
from benchmark.runs.preparation import Prepared, prepare
from benchmark.runs.timing import seconds_per_epoch
from benchmark.store.store import Store
from datasets.protocol import Protocol


@pytest.fixture
def prepared(tmp_path: Path, store: Store) -> Prepared:
    return prepare("synthetic", tmp_path, None, Protocol(), tmp_path / "cache", store, lambda line: None)


def planned(prepared: Prepared, methods: list[str], names: tuple[str, ...] = ("main", "regimes")) -> list[PlannedRun]:
    configuration = Configuration("synthetic", "equal", "paper", ["training.epochs=20", "encoder.width=8"])
    return plan(configuration, prepared.facts, names, methods)


def test_the_estimate_from_finished_runs(prepared: Prepared, store: Store, handmade: Callable[..., Any]) -> None:
    left = planned(prepared, ["sasrec-ce", "btsr-ce"])
    maker = handmade("synthetic", "Synthetic", synthetic=True)
    assert hours_left(left, store, [], "cpu", 4) is None
    maker.write_data(store)
    timings = {
        "fit_seconds": 70_000.0,
        "evaluate_seconds": 2_000.0,
    }  # for up to 200 epochs, ten times as many as planned
    store.save(maker.record("sasrec-ce", 0, timings=timings), maker.arrays())
    hours, basis = hours_left(left, store, store.records("synthetic"), "cpu", 4) or ({}, "")
    assert basis == "finished runs"
    assert hours == {"main": pytest.approx(10 * 2 / 4), "regimes": pytest.approx(4 * 2 / 4)}
    text = "\n".join(describe((hours, basis), 4, "cpu"))
    assert "What is left takes about 7.0 h with 4 runs at a time, judging by finished runs" in text
    assert "main 5.0 h, regimes 2.0 h" in text
    for remedy in ("--experiments main", "--time-budget", "--hparams", "GPU"):
        assert remedy in text
    assert "GPU" not in "\n".join(describe((hours, basis), 4, "cuda"))
    assert hours_left(left, store, store.records("synthetic"), "cuda", 4) is None, (
        "runs on another kind of device do not count"
    )


def test_each_method_without_finished_runs_is_timed_once(
    prepared: Prepared, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    timed: list[str] = []

    def per_epoch(spec: Any, *_: Any) -> float:
        timed.append(spec.method)
        return 36.0

    monkeypatch.setattr("benchmark.runs.timing.seconds_per_epoch", per_epoch)
    left = planned(prepared, ["popularity", "sasrec-ce", "btsr-ce"])
    hours, basis = hours_left(left, store, store.records("synthetic"), "cpu", 2, prepared) or ({}, "")
    assert timed == ["sasrec-ce", "btsr-ce"]
    # 36 s per epoch and 20 epochs make 0.2 h per run, two at a time.
    assert hours == {"main": pytest.approx(10 * 0.2 / 2), "regimes": pytest.approx(4 * 0.2 / 2)}
    assert basis == "a few timed batches and 200 epochs a run"


@pytest.mark.parametrize("rows", ["user", "prefix"])
@pytest.mark.parametrize("method", ["sasrec-sce", "ec4srec", "two-stage", "btsr-bce"])
def test_an_epoch_is_timed_from_a_few_batches(prepared: Prepared, method: str, rows: str) -> None:
    sets = ["encoder.width=8", f"training.rows={rows}"]
    spec = Configuration("synthetic", "equal", "paper", sets).spec(
        DatasetFacts("Synthetic", True, Protocol(), "f"), method, 0
    )
    assert 0 < seconds_per_epoch(spec, prepared.split, torch.device("cpu")) < 1_000


def test_the_estimate_uses_the_chosen_device() -> None:
    assert likely_device("cpu")[0] == "cpu"
    assert likely_device("cuda")[0] == "cuda"
    assert all(likely_device(choice)[1] >= 1 for choice in ("auto", "cpu", "cuda"))
