"""Runs on a Ray cluster whose nodes are processes on this machine. Skipped if Ray is not installed.

Killing nodes and drivers is tested in tests/drill/ray.py.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from benchmark.cli.main import main
from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.planner import PlannedRun, plan
from benchmark.runs.engines.engine import InlineEngine
from benchmark.runs.execution import Execution
from benchmark.runs.preparation import Prepared
from benchmark.store.store import Store

CPU = torch.device("cpu")
TINY = ["training.epochs=3", "training.batch_size=64", "encoder.width=8", "encoder.blocks=1", "encoder.maxlen=8"]
NO_RAY = 'Ray is not installed: pip install -e ".[ray]"'


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason=NO_RAY)
    from tests.drill.ray import two_nodes

    with two_nodes() as nodes:
        yield nodes


@pytest.fixture
def engine(cluster: Any) -> Iterator[Callable[..., Any]]:
    """Creates engines on that cluster and disconnects at the end."""
    import ray

    from benchmark.runs.engines.ray import RayEngine

    yield lambda **options: RayEngine(cluster.address, **options)
    ray.shutdown()


@pytest.fixture
def planned(prepared: Prepared) -> list[PlannedRun]:
    """One run each of four methods: one is fitted, one has state besides the encoder."""
    configuration = Configuration("synthetic", "equal", "paper", TINY)
    methods = ("popularity", "sasrec-ce", "ec4srec", "btsr-sce")
    return plan(configuration, prepared.facts, ["main"], methods, [0])


@pytest.mark.slow
def test_bit_identical_to_runs_in_this_process(
    tmp_path: Path, prepared: Prepared, planned: list[PlannedRun], engine: Callable[..., Any]
) -> None:
    here, there = Store(tmp_path / "here"), Store(tmp_path / "there")
    Execution(here, InlineEngine(CPU)).run(planned, prepared)
    Execution(there, engine()).run(planned, prepared)
    assert len(there.records()) == len(planned)
    for first, second in zip(here.records(), there.records(), strict=True):
        assert second.done, second.error
        assert first.key == second.key
        assert first.metrics == second.metrics
        assert [{**row, "seconds": 0} for row in first.epochs] == [{**row, "seconds": 0} for row in second.epochs]
        assert first.versions == second.versions, "the commit is the driver's; on the node there is no repository"
        arrays, others = here.arrays(first), there.arrays(second)
        assert arrays is not None
        assert others is not None
        assert arrays.keys() == others.keys()
        assert all(np.array_equal(arrays[name], others[name]) for name in arrays)


@pytest.mark.slow
def test_a_run_resumes_on_another_node(
    store: Store,
    prepared: Prepared,
    planned: list[PlannedRun],
    engine: Callable[..., Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The checkpoint is made on one node, stored by the driver, and used by the next node."""
    run = next(run for run in planned if run.spec.method == "ec4srec")
    monkeypatch.setattr("benchmark.runs.checkpoint.SECONDS_BETWEEN", 0.0)
    cut = CutShort(engine(), after_epoch=2)
    with pytest.raises(KeyboardInterrupt):
        Execution(store, cut).run([run], prepared)
    assert store.checkpoint_path(run.key).is_file()
    Execution(store, cut.engine).run([run], prepared)
    (record,) = store.records()
    assert record.done
    assert record.counts["continued"] == 1
    assert not store.checkpoint_path(run.key).exists()


class CutShort:
    """Simulates Ctrl-C after an epoch was reported and the checkpoint before it has arrived."""

    def __init__(self, engine: Any, after_epoch: int) -> None:
        self.engine, self.device, self.after_epoch = engine, engine.device, after_epoch

    def run(self, jobs: Any, prepared: Prepared, on_news: Any) -> Generator[Any]:
        def follow(job: Any, news: Any) -> None:
            on_news(job, news)
            if isinstance(news, dict) and news["epoch"] == self.after_epoch:
                raise KeyboardInterrupt

        return self.engine.run(jobs, prepared, follow)


@pytest.mark.slow
def test_a_worker_that_always_dies_gives_an_interrupted_run(
    store: Store, prepared: Prepared, planned: list[PlannedRun], engine: Callable[..., Any]
) -> None:
    import ray

    def die(*arguments: Any) -> Iterator[Any]:
        yield "news", {"epoch": 1, "seconds": 0.1, "loss": 1.0, "terms": {}, "validation": {}}
        os._exit(7)

    broken = engine()
    broken.task = ray.remote(die).options(max_retries=0)
    Execution(store, broken).run(planned[:1], prepared)
    (record,) = store.records()
    assert record.status == "interrupted"
    assert record.error is not None
    assert "the worker died in each of 2 attempts" in record.error["message"]


@pytest.mark.slow
def test_a_node_without_the_packages_gives_one_line_and_no_failed_runs(
    store: Store, prepared: Prepared, planned: list[PlannedRun], engine: Callable[..., Any]
) -> None:
    import ray

    def lack(*arguments: Any) -> Iterator[Any]:
        import a_package_that_is_not_there  # noqa: F401

        yield "finished", None

    broken = engine()
    broken.task = ray.remote(lack).options(max_retries=0)
    with pytest.raises(ConfigError, match=r"a_package_that_is_not_there.*on every node") as caught:
        Execution(store, broken).run(planned, prepared)
    assert len(str(caught.value).splitlines()) == 1
    assert store.records() == []


@pytest.mark.slow
def test_nodes_get_the_code_from_the_driver(engine: Callable[..., Any]) -> None:
    import ray

    engine()

    def where() -> str:
        import benchmark

        return next(iter(benchmark.__path__))

    root = Path(__file__).resolve().parents[3]
    assert not Path(ray.get(ray.remote(where).remote())).is_relative_to(root)


@pytest.mark.slow
def test_signal_handlers_are_not_replaced(engine: Callable[..., Any]) -> None:
    before = signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)
    engine()
    assert (signal.getsignal(signal.SIGTERM), signal.getsignal(signal.SIGINT)) == before


@pytest.mark.slow
def test_a_cluster_without_gpus_is_an_error_for_cuda(engine: Callable[..., Any]) -> None:
    with pytest.raises(ConfigError, match="--device cuda: no node"):
        engine(device="cuda")


def test_a_missing_cluster_gives_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("ray", reason=NO_RAY)
    words = ["--dataset", "synthetic", "--methods", "popularity", "--out-dir", str(tmp_path), "--engine", "ray"]
    wrong = {"ray://localhost:10001": "--ray-address auto", "localhost:1": "refused", "nonsense": "no connection"}
    for address, says in wrong.items():
        assert main([*words, "--ray-address", address]) == 2
        last = capsys.readouterr().err.splitlines()[-1]
        assert f"--ray-address {address}" in last
        assert says in last


def test_without_ray_one_line_says_how_to_get_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.delitem(sys.modules, "benchmark.runs.engines.ray", raising=False)
    words = ["--dataset", "synthetic", "--methods", "popularity", "--out-dir", str(tmp_path), "--engine", "ray"]
    assert main(words) == 2
    assert 'pip install -e ".[ray]"' in capsys.readouterr().err.splitlines()[-1]


def test_an_address_without_the_engine(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--dataset", "synthetic", "--ray-address", "auto"]) == 2
    assert "--engine ray" in capsys.readouterr().err
