"""Committed runs keep their keys, and a key changes only with what determines the results."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from benchmark.plan.config import Configuration, assign
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import EvaluationSettings, RunSpec, TrainingSettings, run_key, versions
from benchmark.store.record import RunRecord
from datasets.protocol import Protocol

RESULTS = Path(__file__).parents[3] / "results"


def filled(settings: Any, values: dict[str, Any]) -> Any:
    for key, value in values.items():
        value = {k: v for k, v in value.items() if k != "name"} if isinstance(value, dict) else value
        settings = assign(settings, key, value, "record") if value != {} else settings
    return settings


def spec_of(record: RunRecord) -> RunSpec:
    spec, method = record.spec, record.spec["method"]
    return RunSpec(
        dataset=spec["dataset"],
        title=spec["title"],
        synthetic=spec["synthetic"],
        protocol=Protocol(**spec["protocol"]),
        hparams=spec["hparams"],
        profile=spec["profile"],
        encoder=filled(EncoderSettings(), spec["encoder"]),
        training=filled(TrainingSettings(), spec["training"]),
        evaluation=filled(EvaluationSettings(), spec.get("evaluation", {})),
        method=method["name"],
        settings=filled(METHODS[method["name"]].settings, method["settings"]),
        seed=spec["seed"],
        is_trial=record.is_trial,
    )


@pytest.mark.parametrize("dataset", ["ml-1m", "beauty"])
def test_committed_runs_keep_their_keys(dataset: str) -> None:
    current = 0
    for path in sorted((RESULTS / dataset / "runs").rglob("record.json")):
        record = RunRecord.from_json(path.read_bytes(), path.name)
        spec = spec_of(record)
        if versions(spec).items() <= record.versions.items():
            assert run_key(spec, record.data["fingerprint"]) == record.key, path
            current += 1
    assert current > 50


def spec(method: str = "btsr-ce", hparams: str = "equal", *sets: str) -> RunSpec:
    return Configuration("ml-1m", hparams, "paper", sets).spec(
        DatasetFacts("ML-1M", False, Protocol(), "f"), method, seed=0
    )


def key(spec: RunSpec, fingerprint: str = "f" * 64) -> str:
    return run_key(spec, fingerprint)


def test_names_do_not_change_the_key() -> None:
    named = replace(spec(), title="x", profile="x", hparams="x", protocol=Protocol(preset="text"))
    assert len(key(spec())) == 16
    assert key(named) == key(spec("btsr-ce", "equal", "training.epochs=200")) == key(spec())
    assert key(spec("btsr-ce", "equal", "evaluation.mask_seen=true", "training.rows=user")) == key(spec())


@pytest.mark.parametrize(
    "changed",
    [
        spec("btsr-ce", "equal", "btsr.alpha=0.3"),
        spec("btsr-ce", "equal", "encoder.maxlen=49"),
        spec("btsr-ce", "equal", "training.patience=16"),
        spec("btsr-sce"),
        spec("btsr-ce", "released"),
        replace(spec(), seed=1),
        replace(spec(), dataset="beauty"),
        replace(spec(), protocol=Protocol(filter="core")),
        replace(spec(), protocol=Protocol(history="full")),
        replace(spec(), protocol=Protocol(ties="shuffle:1")),
        replace(spec(), protocol=Protocol(quantile=0.9)),
        replace(spec(), protocol=Protocol(min_events=4)),
        spec("btsr-ce", "equal", "evaluation.mask_seen=false"),
        spec("btsr-ce", "equal", "training.rows=prefix"),
    ],
)
def test_whatever_determines_the_results_changes_the_key(changed: RunSpec) -> None:
    assert key(changed) != key(spec())


def test_other_data_changes_the_key() -> None:
    assert key(spec(), "0" * 64) != key(spec())


@pytest.mark.parametrize(
    "name",
    [
        "benchmark.plan.run_spec.PROTOCOL_VERSION",
        "benchmark.plan.run_spec.EVALUATION_VERSION",
        "baselines.method.Method.encoder_version",
    ],
)
def test_a_raised_version_changes_every_key(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    before = key(spec()), key(spec("popularity"))
    monkeypatch.setattr(name, 99)
    assert key(spec()) != before[0]
    assert key(spec("popularity")) != before[1]


def test_a_methods_raised_version_changes_only_its_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    before = key(spec()), key(spec("popularity"))
    monkeypatch.setattr(METHODS["btsr-ce"].method, "version", 99)
    assert key(spec()) != before[0]
    assert key(spec("popularity")) == before[1]
