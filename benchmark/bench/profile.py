"""What a lap does: the FLOPs of its matrix products and the bytes that it moves, or where its time goes; and what the
device can do.
"""

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
"""How the names of operations of a kind begin; the first kind that fits counts."""
REST = "other arithmetic"
SILENT = "6"  # one above the profiler's marks, which else stand among the bench's own lines
PARTIAL = ("embedding", "index", "gather", "scatter")  # these touch a few rows of their largest tensor


class WorkCounter(TorchDispatchMode):
    """Adds up the FLOPs of matrix products, and the bytes that operations read and write, each for itself: what a
    compiler that fuses them saves is not known here. Of a gather or scatter, the table is not counted.
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

    def seen(self, seconds: float) -> dict[str, Any]:
        return {"flops": self.flops, "bytes": self.bytes}


class KindProfile(torch.profiler.profile):
    """Seconds by kind of operation: of the CPU, or of the GPU, where the rest is the time that it waits. The profiler
    itself slows small operations down, so a lap takes longer than when it is timed.
    """

    def __init__(self, device: torch.device) -> None:
        os.environ.setdefault("KINETO_LOG_LEVEL", SILENT)
        self.on_gpu = device.type == "cuda"
        super().__init__(activities=[ProfilerActivity.CPU, *[ProfilerActivity.CUDA] * self.on_gpu], acc_events=True)

    def seen(self, seconds: float) -> dict[str, Any]:
        kinds: dict[str, float] = defaultdict(float)
        for event in self.key_averages():
            if event.device_type.name == "CPU":  # the kernels of a GPU are listed again, each by its own name
                own = event.self_device_time_total if self.on_gpu else event.self_cpu_time_total
                kinds[kind_of(event.key)] += own / 1e6
        kinds[BETWEEN] = max(seconds - sum(kinds.values()), 0.0)
        return {"kinds": dict(sorted(kinds.items(), key=lambda kind: -kind[1]))}


WATCHES: dict[str, Any] = {"count": WorkCounter, "profile": KindProfile}
"""By the word that asks for them: what is entered for a lap, left after it, and then says what was `seen`."""


def kind_of(operation: str) -> str:
    """Which of KINDS an operation belongs to."""
    name = operation.rpartition("::")[2].lstrip("_")
    return next((kind for kind, words in KINDS.items() if name.startswith(words)), REST)


def peaks(device: torch.device, quick: bool) -> dict[str, float]:
    """What the device can do in a second: FLOPs of a large matrix product in "fp32" and "bf16", as torch is set up, and
    the "bytes" that a copy reads and writes.
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
    """Wait for a GPU."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)
