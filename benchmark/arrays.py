"""Named arrays as the bytes of a compressed .npz, and back; never pickled, never larger than allowed."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

Arrays = dict[str, np.ndarray]

MAX_BYTES = 2 * 2**30


class ArrayError(Exception):
    """Arrays that cannot be read; the message is one line naming the file."""


def to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """The same arrays give the same bytes: sorted by name, in C order, each dated 1980-01-01 by numpy."""
    buffer = io.BytesIO()
    ordered: dict[str, Any] = {name: np.asarray(arrays[name], order="C") for name in sorted(arrays)}
    np.savez_compressed(buffer, **ordered)
    return buffer.getvalue()


def from_npz(file: Path | io.BytesIO, source: str) -> Arrays:
    """All arrays by name; raises ArrayError, naming `source`, at anything but an intact .npz."""
    try:
        with zipfile.ZipFile(file) as members:
            size = sum(member.file_size for member in members.infolist())
        if size > MAX_BYTES:
            raise ValueError(f"unpacks to {size} bytes, {MAX_BYTES} are allowed")
        with np.load(file, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except Exception as error:  # zipfile, zlib, tokenize and numpy each raise errors of their own at damaged bytes
        reason = str(error).partition("\n")[0] or type(error).__name__
        raise ArrayError(f"{source}: not an intact array file ({reason})") from error
