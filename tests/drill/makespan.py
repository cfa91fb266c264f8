"""How long a plan of 200 runs takes on 1, 2, 4 and 8 workers, simulated: the plan, the store and the execution are the
real ones, the workers have a virtual clock and no run is trained.
"""

from __future__ import annotations

import contextlib
import heapq
import io
import itertools
from collections.abc import Callable, Generator, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from baselines.registry import METHODS
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.planner import PlannedRun, plan
from benchmark.runs.engines.engine import FinishedRun, OnNews, RunJob
from benchmark.runs.environment import ROOT
from benchmark.runs.execution import Execution
from benchmark.runs.outstanding import seconds_of
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import RunOutcome, to_record
from benchmark.store.record import RunRecord
from benchmark.store.store import Store
from datasets.protocol import Protocol

DATASET, RUNS, SEEDS, WORKERS = "ml-1m", 200, range(6), (1, 2, 4, 8)
EXPERIMENTS = ("main", "objectives", "regimes", "alpha", "views", "noise", "lambda")

SPREAD = 0.25
"""Of the logarithm of a run's time around the median that its method took."""

UNMEASURED_SECONDS = 900.0
"""The median assumed of a method without a record."""

Notify = Callable[[str], None]


def drill(scratch: Path, seed: int, notify: Notify) -> dict[str, Any]:
    """Figures per number of workers: the makespan in simulated seconds, the least that any order could reach, and their
    ratio; `lost` and `doubled` runs over all of them.
    """
    prepared, runs = _plan()
    seconds, measured = draw_seconds(runs, Store(ROOT / "results", notify).records(DATASET), seed)
    figures: dict[str, Any] = {
        "simulated": True,
        "dataset": DATASET,
        "runs": len(runs),
        "methods_measured": measured,
        "run_seconds": {"total": sum(seconds.values()), "longest": max(seconds.values())},
        "workers": {},
        "lost": 0,
        "doubled": 0,
    }
    for workers in WORKERS:
        engine = SimulatedEngine(workers, seconds)
        store = Store(scratch / f"workers-{workers}", notify)
        with contextlib.redirect_stderr(io.StringIO()):  # its progress is not that of any real run
            Execution(store, engine).run(runs, prepared)
        done = {(record.key, record.seed) for record in store.records() if record.done}
        figures["lost"] += len(runs) - len(done)
        figures["doubled"] += len(engine.order) - len(set(engine.order))
        bound = lower_bound(seconds.values(), workers)
        figures["workers"][str(workers)] = {
            "makespan_seconds": engine.clock,
            "bound_seconds": bound,
            "ratio": engine.clock / bound,
        }
        notify(
            f"makespan (simulated), {workers} workers: {engine.clock:,.0f} s, {engine.clock / bound:.3f} of the least"
        )
    return figures


def lower_bound(seconds: Iterable[float], workers: int) -> float:
    """No order of the runs ends sooner."""
    seconds = list(seconds)
    return max(sum(seconds) / workers, max(seconds))


def draw_seconds(
    runs: Sequence[PlannedRun], records: Iterable[RunRecord], seed: int
) -> tuple[dict[str, float], list[str]]:
    """Seconds by run key, log-normal around the median of the method's finished runs, and the methods that have any."""
    rng = np.random.default_rng(seed)
    taken: dict[str, list[float]] = {}
    for record in records:
        if record.done:
            taken.setdefault(record.method, []).append(seconds_of(record))
    medians = {method: float(np.median(spent)) for method, spent in taken.items()}
    factors = np.exp(SPREAD * rng.standard_normal(len(runs)))
    seconds = {
        run.key: medians.get(run.spec.method, UNMEASURED_SECONDS) * float(factor)
        for run, factor in zip(runs, factors, strict=True)
    }
    return seconds, sorted(medians)


class SimulatedEngine:
    """`workers` that are done with a job `seconds[job.key]` after they took it, by a clock of their own."""

    device = torch.device("cpu")

    def __init__(self, workers: int, seconds: dict[str, float]) -> None:
        self.workers, self.seconds = workers, seconds
        self.clock = 0.0
        self.order: list[str] = []

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Let the clock jump from one end of a job to the next."""
        waiting, number = iter(jobs), itertools.count()
        busy: list[tuple[float, int, RunJob]] = []
        while True:
            while len(busy) < self.workers and (job := next(waiting, None)) is not None:
                self.order.append(job.key)
                heapq.heappush(busy, (self.clock + self.seconds[job.key], next(number), job))
            if not busy:
                return
            self.clock, _, job = heapq.heappop(busy)
            yield self._finished(job, prepared)

    def _finished(self, job: RunJob, prepared: Prepared) -> FinishedRun:
        metrics = {"test": {"ndcg@10": 0.0}, "validation": {"ndcg@10": 0.0}}
        timings = {"fit_seconds": self.seconds[job.key], "evaluate_seconds": 0.0}
        outcome = RunOutcome(metrics=metrics, timings=timings)
        record = to_record(job.spec, prepared, self.device, outcome)
        return FinishedRun(job, record, {"ranks": np.zeros(prepared.summary["test_users"], dtype=np.int32)})


def _plan() -> tuple[Prepared, list[PlannedRun]]:
    """The first runs of what the paper says of the dataset, with six seeds; the data itself is not needed."""
    protocol = Protocol.of_preset("released", "none")
    known = DatasetFacts("ML-1M", False, protocol, "simulated")
    configuration = Configuration(DATASET, "equal", "paper", [])
    sizes = dict.fromkeys(("items", "train_users", "train_interactions", "test_users"), 1)
    summary = {"source": "none", "sha256": "", **sizes}
    prepared = Prepared(DATASET, known.title, known.synthetic, "released", None, known.fingerprint, summary)  # type: ignore[arg-type]
    return prepared, plan(configuration, known, EXPERIMENTS, METHODS, SEEDS)[:RUNS]
