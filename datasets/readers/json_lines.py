"""A reader of JSON lines: one object per line, of which three fields are used."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

from datasets.interactions import DataError, Interactions
from datasets.readers.columns import Clock, Row, assemble, unix_clock
from datasets.readers.sources import BYTE_ORDER_MARK, open_source

MAX_LINE = 16 << 20


@dataclass(frozen=True)
class FieldNames:
    """The fields that hold the ids (strings) and the time (a number or, with a `clock` of its own, a string)."""

    user: str
    item: str
    time: str
    clock: Clock = unix_clock


def read_json_lines(path: Path, fields: FieldNames, member: str | None = None) -> Interactions:
    """Read a plain or compressed file, or the `member` of an archive. DataError names the first bad line."""
    with open_source(path, member) as stream:
        rows = _rows(stream, fields, path)
        return assemble(rows, str(path), fields.clock, (fields.user, fields.item, fields.time))


def _rows(stream: IO[bytes], fields: FieldNames, path: Path) -> Iterator[Row]:
    for number, line in enumerate(iter(partial(stream.readline, MAX_LINE), b""), 1):
        try:
            if len(line) == MAX_LINE:
                raise ValueError(f"is longer than {MAX_LINE:,} bytes; check that the file holds JSON lines")
            text = line.removeprefix(BYTE_ORDER_MARK) if number == 1 else line
            if text.strip():
                record = _parse(text)
                user, item = (_value(record, key, str) for key in (fields.user, fields.item))
                time = _value(record, fields.time, (int, float) if fields.clock is unix_clock else str)
                yield number, user, item, time
        except ValueError as error:
            raise DataError(f"{path}: line {number}: {error}") from error


def _parse(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode(), object_pairs_hook=unique_keys)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text; convert the file to UTF-8") from None
    except DuplicateKey as error:
        raise ValueError(f"{error}; keep the right one") from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise ValueError("is not a JSON object; every line of the file must be one complete object")
    return record


class DuplicateKey(ValueError):
    """Raised if an object has a key twice, so that its value is ambiguous."""


def unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Build an object for the `object_pairs_hook` of `json.loads`. Raises DuplicateKey."""
    record = dict(pairs)
    if len(record) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise DuplicateKey(f"the key {key!r:.60} is given twice")
    return record


def _value(record: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> str:
    if key not in record:
        raise ValueError(f"has no field {key!r}; check that it is the publisher's file of reviews")
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = "string" if kind is str else "number"
        raise ValueError(f"{key} {value!r:.60} is not a {wanted}; check that it is the publisher's file of reviews")
    return str(value)
