"""State of a run in flight: saved now and then, found again, continued."""

from __future__ import annotations

import contextlib
import fcntl
import io
import os
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.store.atomic_files import UNFINISHED, StoreError, write_file

SECONDS_BETWEEN = 60.0
"""How much of a run a crash may cost, in seconds; on the largest dataset writing the state takes one."""

TEMPORARY, FILE = "btsr-checkpoint-", "checkpoint.pt"
"""Names of the directory and of the checkpoint in it, where a run has no store beside it."""

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


@contextmanager
def temporary() -> Iterator[Path]:
    """Where a checkpoint can be kept for as long as the block takes. What processes left that were killed within theirs
    is removed first.
    """
    sweep_temporary()
    path, handle = _held()
    try:
        yield path / FILE
    finally:
        _empty(path)
        os.close(handle)


def sweep_temporary() -> None:
    """Remove what dead processes of this user left of `temporary`; the kernel drops their locks, however they died."""
    for path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*"):
        with contextlib.suppress(OSError):  # somebody else's, or gone meanwhile, or held by one that lives
            handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            try:
                if os.fstat(handle).st_uid == os.geteuid():
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    _empty(path)
            finally:
                os.close(handle)


def _held() -> tuple[Path, int]:
    """A new directory, locked until the handle is closed or this process is gone."""
    while True:
        path = Path(tempfile.mkdtemp(prefix=TEMPORARY))
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:  # it was swept before it was locked
            continue
        with contextlib.suppress(OSError):  # a file system that cannot lock; then nobody can sweep there either
            fcntl.flock(handle, fcntl.LOCK_EX)
        if path.exists():
            return path, handle
        os.close(handle)


def _empty(path: Path) -> None:
    """Remove a directory of `temporary`; only what belongs there, so that one of somebody's that has its name stays."""
    with contextlib.suppress(OSError):
        for file in path.iterdir():
            if file.name == FILE or (file.name.startswith(UNFINISHED) and file.name.endswith(FILE)):
                file.unlink()
        path.rmdir()
