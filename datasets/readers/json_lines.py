"""Read JSON lines: large blocks by pattern; a block that does not look as usual is parsed line by line."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import IO, Any

import numpy as np

from datasets.interactions import DataError, Interactions
from datasets.readers.columns import BOM, MAX_ID_BYTES, Chunk, Clock, assemble, ids, unix_seconds
from datasets.readers.sources import open_source

CHUNK_BYTES = 16 << 20
MAX_LINE = 64 << 20

_TEXT = rb'"([^"\\\x00-\x1f]{1,%d})"' % MAX_ID_BYTES
_NUMBER = rb"(-?\d{1,20}(?:\.\d{1,10})?)(?=[ \t,}])"
_OBJECT = re.compile(rb'\{[ \t]*"')


@dataclass(frozen=True)
class Fields:
    """Which fields of each line's object hold the ids (strings) and the time (a string, or a number of seconds).

    The publisher writes them in this order; a file in another order is read all the same, only slower.
    """

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
            chunk = _regular_chunk(block, fields) or _parsed_chunk(block, first_line, path, fields)
            if chunk is not None:
                yield chunk
            first_line += block.count(b"\n")


def _blocks(stream: IO[bytes], path: Path) -> Iterator[bytes]:
    """Stretches of whole lines, each ending in a newline."""
    rest = stream.read(len(BOM)).removeprefix(BOM)
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


# --- the fast way: one pattern for a whole line ----------------------------------------------------------------------


def _regular_chunk(block: bytes, fields: Fields) -> Chunk | None:
    """The block's interactions if each line is one flat object with each field once, in the usual order, else None.

    No key and no nested object is found inside a string: the quotes of what looks like one are escaped there. What else
    is on a line is not looked at.
    """
    rows = _line_pattern(fields).findall(block)
    keys = [b"\n", *(b'"%s"' % key.encode() for key in (fields.user, fields.item, fields.time))]
    if any(block.count(key) != len(rows) for key in keys) or len(_OBJECT.findall(block)) != len(rows):
        return None
    try:
        block.decode()
        return _checked(rows, fields)
    except ValueError:
        return None


@cache
def _line_pattern(fields: Fields) -> re.Pattern[bytes]:
    """Of a whole line. Its groups are atomic, so that no line, however made, takes more than linear time."""
    time = _TEXT if fields.time_is_text else _NUMBER
    user, item, moment = (
        rb'"(?<!\\")%s"[ \t]*:[ \t]*%s' % (key.encode(), value)  # a quote that is escaped opens no key
        for key, value in ((fields.user, _TEXT), (fields.item, _TEXT), (fields.time, time))
    )
    line = rb"^\{(?>[^\n]*?%s)(?>[^\n]*?%s)(?>[^\n]*%s)[^\n]*\}$" % (user, item, moment)
    return re.compile(line, re.MULTILINE)


# --- the exact way: line by line -------------------------------------------------------------------------------------


def _parsed_chunk(block: bytes, first_line: int, path: Path, fields: Fields) -> Chunk | None:
    """The block's interactions, None if it has only blank lines; DataError points at the first bad line."""
    lines = [(number, line) for number, line in enumerate(block.split(b"\n"), first_line) if line.strip()]
    if not lines:
        return None
    try:
        return _checked([_parsed(line, fields) for _, line in lines], fields)
    except ValueError:
        for number, line in lines:
            try:
                _checked([_parsed(line, fields)], fields)
            except ValueError as error:
                raise DataError(f"{path}: line {number}: {error}") from error
        raise


def _parsed(line: bytes, fields: Fields) -> tuple[bytes, bytes, bytes]:
    try:
        record = json.loads(line.decode(), object_pairs_hook=_without_repeats)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text; convert the file to UTF-8") from None
    except _RepeatedKey as error:
        raise ValueError(f"has the key {error.args[0]!r:.60} twice; keep the right one") from None
    except (ValueError, RecursionError):
        raise ValueError("is not a JSON object; the file must hold one object per line, whole") from None
    if not isinstance(record, dict):
        raise ValueError("is not a JSON object; the file must hold one object per line")
    return (
        _value(record, fields.user, is_text=True),
        _value(record, fields.item, is_text=True),
        _value(record, fields.time, is_text=fields.time_is_text),
    )


class _RepeatedKey(ValueError):
    """An object that has a key twice, so that nobody can say which value is meant."""


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    record = dict(pairs)
    if len(record) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise _RepeatedKey(key)
    return record


def _value(record: dict[str, Any], key: str, is_text: bool) -> bytes:
    if key not in record:
        raise ValueError(f"has no field {key!r}; check that it is the publisher's file of reviews")
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, str if is_text else (int, float)):
        kind = "string" if is_text else "number"
        raise ValueError(f"{key} {value!r:.60} is not a {kind}; check that it is the publisher's file of reviews")
    try:
        text = str(value).encode()
    except UnicodeEncodeError:
        raise ValueError(f"{key} {value!r:.60} is not Unicode text; correct its escapes") from None
    if b"\0" in text:
        raise ValueError(f"{key} {value!r:.60} holds a NUL character; correct its escapes")
    if len(text) > MAX_ID_BYTES:
        raise ValueError(f"{key} is longer than {MAX_ID_BYTES} bytes; shorten it")
    return text


# --- both ways --------------------------------------------------------------------------------------------------------


def _checked(rows: list[tuple[bytes, bytes, bytes]], fields: Fields) -> Chunk:
    """The rows (user, item, time) as a chunk; ValueError if one is bad, naming it if it is the only one."""
    checks = ((fields.user, ids), (fields.item, ids), (fields.time, fields.clock))
    columns = []
    for (key, check), texts in zip(checks, zip(*rows, strict=True), strict=True):
        try:
            columns.append(check(np.array(texts)))
        except ValueError as error:
            raise ValueError(f"{key} {texts[0].decode()!r:.60} {error}") from None
    return Chunk(*columns)
