"""What a record says about its origin: the code's version, the packages, the machine and the peak memory."""

from __future__ import annotations

import functools
import platform
import resource
import subprocess
import sys
import time
from contextlib import suppress
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

ROOT = Path(__file__).resolve().parents[2]
CODE = ("run_all.py", "benchmark", "baselines", "datasets")


@functools.cache
def code_version() -> dict[str, Any]:
    """Return `code`, the git commit or "unknown" outside of a clone, and `code_dirty`: are there local changes?"""
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
    """Return the versions of Python and of the packages that results may depend on."""
    return {"python": platform.python_version()} | {
        package: version(package) for package in ("torch", "numpy", "scipy", "pandas")
    }


def hardware(device: torch.device) -> dict[str, Any]:
    """Describe the device: its kind, the name of the GPU or processor, the number of threads and the platform."""
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
    except RuntimeError:  # the driver has failed; the run's record says so
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
    """Return the seconds since `time.perf_counter()` returned `started`, or 0 if that clock has jumped back."""
    return max(0.0, time.perf_counter() - started)


def reset_peak_memory(device: torch.device) -> None:
    """Start measuring anew, so that earlier runs in the same process do not count."""
    if device.type == "cuda":
        torch.cuda.init()  # before this, resetting fails for every device
        torch.cuda.reset_peak_memory_stats(device)
        return
    with suppress(OSError):  # elsewhere than on Linux, the peak includes earlier runs
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def peak_memory(device: torch.device) -> int:
    """Return the peak memory in bytes: allocated on the GPU, or resident memory of this process on a CPU."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
