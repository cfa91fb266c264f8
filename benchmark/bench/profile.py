"""Profile a lap: FLOPs and bytes, or where its time goes. And measure what the device can do."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.profiler import ProfilerActivity
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.benchmark import Timer
from torch.utils.flop_counter import flop_registry

BETWEEN = "between operations"
KINDS = {
    "matrix products": ("mm", "bmm", "addmm", "baddbmm", "sparse", "scaled_dot_product"),
    "softmax and its parts": ("softmax", "log_softmax", "exp", "log", "sum", "LinearCrossEntropy", "SampledLogits"),
    "random numbers": ("rand", "bernoulli", "uniform", "normal"),
    "gathering and scattering": ("index", "embedding", "gather", "scatter", "sort", "where", "cat", "slice", "select"),
    "filling and copying": ("fill", "zero", "copy", "clone", "empty", "contiguous"),
    "layer norm": ("native_layer_norm",),
    "optimiser": ("fused_adam", "Optimizer"),
}
"""Prefixes of the operations of each kind; the first kind that matches counts."""
REST = "other arithmetic"
SILENT = "6"  # a log level above the profiler's own messages
PARTIAL = ("embedding", "index", "gather", "scatter")  # operations that touch only a few rows of their largest tensor


class WorkCounter(TorchDispatchMode):
    """Counts the FLOPs of matrix products and the bytes that each operation reads and writes.

    Bytes are counted per operation, so what a compiler saves by fusing operations is not seen. The table of a gather
    or scatter is not counted.
    """

    def __init__(self, device: torch.device) -> None:
        super().__init__()
        self.flops, self.bytes = 0, 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        out = func(*args, **kwargs)
        name = func._opname.rstrip("_")  # addmm_ has the formula of addmm
        if formula := flop_registry.get(getattr(torch.ops.aten, name, None)):
            self.flops += formula(*args, **kwargs, out_val=out)
        if not func.is_view:
            sizes = [leaf.nbytes for leaf in tree_leaves((args, kwargs, out)) if isinstance(leaf, Tensor)]
            self.bytes += sum(sizes) - (max(sizes) if name.startswith(PARTIAL) and sizes else 0)
        return out

    def summary(self, seconds: float) -> dict[str, Any]:
        return {"flops": self.flops, "bytes": self.bytes}


class KindProfile(torch.profiler.profile):
    """Splits the seconds of a lap, on the CPU or the GPU, by kind of operation; the rest is time between operations.

    Profiling slows small operations down, so a profiled lap takes longer than a timed one.
    """

    def __init__(self, device: torch.device) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
        self.on_gpu = device.type == "cuda"
        super().__init__(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * self.on_gpu], acc_events=True)

    def summary(self, seconds: float) -> dict[str, Any]:
        kinds: dict[str, float] = defaultdict(float)
        for event in self.key_averages():
            if event.device_type.name == "CPU":  # a GPU's kernels are listed a second time under their own names
                own = event.self_device_time_total if self.on_gpu else event.self_cpu_time_total
                kinds[kind_of(event.key)] += own / 1e6
        kinds[BETWEEN] = max(seconds - sum(kinds.values()), 0.0)
        return {"kinds": dict(sorted(kinds.items(), key=lambda kind: -kind[1]))}


PROFILERS: dict[str, Any] = {"count": WorkCounter, "profile": KindProfile}
"""Context managers around a lap, by the word that asks for them; `summary` then returns what they found."""


def kind_of(operation: str) -> str:
    """Return the kind, one of KINDS or REST, of an operation."""
    name = operation.rpartition("::")[2].lstrip("_")
    return next((kind for kind, prefixes in KINDS.items() if name.startswith(prefixes)), REST)


def peaks(device: torch.device, quick: bool) -> dict[str, float]:
    """Measure what the device does per second.

    "fp32" and "bf16": FLOPs of a large matrix product, as torch is configured; "bytes": bytes that a copy reads and
    writes.
    """
    size = 256 if quick else 8192 if device.type == "cuda" else 1024
    found = {}
    for name, dtype in (("fp32", torch.float32), ("bf16", torch.bfloat16)):
        a, b = torch.randn(2, size, size, device=device, dtype=dtype)
        found[name] = 2 * size**3 / _seconds(partial(torch.mm, a, b))
    source = torch.empty(32 * size**2, dtype=torch.uint8, device=device)
    target = torch.empty_like(source)
    found["bytes"] = 2 * source.nbytes / _seconds(partial(target.copy_, source))
    return found


def _seconds(work: Callable[[], object]) -> float:
    return Timer("work()", globals={"work": work}).timeit(5).mean


def synchronize(device: torch.device) -> None:
    """Wait until a GPU has finished its work; does nothing on a CPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
