from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from benchmark.runs.engines.engine import RunJob
from benchmark.runs.execution import Execution
from benchmark.store.store import Store
from tests.drill import makespan


def test_no_order_beats_the_bound() -> None:
    assert makespan.lower_bound([3.0, 1.0, 2.0], 1) == 6.0
    assert makespan.lower_bound([3.0, 1.0, 2.0], 2) == 3.0
    assert makespan.lower_bound([9.0, 1.0, 2.0], 4) == 9.0, "the longest run takes as long as it takes"


def test_the_times_are_those_of_the_methods_and_the_same_for_a_seed() -> None:
    _, runs = makespan._plan()
    assert len(runs) == len({run.key for run in runs}) == makespan.RUNS
    record = SimpleNamespace(done=True, method="btsr-ce", timings={"fit_seconds": 5000.0, "evaluate_seconds": 1.0})
    seconds, measured = makespan.draw_seconds(runs, [record], seed=3)  # type: ignore[list-item]
    assert measured == ["btsr-ce"]
    assert seconds == makespan.draw_seconds(runs, [record], seed=3)[0]  # type: ignore[list-item]
    assert seconds != makespan.draw_seconds(runs, [record], seed=4)[0]  # type: ignore[list-item]
    for run in runs:
        typical = 5001.0 if run.spec.method == "btsr-ce" else makespan.UNMEASURED_SECONDS
        assert typical / 3 < seconds[run.key] < typical * 3


def test_the_simulated_workers_take_jobs_in_order_and_only_when_free(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workers; by hand: a 0-5, b 0-2, c 2-3, d 3-9."""
    monkeypatch.setattr(makespan.SimulatedEngine, "_finished", lambda self, job, prepared: (job.key, self.clock))
    engine = makespan.SimulatedEngine(2, {"a": 5.0, "b": 2.0, "c": 1.0, "d": 6.0})
    drawn: list[str] = []

    def jobs() -> Iterator[RunJob]:
        for key in "abcd":
            drawn.append(key)
            yield RunJob(key, None, Path())  # type: ignore[arg-type]

    ended: Any = engine.run(jobs(), None, lambda job, row: None)  # type: ignore[arg-type]
    assert next(ended) == ("b", 2.0)
    assert drawn == ["a", "b"]
    assert list(ended) == [("c", 3.0), ("a", 5.0), ("d", 9.0)]
    assert engine.clock == 9.0


def test_a_simulated_run_is_one_that_the_store_takes(tmp_path: Path) -> None:
    prepared, [run, *_] = makespan._plan()
    store = Store(tmp_path, lambda line: None)
    engine = makespan.SimulatedEngine(1, {run.key: 2.0})
    Execution(store, engine).run([run], prepared)
    [record] = store.records()
    assert record.done
    assert record.timings["fit_seconds"] == 2.0


@pytest.mark.slow
def test_the_plan_keeps_workers_busy_to_the_end(tmp_path: Path) -> None:
    figures = makespan.drill(tmp_path, 0, lambda line: None)
    assert figures["simulated"]
    assert figures["lost"] == figures["doubled"] == 0
    assert figures["workers"]["1"]["ratio"] == pytest.approx(1.0)
    assert all(1.0 - 1e-9 <= each["ratio"] < 1.2 for each in figures["workers"].values())
