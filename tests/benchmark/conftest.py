"""A builder of records, arrays and stores by hand, for tests that must know every number in them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from benchmark.report.query import Results
from benchmark.report.shown_runs import planned_results
from benchmark.runs.preparation import Prepared, prepare
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord
from benchmark.store.store import Store
from datasets import synthetic
from datasets.protocol import Protocol

MOMENT = "2026-01-02T03:04:05+00:00"
PROTOCOL = {
    "preset": "released",
    "filter": "none",
    "history": "after-T",
    "ties": "draws",
    "quantile": 0.95,
    "min_events": 3,
}
VERSIONS = {
    "record": 1,
    "protocol": 1,
    "encoder": 1,
    "method": 1,
    "evaluation": 1,
    "code": "unknown",
    "code_dirty": False,
    "python": "3.11.7",
    "torch": "2.13.0",
    "numpy": "2.4.6",
    "scipy": "1.17.1",
}


class Handmade:
    """Records and arrays with given metrics and plain values everywhere else."""

    def __init__(self, dataset: str = "ml-1m", title: str = "ML-1M", synthetic: bool = False, users: int = 4) -> None:
        self.dataset, self.title, self.synthetic, self.users = dataset, title, synthetic, users
        self.fingerprint = f"fingerprint-of-{dataset}"

    def record(
        self,
        method: str = "sasrec-ce",
        seed: int = 0,
        *,
        test: Mapping[str, float] | None = None,
        validation: Mapping[str, float] | None = None,
        status: str = "done",
        settings: Mapping[str, Any] | None = None,
        protocol: Mapping[str, Any] | None = None,
        **changes: Any,
    ) -> RunRecord:
        """A record; `changes` replaces whole fields, `protocol` and `settings` single entries."""
        protocol = PROTOCOL | dict(protocol or {})
        identity = f"{self.dataset} {method} {seed} {sorted((settings or {}).items())} {sorted(protocol.items())}"
        metrics = {
            "test": dict(test or {"ndcg@10": 0.05}),
            "validation": dict(validation or {"ndcg@10": 0.06}),
        }
        record = RunRecord(
            key=hashlib.sha256(identity.encode()).hexdigest()[:16],
            status=status,
            spec={
                "dataset": self.dataset,
                "title": self.title,
                "synthetic": self.synthetic,
                "protocol": protocol,
                "hparams": "equal",
                "profile": "paper",
                "encoder": {"width": 64, "blocks": 2, "heads": 1, "dropout": 0.3, "maxlen": 50},
                "training": {"batch_size": 256, "epochs": 200, "patience": 15, "betas": [0.9, 0.98]},
                "method": {"name": method, "settings": dict(settings or {})},
                "seed": seed,
            },
            data={
                "source": "ratings.dat",
                "sha256": "0" * 64,
                "fingerprint": self.fingerprint,
                "items": 3606,
                "train_users": 5227,
                "train_interactions": 725252,
                "test_users": self.users,
            },
            versions=dict(VERSIONS),
            hardware={"device": "cpu", "name": "x86_64", "threads": 2, "platform": "Linux"},
            command=f"python run_all.py --dataset {self.dataset} --methods {method} --seeds {seed}",
            started=MOMENT,
            finished=MOMENT,
            epochs=self.epochs(),
            selected_epoch=2,
            timings={"fit_seconds": 6.0, "evaluate_seconds": 0.5, "seconds_per_epoch": 2.0},
            peak_memory_bytes=2**30,
            counts={"parameters": 1000},
            metrics=metrics if status == "done" else {"test": {}, "validation": {}},
            error=None,
        )
        return replace(record, **changes)

    def epochs(self, validation: tuple[float, ...] = (0.02, 0.06, 0.04)) -> list[dict[str, Any]]:
        """One entry per validation NDCG@10."""
        return [
            {
                "epoch": i + 1,
                "seconds": 2.0,
                "loss": 7.0 - i,
                "terms": {"prediction": 7.0 - i},
                "validation": {"ndcg@10": value},
            }
            for i, value in enumerate(validation)
        ]

    def arrays(self, ranks: tuple[int, ...] = (1, 2, 0, 40)) -> Arrays:
        """Every array of the schema; user i's target has `ranks[i]`, repeated for as many users as there are."""
        grid = np.linspace(-4, 8, 121)
        return {
            "ranks": np.resize(np.array(ranks, dtype=np.int32), self.users),
            "validation_ranks": np.ones(self.users, dtype=np.int32),
            "top_items": np.zeros((self.users, 50), dtype=np.uint16),
            "target_buckets": np.zeros(self.users, dtype=np.uint8),
            "history_buckets": np.full((self.users, 3), 1 / 3, dtype=np.float32),
            "singular_values": np.geomspace(30, 1, 64),
            "singular_values_centred": np.geomspace(20, 1, 64),
            "score_grid": grid,
            "target_density": np.exp(-0.5 * (grid - 4) ** 2) / np.sqrt(2 * np.pi),
            "negative_density": np.exp(-0.5 * grid**2) / np.sqrt(2 * np.pi),
            "calibration_count": np.ones(15),
            "calibration_confidence": np.linspace(0, 1, 15),
            "calibration_accuracy": np.linspace(0, 1, 15),
        }

    def write_data(self, store: Store, label: str = "released") -> None:
        """data.json as the stage `prepare` leaves it."""
        summary = {
            "preset": "released",
            "protocol": PROTOCOL,
            "source": "ratings.dat",
            "sha256": "0" * 64,
            "fingerprint": self.fingerprint,
            "threshold": 993074255,
            "items": 3606,
            "test_users": self.users,
        }
        store.write_data(self.dataset, label, summary, title=self.title, synthetic=self.synthetic)


def plans_of(store: Store, *datasets: str) -> dict[str, list[Any]]:
    """Of some or all datasets a plan of all their runs, as far as a report looks at it: those of Table 2."""
    return {
        dataset: [
            SimpleNamespace(
                key=record.key,
                uses={"main": (record.method,)},
                spec=SimpleNamespace(method=record.method, seed=record.seed, to_json=partial(dict, record.spec)),
            )
            for record in store.records(dataset)
            if not record.external
        ]
        for dataset in datasets or store.datasets()
    }


def records_in(store: Store) -> dict[str, list[RunRecord]]:
    """What a store holds of each dataset."""
    return {dataset: store.records(dataset) for dataset in store.datasets()}


def results_of(store: Store, dataset: str = "ml-1m") -> Results:
    """What a report would show of a dataset."""
    (planned,) = plans_of(store, dataset).values()
    return planned_results(planned, store.records(dataset), store.data(dataset), store.arrays)


@pytest.fixture
def handmade() -> Callable[..., Handmade]:
    """The builder: `handmade()` or `handmade(dataset, title, synthetic, users)`."""
    return Handmade


@pytest.fixture
def notes() -> list[str]:
    """What the store of this test had to say."""
    return []


@pytest.fixture
def store(tmp_path: Path, notes: list[str]) -> Store:
    """An empty store."""
    return Store(tmp_path / "results", notes.append)


@pytest.fixture
def no_figures(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})


@pytest.fixture
def prepared(tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch) -> Prepared:
    """Two hundred generated users and forty items."""
    monkeypatch.setattr(synthetic, "demo", lambda seed=0: synthetic.generate(200, 40, 2_500, seed=seed))
    return prepare("synthetic", tmp_path, None, Protocol(), tmp_path / "cache", store, lambda line: None)
