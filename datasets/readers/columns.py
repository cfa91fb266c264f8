"""Turns rows of text into Interactions for all readers: checks ids and timestamps and names the line of an error."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from decimal import Decimal
from itertools import islice
from typing import NamedTuple

import numpy as np

from datasets.interactions import LATEST_TIMESTAMP, DataError, Interactions

MAX_ID_BYTES = 127
PLACEHOLDERS = frozenset({"null", "none", "nan", "nat", "na", "n/a", "#n/a", "<na>", "\\n", "undefined"})
"""What programs write for a missing value, in lower case."""

MAX_TIMESTAMP_LENGTH = 32

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")
_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")

Row = tuple[int, str, str, str]
"""The number of the line where the row begins, user id, item id and timestamp, as written in the file."""

ROWS_AT_ONCE = 500  # few enough to stay in the processor's cache

Clock = Callable[[Sequence[str]], Sequence[int | Decimal]]
"""Parses timestamps into non-negative numbers, all int or all Decimal. Raises ValueError with the reason."""


class _Unit(NamedTuple):
    name: str
    per_second: int
    end: int  # larger numbers must be in a finer unit


_UNITS = (
    _Unit("seconds", 1, LATEST_TIMESTAMP),
    _Unit("milliseconds", 10**3, LATEST_TIMESTAMP * 10**3),
    _Unit("microseconds", 10**6, LATEST_TIMESTAMP * 10**6),
    _Unit("nanoseconds", 10**9, 2**63),
)


def unix_clock(texts: Sequence[str]) -> Sequence[int | Decimal]:
    """Parse numbers such as "978300760", "978300760.25" or "9.7830076e8"."""
    together = "".join(texts)
    if together.isascii() and together.isdecimal() and max(map(len, texts)) < len(str(2**63)):
        return list(map(int, texts))
    return [_number(text.strip()) for text in texts]


def _number(text: str) -> Decimal:
    if len(text) > MAX_TIMESTAMP_LENGTH:
        raise ValueError(f"is longer than {MAX_TIMESTAMP_LENGTH} characters; give Unix seconds")
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a number; give Unix seconds")
    value = Decimal(text)
    if value < 0:
        raise ValueError("is negative; give Unix seconds")
    if value >= _UNITS[-1].end:
        raise ValueError("is too large for a timestamp; give Unix seconds")
    return value


def utc_clock(pattern: str) -> Clock:
    """Return a Clock for UTC dates and times in the format of `pattern`, with 0 for digits: "0000-00-00 00:00:00"."""
    written = re.compile(f"({pattern.replace('0', '[0-9]')})+")
    length = len("0000-00-00T00:00:00")

    def clock(texts: Sequence[str]) -> list[int]:
        together = "".join(texts)
        if set(map(len, texts)) != {len(pattern)} or not written.fullmatch(together):
            raise ValueError(f"is not a date and time; write it as {pattern}")
        letters = np.frombuffer(together.encode(), dtype=np.uint8).reshape(len(texts), -1)  # (n, len(pattern))
        dates = np.ascontiguousarray(letters[:, :length]).view(f"S{length}").ravel()  # (n,)
        try:
            seconds = dates.astype("datetime64[s]").astype(np.int64)
        except ValueError:
            raise ValueError("is not in the calendar; correct it") from None
        if seconds.min() < 0 or seconds.max() >= LATEST_TIMESTAMP:
            raise ValueError("is not between 1970 and 2286; correct it")
        return seconds.tolist()

    return clock


def assemble(
    rows: Iterator[Row],
    source: str,
    clock: Clock = unix_clock,
    names: tuple[str, str, str] = ("user id", "item id", "timestamp"),
) -> Interactions:
    """Build Interactions from rows in their order. `clock` parses timestamps; errors and notes use the `names`.

    Raises DataError, which names `source` and the line, if a value cannot be used or there are no rows.
    """
    users, items, timestamps = Ids(), Ids(), Timestamps()
    user_numbers, item_numbers = array("i"), array("i")
    while batch := list(islice(rows, ROWS_AT_ONCE)):
        _, written_users, written_items, times = zip(*batch, strict=True)
        try:
            user_numbers.extend(map(users.__getitem__, written_users))
            item_numbers.extend(map(items.__getitem__, written_items))
            timestamps.extend(clock(times))
        except ValueError as error:
            readers = (users.__getitem__, items.__getitem__, lambda text: clock([text]))
            raise _first_error(batch, source, names, readers) from error
    if not users:
        raise DataError(f"{source}: has no interactions; give a file with a line for each")
    user_ids, user_labels, user_notes = users.to_labels(user_numbers, names[0])
    item_ids, item_labels, item_notes = items.to_labels(item_numbers, names[1])
    ticks, ticks_per_second, time_notes = timestamps.ticks(source)
    notes = (*user_notes, *item_notes, *time_notes)
    return Interactions(user_ids, item_ids, ticks, user_labels, item_labels, ticks_per_second, notes)


def _first_error(
    batch: list[Row], source: str, names: tuple[str, ...], readers: tuple[Callable[[str], object], ...]
) -> Exception:
    for line, *texts in batch:
        for name, text, read in zip(names, texts, readers, strict=True):
            try:
                read(text)
            except ValueError as error:
                return DataError(f"{source}: line {line}: {name} {text!r:.60} {error}")
    raise AssertionError("no value of the batch is at fault")


class Ids(dict[str, int]):
    """Numbers the distinct texts in order of appearance: `ids[text]` gives a new text the next number.

    A text that cannot be an id raises ValueError with the reason.
    """

    def __missing__(self, text: str) -> int:
        _check_id(text)
        self[text] = number = len(self)
        return number

    def to_labels(self, numbers: array[int], name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """Convert `numbers` (n,) to indices (n,) int32 into ascending labels, and return notes on unusual ids.

        Labels are int64 if all ids are plain integers, otherwise str objects, so that "007" is not "7". Blanks around
        ids are removed. Notes call an id by `name`.
        """
        rows = np.bincount(np.asarray(numbers), minlength=len(self))  # number of rows with each text
        texts = [text.strip() for text in self]
        values = np.array(texts, dtype=object)
        if all(map(_INTEGER.fullmatch, texts)):
            with suppress(OverflowError):  # if one does not fit into int64, all remain texts
                values = values.astype(np.int64)
        labels, codes = np.unique(values, return_inverse=True)

        notes, all_rows = [], f"of {rows.sum():,} rows"
        if stripped := sum(rows[[text != written for text, written in zip(texts, self, strict=True)]]):
            notes.append(f"blanks around the {name} were removed in {stripped:,} {all_rows}")
        is_placeholder = np.array([text.lower() in PLACEHOLDERS for text in texts])
        if is_placeholder.any():
            example = texts[int(is_placeholder.argmax())]
            notes.append(
                f"the {name} is {example!r} or a similar word for a missing value in {rows[is_placeholder].sum():,} "
                f"{all_rows}; it is kept as an id like any other"
            )
        return codes.astype(np.int32)[np.asarray(numbers)], labels, notes


def _check_id(text: str) -> None:
    if len(text) <= MAX_ID_BYTES and text.isascii() and text.isalnum():  # the usual case, and fast
        return
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # a lone surrogate, from a byte that could not be decoded
        raise ValueError("is not UTF-8 text; correct it, or save the file as UTF-8") from None
    if not text.strip():
        raise ValueError("is empty; every interaction needs one")
    if size > MAX_ID_BYTES:
        raise ValueError(f"is longer than {MAX_ID_BYTES} bytes; shorten it")
    if _CONTROL.search(text):  # such as a line break after an unclosed quote
        raise ValueError("holds a control character; check the line's quotes and its delimiter")
    if "\ufeff" in text:
        raise ValueError("holds a byte-order mark; remove it, and check that the file is not several files in one")


class Timestamps:
    """Collects the numbers that a Clock returns, with nine decimals."""

    def __init__(self) -> None:
        self._wholes, self._billionths = array("q"), array("i")

    def extend(self, values: Sequence[int | Decimal]) -> None:
        self._wholes.extend(map(int, values))
        if isinstance(values[0], int):  # then all of them are
            self._billionths.frombytes(bytes(self._billionths.itemsize * len(values)))
        else:
            self._billionths.extend(int(value % 1 * 10**9) for value in values)

    def ticks(self, source: str) -> tuple[np.ndarray, int, list[str]]:
        """Return the timestamps in ticks (n,) int64, the ticks per second, and a note unless a tick is a second.

        The magnitude of the latest timestamp determines the unit. Raises DataError, which names `source`, if some
        timestamp cannot be in that unit.
        """
        values, billionths = np.array(self._wholes), np.array(self._billionths, dtype=np.int64)
        earliest, latest = int(values.argmin()), int(values.argmax())
        other, unit = (next(each for each in _UNITS if values[row] < each.end) for row in (earliest, latest))
        if other is not unit:
            raise DataError(
                f"{source}: data row {earliest + 1}: timestamp {values[earliest]} looks like {other.name}, but "
                f"{values[latest]} in data row {latest + 1} like {unit.name}; give all of them in one unit"
            )
        decimals = next(d for d in (0, 3, 6, 9) if not (billionths % 10 ** (9 - d)).any())
        while (int(values[latest]) + 1) * 10**decimals > 2**63:  # keep only as many decimals as fit into int64
            decimals -= 3
        ticks = values * 10**decimals + billionths // 10 ** (9 - decimals)

        kept, notes = f" with {decimals} decimals" if decimals else "", []
        if unit.per_second > 1:
            why = f"as seconds, {values[latest]} would lie beyond the year 2286"
            notes.append(f"timestamps are read as {unit.name}{kept}: {why}")
        elif decimals:
            notes.append(f"timestamps are read as seconds{kept}, so that their order within a second is kept")
        return ticks, unit.per_second * 10**decimals, notes
