"""Read JSON lines: one object per line, of which three fields matter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from datasets.interactions import DataError, Interactions
from datasets.readers.columns import Clock, Row, assemble, unix_clock
from datasets.readers.sources import BYTE_ORDER_MARK, open_source

MAX_LINE = 16 << 20


@dataclass(frozen=True)
class Fields:
    """Which fields of each line's object hold the ids (strings) and the time: a number, or with a `clock` a string."""

    user: str
    item: str
    time: str
    clock: Clock = unix_clock


def read_json_lines(path: Path, fields: Fields, member: str | None = None) -> Interactions:
    """Interactions of a plain or compressed file, or of an archive's `member`; DataError names the first bad line."""
    with open_source(path, member) as stream:
        rows = _rows(stream, fields, path)
        return assemble(rows, str(path), fields.clock, (fields.user, fields.item, fields.time))


def _rows(stream: IO[bytes], fields: Fields, path: Path) -> Iterator[Row]:
    number = 0
    while line := stream.readline(MAX_LINE):
        number += 1
        try:
            if len(line) == MAX_LINE:
                raise ValueError(f"is longer than {MAX_LINE:,} bytes; check that the file holds JSON lines")
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if line.strip():
                record = _parsed(line)
                user, item = (_value(record, key, str) for key in (fields.user, fields.item))
                time = _value(record, fields.time, (int, float) if fields.clock is unix_clock else str)
                yield number, user, item, time
        except ValueError as error:
            raise DataError(f"{path}: line {number}: {error}") from error


def _parsed(line: bytes) -> dict[str, Any]:
    try:
        record = json.loads(line.decode(), object_pairs_hook=without_repeats)
    except UnicodeDecodeError:
        raise ValueError("is not UTF-8 text; convert the file to UTF-8") from None
    except RepeatedKey as error:
        raise ValueError(f"{error}; keep the right one") from None
    except (ValueError, RecursionError):
        record = None
    if not isinstance(record, dict):
        raise ValueError("is not a JSON object; the file must hold one object per line, whole")
    return record


class RepeatedKey(ValueError):
    """A key stands twice in an object, so that it is unclear which value is meant."""


def without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """The object made of these pairs, for `json.loads`; raises RepeatedKey."""
    record = dict(pairs)
    if len(record) < len(pairs):
        [(key, _)] = Counter(key for key, _ in pairs).most_common(1)
        raise RepeatedKey(f"the key {key!r:.60} is given twice")
    return record


def _value(record: dict[str, Any], key: str, kind: type | tuple[type, ...]) -> str:
    if key not in record:
        raise ValueError(f"has no field {key!r}; check that it is the publisher's file of reviews")
    value = record[key]
    if isinstance(value, bool) or not isinstance(value, kind):
        wanted = "string" if kind is str else "number"
        raise ValueError(f"{key} {value!r:.60} is not a {wanted}; check that it is the publisher's file of reviews")
    return str(value)
