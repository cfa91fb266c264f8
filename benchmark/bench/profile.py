"""Where the time of a lap goes, by kind of operation."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity

from benchmark.bench.lap_line import Enough, Lap

KINDS = {
    "matrix products": ("mm", "bmm", "addmm", "baddbmm", "sparse"),
    "softmax and its parts": ("softmax", "log_softmax", "exp", "log", "sum", "LinearCrossEntropy", "SampledLogits"),
    "random numbers": ("rand", "bernoulli", "uniform", "normal"),
    "gathering and scattering": ("index", "embedding", "gather", "scatter", "sort", "where", "cat", "slice", "select"),
    "filling and copying": ("fill", "zero", "copy", "clone", "empty", "contiguous"),
    "layer norm": ("native_layer_norm",),
    "optimiser": ("fused_adam", "Optimizer"),
}
"""How the names of operations of a kind begin; the first kind that fits counts."""
REST = "other arithmetic"
BETWEEN = "between operations"
SILENT = "6"  # one above the profiler's marks, which else stand among the bench's own lines


@dataclass(frozen=True)
class Breakdown:
    """Of each contender the seconds of one lap, and by kind of operation the share of them, the largest first."""

    title: str
    synthetic: bool
    seconds: dict[str, float]
    shares: dict[str, dict[str, float]]


def breakdown(title: str, synthetic: bool, contenders: Sequence[tuple[str, Callable[[Lap], None]]]) -> Breakdown:
    """Profile one lap of each, after one to warm up, in this process and on the CPU.

    The profiler itself slows small operations down, so a lap takes longer than when it is timed.
    """
    seconds, shares = {}, {}
    for name, run in contenders:
        seconds[name], by_kind = _profiled(run)
        shares[name] = dict(sorted(by_kind.items(), key=lambda item: -item[1]))
    return Breakdown(title, synthetic, seconds, shares)


def kind_of(operation: str) -> str:
    """Which of KINDS an operation belongs to."""
    name = operation.rpartition("::")[2].lstrip("_")
    for kind, words in KINDS.items():
        if name.startswith(words):
            return kind
    return REST


def _profiled(run: Callable[[Lap], None]) -> tuple[float, dict[str, float]]:
    os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
    profiler = torch.profiler.profile(activities=[ProfilerActivity.CPU])
    started, wall, laps = 0.0, 0.0, 0

    def lap(_: float) -> None:
        nonlocal started, wall, laps
        laps += 1
        if laps == 1:
            profiler.start()
            started = time.perf_counter()
            return
        wall = time.perf_counter() - started
        profiler.stop()
        raise Enough

    with contextlib.suppress(Enough):
        run(lap)
    by_kind: dict[str, float] = {}
    for event in profiler.key_averages():
        kind = kind_of(event.key)
        by_kind[kind] = by_kind.get(kind, 0.0) + event.self_cpu_time_total / 1e6 / wall
    by_kind[BETWEEN] = max(0.0, 1.0 - sum(by_kind.values()))
    return wall, by_kind
