"""A contender's end of the line to the bench: it is told "go" or "stop", and answers with dictionaries.

For every "go" it makes a lap and sends {"seconds": ..., ...}; for "stop" it sends {"peak": ..., "added": ...}, bytes,
and ends; {"failed": why} means that it cannot go on. This module is also imported in the environments of other
libraries, which have torch and numpy, but not what else the suite needs.
"""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from platform import python_version
from typing import Any

import torch

from benchmark.runs.environment import peak_memory, reset_peak_memory

Lap = Callable[..., None]
"""Takes the seconds of a lap and what else is to be said of it; returns when it is the contender's turn again."""

CPU = torch.device("cpu")


def versions_of(packages: list[str]) -> dict[str, str]:
    """Python's version and those of the packages."""
    return {"python": python_version()} | {package: version(package) for package in packages}


class Enough(Exception):
    """Ends a contender from within its lap."""


class LapLine:
    """`connection`: this process's end of a multiprocessing pipe."""

    def __init__(self, connection: Connection, device: torch.device = CPU) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends us
        self._connection, self._device = connection, device
        self._before, self._clock = 0, 0.0

    def data_is_there(self) -> None:
        """From here on memory counts as added."""
        reset_peak_memory(self._device)
        self._before = peak_memory(self._device)

    def ready(self, packages: list[str], settings: dict[str, Any]) -> None:
        """Say with which versions of the packages and with which settings the laps will be made."""
        self._connection.send({"versions": versions_of(packages), "settings": settings})

    def turn(self) -> None:
        """Wait for the next turn and start the clock; raises Enough when there is none."""
        if self._connection.recv() == "stop":
            peak = peak_memory(self._device)
            self._connection.send({"peak": peak, "added": peak - self._before})
            raise Enough
        self._clock = time.perf_counter()

    def seconds(self) -> float:
        """Seconds since the turn began."""
        return time.perf_counter() - self._clock

    def lap(self, seconds: float, **more: float) -> None:
        """Say how long the lap took; `targets`: how many next items were learnt from in it."""
        self._connection.send({"seconds": seconds, **more})

    def serve(self, work: Callable[[], None]) -> None:
        """Do the work, which makes laps until it is enough; say so if it fails."""
        try:
            work()
        except Enough:
            return
        except Exception as error:
            text = " ".join(str(error).split())
            self._connection.send({"failed": f"{type(error).__name__}: {text[:200]}"})
