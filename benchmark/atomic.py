"""Files and directories that appear whole or not at all, and locks that die with their process."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

_FRESH, _REPLACED = ".tmp-", ".old-"

_REMEDIES = {
    errno.ENOSPC: "free some space and start again, finished runs are kept",
    errno.EDQUOT: "free some space and start again, finished runs are kept",
    errno.ENOTDIR: "a file stands where a directory is needed, move it or choose another --out-dir",
    errno.EISDIR: "a directory stands where a file is needed, move it or choose another --out-dir",
    errno.ENOLCK: "its file system cannot lock files, choose an --out-dir on another",
    errno.ENOTSUP: "its file system cannot lock files, choose an --out-dir on another",
}


class StoreError(Exception):
    """Something could not be written or read back; the message is one line naming the path and the remedy."""


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turn what the operating system refuses inside the block into a StoreError about `path`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "make it writable or choose another --out-dir")
        raise StoreError(f"{path}: cannot write ({reason}); {remedy}") from error


def write_file(path: Path, content: bytes) -> None:
    """Write or replace one file; a reader or a crash sees the old content or the new, nothing else."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = _fresh(path)
        try:
            _write_through(fresh, content)
            os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_directory(path.parent)


def write_directory(path: Path, files: Mapping[str, bytes]) -> None:
    """Write or replace one directory of files.

    A directory that is in the way is moved aside first, for no system renames onto a full one; if the process
    dies between the two renames, `sweep` puts it back.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh, replaced = _fresh(path), path.with_name(_REPLACED + path.name)
        _settle(replaced)
        try:
            fresh.mkdir()
            for name, content in files.items():
                _write_through(fresh / name, content)
            _sync_directory(fresh)
            if path.exists():
                os.rename(path, replaced)
            os.rename(fresh, path)
            _sync_directory(path.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            _settle(replaced)


def leftovers(directory: Path) -> list[Path]:
    """What killed or working writers have lying directly in `directory`."""
    return sorted([*directory.glob(f"{_FRESH}*"), *directory.glob(f"{_REPLACED}*")])


def sweep(directory: Path) -> None:
    """Remove the leftovers in `directory`, or put them back in place; nobody may write there meanwhile."""
    for left in leftovers(directory):
        if left.name.startswith(_REPLACED):
            _settle(left)
        elif left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            left.unlink()


@contextmanager
def lock(path: Path, wait: bool) -> Iterator[bool]:
    """Hold `path` as a lock, removed on leaving; yields whether it was had (always, with `wait`).

    The kernel drops the lock when the process dies, however it dies.
    """
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(path, wait)
    if handle is None:
        yield False
        return
    try:
        yield True
    finally:
        # Removed while still held: whoever waits for this file finds that it is gone, and makes a new one.
        path.unlink(missing_ok=True)
        os.close(handle)


def _locked(path: Path, wait: bool) -> int | None:
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            if _is_open_file(handle, path):
                return handle
        except BlockingIOError:
            os.close(handle)
            return None
        except BaseException:
            os.close(handle)
            raise
        os.close(handle)


def _is_open_file(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), os.stat(path))
    except FileNotFoundError:
        return False


def _settle(replaced: Path) -> None:
    """Put a replaced directory back if nothing took its place, else remove it."""
    if not replaced.exists():
        return
    place = replaced.with_name(replaced.name.removeprefix(_REPLACED))
    if place.exists():
        shutil.rmtree(replaced)
    else:
        os.rename(replaced, place)


def _fresh(path: Path) -> Path:
    return path.with_name(f"{_FRESH}{secrets.token_hex(4)}-{path.name}")


def _write_through(path: Path, content: bytes) -> None:
    with path.open("xb") as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
