"""Write and read .tar.gz archives of small files. An archive that is read may be hostile: nothing in it is trusted."""

from __future__ import annotations

import gzip
import io
import stat
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path

from benchmark.store.atomic_files import StoreError, replacing

MAX_MEMBER_BYTES = 512 * 2**20
MAX_TOTAL_BYTES = 16 * 2**30
MAX_RATIO = 100
"""Real archives of runs shrink three to ten times; a bomb shrinks a thousand times."""
RATIO_FROM_BYTES = 64 * 2**20
"""Up to this many unpacked bytes the ratio does not matter."""

_REMEDY = "give an archive that python -m benchmark export wrote"


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write (name, content) pairs as .tar.gz, whole or not at all; the same members give the same bytes."""
    with (
        replacing(path, "--to") as raw,
        gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream,
        tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
    ):
        for name, content in members:
            member = tarfile.TarInfo(name)
            member.size, member.mode = len(content), 0o644
            archive.addfile(member, io.BytesIO(content))


def read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of the regular files of a .tar.gz, one after the other; directories are passed over.

    Nothing is unpacked to disk, and names are handed on as they are: the caller decides which ones are allowed.
    Raises StoreError if `path` is not a regular file, at a link or device, at damage, and at more data than
    MAX_MEMBER_BYTES, MAX_TOTAL_BYTES and MAX_RATIO allow.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe may never end
            raise StoreError(f"{path}: is not a regular file; {_REMEDY}")
        with path.open("rb") as raw, _Limited(raw, path) as stream, tarfile.open(fileobj=stream, mode="r:") as archive:
            for member in archive:
                _check(member, path)
                if member.isfile():
                    content = archive.extractfile(member)
                    yield member.name, content.read() if content else b""
            _check_end(stream, archive.offset)
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, ArithmeticError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path}: is not an intact .tar.gz archive ({reason:.200}); copy it again") from error
    except OSError as error:
        raise StoreError(f"{path}: cannot be read ({error.strerror or error}); {_REMEDY}") from error


class _Limited(gzip.GzipFile):
    """What a .tar.gz unpacks to; reading gives up if that is far more than the size of the file warrants."""

    def __init__(self, raw: io.BufferedReader, path: Path) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._path = path
        self._limit = min(MAX_TOTAL_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * path.stat().st_size))

    def read(self, size: int | None = -1) -> bytes:
        """Up to `size` bytes, headers included, but never more than the limit at once, whatever a header claims."""
        left = self._limit + 1 - self.tell()
        content = super().read(left if size is None or size < 0 else min(size, left))
        if self.tell() > self._limit:
            raise StoreError(
                f"{self._path}: refused as an archive bomb: it unpacks to far more than its size warrants; {_REMEDY}"
            )
        return content


def _check(member: tarfile.TarInfo, path: Path) -> None:
    if not (member.isfile() or member.isdir()) or member.issparse():
        raise StoreError(f"{path}: refused: member {member.name!r:.200} is not a regular file; {_REMEDY}")
    if not 0 <= member.size <= MAX_MEMBER_BYTES:
        raise StoreError(
            f"{path}: refused: member {member.name!r:.200} claims to have {member.size} bytes, up to "
            f"{MAX_MEMBER_BYTES} are allowed; {_REMEDY}"
        )


def _check_end(stream: _Limited, offset: int) -> None:
    """Raise ValueError unless nothing but zeros follows; reading them lets gzip compare its checksum.

    tarfile takes a header that it cannot read for the end of the archive, and an absent end for one, too.
    """
    stream.seek(offset)
    rest = stream.read(tarfile.BLOCKSIZE)
    while rest and not rest.strip(b"\0"):
        if not (rest := stream.read(2**20)):
            return
    raise ValueError("it is cut off, or its headers are damaged")
