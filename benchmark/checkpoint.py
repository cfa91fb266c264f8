"""State of a run in flight: saved now and then, found again, continued."""

from __future__ import annotations

import io
import pickle
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmark.atomic import StoreError, write_file

SECONDS_BETWEEN = 60.0
"""How much of a run a crash may cost, in seconds; on the largest dataset writing the state takes one."""

State = dict[str, Any]
"""Tensors, numbers, texts, and lists and dicts of them: what torch loads without running any code of the file's."""


class Checkpoint:
    """One run's file. It is written at the end of an epoch if `seconds` have gone by; whoever stores the run
    removes it.
    """

    def __init__(self, path: Path, seconds: float = SECONDS_BETWEEN) -> None:
        self.path, self.seconds = path, seconds
        self.written = time.monotonic()

    def load(self) -> State | None:
        """The state, on the CPU; None if there is none that can be read, so that the run begins anew."""
        try:
            return dict(torch.load(self.path, map_location="cpu", weights_only=True))
        except (OSError, EOFError, RuntimeError, ValueError, TypeError, KeyError, pickle.UnpicklingError):
            return None

    def offer(self, state: Callable[[], State]) -> None:
        """Save what `state` gives if it is time; a disk that is full costs the checkpoint and not the run."""
        if time.monotonic() - self.written < self.seconds:
            return
        content = io.BytesIO()
        torch.save(state(), content)
        try:
            write_file(self.path, content.getvalue())
        except StoreError:
            self.path.unlink(missing_ok=True)
        self.written = time.monotonic()
