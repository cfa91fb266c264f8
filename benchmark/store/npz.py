"""Write and read compressed .npz files, without pickle and with a limit on the unpacked size."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from benchmark.store.json_text import printable
from benchmark.store.schema import RecordError

Arrays = dict[str, np.ndarray]

SUFFIX = ".npy"

MAX_BYTES = 2 * 2**30
MAX_RATIO = 100  # of unpacked to packed bytes
RATIO_FROM_BYTES = 256 * 2**20  # files that unpack to less may have any ratio


def to_npz(arrays: Mapping[str, np.ndarray]) -> bytes:
    """Pack arrays as the bytes of an .npz file. Equal arrays give equal bytes.

    That is why members are sorted by name, in C order, and keep zipfile's default date. LZMA makes lists of items a
    fifth smaller than numpy's own compression; `np.load` reads it as well.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as members:
        for name in sorted(arrays):
            content = io.BytesIO()
            np.lib.format.write_array(content, np.asarray(arrays[name], order="C"), allow_pickle=False)
            members.writestr(zipfile.ZipInfo(name + SUFFIX), content.getvalue(), zipfile.ZIP_LZMA)
    return buffer.getvalue()


def from_npz(file: Path | io.BytesIO, source: str) -> Arrays:
    """Read all arrays of an .npz file; raise RecordError, naming `source`, if it is damaged.

    Each member is read to its end, because only there does zipfile check the checksum. numpy would stop earlier.
    """
    try:
        with zipfile.ZipFile(file) as members:
            infos = members.infolist()
            _check_members(infos, file.stat().st_size if isinstance(file, Path) else file.getbuffer().nbytes)
            return {info.filename.removesuffix(SUFFIX): _array(members.read(info)) for info in infos}
    except Exception as error:  # damaged bytes can raise almost anything
        reason = printable(str(error).partition("\n")[0]) or type(error).__name__
        raise RecordError(f"{source}: is not an intact array file ({reason:.200})") from error


def _check_members(infos: Sequence[zipfile.ZipInfo], packed: int) -> None:
    names = [info.filename for info in infos]
    if len(set(names)) < len(names) or not all(name.endswith(SUFFIX) for name in names):
        raise ValueError(f"its members are not arrays with distinct names in {SUFFIX}")
    size, allowed = sum(info.file_size for info in infos), min(MAX_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * packed))
    if size > allowed:
        raise ValueError(f"unpacks to {size} bytes, {allowed} are allowed")


def _array(content: bytes) -> np.ndarray:
    stream = io.BytesIO(content)
    array = np.lib.format.read_array(stream, allow_pickle=False)
    if stream.tell() != len(content):
        raise ValueError("an array is shorter than its file")
    return array
