"""Files and directories that appear whole or not at all, and locks that die with their process."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

UNFINISHED = ".tmp-"
"""What the name of a file or directory begins with until it is whole."""
_REPLACED = ".old-"

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
    """Something could not be written or read back; the message is one line naming the path and the remedy."""


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
    """Raise StoreError unless the directory `path` is there or can be made and, if it is `written`, be written to."""
    place = next(place for place in (path.absolute(), *path.absolute().parents) if _is_there(place, path, option))
    with writing(place, option):
        if not place.is_dir():
            raise _refusal(errno.ENOTDIR)
        if written and not os.access(place, os.W_OK | os.X_OK):
            raise _refusal(errno.EROFS if os.statvfs(place).f_flag & os.ST_RDONLY else errno.EACCES)


def _is_there(place: Path, path: Path, option: str) -> bool:
    with writing(path, option):
        try:
            return bool(place.stat())
        except (FileNotFoundError, NotADirectoryError):
            return False


def _refusal(code: int) -> OSError:
    return OSError(code, os.strerror(code))


def write_file(path: Path, content: bytes) -> None:
    """Write or replace one file; a reader or a crash sees the old content or the new, nothing else."""
    with writing(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh, stream = _held_file(path)
        try:
            with stream:
                _write_through(stream, content)
                os.replace(fresh, path)
        finally:
            fresh.unlink(missing_ok=True)
        _sync_directory(path.parent)


def write_directory(path: Path, files: Mapping[str, bytes], option: str = "--out-dir") -> None:
    """Write or replace one directory of files; nobody else may write or `sweep` the directory around it meanwhile.

    A directory that is in the way is moved aside first, for no system renames onto a full one; if the process
    dies between the two renames, `sweep` puts it back. `option` is what the user named the place by.
    """
    with writing(path, option):
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh, replaced = unfinished(path), path.with_name(_REPLACED + path.name)
        _settle(replaced)
        try:
            fresh.mkdir()
            for name, content in files.items():
                with (fresh / name).open("xb") as stream:
                    _write_through(stream, content)
            _sync_directory(fresh)
            if path.exists():
                os.rename(path, replaced)
            os.rename(fresh, path)
            _sync_directory(path.parent)
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
            _settle(replaced)


def unfinished(path: Path) -> Path:
    """A new name beside `path`, for what is to become it."""
    return path.with_name(f"{UNFINISHED}{secrets.token_hex(4)}-{path.name}")


def leftovers(directory: Path) -> list[Path]:
    """What killed or working writers have lying directly in `directory`."""
    return sorted([*directory.glob(f"{UNFINISHED}*"), *directory.glob(f"{_REPLACED}*")])


def sweep(directory: Path) -> None:
    """Remove the leftovers in `directory`, or put them back in place; a file that a living process writes stays."""
    for left in leftovers(directory):
        if left.name.startswith(_REPLACED):
            _settle(left)
        elif left.is_dir() and not left.is_symlink():
            shutil.rmtree(left)
        else:
            _remove_unless_held(left)


def sweep_files(root: Path) -> None:
    """Remove the files that killed writers left anywhere below `root`; one that a living process writes stays."""
    with writing(root):
        for left in sorted(root.rglob(f"{UNFINISHED}*")):
            if left.is_file():
                _remove_unless_held(left)


@contextmanager
def lock(path: Path, wait: bool) -> Iterator[bool]:
    """Hold `path` as a lock, removed on leaving; yields whether it was had (always, with `wait`).

    The kernel drops the lock when the process dies, however it dies; the file that is left then holds nobody up.
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
        with contextlib.suppress(OSError):
            path.unlink()
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


def _held_file(path: Path) -> tuple[Path, BinaryIO]:
    """A new file beside `path`, locked until it is closed: so others can tell it from what a dead process left."""
    while True:
        fresh = unfinished(path)
        stream = fresh.open("xb")
        try:
            fcntl.flock(stream, fcntl.LOCK_EX)
            if _is_open_file(stream.fileno(), fresh):
                return fresh, stream
        except BaseException:
            stream.close()
            fresh.unlink(missing_ok=True)
            raise
        stream.close()  # it was swept before it was locked


def _remove_unless_held(path: Path) -> None:
    try:
        handle = os.open(path, os.O_RDWR)
    except FileNotFoundError:  # its writer has just moved it into place
        return
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        path.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(handle)


def _write_through(stream: BinaryIO, content: bytes) -> None:
    stream.write(content)
    stream.flush()
    os.fsync(stream.fileno())


def _sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
