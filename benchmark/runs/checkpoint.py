"""Checkpoints: the state of a training run, saved from time to time so that it can resume after an interruption."""

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

SECONDS_BETWEEN = 60.0  # the work lost in a crash; writing the state takes about a second on the largest dataset

State = dict[str, Any]
"""Tensors, numbers and strings, in lists and dicts. torch loads them without executing any code from the file."""


class Checkpoint:
    """The checkpoint file of one run. Whoever stores the finished run deletes it."""

    def __init__(self, path: Path, seconds: float | None = None) -> None:
        self.path, self.seconds = path, SECONDS_BETWEEN if seconds is None else seconds
        self.written = time.monotonic()

    def load(self) -> State | None:
        """Load the state onto the CPU; None if there is no intact one."""
        try:
            content = io.BytesIO(self.read())
            with zipfile.ZipFile(content) as members:
                intact = members.testzip() is None  # torch does not verify checksums
            content.seek(0)
            return dict(torch.load(content, map_location="cpu", weights_only=True)) if intact else None
        except Exception:  # damaged bytes can raise almost anything
            return None

    def save_if_due(self, state: Callable[[], State]) -> None:
        """Save `state()` if the last time is at least `seconds` ago. If writing fails, the earlier state is kept."""
        if 0 <= time.monotonic() - self.written < self.seconds:
            return
        content = io.BytesIO()
        torch.save(state(), content)
        self.write(content.getvalue())
        self.written = time.monotonic()

    def read(self) -> bytes:
        """Return the content of the file, or b"" if it cannot be read."""
        try:
            return self.path.read_bytes()
        except OSError:
            return b""

    def write(self, content: bytes) -> None:
        """Replace the content of the file, if possible."""
        with contextlib.suppress(StoreError):
            write_file(self.path, content)
