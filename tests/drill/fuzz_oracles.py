"""Slow and plain second readings of the formats, with nothing of the suite's readers in them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from functools import partial
from typing import Any

from datasets.interactions import Interactions

Row = tuple[str, str, Fraction]
"""User, item, Unix seconds."""

LATEST = 10_000_000_000
NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")
BOM = "\ufeff"


class Unreadable(Exception):
    """What no reader may accept; the message says why."""


class Undecided(Exception):
    """Where this reading has no opinion, such as on fields longer than the csv module takes."""


def rows_of(data: Interactions) -> list[Row]:
    """What the suite has read, in the terms of this module."""
    users, items = data.user_labels[data.user_ids].tolist(), data.item_labels[data.item_ids].tolist()
    seconds = [Fraction(ticks, data.ticks_per_second) for ticks in data.timestamps.tolist()]
    return list(zip(map(str, users), map(str, items), seconds, strict=True))


def inconsistent(data: Interactions) -> str:
    """What is wrong with the arrays themselves; nothing if they keep their promises."""
    for labels, ids in ((data.user_labels, data.user_ids), (data.item_labels, data.item_ids)):
        values = labels.tolist()
        if values != sorted(set(values)) or len({type(value) for value in values}) != 1:
            return "labels are not ascending, distinct and of one kind"
        if (
            str(ids.dtype) != "int32"
            or ids.min() < 0
            or ids.max() >= len(values)
            or len(set(ids.tolist())) != len(values)
        ):
            return "ids do not fit their labels"
        plain = all(re.fullmatch(r"0|-?[1-9][0-9]*", str(value)) and abs(int(value)) < 2**63 for value in values)
        if plain != isinstance(values[0], int):
            return "labels are integers where not all ids are, or texts where all are"
    if not len(data.user_ids) == len(data.item_ids) == len(data.timestamps) > 0:
        return "columns of different lengths"
    return ""


# --- moments ---------------------------------------------------------------------------------------------------------


def unix_time(text: str) -> Fraction:
    """A number in whatever unit, cut off after nine decimals."""
    text = text.strip()
    if not NUMBER.fullmatch(text) or len(text) > 32 or not 0 <= Decimal(text) < 2**63:
        raise Unreadable(f"time {text!r:.50}")
    if Decimal(text) < Decimal("1e-9"):
        return Fraction(0)
    return Fraction(math.floor(Fraction(text) * 10**9), 10**9)


def in_seconds(rows: list[Row]) -> list[Row]:
    """The rows with their times in seconds, the unit being that of the latest."""
    times = [time for _, _, time in rows]
    if any(time % 1 for time in times) and (max(times) + 1) * 10**9 > 2**63:
        raise Undecided("not all decimals are kept")
    units = {next(unit for unit in (1, 10**3, 10**6, 10**9) if time < LATEST * unit) for time in times}
    if len(units) > 1:
        raise Unreadable("times in different units")
    return [(user, item, time / units.copy().pop()) for user, item, time in rows]


def calendar_second(pattern: str) -> Callable[[str], Fraction]:
    """The reading of moments written as `pattern`, in the terms of strptime."""

    def read(text: str) -> Fraction:
        try:
            moment = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            raise Unreadable(f"time {text!r:.50}") from None
        second = int(moment.timestamp())
        if moment.strftime(pattern) != text or not 0 <= second < LATEST:
            raise Unreadable(f"time {text!r:.50}")
        return Fraction(second)

    return read


# --- delimited text --------------------------------------------------------------------------------------------------


def delimited(
    content: bytes,
    delimiter: str,
    places: tuple[int, int, int],
    fields: int,
    quoted: bool = False,
    second: Callable[[str], Fraction] = unix_time,
) -> list[Row]:
    """The rows of delimited text without a header; `places` of user, item and time among the `fields`."""
    lines = _records(_text(content), delimiter, quoted)
    return in_seconds([_row(line, places, fields, second) for line in lines])


def table(content: bytes, names: Mapping[str, Sequence[str]]) -> list[Row]:
    """The rows of a table with named columns, by whose names the delimiter is found, or of ratings without a header."""
    text = _text(content)
    header = re.split("[\r\n]", text, maxsplit=1)[0]
    for delimiter in (",", "\t", ";", "|"):
        first = next(csv.reader([header], delimiter=delimiter), [])
        if len(first) == 4 and re.fullmatch(r"[0-9]{1,3}(\.[0-9]+)?;[0-9]{9,19}(\.[0-9]+)?", ";".join(first[2:])):
            return _table_rows(text, delimiter, '"' in header, (0, 1, 3), 4, 0)
    for delimiter in (",", "\t", ";", "|"):
        roles = [_role(name, names) for name in next(csv.reader([header], delimiter=delimiter), [])]
        if sorted(role for role in roles if role) == sorted(names):
            places = roles.index("user"), roles.index("item"), roles.index("time")
            return _table_rows(text, delimiter, '"' in header, places, len(roles), 1)
    raise Unreadable("no such columns")


def _table_rows(
    text: str, delimiter: str, has_quotes: bool, places: tuple[int, int, int], fields: int, first: int
) -> list[Row]:
    if delimiter in "\t|" and not has_quotes:
        try:
            plain = _records(text, delimiter, False)[first:]
            return in_seconds([_row(line, places, fields, unix_time) for line in plain])
        except Unreadable:
            pass  # a line may break inside quotes
    lines = _records(text, delimiter, quoted=True)[first:]
    return in_seconds([_row(line, places, fields, unix_time) for line in lines])


def ranked(
    content: bytes, names: Mapping[str, Sequence[str]], users: Sequence[str], items: Sequence[str]
) -> list[list[str]]:
    """Each user's items, best first."""
    text = _text(content)
    for delimiter in (",", "\t", ";", "|"):
        lines = _records(text, delimiter, quoted=True)
        roles = [_role(name, names) for name in lines[0]] if lines else []
        if sorted(role for role in roles if role) == sorted(names):
            break
    else:
        raise Unreadable("no such columns")
    found: dict[str, dict[int, str]] = {user: {} for user in users}
    for line in lines[1:]:
        if len(line) != len(roles):
            raise Unreadable(f"{len(line)} fields")
        user, item, rank = (line[roles.index(name)].strip() for name in ("user", "item", "rank"))
        if user not in found or item not in items or not re.fullmatch("[0-9]{1,9}", rank) or int(rank) in found[user]:
            raise Unreadable(f"line {line}")
        found[user][int(rank)] = item
    lists = [[ranks[rank] for rank in sorted(ranks)] for ranks in found.values()]
    if any(sorted(ranks) != list(range(1, len(ranks) + 1)) for ranks in found.values()) or not any(lists):
        raise Unreadable("ranks with gaps, or none")
    if any(len(set(listed)) < len(listed) for listed in lists):
        raise Unreadable("an item twice")
    return lists


