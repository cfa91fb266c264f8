"""The code, the package versions and the machine that made a run, and its peak memory."""

from __future__ import annotations

import functools
import platform
import resource
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
CODE = ("run_all.py", "benchmark", "baselines", "datasets")


@functools.cache
def code_version() -> dict[str, Any]:
    """`code`: the git commit ("unknown" outside a clone); `code_dirty`: whether the code differs from that commit."""
    try:
        commit = _git("rev-parse", "HEAD").strip()
        return {"code": commit, "code_dirty": bool(_git("status", "--porcelain", "--", *CODE).strip())}
    except (OSError, subprocess.SubprocessError):
        return {"code": "unknown", "code_dirty": False}


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(ROOT), *arguments]
    return subprocess.run(command, capture_output=True, encoding="utf-8", check=True, timeout=20).stdout


@functools.cache
def package_versions() -> dict[str, str]:
    """Python and the packages that decide the numbers."""
    return {"python": platform.python_version()} | {
        package: version(package) for package in ("torch", "numpy", "scipy", "pandas")
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """The kind of device, the processor's or GPU's name ("unknown" if this machine has none), threads and platform."""
    name = _gpu(device) if device.type == "cuda" else _processor()
    return {
        "device": device.type,
        "name": name,
        "threads": torch.get_num_threads(),
        "platform": f"{platform.system()} {platform.machine()}",
    }


def _gpu(device: torch.device) -> str:
    try:
        return torch.cuda.get_device_name(device) if torch.cuda.is_available() else "unknown"
    except RuntimeError:  # the driver has failed, as the record of the run says
        return "unknown"


@functools.cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def seconds_since(started: float) -> float:
    """Seconds since `time.perf_counter()` returned `started`; never negative, even if that clock jumps back."""
    return max(0.0, time.perf_counter() - started)


def reset_peak_memory(device: torch.device) -> None:
    """Begin to measure: earlier runs in the same process do not count."""
    if device.type == "cuda":
        torch.cuda.init()  # until then, every GPU is an invalid device
        torch.cuda.reset_peak_memory_stats(device)
        return
    try:
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")
    except OSError:
        return  # not on Linux, where the peak is that of the whole process


def peak_memory(device: torch.device) -> int:
    """The most bytes in use so far: of the GPU's memory on CUDA, else of this process, resident."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
