"""Runs, engines and execution on a tiny dataset: what is stored, what is retried and what survives faults."""

from __future__ import annotations

import io
import multiprocessing
import os
import signal
import subprocess
import sys
import threading
import time
import tracemalloc
from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from baselines.registry import METHODS
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.planner import PlannedRun, choose_methods, plan
from benchmark.runs.engines import local
from benchmark.runs.engines.engine import FinishedRun, InlineEngine, OnNews, RunJob
from benchmark.runs.engines.local import LocalEngine
from benchmark.runs.execution import Execution
from benchmark.runs.outstanding import Durations, is_outstanding
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import LISTS_KEPT, RunOutcome, execute, to_record
from benchmark.store.atomic_files import StoreError
from benchmark.store.store import Store
from datasets.protocol import TIE_DRAWS, Protocol

CPU = torch.device("cpu")
TINY = ["training.epochs=2", "training.batch_size=64", "encoder.width=8", "encoder.blocks=1", "encoder.maxlen=8"]


@pytest.fixture
def planned(prepared: Prepared) -> Callable[..., list[PlannedRun]]:
    def make(
        methods: Iterable[str] = ("popularity", "sasrec-ce"), seeds: Iterable[int] = (0, 1), *sets: str
    ) -> list[PlannedRun]:
        configuration = Configuration("synthetic", "equal", "paper", [*TINY, *sets])
        return plan(configuration, prepared.facts, ["main"], methods, seeds)

    return make


def statuses(store: Store) -> dict[tuple[str, int], str]:
    return {(record.method, record.seed): record.status for record in store.records()}


