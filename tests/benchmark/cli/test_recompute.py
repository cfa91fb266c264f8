"""Recomputing metrics from arrays: missing ones are added, different ones are reported and not changed."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmark.cli.commands import main as command
from benchmark.cli.recompute import recompute
from benchmark.plan.config import Configuration
from benchmark.plan.planner import plan
from benchmark.runs.metrics import METRICS, Metric, shown_in
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import execute
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord
from benchmark.store.store import Store


@pytest.fixture
def ran(prepared: Prepared) -> tuple[RunRecord, Arrays]:
    configuration = Configuration("synthetic", "equal", "paper", [])
    (run,) = plan(configuration, prepared.facts, ["main"], ["popularity"], [0])
    return execute(run.spec, prepared, torch.device("cpu"))


def without(record: RunRecord, *names: str) -> RunRecord:
    test = {name: value for name, value in record.metrics["test"].items() if name not in names}
    return replace(record, metrics=record.metrics | {"test": test})


def test_a_missing_metric_is_added(
    store: Store, prepared: Prepared, ran: tuple[RunRecord, Arrays], notes: list[str]
) -> None:
    record, arrays = ran
    path = store.save(without(record, "shown@10/bucket1", "hr@1"), arrays)
    before = (path / "arrays.npz").read_bytes()
    found = recompute(store, prepared, notes.append)
    assert found == {"completed": 1}
    assert store.records() == [record]
    assert (path / "arrays.npz").read_bytes() == before
    again = recompute(store, prepared, notes.append)
    assert (again, notes) == ({"same": 1}, [])


def test_a_value_that_differs_only_by_rounding_stays(
    store: Store, prepared: Prepared, ran: tuple[RunRecord, Arrays], notes: list[str]
) -> None:
    """Another machine may sum in another order; only missing values are added."""
    record, arrays = ran
    rounded = record.metrics["test"] | {"ndcg@10": record.metrics["test"]["ndcg@10"] * (1 + 1e-12)}
    assert rounded != record.metrics["test"]
    as_measured = replace(record, metrics=record.metrics | {"test": rounded})
    store.save(as_measured, arrays)
    found = recompute(store, prepared, notes.append)
    assert found == {"same": 1}
    store.save(without(as_measured, "hr@1"), arrays, overwrite=True)
    assert recompute(store, prepared, notes.append) == {"completed": 1}
    assert store.records() == [as_measured]


@pytest.mark.parametrize(("stage", "metric"), [("test", "ndcg@10"), ("validation", "hr@10")])
def test_a_value_that_differs_from_the_arrays_is_reported_and_not_changed(
    store: Store, prepared: Prepared, ran: tuple[RunRecord, Arrays], notes: list[str], stage: str, metric: str
) -> None:
    record, arrays = ran
    wrong = replace(record, metrics=record.metrics | {stage: record.metrics[stage] | {metric: 0.9}})
    store.save(wrong, arrays)
    found = recompute(store, prepared, notes.append)
    assert found == {"differing": 1}
    assert notes == [f"popularity seed 0 ({record.key}): its arrays give other values for {metric}"]
    assert store.records() == [wrong]


def test_runs_on_other_data_are_not_changed(
    store: Store, prepared: Prepared, ran: tuple[RunRecord, Arrays], notes: list[str]
) -> None:
    record, arrays = ran
    store.save(without(record, "hr@1"), arrays)
    other = replace(prepared, fingerprint="another")
    assert not recompute(store, other, notes.append)


def test_the_command_prints_a_summary(
    tmp_path: Path, store: Store, ran: tuple[RunRecord, Arrays], capsys: pytest.CaptureFixture[str]
) -> None:
    record, arrays = ran
    store.save(without(record, "hr@1"), arrays)
    words = ["recompute", "--dataset", "synthetic", "--out-dir", str(tmp_path), "--data-dir", str(tmp_path)]
    assert command(words) == 0
    assert "1 finished runs checked, 1 got missing metrics, 0 differ from their records" in capsys.readouterr().out
    broken = replace(record, metrics=record.metrics | {"test": record.metrics["test"] | {"hr@1": 0.9}})
    store.save(broken, arrays, overwrite=True)
    assert command(words) == 1


def test_a_complete_store_is_only_read(
    tmp_path: Path, store: Store, ran: tuple[RunRecord, Arrays], capsys: pytest.CaptureFixture[str]
) -> None:
    record, arrays = ran
    store.save(record, arrays)
    shutil.rmtree(store.root / ".locks", ignore_errors=True)
    (store.root / ".locks").write_text("locking fails here, as in a read-only store")
    words = ["recompute", "--dataset", "synthetic", "--out-dir", str(tmp_path), "--data-dir", str(tmp_path)]
    assert command(words) == 0
    assert "1 finished runs checked, 0 got missing metrics" in capsys.readouterr().out
    (store.root / ".locks").unlink()
    store.save(without(record, "hr@1"), arrays, overwrite=True)
    shutil.rmtree(store.root / ".locks")
    (store.root / ".locks").write_text("")
    assert command(words) == 1, "writing needs the lock"


def test_a_new_metric_is_added_to_stored_runs_and_shown(
    store: Store, prepared: Prepared, ran: tuple[RunRecord, Arrays], notes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, arrays = ran
    store.save(record, arrays)
    last = Metric(
        "last place", of_lists=lambda top_items, popularity: float(top_items[:, -1].mean()), shown={"run": (5,)}
    )
    monkeypatch.setitem(METRICS, "last", last)
    assert recompute(store, prepared, notes.append) == {"completed": 1}
    (found,) = store.records()
    assert found.metrics["test"]["last@5"] == pytest.approx(arrays["top_items"][..., 4].mean())
    assert {name: value for name, value in found.metrics["test"].items() if "last@" not in name} == record.metrics[
        "test"
    ]
    assert "last@5" in shown_in("run")
