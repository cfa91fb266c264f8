"""Slow and plain second readings of the formats, with nothing of the suite's readers in them."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from functools import partial
from typing import Any

from datasets.interactions import Interactions

Row = tuple[str, str, int]
"""User, item, Unix second."""

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
    return list(zip(map(str, users), map(str, items), data.timestamps.tolist(), strict=True))


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


def unix_second(text: str) -> int:
    """A number of seconds, its fraction cut off."""
    text = text.strip(" \t\n\r\x0b\x0c")
    if not NUMBER.fullmatch(text) or len(text) > 32:
        raise Unreadable(f"time {text!r:.50}")
    value = int(text) if re.fullmatch(r"[+-]?[0-9]+", text) else float(text)
    if math.isinf(value) or not 0 <= math.floor(value) < LATEST:
        raise Unreadable(f"time {text!r:.50}")
    return math.floor(value)


def calendar_second(pattern: str) -> Callable[[str], int]:
    """The reading of moments written as `pattern`, in the terms of strptime."""

    def read(text: str) -> int:
        try:
            moment = datetime.strptime(text, pattern).replace(tzinfo=UTC)
        except ValueError:
            raise Unreadable(f"time {text!r:.50}") from None
        second = int(moment.timestamp())
        if moment.strftime(pattern) != text or not 0 <= second < LATEST:
            raise Unreadable(f"time {text!r:.50}")
        return second

    return read


# --- delimited text --------------------------------------------------------------------------------------------------


def delimited(
    content: bytes,
    delimiter: str,
    places: tuple[int, int, int],
    fields: int,
    quoted: bool = False,
    second: Callable[[str], int] = unix_second,
) -> list[Row]:
    """The rows of delimited text without a header; `places` of user, item and time among the `fields`."""
    lines = _records(_text(content), delimiter, quoted)
    return [_row(line, places, fields, second) for line in lines]


def table(content: bytes, names: Mapping[str, Sequence[str]]) -> list[Row]:
    """The rows of a table with named columns, by whose names the delimiter is found."""
    text = _text(content)
    for delimiter in (",", "\t"):
        header = re.split("[\r\n]", text, maxsplit=1)[0]
        quoted = delimiter == "," or '"' in header
        lines = _records(text, delimiter, quoted)
        roles = [_role(name, names) for name in next(csv.reader([header], delimiter=delimiter), [])]
        if sorted(role for role in roles if role) == sorted(names):
            places = roles.index("user"), roles.index("item"), roles.index("time")
            return [_row(line, places, len(roles), unix_second) for line in lines[1:]]
    raise Unreadable("no such columns")


def ranked(
    content: bytes, names: Mapping[str, Sequence[str]], users: Sequence[str], items: Sequence[str]
) -> list[list[str]]:
    """Each user's items, best first."""
    text = _text(content)
    for delimiter in (",", ";", "\t"):
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
        user, item, rank = (line[roles.index(name)] for name in ("user", "item", "rank"))
        if user not in found or item not in items or not re.fullmatch("[0-9]{1,9}", rank) or int(rank) in found[user]:
            raise Unreadable(f"line {line}")
        found[user][int(rank)] = item
    lists = [[ranks[rank] for rank in sorted(ranks)] for ranks in found.values()]
    if any(sorted(ranks) != list(range(1, len(ranks) + 1)) for ranks in found.values()) or not any(lists):
        raise Unreadable("ranks with gaps, or none")
    if any(len(set(listed)) < len(listed) for listed in lists):
        raise Unreadable("an item twice")
    return lists


def _text(content: bytes, nul: bool = False) -> str:
    try:
        text = content.decode("utf-8").lstrip(BOM)
    except UnicodeDecodeError:
        raise Unreadable("no UTF-8") from None
    if "\0" in text and not nul:
        raise Unreadable("NUL")
    return text


def _records(text: str, delimiter: str, quoted: bool) -> list[list[str]]:
    if not quoted:
        lines = re.split("\r\n|\r|\n", text)
        return [line.split(delimiter) for line in lines if line.strip(" \t" if delimiter != "\t" else " ")]
    try:
        records = list(csv.reader(io.StringIO(text, newline=""), delimiter=delimiter))
    except csv.Error as error:
        raise Undecided(str(error)) from None
    return [record for record in records if record and not (len(record) == 1 and not record[0].strip())]


def _row(line: list[str], places: tuple[int, int, int], fields: int, second: Callable[[str], int]) -> Row:
    if len(line) != fields:
        raise Unreadable(f"{len(line)} fields")
    user, item, moment = (line[place] for place in places)
    return _identity(user), _identity(item), second(moment)


def _identity(text: str) -> str:
    if not 0 < len(text.encode()) <= 127 or re.search(f"[\x00-\x1f\x7f{BOM}]", text):
        raise Unreadable(f"id {text!r:.50}")
    return text


def _role(name: str, names: Mapping[str, Sequence[str]]) -> str | None:
    plain = re.sub("[_ -]", "", name.partition(":")[0].strip().lower())
    return next((role for role, accepted in names.items() if plain in accepted), None)


# --- JSON lines ------------------------------------------------------------------------------------------------------


def json_lines(content: bytes, keys: tuple[str, str, str], second: Callable[[str], int] | None) -> list[Row]:
    """The rows of JSON lines; `second` reads a time that is text, without it times are numbers."""
    rows = []
    for line in _text(content, nul=True).split("\n"):
        if line.strip():
            user, item, time = (_json_line(line, keys)[key] for key in keys)
            if not isinstance(user, str) or not isinstance(item, str) or isinstance(time, str) != (second is not None):
                raise Unreadable(f"values {user!r:.20}, {item!r:.20}, {time!r:.20}")
            rows.append((_identity(user), _identity(item), (second or unix_second)(str(time))))
    return rows


def _json_line(line: str, keys: tuple[str, str, str]) -> dict[str, Any]:
    try:
        found = json.loads(line, object_pairs_hook=partial(_once, keys=keys))
    except (ValueError, RecursionError):
        return {key: _only(line, key) for key in keys}  # what else is on a line is not looked at
    if not isinstance(found, dict) or any(key not in found or isinstance(found[key], bool) for key in keys):
        raise Unreadable("no object with these keys")
    return found


def _once(pairs: list[tuple[str, Any]], keys: tuple[str, ...]) -> dict[str, Any]:
    names = [name for name, _ in pairs]
    if any(names.count(key) > 1 for key in keys):
        raise Unreadable("a key twice")
    return dict(pairs)


def _only(line: str, key: str) -> str | float:
    values = re.findall(rf'"{key}"[ \t]*:[ \t]*(?:"([^"\\]*)"|(-?[0-9]+(?:\.[0-9]+)?)(?=[ \t,}}]))', line)
    if len(values) != 1 or line.count(f'"{key}"') != 1:
        raise Unreadable(f"{key} not once")
    text, number = values[0]
    return text if not number else float(number) if "." in number else int(number)