def _text(content: bytes) -> str:
    """What stands in columns that are not needed may be anything."""
    return content.decode("utf-8", "surrogateescape").removeprefix(BOM)


def _records(text: str, delimiter: str, quoted: bool) -> list[list[str]]:
    if not quoted:
        lines = re.split("\r\n|\r|\n", text)
        return [line.split(delimiter) for line in lines if line.strip() or delimiter in line]
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise Undecided(str(error)) from None
    return [record for record in records if record and not (len(record) == 1 and not record[0].strip())]


def _row(line: list[str], places: tuple[int, int, int], fields: int, second: Callable[[str], Fraction]) -> Row:
    if len(line) != fields:
        raise Unreadable(f"{len(line)} fields")
    user, item, moment = (line[place] for place in places)
    return _identity(user), _identity(item), second(moment)


def _identity(text: str) -> str:
    if not text.strip() or len(text.encode("utf-8", "replace")) > 127:
        raise Unreadable(f"id {text!r:.50}")
    if re.search(f"[\x00-\x1f\x7f{BOM}\ud800-\udfff]", text):
        raise Unreadable(f"id {text!r:.50}")
    return text.strip()


def _role(name: str, names: Mapping[str, Sequence[str]]) -> str | None:
    plain = re.sub("[_ -]", "", name.partition(":")[0].strip().lower())
    return next((role for role, accepted in names.items() if plain in accepted), None)


# --- JSON lines ------------------------------------------------------------------------------------------------------


def json_lines(content: bytes, keys: tuple[str, str, str], second: Callable[[str], Fraction] | None) -> list[Row]:
    """The rows of JSON lines; `second` reads a time that is text, without it times are numbers."""
    rows = []
    for line in _text(content).split("\n"):
        if line.strip():
            user, item, time = (_json_line(line, keys)[key] for key in keys)
            if not isinstance(user, str) or not isinstance(item, str) or isinstance(time, str) != (second is not None):
                raise Unreadable(f"values {user!r:.20}, {item!r:.20}, {time!r:.20}")
            rows.append((_identity(user), _identity(item), (second or unix_time)(str(time))))
    return in_seconds(rows)


def _json_line(line: str, keys: tuple[str, str, str]) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=partial(_once, keys=keys))
    except (ValueError, RecursionError):
        raise Unreadable("no JSON") from None
    if not isinstance(found, dict) or any(key not in found or isinstance(found[key], bool) for key in keys):
        raise Unreadable("no object with these keys")
    return found


def _once(pairs: list[tuple[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if any(names.count(key) > 1 for key in keys):
        raise Unreadable("a key twice")
    return dict(pairs)
