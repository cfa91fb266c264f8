"""Opens a data file as a stream of bytes, whether it is plain, compressed, or a member of a zip or tar archive.

Members are streamed and never extracted to disk. Archives with paths outside themselves are refused, and so are
decompression bombs. Every problem with a file becomes a DataError that names it.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import re
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from datasets.interactions import DataError

BYTE_ORDER_MARK = b"\xef\xbb\xbf"
"""The mark that some programs write at the beginning of UTF-8 files."""
BUFFER_BYTES = 1 << 20
MAX_EXPANSION = 200
"""A file may unpack to this many times its size. Interactions compress 3 to 20 times, decompression bombs 1,000."""
ALWAYS_ALLOWED_BYTES = 1 << 30
MAX_LAYERS = 3
"""The maximum number of nested compressions, because a file can be crafted that unpacks forever."""
MAX_HEADER_BYTES = 1 << 18
"""The limit for all headers of a tar member. A long name and a few dates take less than a kilobyte."""

_ZIP_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_TAR_MAGIC, _TAR_MAGIC_AT = b"ustar", 257
_TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz")
_COMPRESSIONS: tuple[tuple[re.Pattern[bytes], Callable[[IO[bytes]], Any]], ...] = (
    (re.compile(rb"\x1f\x8b"), lambda stream: gzip.GzipFile(fileobj=stream)),
    (re.compile(rb"BZh[1-9]1AY&SY"), bz2.BZ2File),
    (re.compile(rb"\xfd7zXZ\x00"), lzma.LZMAFile),
)

_DAMAGE = (
    *(EOFError, OSError, RuntimeError, LookupError, ValueError),
    *(zlib.error, lzma.LZMAError, zipfile.BadZipFile, tarfile.TarError, struct.error),
)
"""What the standard library raises for damaged, encrypted or malformed files and archives."""


@contextmanager
def open_source(path: Path, member: str | None = None) -> Iterator[io.BufferedReader]:
    """Open the uncompressed bytes of `path` or, in an archive, of the file called `member` in any of its folders.

    Compression (gzip, bzip2 or xz) is recognised by content. Raises DataError, also while the stream is being read, if
    the file is missing, damaged, unsafe, or an archive without the member.
    """
    check_regular(path)
    with ExitStack() as stack:
        try:
            raw = stack.enter_context(path.open("rb", buffering=0))
            source = _Source(path, member, limit=max(ALWAYS_ALLOWED_BYTES, MAX_EXPANSION * path.stat().st_size))
            stream = _buffered(raw)
            if stream.peek(4).startswith(_ZIP_MAGIC):
                stream = source.zip_member(stack)
            content = source.unwrap(stream)
        except _DAMAGE as error:
            raise _unreadable(path, error) from error
        yield io.BufferedReader(_CheckedStream(content, source), BUFFER_BYTES)


def check_regular(path: Path) -> None:
    """Raise DataError unless `path` is a regular file, because a pipe or a device may never end."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        raise _unreadable(path, error) from error
    if stat.S_ISDIR(mode):
        raise DataError(f"{path}: is a directory; give the file inside")
    if not stat.S_ISREG(mode):
        raise DataError(f"{path}: is not a regular file; save its content to a file and give that")


