"""Read JSON lines: three fields per line by pattern in large chunks; a chunk that is not regular, line by line."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from datasets.columns import MAX_ID_BYTES, Chunk, Clock, assemble, ids, unix_seconds
from datasets.interactions import DataError, Interactions
from datasets.sources import open_source

CHUNK_BYTES = 16 << 20
MAX_LINE = 64 << 20

_BOM = b"\xef\xbb\xbf"
_TEXT = rb'"([^"\\\n]{1,%d})"' % MAX_ID_BYTES
_NUMBER = rb"(-?\d{1,20}(?:\.\d{1,10})?)(?=[\s,}])"
_NEWLINE, _OPENING, _CLOSING = b"\n{}"


@dataclass(frozen=True)
class Fields:
    """Which fields of each line's object hold the ids (strings) and the time (a string, or a number of seconds)."""

    user: str
    item: str
    time: str
    time_is_text: bool = False
    clock: Clock = unix_seconds


def read_json_lines(path: Path, fields: Fields, member: str | None = None) -> Interactions:
    """Interactions of a plain or gzip file, or of an archive's `member`; DataError names the first bad line."""
    return assemble(_chunks(path, fields, member), str(path))


def _chunks(path: Path, fields: Fields, member: str | None) -> Iterator[Chunk]:
    first_line = 1
    with open_source(path, member) as stream:
        for block in _blocks(stream, path):
            chunk = _regular_columns(block, fields) or _parsed_columns(block, first_line, path, fields)
            if chunk is not None:
                yield chunk
            first_line += block.count(b"\n")


def _blocks(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Stretches of whole lines, each ending in a newline."""
    rest = stream.read(len(_BOM)).removeprefix(_BOM)
    while data := stream.read(CHUNK_BYTES):
        whole, newline, tail = data.rpartition(b"\n")
        if newline:
            yield (rest + whole + newline).replace(b"\r\n", b"\n")
            rest = tail
        else:
            rest += tail
        if len(rest) > MAX_LINE:
            raise DataError(f"{path}: a line is longer than {MAX_LINE:,} bytes; check that the file holds JSON lines")
    if rest:
        yield rest + b"\n"


# --- the fast way: patterns ------------------------------------------------------------------------------------------


def _regular_columns(block: bytes, fields: Fields) -> Chunk | None:
    """The columns of a block in which each line is an object with each field exactly once, else None.

    No pattern can match inside a string: the quotes of what looks like a key are escaped there.
    """
    letters = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero(letters == _NEWLINE)
    starts = np.concatenate([[0], ends[:-1] + 1])
    if (letters[starts] != _OPENING).any() or (letters[ends - 1] != _CLOSING).any():
        return None
    time_pattern = _TEXT if fields.time_is_text else _NUMBER
    try:
        block.decode()
        users = _one_per_line(block, ends, fields.user, _TEXT)
        items = _one_per_line(block, ends, fields.item, _TEXT)
        times = _one_per_line(block, ends, fields.time, time_pattern)
        return Chunk(ids(users), ids(items), fields.clock(times))
    except ValueError:
        return None


def _one_per_line(block: bytes, ends: np.ndarray, key: str, value: bytes) -> np.ndarray:
    """The values (lines,) of a key, dtype "S"; ValueError if a line has none or several. `ends` (lines,): newlines."""
    matches = list(re.finditer(rb'"%s"\s*:\s*%s' % (key.encode(), value), block))
    lines = np.searchsorted(ends, [match.start() for match in matches])
    if not np.array_equal(lines, np.arange(len(ends))):
        raise ValueError(f"{key} is not on every line once")
    return np.array([match[1] for match in matches])


# --- the exact way: line by line -------------------------------------------------------------------------------------


def _parsed_columns(block: bytes, first_line: int, path: Path, fields: Fields) -> Chunk | None:
    """The columns of any block, None if it has only blank lines; DataError points at the first bad line."""
    rows = []
    for number, line in enumerate(block.split(b"\n"), first_line):
        if line.strip():
            try:
                rows.append(_parsed(line, fields))
            except ValueError as error:
                raise DataError(f"{path}: line {number}: {error}") from error
    if not rows:
        return None
    users, items, times = (np.array(column) for column in zip(*rows, strict=True))
    return Chunk(ids(users), ids(items), fields.clock(times))


def _parsed(line: bytes, fields: Fields) -> tuple[bytes, bytes, bytes]:
    try:
        record = json.loads(line)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text; convert the file to UTF-8") from None
    except (ValueError, RecursionError):
        raise ValueError("is not a JSON object; the file must hold one object per line, whole") from None
    if not isinstance(record, dict):
        raise ValueError("is not a JSON object; the file must hold one object per line")
    user = _field(record, fields.user, ids, is_text=True)
    item = _field(record, fields.item, ids, is_text=True)
    return user, item, _field(record, fields.time, fields.clock, is_text=fields.time_is_text)


def _field(record: dict[str, Any], key: str, check: Clock, is_text: bool) -> bytes:
    if key not in record:
        raise ValueError(f"has no field {key!r}; check that it is the publisher's file of reviews")
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, str if is_text else (int, float)):
        raise ValueError(f"{key} {value!r:.60} is not a {'string' if is_text else 'number'}")
    text = str(value).encode(errors="backslashreplace")
    try:
        check(np.array([text]))
    except ValueError as error:
        raise ValueError(f"{key} {value!r:.60} {error}") from None
    return text
