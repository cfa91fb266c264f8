"""Files and directories that appear whole or not at all, and locks that end with the process that holds them."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from filelock import BaseFileLock, FileLock, Timeout

UNFINISHED = ".tmp-"
"""What the name of a file or directory begins with until it is whole."""
_REPLACED = ".old-"
"""The same for a directory that is being replaced."""

_SPACE = "free some space and start again, finished runs are kept"
_FILE_IN_THE_WAY = "a file stands where a directory is needed, move it or choose another {option}"
_NO_LOCKS = "its file system cannot lock files, choose an {option} on another"
_REMEDIES = {
    errno.ENOSPC: _SPACE,
    errno.EDQUOT: _SPACE,
    errno.ENOTDIR: _FILE_IN_THE_WAY,
    errno.EEXIST: _FILE_IN_THE_WAY,
    errno.EISDIR: "a directory stands where a file is needed, move it or choose another {option}",
    errno.ENAMETOOLONG: "choose a shorter {option}",
    errno.ENOLCK: _NO_LOCKS,
    errno.ENOTSUP: _NO_LOCKS,
}


class StoreError(Exception):
    """Something cannot be written or read; the message is one line that names the path and the remedy."""


@contextmanager
def writing(path: Path, option: str = "--out-dir") -> Iterator[None]:
    """Turn what the operating system refuses inside the block into a StoreError about `path`, named by `option`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "make it writable or choose another {option}")
        raise StoreError(f"{path}: cannot write ({reason}); {remedy.format(option=option)}") from error


def check_directory(path: Path, option: str = "--out-dir", written: bool = True) -> None:
    """Raise StoreError unless the directory `path` exists or can be made and, if it is `written`, can be written to."""
    with writing(path, option):
        place = next(place for place in (path.absolute(), *path.absolute().parents) if _exists(place))
    with writing(place, option):
        if not place.is_dir():
            code = errno.ENOTDIR
        elif not written or os.access(place, os.W_OK | os.X_OK):
            return
        else:
            code = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code))


def _exists(place: Path) -> bool:
    try:
        return bool(place.stat())  # Path.exists would hide a name that is too long
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def replacing(path: Path, option: str = "--out-dir") -> Iterator[BinaryIO]:
    """A stream for the new content of a file; a reader or a crash sees the old content or the new, nothing else."""
    with writing(path, option):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = _unfinished(path)
        with _file_lock(fresh):  # by which `sweep` tells it from what a killed process left
            try:
                with fresh.open("wb") as stream:
                    yield stream
                    _sync(stream)
                os.replace(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)
        _sync_directory(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write or replace one file as `replacing` does."""
    with replacing(path) as stream:
        stream.write(content)


def write_directory(path: Path, files: Mapping[str, bytes], option: str = "--out-dir") -> None:
    """Write or replace one directory of files. No other process may write or `sweep` its parent meanwhile.

    A directory that is in the way is moved aside first, because a rename cannot replace one that has files in it. If
    the process dies between the two renames, `sweep` puts the old one back. `option`: how the user named the place.
    """
    with writing(path, option):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh, replaced = _unfinished(path), path.with_name(_REPLACED + path.name)
        _settle(replaced)
        try:
            fresh.mkdir()
            for name, content in files.items():
                with (fresh / name).open("xb") as stream:
                    stream.write(content)
                    _sync(stream)
            _sync_directory(fresh)
            if path.exists():
                os.rename(path, replaced)
            os.rename(fresh, path)
            _sync_directory(path.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            _settle(replaced)


def _unfinished(path: Path) -> Path:
    """A name in the same directory under which `path` is written until it is whole."""
    return path.with_name(f"{UNFINISHED}{secrets.token_hex(4)}-{path.name}")


def leftovers(root: Path) -> list[Path]:
    """The unfinished and replaced files and directories below `root`."""
    below = [Path(folder, name) for folder, folders, files in os.walk(root) for name in (*folders, *files)]
    return sorted(path for path in below if path.name.startswith((UNFINISHED, _REPLACED)))


def sweep(root: Path) -> None:
    """Remove the leftovers below `root` or put them back in place; a file that another process is writing stays."""
    with writing(root):
        for left in leftovers(root):
            if left.name.startswith(_REPLACED):
                _settle(left)
            elif left.is_dir() and not left.is_symlink():
                shutil.rmtree(left)
            else:
                with contextlib.suppress(Timeout), _file_lock(left, wait=False):
                    left.unlink(missing_ok=True)


@contextmanager
def lock(path: Path, wait: bool) -> Iterator[bool]:
    """Hold `path` as a lock; yields whether this process has it now (always, with `wait`).

    The kernel drops the lock when the process ends, in whatever way; the file left behind blocks no other process.
    """
    held = _file_lock(path, wait)
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        with contextlib.suppress(Timeout):
            held.acquire()
    if not held.is_locked:
        yield False
        return
    try:
        yield True
    finally:
        # Removed while it is still held: a process that waits for this file notices, and makes a new one.
        with contextlib.suppress(OSError):
            path.unlink()
        held.release()


def _file_lock(path: Path, wait: bool = True) -> BaseFileLock:
    # No soft lock in its place: that would outlive a killed process.
    return FileLock(path, timeout=-1 if wait else 0, fallback_to_soft=False)


def _settle(replaced: Path) -> None:
    """Put a replaced directory back if nothing took its place, else remove it."""
    if not replaced.exists():
        return
    place = replaced.with_name(replaced.name.removeprefix(_REPLACED))
    if place.exists():
        shutil.rmtree(replaced)
    else:
        os.rename(replaced, place)


def _sync(stream: BinaryIO) -> None:
    stream.flush()
    os.fsync(stream.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
