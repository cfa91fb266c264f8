"""Read a tar as a stream, member by member, with bounded memory: of its headers only what plain files need is believed.

The tarfile module follows extended and sparse headers as far as they lead, into memory; here they are short or refused.
"""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import IO, Any

BLOCK = tarfile.BLOCKSIZE
MAX_HEADER_BYTES = 1 << 16
"""Of one extended header, which holds a long name and a few dates."""

_LONG_NAMES = (tarfile.GNUTYPE_LONGNAME,)
_RECORDS = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE)
_IGNORED = (tarfile.XGLTYPE, tarfile.GNUTYPE_LONGLINK)
_FILES = (tarfile.REGTYPE, tarfile.AREGTYPE)


@dataclass(frozen=True)
class Member:
    """What a header says: a name, a size in bytes, and whether it is a plain file, a directory or neither."""

    name: str
    size: int
    is_file: bool
    is_directory: bool

    @property
    def leads_outside(self) -> bool:
        """Whether the name is absolute or climbs, on any system."""
        return leads_outside(self.name)


def leads_outside(name: str) -> bool:
    """Whether a member of that name would be unpacked outside of where the archive is unpacked, on any system."""
    place = PurePosixPath(name.replace("\\", "/"))
    return place.is_absolute() or ".." in place.parts or re.match(r"[A-Za-z]:", name) is not None or "\0" in name


class Content(io.RawIOBase):
    """The bytes of one member, readable until the next one is asked for; EOFError where the archive ends before."""

    def __init__(self, stream: IO[bytes], size: int) -> None:
        self._stream, self._left = stream, size

    def readable(self) -> bool:
        """It is."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer as far as the member goes; returns how many bytes that were."""
        wanted = min(len(buffer), self._left)
        content = self._stream.read(wanted) if wanted else b""
        if wanted and not content:
            raise EOFError("it ends in the middle of a member")
        self._left -= len(content)
        buffer[: len(content)] = content
        return len(content)


def tar_members(stream: IO[bytes]) -> Iterator[tuple[Member, Content]]:
    """Each member with its content, which may be left unread; what a link or device points to is not looked at.

    Raises tarfile.TarError at a header that is damaged or too long, EOFError where the end is missing.
    """
    said: dict[str, str] = {}  # by extended headers, of the member that comes after them
    while (block := _exactly(stream, BLOCK)).strip(b"\0"):
        info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        if info.type in (*_LONG_NAMES, *_RECORDS, *_IGNORED):
            if not 0 <= info.size <= MAX_HEADER_BYTES:
                raise tarfile.HeaderError(f"an extended header of {info.size} bytes")
            text = _exactly(stream, info.size + -info.size % BLOCK)[: info.size]
            if info.type in _LONG_NAMES:
                said["path"] = _decoded(text.partition(b"\0")[0])
            elif info.type in _RECORDS:
                said |= _records(text)
            continue
        is_file = info.type in _FILES and not any(key.startswith("GNU.sparse") for key in said)
        size = 0 if info.isdir() else _size(said.get("size", str(info.size)))
        content = Content(stream, size)
        yield Member(said.get("path", info.name), size, is_file, info.isdir()), content
        while content.read(1 << 20):
            pass
        _exactly(stream, -size % BLOCK)
        said = {}


def _exactly(stream: IO[bytes], size: int) -> bytes:
    parts = []
    while size:
        part = stream.read(size)
        if not part:
            raise EOFError("it has no end")
        parts.append(part)
        size -= len(part)
    return b"".join(parts)


def _records(text: bytes) -> dict[str, str]:
    """The records of an extended header, each `length key=value`, the length that of the whole."""
    found = {}
    while text:
        digits = text.partition(b" ")[0]
        length = int(digits) if re.fullmatch(rb"[0-9]{1,6}", digits) else 0
        key, equals, value = text[len(digits) + 1 : length - 1].partition(b"=")
        if not equals or text[length - 1 : length] != b"\n":
            raise tarfile.HeaderError("an extended header that is not made of records")
        found[_decoded(key)] = _decoded(value)
        text = text[length:]
    return found


def _size(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,19}", text):
        raise tarfile.HeaderError(f"a member of {text!r:.40} bytes")
    return int(text)


def _decoded(text: bytes) -> str:
    return text.decode("utf-8", "surrogateescape")
