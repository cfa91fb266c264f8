"""State of a run in flight: saved now and then, found again, continued."""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
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

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self.path, self.seconds = path, SECONDS_BETWEEN if seconds is None else seconds
        self.written = time.monotonic()

    def load(self) -> State | None:
        """The state, on the CPU; None if there is none that can be read, so that the run begins anew."""
        try:
            with zipfile.ZipFile(self.path) as members:
                intact = members.testzip() is None  # torch itself compares no checksums
            return dict(torch.load(self.path, map_location="cpu", weights_only=True)) if intact else None
        except Exception:  # damaged bytes lead to errors of every kind
            return None

    def offer(self, state: Callable[[], State]) -> None:
        """Save what `state` gives if it is time; where that cannot be written, the one before stays."""
        if 0 <= time.monotonic() - self.written < self.seconds:
            return
        content = io.BytesIO()
        torch.save(state(), content)
        with contextlib.suppress(StoreError):
            write_file(self.path, content.getvalue())
        self.written = time.monotonic()
