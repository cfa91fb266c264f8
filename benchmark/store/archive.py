"""Write and read .tar.gz archives of small files. Archives may come from strangers, so reading trusts nothing."""

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
MAX_RATIO = 100  # archives of runs compress three to ten times, bombs a thousand times
RATIO_FROM_BYTES = 64 * 2**20  # archives that unpack to less may have any ratio

_REMEDY = "give an archive that python -m benchmark export wrote"


def write_archive(path: Path, members: Iterable[tuple[str, bytes]]) -> None:
    """Write (name, content) pairs as a .tar.gz, atomically. The same members give the same bytes."""
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
    """Yield the name and content of each regular file in a .tar.gz, skipping directories.

    Nothing is unpacked to disk. Names are not checked: the caller decides which ones it accepts. Raises StoreError if
    the archive is damaged, contains a link or device, or is larger than MAX_MEMBER_BYTES, MAX_TOTAL_BYTES and MAX_RATIO
    allow.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # reading a pipe might never end
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
    """Unpacks a .tar.gz, but gives up on an archive bomb, which unpacks to far more than the file's size warrants."""

    def __init__(self, raw: io.BufferedReader, path: Path) -> None:
        super().__init__(fileobj=raw, mode="rb")
        self._path = path
        self._limit = min(MAX_TOTAL_BYTES, max(RATIO_FROM_BYTES, MAX_RATIO * path.stat().st_size))

    def read(self, size: int | None = -1) -> bytes:
        """Read up to `size` bytes, but never much more than the limit, whatever size a tar header claims."""
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
    """Raise ValueError unless only zeros follow. Reading on to the end also makes gzip check its checksum.

    This is needed because tarfile silently stops at a damaged header, and at the end of a truncated file.
    """
    stream.seek(offset)
    rest = stream.read(tarfile.BLOCKSIZE)
    while rest and not rest.strip(b"\0"):
        if not (rest := stream.read(2**20)):
            return
    raise ValueError("it is cut off, or its headers are damaged")
