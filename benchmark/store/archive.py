"""Writing and reading .tar.gz archives of small files; of an archive that is read nothing is trusted."""

from __future__ import annotations

import gzip
import io
import os
import struct
import tarfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, cast

from benchmark.store.atomic_files import StoreError, unfinished, writing
from datasets.interactions import DataError
from datasets.readers.sources import check_plain
from datasets.readers.tar_members import Member, tar_members

MAX_MEMBER_BYTES = 512 * 2**20
MAX_TOTAL_BYTES = 16 * 2**30
MAX_RATIO = 100
"""Real archives of runs shrink three to ten times; a bomb shrinks a thousand times."""
RATIO_FROM_BYTES = 64 * 2**20
"""Up to this many unpacked bytes the ratio does not matter."""

_REMEDY = "give an archive made by --export"


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write (name, content) pairs as .tar.gz, whole or not at all; the same members give the same bytes."""
    with writing(path, "--export"):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = unfinished(path)
        try:
            with (
                fresh.open("xb") as raw,
                gzip.GzipFile("", "wb", fileobj=raw, mtime=0) as stream,
                tarfile.open(fileobj=stream, mode="w", format=tarfile.PAX_FORMAT) as archive,
            ):
                for name, content in members:
                    member = tarfile.TarInfo(name)
                    member.size, member.mode = len(content), 0o644
                    archive.addfile(member, io.BytesIO(content))
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)


def read_archive(path: Path) -> Iterator[tuple[str, bytes]]:
    """Name and content of the plain files of a .tar.gz, one after the other; directories are passed over.

    Nothing is unpacked to disk. Raises StoreError if `path` is no plain file, at a name that is absolute or leads
    upwards, at a link or device, at damage, and at more data than MAX_MEMBER_BYTES, MAX_TOTAL_BYTES and MAX_RATIO
    allow.
    """
    try:
        if path.exists():
            check_plain(path)
        with path.open("rb") as raw, gzip.GzipFile(fileobj=raw) as stream:
            limit = min(MAX_TOTAL_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * path.stat().st_size))
            limited = _Limited(cast(IO[bytes], stream), limit, path)
            for member, content in tar_members(cast(IO[bytes], limited)):
                _check(member, path)
                if member.is_file:
                    yield member.name, content.read()
            while limited.read(2**20):  # to the end, where gzip compares its checksum
                pass
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile, ValueError, struct.error) as error:
        reason = " ".join(str(error).split())
        raise StoreError(f"{path}: not an intact .tar.gz archive ({reason:.200}); export or copy it again") from error
    except OSError as error:
        reason = error.strerror or str(error)
        raise StoreError(f"{path}: cannot read ({reason}); {_REMEDY}") from error
    except DataError as error:
        raise StoreError(str(error)) from error


class _Limited:
    """A stream that gives up after `limit` bytes, headers included."""

    def __init__(self, stream: IO[bytes], limit: int, path: Path) -> None:
        self._stream, self._left, self._path = stream, limit, path

    def read(self, size: int) -> bytes:
        content = self._stream.read(min(size, self._left + 1))
        self._left -= len(content)
        if self._left < 0:
            raise StoreError(
                f"{self._path}: refused as an archive bomb: it unpacks to far more than its size warrants; {_REMEDY}"
            )
        return content


def _check(member: Member, path: Path) -> None:
    if member.leads_outside or "\\" in member.name:
        raise StoreError(f"{path}: refused: member {member.name!r:.200} points outside the archive; {_REMEDY}")
    if not (member.is_file or member.is_directory):
        raise StoreError(f"{path}: refused: member {member.name!r:.200} is no plain file; {_REMEDY}")
    if member.size > MAX_MEMBER_BYTES:
        raise StoreError(
            f"{path}: refused: member {member.name!r:.200} is larger than {MAX_MEMBER_BYTES} bytes; {_REMEDY}"
        )