def assert_same_arrays(first: dict[str, np.ndarray] | None, second: dict[str, np.ndarray] | None) -> None:
    assert first is not None
    assert second is not None
    assert first.keys() == second.keys()
    assert all(np.array_equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_runs_and_leaves_a_complete_record(
    method: str, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    (run,) = planned([method], [0])
    record, arrays = execute(run.spec, prepared, CPU)
    users = prepared.summary["test_users"]
    assert record.status == "done", record.error
    assert record.key == run.key
    assert arrays["ranks"].shape == arrays["validation_ranks"].shape == (users, TIE_DRAWS)
    assert arrays["top_items"].shape == (users, TIE_DRAWS, min(LISTS_KEPT, prepared.split.n_items))
    assert arrays["target_buckets"].max() <= 2
    assert record.metrics["test"]["hr@10"] == np.mean((arrays["ranks"] >= 1) & (arrays["ranks"] <= 10))
    assert {"ndcg@10", "cov@10", "hr@10/bucket1", "overlap", "ece"} <= record.metrics["test"].keys()
    assert ("effective_rank" in record.metrics["test"]) == (method not in ("popularity", "markov", "ease"))
    assert f"--methods {method} --seeds 0 " in record.command
    assert record.to_json()


@pytest.mark.parametrize("method", ["sasrec-ce", "btsr-ce"])
def test_a_run_with_noise_trains_on_noisy_inputs(
    method: str, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    losses = []
    for sets in ([], ["training.noise=0.5"]):
        (run,) = planned([method], [0], *sets)
        record, _ = execute(run.spec, prepared, CPU)
        assert record.status == "done", record.error
        losses.append(record.epochs[0]["terms"])
    assert losses[0].keys() == losses[1].keys()
    assert all(losses[0][term] != losses[1][term] for term in losses[0]), "every term is computed from the inputs"


def test_a_device_that_fails_before_the_first_epoch_leaves_a_record(
    prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("no kernel image is available")

    monkeypatch.setattr("benchmark.runs.run.reset_peak_memory", broken)
    monkeypatch.setattr("benchmark.runs.run.peak_memory", lambda device: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_device_name", broken)
    (run,) = planned(["sasrec-ce"], [0])
    record, _ = execute(run.spec, prepared, torch.device("cuda"))
    assert record.status == "failed"
    assert record.error is not None
    assert record.error["message"] == "no kernel image is available"
    assert record.hardware["name"] == "unknown"


def test_no_identifying_data_is_kept(prepared: Prepared, planned: Callable[..., list[PlannedRun]]) -> None:
    (run,) = planned(["sasrec-ce"], [0])
    _, arrays = execute(run.spec, prepared, CPU)
    assert not {"histories", "targets", "user_labels", "item_labels", "embeddings"} & arrays.keys()


def test_results_are_bit_identical_in_this_process_and_in_a_worker(
    tmp_path: Path, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(["btsr-sce", "sasrec-bce"], [0])
    stores = {}
    told: dict[str, set[tuple[str, Any]]] = {}
    for name, engine in {"inline": InlineEngine(CPU), "local": LocalEngine(CPU, workers=2)}.items():
        stores[name] = Store(tmp_path / name)
        heard = told[name] = set()

        def hear(_: Any, job: RunJob, news: Any, heard: set[tuple[str, Any]] = heard) -> None:
            heard.add((job.spec.method, news if isinstance(news, str) else news["epoch"]))

        monkeypatch.setattr("benchmark.runs.progress.Progress.follow", hear)
        Execution(stores[name], engine).run(runs, prepared)
        assert set(statuses(stores[name]).values()) == {"done"}
    for first, second in zip(stores["inline"].records(), stores["local"].records(), strict=True):
        assert first.key == second.key
        assert first.metrics == second.metrics
        assert_same_arrays(stores["inline"].arrays(first), stores["local"].arrays(second))
    assert told["inline"] == told["local"]
    news = {1, 2, "evaluating validation", "evaluating test", "evaluating ties-file"}
    assert {("btsr-sce", what) for what in news} <= told["local"]


def test_only_done_runs_are_reused(store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]) -> None:
    runs = planned()
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {
        ("popularity", 0): "done",
        ("popularity", 1): "done",
        ("sasrec-ce", 0): "done",
        ("sasrec-ce", 1): "done",
    }
    engine = CountingEngine()
    Execution(store, engine).run(runs, prepared)
    assert engine.jobs == []
    Execution(store, engine, overwrite="all").run(runs[:1], prepared)
    assert len(engine.jobs) == 1


class CountingEngine(InlineEngine):
    def __init__(self) -> None:
        super().__init__(CPU)
        self.jobs: list[RunJob] = []
        self.had_checkpoint: list[bool] = []

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        def counted() -> Iterable[RunJob]:
            for job in jobs:
                self.jobs.append(job)
                self.had_checkpoint.append(job.checkpoint is not None and job.checkpoint.exists())
                yield job

        yield from super().run(counted(), prepared, on_news)


def test_a_diverged_run_is_recorded_and_repeated_only_on_request(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    runs = planned(["sasrec-ce"], [0], "training.learning_rate=10", "training.weight_decay=10", "training.epochs=60")
    original = torch.optim.Adam.step

    def poison(self: torch.optim.Adam, closure: Any = None) -> Any:
        result = original(self, closure)
        with torch.no_grad():
            self.param_groups[0]["params"][0].fill_(float("nan"))
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.optim.Adam, "step", poison)
        Execution(store, InlineEngine(CPU)).run(runs, prepared)
    (record,) = store.records()
    assert record.status == "diverged"
    assert record.metrics == {"test": {}, "validation": {}}
    assert not is_outstanding(record, "never")
    assert is_outstanding(record, "failed")


def test_a_failing_method_is_recorded_and_the_others_go_on(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*arguments: Any) -> Any:
        raise RuntimeError("no such luck\nsecond line")

    monkeypatch.setattr("baselines.counting.Markov.fit", fail)
    runs = planned(("markov", "sasrec-ce"))
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store)["markov", 0] == "failed"
    assert statuses(store)["sasrec-ce", 1] == "done"
    record = next(record for record in store.records() if record.status == "failed")
    assert record.error is not None
    assert record.error["message"] == "no such luck"
    assert "Traceback" in record.error["traceback"]


class InterruptedEngine(InlineEngine):
    """Ctrl-C during the second job, after one epoch."""

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        for number, job in enumerate(jobs):
            if number == 1:
                on_news(job, {"epoch": 1, "seconds": 0.1, "loss": 1.0, "terms": {}, "validation": {"ndcg@10": 0.1}})
                raise KeyboardInterrupt
            record, arrays = execute(job.spec, prepared, CPU)
            yield FinishedRun(job, record, arrays)


def test_an_interrupt_loses_only_the_active_run(
    tmp_path: Path, store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    runs = planned()
    with pytest.raises(KeyboardInterrupt):
        Execution(store, InterruptedEngine(CPU)).run(runs, prepared)
    states = statuses(store)
    assert sorted(states.values()) == ["done", "interrupted"]
    interrupted = next(record for record in store.records() if record.status == "interrupted")
    assert len(interrupted.epochs) == 1
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    whole = Store(tmp_path / "uninterrupted")
    Execution(whole, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == statuses(whole)
    for first, second in zip(store.records(), whole.records(), strict=True):
        assert first.metrics == second.metrics
        assert_same_arrays(store.arrays(first), whole.arrays(second))


def _kill_one_child(killed: list[int]) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        children = multiprocessing.active_children()
        if children and children[0].pid:
            time.sleep(0.5)
            os.kill(children[0].pid, signal.SIGKILL)
            killed.append(children[0].pid)
            return
        time.sleep(0.02)


def test_idle_workers_cost_nothing(prepared: Prepared) -> None:
    tracemalloc.start()
    try:
        assert list(LocalEngine(CPU, workers=10**6).run([], prepared, lambda job, row: None)) == []
        assert tracemalloc.get_traced_memory()[1] < 2**20
    finally:
        tracemalloc.stop()


def test_a_killed_worker_costs_nothing(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    runs = planned(["sasrec-ce"], [0, 1])
    killed: list[int] = []
    killer = threading.Thread(target=_kill_one_child, args=(killed,))
    killer.start()
    Execution(store, LocalEngine(CPU, workers=1)).run(runs, prepared)
    killer.join()
    assert killed
    assert statuses(store) == {("sasrec-ce", 0): "done", ("sasrec-ce", 1): "done"}


def test_a_worker_that_always_dies_is_recorded_and_tried_again_by_the_next_start(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.runs.engines.local._work", _die)
    runs = planned(["popularity"], [0])
    checkpoint = store.checkpoint_path(runs[0].key)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"state")
    Execution(store, LocalEngine(CPU, workers=1)).run(runs, prepared)
    (record,) = store.records()
    assert record.status == "interrupted"
    assert record.error is not None
    assert "exit code 7" in record.error["message"]
    assert checkpoint.exists(), "it goes on from there"
    monkeypatch.undo()
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("popularity", 0): "done"}
    assert not checkpoint.exists()


def test_a_dying_worker_does_not_lose_a_done_run(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(["popularity"], [0])
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    monkeypatch.setattr("benchmark.runs.engines.local._work", _die)
    Execution(store, LocalEngine(CPU, workers=1), overwrite="all").run(runs, prepared)
    assert statuses(store) == {("popularity", 0): "done"}


def _die(*arguments: Any) -> None:
    os._exit(7)


def test_a_worker_is_replaced_after_a_failed_run(
    tmp_path: Path, store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: Any
) -> None:
    """A failed run can break its process: half an import, a GPU without memory. So the next run gets a new worker at
    once, and the failed run is not repeated.
    """
    monkeypatch.setattr("benchmark.runs.engines.local._work", _unfit_after_one)
    monkeypatch.setattr(local, "ATTEMPTS", 1)
    monkeypatch.setenv(ATTEMPTS_FILE, str(tmp_path / "attempts"))
    runs = planned(["popularity"], [0, 1])
    Execution(store, LocalEngine(CPU, workers=1)).run(runs, prepared)
    assert statuses(store) == {("popularity", 0): "failed", ("popularity", 1): "failed"}
    assert (tmp_path / "attempts").read_text().split() == [run.key for run in runs]


def test_a_run_whose_worker_dies_is_attempted_twice(
    tmp_path: Path, store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: Any
) -> None:
    monkeypatch.setattr("benchmark.runs.engines.local._work", _die_with_the_job)
    monkeypatch.setenv(ATTEMPTS_FILE, str(tmp_path / "attempts"))
    first, second = planned(["popularity"], [0, 1])
    Execution(store, LocalEngine(CPU, workers=1)).run([first, second], prepared)
    assert statuses(store) == {("popularity", 0): "interrupted", ("popularity", 1): "interrupted"}
    assert (tmp_path / "attempts").read_text().split() == [first.key] * local.ATTEMPTS + [second.key] * local.ATTEMPTS


ATTEMPTS_FILE = "BTSR_TEST_ATTEMPTS"


def _note_attempt(job: RunJob) -> None:
    with open(os.environ[ATTEMPTS_FILE], "a") as stream:
        stream.write(f"{job.key}\n")


def _die_with_the_job(pipe: Any, device: torch.device) -> None:
    pipe.recv()
    _note_attempt(pipe.recv())
    os._exit(7)


def _unfit_after_one(pipe: Any, device: torch.device) -> None:
    prepared, job = pipe.recv(), pipe.recv()
    _note_attempt(job)
    outcome = RunOutcome("failed", error={"type": "RuntimeError", "message": "no such luck", "traceback": ""})
    pipe.send(("finished", (to_record(job.spec, prepared, device, outcome), {})))
    pipe.recv()
    os._exit(7)


def test_an_operating_system_error_interrupts_the_run(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*arguments: Any) -> Any:
        raise FileNotFoundError("No usable temporary directory found")

    runs = planned(["markov"], [0])
    with monkeypatch.context() as failing:
        failing.setattr("baselines.counting.Markov.fit", full)
        Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("markov", 0): "interrupted"}
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("markov", 0): "done"}


def test_a_clock_that_jumps_back_costs_no_run(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = iter(range(10**6, 0, -1))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    runs = planned(["sasrec-ce"], [0])
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    (record,) = store.records()
    assert record.done
    assert record.timings == {"fit_seconds": 0.0, "evaluate_seconds": 0.0, "seconds_per_epoch": 0.0}


def test_a_run_that_another_process_has_claimed_is_waited_for(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(["popularity"], [0])
    claim = store.claim(runs[0].key)
    assert claim.__enter__()
    sleeps: list[float] = []

    def give_up_the_claim(seconds: float) -> None:
        sleeps.append(seconds)
        claim.__exit__(None, None, None)

    monkeypatch.setattr("benchmark.runs.execution.time.sleep", give_up_the_claim)
    Execution(Store(store.root), InlineEngine(CPU)).run(runs, prepared)
    assert len(sleeps) == 1
    assert statuses(store) == {("popularity", 0): "done"}


def test_the_time_budget_keeps_runs_from_starting(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    runs = planned(["popularity"], [0, 1, 2])
    execution = Execution(store, InlineEngine(CPU), deadline=time.monotonic() - 1)
    execution.run(runs, prepared)
    assert execution.out_of_time
    assert statuses(store) == {}


def test_the_time_budget_includes_the_expected_duration_of_a_run(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    earlier, later = planned(["popularity"], [0, 1])
    record, arrays = execute(earlier.spec, prepared, CPU)
    store.save(replace(record, timings={"fit_seconds": 700.0, "evaluate_seconds": 300.0}), arrays)
    for seconds, starts in ((900, False), (3600, True)):
        execution = Execution(store, InlineEngine(CPU), deadline=time.monotonic() + seconds)
        execution.run([later], prepared)
        assert execution.out_of_time != starts
        assert (("popularity", 1) in statuses(store)) == starts


@pytest.mark.parametrize(("overwrite", "kept"), [("never", True), ("failed", True), ("all", False)])
def test_only_overwrite_all_ignores_the_checkpoint(
    overwrite: str, kept: bool, store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]]
) -> None:
    runs = planned(["popularity"], [0])
    checkpoint = store.checkpoint_path(runs[0].key)
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"state")
    engine = CountingEngine()
    Execution(store, engine, overwrite=overwrite).run(runs, prepared)
    assert [job.checkpoint for job in engine.jobs] == [checkpoint]
    assert engine.had_checkpoint == [kept]
    assert not checkpoint.exists(), "the run is stored"


def test_a_run_that_another_process_has_just_finished_is_not_repeated(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(["popularity"], [0])
    claim, theirs = Store.claim, execute(runs[0].spec, prepared, CPU)

    def finish_just_before(self: Store, key: str) -> Any:
        self.save(*theirs)
        return claim(self, key)

    monkeypatch.setattr(Store, "claim", finish_just_before)
    engine = CountingEngine()
    Execution(store, engine).run(runs, prepared)
    assert engine.jobs == []
    with claim(store, runs[0].key) as free:
        assert free


LATER_SETTINGS = [("encoder", "padding", "masked"), ("training", "rows", "user")]
"""Settings that are newer than the first stored runs, and their neutral values."""


def test_durations_are_medians_of_what_ran(handmade: Callable[..., Any]) -> None:
    build = handmade()
    seconds = [10.0, 30.0, 20.0]
    records = [
        build.record("sasrec-ce", i, timings={"fit_seconds": s, "evaluate_seconds": 0.0}) for i, s in enumerate(seconds)
    ]
    records.append(build.record("btsr-ce", 0, timings={"fit_seconds": 50.0}))
    records.append(build.record("duorec", 0, status="failed", timings={"fit_seconds": 1.0}))
    spec = {
        method: SimpleNamespace(method=method, to_json=lambda: records[0].spec) for method in ("sasrec-ce", "duorec")
    }
    durations = Durations(records, "cpu")
    assert durations.estimate(spec["sasrec-ce"]) == 20.0
    assert durations.estimate(spec["duorec"]) == 35.0, "failed runs do not count"
    assert Durations([], "cpu").estimate(spec["sasrec-ce"]) is None
    assert Durations(records, "cuda").estimate(spec["sasrec-ce"]) is None, "other kinds of devices do not count"
    epochs = records[0].spec["training"]["epochs"]
    other = records[0].spec | {"training": records[0].spec["training"] | {"epochs": 3 * epochs}}
    longer = SimpleNamespace(method="sasrec-ce", to_json=lambda: other)
    assert durations.estimate(longer) == 60.0, "where no run has these settings, others count by their epochs"
    odd = build.record("sasrec-ce", 9, spec=records[0].spec | {"training": {"epochs": "many"}})
    assert Durations([odd], "cpu").estimate(longer) is not None
    assert (
        Durations([*records, build.record("btsr-ce", 3, spec=other, timings={"fit_seconds": 90.0})], "cpu").estimate(
            longer
        )
        == 90.0
    )
    newer = {name: records[0].spec[name] | {setting: usual} for name, setting, usual in LATER_SETTINGS}
    later = SimpleNamespace(method="sasrec-ce", to_json=lambda: records[0].spec | newer)
    assert durations.estimate(later) == 20.0, "runs that are older than a setting have its neutral value"


def test_the_plan_is_ordered_by_seed_and_has_each_run_once(prepared: Prepared) -> None:
    configuration = Configuration("synthetic", "equal", "paper", TINY)
    runs = plan(configuration, prepared.facts, ["main", "objectives"], METHODS, [0, 1])
    assert len({run.key for run in runs}) == len(runs) == 2 * len(METHODS)
    assert [run.spec.seed for run in runs] == [0] * len(METHODS) + [1] * len(METHODS)
    shared = next(run for run in runs if run.spec.method == "sasrec-ce")
    assert shared.uses == {"main": ("sasrec-ce",), "objectives": ("sasrec-ce",)}


def test_family_names_choose_their_methods() -> None:
    assert choose_methods(["btsr", "sasrec-ce"]) == ("sasrec-ce", "btsr-bce", "btsr-ce", "btsr-sce")


def test_the_facts_of_a_prepared_dataset_are_in_the_store(store: Store, prepared: Prepared) -> None:
    assert DatasetFacts.stored(store, "synthetic", Protocol()) == prepared.facts
    assert DatasetFacts.stored(store, "synthetic", Protocol(filter="core")) is None
    assert DatasetFacts.stored(store, "ml-1m", Protocol()) is None


def test_a_disk_that_is_full_for_a_while_loses_no_run(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    save, attempts = Store.save, []

    def fail_twice(*arguments: Any, **options: Any) -> Path:
        attempts.append(1)
        if len(attempts) < 3:
            raise StoreError("results: no space left on device; free some")
        return save(*arguments, **options)

    monkeypatch.setattr(Store, "save", fail_twice)
    monkeypatch.setattr("benchmark.runs.execution.time.sleep", lambda seconds: None)
    runs = planned(["popularity"], [0])
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("popularity", 0): "done"}
    assert len(attempts) == 3


def test_a_broken_display_does_not_fail_a_run(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Closed(io.StringIO):
        def write(self, text: str) -> int:
            raise BrokenPipeError

    monkeypatch.setattr("benchmark.runs.progress.LINE_SECONDS", 0.0)
    monkeypatch.setattr("sys.stderr", Closed())
    runs = planned(["sasrec-ce"], [0])
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("sasrec-ce", 0): "done"}


def test_a_worker_that_dies_while_it_starts_does_not_hang(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker's interpreter exits at once, long before it could read the data."""
    monkeypatch.setattr("multiprocessing.spawn._python_exe", b"/bin/false")
    runs = planned(["popularity"], [0])
    Execution(store, LocalEngine(CPU, workers=1)).run(runs, prepared)
    (record,) = store.records()
    assert record.status == "interrupted"


def test_claiming_a_run_is_retried_while_the_disk_is_full(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    claim, attempts = Store.claim, []

    def fail_once(self: Store, key: str) -> Any:
        attempts.append(key)
        if len(attempts) == 1:
            raise StoreError("results: no space left on device; free some")
        return claim(self, key)

    monkeypatch.setattr(Store, "claim", fail_once)
    monkeypatch.setattr("benchmark.runs.execution.time.sleep", lambda seconds: None)
    runs = planned(["popularity"], [0])
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("popularity", 0): "done"}
    assert len(attempts) == 2


def test_a_finished_run_is_kept_in_memory_for_as_long_as_it_took(
    store: Store,
    prepared: Prepared,
    planned: Callable[..., list[PlannedRun]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def full(*arguments: Any, **options: Any) -> Path:
        raise StoreError("results: no space left on device; free some")

    slept: list[float] = []
    monkeypatch.setattr(Store, "save", full)
    monkeypatch.setattr("benchmark.runs.execution.time.sleep", slept.append)
    monkeypatch.setattr("benchmark.runs.execution.PATIENCE_SECONDS", 60.0)
    monkeypatch.setattr("benchmark.runs.execution.seconds_of", lambda record: 1000.0)
    runs = planned(["popularity"], [0])
    with pytest.raises(StoreError, match="no space left"):
        Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert 1000.0 <= sum(slept) < 1000.0 + slept[0]
    assert capsys.readouterr().err.count("no space left") == 1, "it is said once, not every time"


def test_a_run_that_was_imported_meanwhile_is_not_an_error(
    store: Store, prepared: Prepared, planned: Callable[..., list[PlannedRun]], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = planned(["popularity"], [0, 1])
    record, arrays = execute(runs[0].spec, prepared, CPU)
    others = replace(record, command="theirs"), arrays
    save = Store.save

    def import_first(self: Store, record: Any, arrays: Any, overwrite: bool = False) -> Path:
        if record.seed == 0 and record.command != "theirs":
            save(self, *others)
        return save(self, record, arrays, overwrite)

    monkeypatch.setattr(Store, "save", import_first)
    monkeypatch.setattr("benchmark.runs.execution.time.sleep", _never)
    Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == {("popularity", 0): "done", ("popularity", 1): "done"}
    theirs, ours = store.records()
    assert theirs.command == "theirs"
    assert "--seeds 1 " in ours.command


def _never(seconds: float) -> None:
    raise AssertionError("nothing should wait")


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_interrupt_while_a_run_is_stored_stays_an_interrupt(
    when: str,
    store: Store,
    prepared: Prepared,
    planned: Callable[..., list[PlannedRun]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Before the run is written: nothing can be written any more. After it: the run is done and stays done."""
    save = Store.save

    def interrupted(self: Store, record: Any, arrays: Any, overwrite: bool = False) -> Path:
        if record.status == "done":
            if when == "after":
                save(self, record, arrays, overwrite)
            raise KeyboardInterrupt
        if when == "before":
            raise StoreError("results: no space left on device; free some")
        return save(self, record, arrays, overwrite)

    monkeypatch.setattr(Store, "save", interrupted)
    runs = planned(["popularity"], [0])
    with pytest.raises(KeyboardInterrupt):
        Execution(store, InlineEngine(CPU)).run(runs, prepared)
    assert statuses(store) == ({} if when == "before" else {("popularity", 0): "done"})


def test_ctrl_c_while_a_worker_starts_reaches_only_this_process() -> None:
    """The signal is pending while it is blocked, and a process started meanwhile inherits the mask."""
    program = "import signal; print(signal.SIGINT in signal.pthread_sigmask(signal.SIG_BLOCK, []))"
    answers = []

    def start_and_press() -> None:
        with local._block_ctrl_c():
            answers.append(subprocess.check_output([sys.executable, "-c", program], text=True))
            signal.raise_signal(signal.SIGINT)  # to this thread, whose mask holds it back

    with pytest.raises(KeyboardInterrupt):
        start_and_press()
    assert answers == ["True\n"]
    assert signal.SIGINT not in signal.pthread_sigmask(signal.SIG_BLOCK, [])
