"""Write files and directories so that they appear whole or not at all, and lock files across processes."""

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

_UNFINISHED = ".tmp-"  # prefix of a file or directory that is still being written
_REPLACED = ".old-"  # prefix of a directory while a new one takes its place

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
    """A file cannot be read or written. The message is one line that names the path and the remedy."""


@contextmanager
def writing(path: Path, option: str = "--out-dir") -> Iterator[None]:
    """Turn an OSError inside the block into a StoreError about `path`, which the user chose with `option`."""
    try:
        yield
    except OSError as error:
        reason = error.strerror or str(error)
        remedy = _REMEDIES.get(error.errno or 0, "make it writable or choose another {option}")
        raise StoreError(f"{path}: cannot write ({reason}); {remedy.format(option=option)}") from error


def check_directory(path: Path, option: str = "--out-dir", written: bool = True) -> None:
    """Raise StoreError unless the directory `path` exists or can be created and, if `written`, is writable."""
    with writing(path, option):
        place = next(each for each in (path.absolute(), *path.absolute().parents) if _exists(each))
    with writing(place, option):
        if not place.is_dir():
            code = errno.ENOTDIR
        elif not written or os.access(place, os.W_OK | os.X_OK):
            return
        else:
            code = errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES
        raise OSError(code, os.strerror(code))


def _exists(path: Path) -> bool:
    try:
        return bool(path.stat())  # unlike Path.exists, this raises for a name that is too long
    except (FileNotFoundError, NotADirectoryError):
        return False


@contextmanager
def replacing(path: Path, option: str = "--out-dir") -> Iterator[BinaryIO]:
    """Open a stream for the new content of a file. Readers see the old content or the new one, even after a crash.

    Raises StoreError if the path is taken by anything but a regular file, such as a folder or a device.
    """
    with writing(path, option):
        if _exists(path) and not path.is_file():
            raise StoreError(f"{option} {path}: is not a regular file, and so cannot be replaced; name another")
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = _unfinished(path)
        with _file_lock(fresh):  # the lock tells `sweep` that this process is still alive
            try:
                with fresh.open("wb") as stream:
                    yield stream
                    _sync(stream)
                os.replace(fresh, path)
            finally:
                fresh.unlink(missing_ok=True)
        _sync_directory(path.parent)


def write_file(path: Path, content: bytes) -> None:
    """Write or replace a file atomically."""
    with replacing(path) as stream:
        stream.write(content)


def write_directory(path: Path, files: Mapping[str, bytes], option: str = "--out-dir") -> None:
    """Write or replace a directory of files, given as {name: content}.

    The caller must make sure that no other process writes to or sweeps the parent directory at the same time. A rename
    cannot replace a directory that has files in it, so an existing one is moved aside first. If the process dies
    between the two renames, `sweep` moves the old directory back.
    """
    with writing(path, option):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh, replaced = _unfinished(path), path.with_name(_REPLACED + path.name)
        _restore_or_remove(replaced)
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
            _restore_or_remove(replaced)


def _unfinished(path: Path) -> Path:
    return path.with_name(f"{_UNFINISHED}{secrets.token_hex(4)}-{path.name}")


def leftovers(root: Path) -> list[Path]:
    """List what killed processes left below `root`, and what living ones are writing there."""
    below = [Path(folder, name) for folder, folders, files in os.walk(root) for name in (*folders, *files)]
    return sorted(path for path in below if path.name.startswith((_UNFINISHED, _REPLACED)))


def sweep(root: Path) -> None:
    """Clean up the leftovers below `root`. A file that another process is still writing is left alone."""
    with writing(root):
        for path in leftovers(root):
            if path.name.startswith(_REPLACED):
                _restore_or_remove(path)
            elif path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                with contextlib.suppress(Timeout), _file_lock(path, wait=False):
                    path.unlink(missing_ok=True)


@contextmanager
def lock(path: Path, wait: bool) -> Iterator[bool]:
    """Lock the file `path` and yield whether this process got the lock. With `wait` it always does, sooner or later.

    The kernel releases the lock when the process ends, even by kill -9, so a lock file left behind is harmless.
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
        # Removed while still locked: a process that is waiting for this file notices and creates a new one.
        with contextlib.suppress(OSError):
            path.unlink()
        held.release()


def _file_lock(path: Path, wait: bool = True) -> BaseFileLock:
    # A soft lock would outlive a killed process, so filelock must not fall back to one.
    return FileLock(path, timeout=-1 if wait else 0, fallback_to_soft=False)


def _restore_or_remove(replaced: Path) -> None:
    """Move a replaced directory back if nothing took its place, otherwise delete it."""
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
