"""The state of a run that is under way: saved now and then, and found again after an interruption."""

from __future__ import annotations

import contextlib
import io
import os
import secrets
import tempfile
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from benchmark.store.atomic_files import UNFINISHED, StoreError, lock, write_file

SECONDS_BETWEEN = 60.0
"""How much of a run a crash may cost, in seconds; on the largest dataset writing the state takes one."""

TEMPORARY, LOCK, FILE = "btsr-checkpoint-", ".lock", "checkpoint.pt"
"""Where a run has no store beside it: how its folder's name begins, its lock's ends, and the checkpoint in it."""

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
            with zipfile.ZipFile(self.path) as members:
                intact = members.testzip() is None  # torch itself compares no checksums
            return dict(torch.load(self.path, map_location="cpu", weights_only=True)) if intact else None
        except Exception:  # damaged bytes lead to errors of every kind
            return None

    def offer(self, state: Callable[[], State]) -> None:
        """Save what `state` returns if it is time; if it cannot be written, the earlier one stays."""
        if 0 <= time.monotonic() - self.written < self.seconds:
            return
        content = io.BytesIO()
        torch.save(state(), content)
        with contextlib.suppress(StoreError):
            write_file(self.path, content.getvalue())
        self.written = time.monotonic()


@contextmanager
def temporary() -> Iterator[Path]:
    """A place for a checkpoint, among the machine's temporary files, for as long as the block takes."""
    sweep_temporary()
    folder = Path(tempfile.gettempdir(), f"{TEMPORARY}{secrets.token_hex(8)}")
    with lock(folder.with_suffix(LOCK), wait=True):
        folder.mkdir(mode=0o700)
        try:
            yield folder / FILE
        finally:
            _remove(folder)


def sweep_temporary() -> None:
    """Remove what killed processes of this user left of `temporary`: their locks have ended with them."""
    for lock_path in Path(tempfile.gettempdir()).glob(f"{TEMPORARY}*{LOCK}"):
        folder = lock_path.with_suffix("")
        with contextlib.suppress(OSError, StoreError):  # it is gone meanwhile
            if not (_is_ours(lock_path) and _is_ours(folder)):
                continue
            with lock(lock_path, wait=False) as has_ended:
                if has_ended:
                    _remove(folder)


def _is_ours(path: Path) -> bool:
    """Whether we made it: in a place where everybody may write, a file or link of that name can be another user's."""
    return path.lstat().st_uid == os.geteuid() and not path.is_symlink()


def _remove(folder: Path) -> None:
    """Remove a folder of `temporary`, with only those files that belong there."""
    with contextlib.suppress(OSError):
        for file in folder.iterdir():
            if file.name == FILE or (file.name.startswith(UNFINISHED) and file.name.endswith(FILE)):
                file.unlink()
        folder.rmdir()
