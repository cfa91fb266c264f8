"""A contender's end of the line to the bench: it gets words, and answers with dictionaries.

For "go" it makes a lap and sends {"seconds": ..., ...}; for "count" and "profile" a lap that is watched, and what was
seen goes into the answer (see `profile`); for "stop" it sends {"peak": ..., "added": ...}, bytes, and ends;
{"failed": why} means that it cannot go on. This module is also imported in the environments of other libraries, which
have torch and numpy, but not what else the suite needs.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from importlib.metadata import version
from multiprocessing.connection import Connection
from platform import python_version
from typing import Any

import torch

from benchmark.bench.profile import WATCHES
from benchmark.runs.environment import peak_memory, reset_peak_memory

Lap = Callable[..., None]
"""Takes the seconds of a lap and what else is to be said of it; returns when it is the contender's turn again."""

CPU = torch.device("cpu")
NO_MEMORY = "not enough memory"


def versions_of(*packages: str) -> str:
    """The versions of Python, the packages, torch and numpy."""
    found = (f"{package} {version(package)}" for package in (*packages, "torch", "numpy"))
    return ", ".join([f"python {python_version()}", *found])


class Enough(Exception):
    """Ends a contender from within its lap."""


class LapLine:
    """`connection`: this process's end of a multiprocessing pipe."""

    def __init__(self, connection: Connection, device: torch.device = CPU) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends us
        self._connection, self._device = connection, device
        self._before, self._peak = 0, 0
        self._watch: Any = None
        self._versions = versions_of()

    def data_is_there(self) -> None:
        """From here on memory counts as added."""
        reset_peak_memory(self._device)
        self._before = peak_memory(self._device)

    def ready(self, *packages: str) -> None:
        """The laps will be made by these packages, whose versions are told; wait for the first turn."""
        self._versions = versions_of(*packages)
        self.turn()

    def turn(self) -> None:
        """Wait for the next turn; raises Enough when there is none."""
        word = self._connection.recv()
        if word == "go":
            return
        self._peak = self._peak or peak_memory(self._device)  # a watch needs memory of its own
        if word == "stop":
            self._connection.send({"peak": self._peak, "added": self._peak - self._before})
            raise Enough
        self._watch = WATCHES[word](self._device)
        self._watch.__enter__()

    def lap(self, seconds: float, **more: float) -> None:
        """Say how long the lap took and wait for the next turn; `targets`: how many next items it learnt from."""
        seen: dict[str, Any] = {}
        if self._watch:
            self._watch.__exit__(None, None, None)
            seen, self._watch = self._watch.seen(seconds), None
        self._connection.send({"seconds": seconds, "versions": self._versions, **more, **seen})
        self.turn()

    def serve(self, work: Callable[[], None]) -> None:
        """Do the work, which makes laps until it is enough; say so if it fails."""
        try:
            work()
        except Enough:
            return
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
                text = f"{NO_MEMORY} ({text.rpartition('memory: ')[2].partition('. ')[0]})"
            self._connection.send({"failed": text[:200]})
