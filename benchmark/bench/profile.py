"""Where the time of a lap goes, by kind of operation."""

from __future__ import annotations

import contextlib
import os
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch.profiler import ProfilerActivity

from benchmark.bench.lap_line import Enough, Lap

STEP = "ProfilerStep"  # the lap as a whole, whose own time is what no operation in it took
BETWEEN = "between operations"
KINDS = {
    "matrix products": ("mm", "bmm", "addmm", "baddbmm", "sparse"),
    "softmax and its parts": ("softmax", "log_softmax", "exp", "log", "sum", "LinearCrossEntropy", "SampledLogits"),
    "random numbers": ("rand", "bernoulli", "uniform", "normal"),
    "gathering and scattering": ("index", "embedding", "gather", "scatter", "sort", "where", "cat", "slice", "select"),
    "filling and copying": ("fill", "zero", "copy", "clone", "empty", "contiguous"),
    "layer norm": ("native_layer_norm",),
    "optimiser": ("fused_adam", "Optimizer"),
    BETWEEN: (STEP,),
}
"""How the names of operations of a kind begin; the first kind that fits counts."""
REST = "other arithmetic"
SILENT = "6"  # one above the profiler's marks, which else stand among the bench's own lines


@dataclass(frozen=True)
class Breakdown:
    """Of each contender the seconds of one lap, and by kind of operation the share of them, the largest first."""

    title: str
    synthetic: bool
    seconds: dict[str, float]
    shares: dict[str, dict[str, float]]


def breakdown(title: str, synthetic: bool, contenders: Mapping[str, Callable[[Lap], None]]) -> Breakdown:
    """Profile one lap of each, after one to warm up, in this process and on the CPU.

    The profiler itself slows small operations down, so a lap takes longer than when it is timed.
    """
    found = Breakdown(title, synthetic, {}, {})
    for name, run in contenders.items():
        found.seconds[name], found.shares[name] = _profiled(run)
    return found


def kind_of(operation: str) -> str:
    """Which of KINDS an operation belongs to."""
    name = operation.rpartition("::")[2].lstrip("_")
    for kind, words in KINDS.items():
        if name.startswith(words):
            return kind
    return REST


def _profiled(run: Callable[[Lap], None]) -> tuple[float, dict[str, float]]:
    os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
    schedule = torch.profiler.schedule(wait=0, warmup=1, active=1)
    with torch.profiler.profile(activities=[ProfilerActivity.CPU], schedule=schedule, acc_events=True) as profiler:

        def lap(_: float) -> None:
            profiler.step()
            if profiler.step_num == 2:
                raise Enough

        with contextlib.suppress(Enough):
            run(lap)
    events = profiler.key_averages()
    seconds = next(event.cpu_time_total for event in events if event.key.startswith(STEP)) / 1e6
    shares: Counter[str] = Counter()
    for event in events:
        shares[kind_of(event.key)] += event.self_cpu_time_total / 1e6 / seconds
    return seconds, dict(shares.most_common())