@dataclass(frozen=True)
class _Source:
    path: Path
    member: str | None
    limit: int  # the maximum number of unpacked bytes

    def unwrap(self, stream: io.BufferedReader, layers: int = 0) -> IO[bytes]:
        """Remove layers of compression and tar until the wanted file's own bytes appear."""
        head = stream.peek(512)
        for magic, decompress in _COMPRESSIONS:
            if magic.match(head):
                if layers == MAX_LAYERS:
                    raise DataError(f"{self.path}: is compressed more than {MAX_LAYERS} times; unpack it yourself")
                return self.unwrap(_buffered(_CheckedStream(decompress(stream), self)), layers + 1)
        if head[_TAR_MAGIC_AT:].startswith(_TAR_MAGIC):
            return self._tar_member(stream)
        return stream

    def zip_member(self, stack: ExitStack) -> io.BufferedReader:
        """Open the wanted file in this zip, or a tar that may contain it, as in Yelp's zip."""
        archive = stack.enter_context(zipfile.ZipFile(self.path))
        members = [info for info in archive.infolist() if not info.is_dir()]
        for info in members:
            self._check_member(info.filename, is_plain=not stat.S_ISLNK(info.external_attr >> 16))
        wanted = [info for info in members if self._is_wanted(info.filename)]
        nested = [info for info in members if info.filename.endswith(_TAR_SUFFIXES)]
        for info in wanted + nested:
            if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise NotImplementedError("a compression that no publisher uses")
            return _buffered(stack.enter_context(archive.open(info)))
        raise self._no_member()

    def _tar_member(self, stream: IO[bytes]) -> IO[bytes]:
        limited = _LimitedHeaders(stream)
        archive = tarfile.open(fileobj=cast("IO[bytes]", limited), mode="r|", bufsize=1 << 16)  # noqa: SIM115
        while (member := archive.next()) is not None:
            is_file = member.isreg() and not member.issparse()
            self._check_member(member.name, is_plain=is_file or member.isdir())
            limited.left = member.size + MAX_HEADER_BYTES
            if is_file and self._is_wanted(member.name):
                return cast("IO[bytes]", _CheckedStream(archive.extractfile(member), self, container=stream))
            archive.members = []  # type: ignore[attr-defined]  # otherwise tarfile keeps every member in memory
        raise self._no_member()

    def _is_wanted(self, name: str) -> bool:
        return self.member is not None and PurePosixPath(name).name == self.member

    def _check_member(self, name: str, is_plain: bool) -> None:
        place = PurePosixPath(name.replace("\\", "/"))  # on any system
        is_outside = place.is_absolute() or ".." in place.parts or re.match(r"[A-Za-z]:", name) or "\0" in name
        if is_outside or not is_plain:
            raise DataError(
                f"{self.path}: its member {name!r:.100} is a link, a device or points outside the archive; get the "
                "publisher's own file"
            )

    def _no_member(self) -> DataError:
        if self.member is None:
            return DataError(f"{self.path}: is an archive; unpack it and give the file of interactions inside")
        return DataError(f"{self.path}: holds no intact file called {self.member}; get the publisher's own archive")


def _buffered(stream: Any) -> io.BufferedReader:
    return io.BufferedReader(cast("io.RawIOBase", stream), BUFFER_BYTES)


def _unreadable(path: Path, error: BaseException) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"{path}: no such file; check the path")
    if isinstance(error, PermissionError):
        return DataError(f"{path}: permission denied; change the permissions of the file")
    reason = " ".join(str(error).split()) or type(error).__name__
    return DataError(f"{path}: is truncated or damaged ({reason:.200}); fetch it again")


class _LimitedHeaders:
    """Refuses a tar with excessive headers, because tarfile reads them into memory."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream, self.left = stream, MAX_HEADER_BYTES

    def read(self, size: int) -> bytes:
        content = self._stream.read(size)
        self.left -= len(content)
        if self.left < 0:
            raise tarfile.ReadError(f"it has more than {MAX_HEADER_BYTES} bytes of headers for one member")
        return content


class _CheckedStream(io.RawIOBase):
    """Forwards reads, turns errors about damage into DataError and stops decompression bombs.

    If the stream is a member of a `container`, that is also read to its end, where gzip and zip verify a checksum.
    """

    def __init__(self, stream: Any, source: _Source, container: IO[bytes] | None = None) -> None:
        self._stream, self._source, self._container = stream, source, container
        self._total = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count = self._stream.readinto(buffer)
            while not count and self._container and self._container.read(BUFFER_BYTES):
                pass
        except _DAMAGE as error:
            raise _unreadable(self._source.path, error) from error
        self._total += count
        if self._total > self._source.limit:
            raise DataError(
                f"{self._source.path}: unpacks to more than {self._source.limit:,} bytes, which no data of this kind "
                "does; get the publisher's own file"
            )
        return count
