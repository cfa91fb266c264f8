"""The state of a run that is under way: saved now and then, and found again after an interruption."""

from __future__ import annotations

import contextlib
import io
import time
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch

from benchmark.store.atomic_files import StoreError, write_file

SECONDS_BETWEEN = 60.0
"""How much of a run a crash may cost, in seconds; on the largest dataset writing the state takes one."""

State = dict[str, Any]
"""Tensors, numbers, texts, and lists and dicts of them, which torch loads without running any code from the file."""


class Checkpoint:
    """One run's file, written at the end of an epoch once `seconds` have passed since it was written last.

    The code that stores the run removes it.
    """

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self.path, self.seconds = path, SECONDS_BETWEEN if seconds is None else seconds
        self.written = time.monotonic()

    def load(self) -> State | None:
        """The state, on the CPU; None if no intact one is there, and the run begins from the start."""
        try:
            content = io.BytesIO(self.read())
            with zipfile.ZipFile(content) as members:
                intact = members.testzip() is None  # torch itself compares no checksums
            content.seek(0)
            return dict(torch.load(content, map_location="cpu", weights_only=True)) if intact else None
        except Exception:  # damaged bytes lead to errors of every kind
            return None

    def offer(self, state: Callable[[], State]) -> None:
        """Save what `state` returns if it is time; if that cannot be written, the earlier one stays."""
        if 0 <= time.monotonic() - self.written < self.seconds:
            return
        content = io.BytesIO()
        torch.save(state(), content)
        self.keep(content.getvalue())
        self.written = time.monotonic()

    def read(self) -> bytes:
        """What was kept last; b"" if nothing can be read."""
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def keep(self, content: bytes) -> None:
        """Write what `read` returns from now on, if it can be written."""
        with contextlib.suppress(StoreError):
            write_file(self.path, content)
