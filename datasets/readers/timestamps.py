"""Timestamps as texts: numbers in seconds or a finer unit, and dates with times. Their order is kept."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import NamedTuple

import numpy as np

from datasets.interactions import LATEST_TIMESTAMP, DataError

MAX_LENGTH = 32

Clock = Callable[[Sequence[str]], Sequence[int | Decimal]]
"""Texts -> the numbers that they say, all int or all Decimal and not negative; ValueError says why one is none."""

_NUMBER = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?")


class _Unit(NamedTuple):
    name: str
    per_second: int
    end: int  # numbers from here on are in a finer unit


_UNITS = (
    _Unit("seconds", 1, LATEST_TIMESTAMP),
    _Unit("milliseconds", 10**3, LATEST_TIMESTAMP * 10**3),
    _Unit("microseconds", 10**6, LATEST_TIMESTAMP * 10**6),
    _Unit("nanoseconds", 10**9, 2**63),
)


def unix_clock(texts: Sequence[str]) -> Sequence[int | Decimal]:
    """The Clock for numbers such as "978300760", "978300760.25" or "9.7830076e8"."""
    together = "".join(texts)
    if together.isascii() and together.isdecimal() and max(map(len, texts)) < len(str(2**63)):
        return list(map(int, texts))
    return [_number(text.strip()) for text in texts]


def _number(text: str) -> Decimal:
    if len(text) > MAX_LENGTH:
        raise ValueError(f"is longer than {MAX_LENGTH} characters; give Unix seconds")
    if not _NUMBER.fullmatch(text):
        raise ValueError("is not a number; give Unix seconds")
    value = Decimal(text)
    if value < 0:
        raise ValueError("is negative; give Unix seconds")
    if value >= _UNITS[-1].end:
        raise ValueError("is too large for a timestamp; give Unix seconds")
    return value


def utc_clock(pattern: str) -> Clock:
    """The Clock for dates and times in UTC, written as `pattern` with 0 for a digit: "0000-00-00 00:00:00"."""
    wanted = np.array([pattern]).view(np.uint32)
    length = len("0000-00-00T00:00:00")

    def clock(texts: Sequence[str]) -> list[int]:
        letters = np.array(texts, dtype=f"U{len(pattern)}").view(np.uint32).reshape(len(texts), -1)
        shapes = np.where((letters >= ord("0")) & (letters <= ord("9")), ord("0"), letters)
        if set(map(len, texts)) != {len(pattern)} or (shapes != wanted).any():
            raise ValueError(f"is not a date and time; write it as {pattern}")
        try:
            seconds = np.array(texts, dtype=f"U{length}").astype("datetime64[s]").astype(np.int64)
        except ValueError:
            raise ValueError("is not in the calendar; correct it") from None
        if seconds.min() < 0 or seconds.max() >= LATEST_TIMESTAMP:
            raise ValueError("is not between 1970 and 2286; correct it")
        return seconds.tolist()

    return clock


class Timestamps:
    """Collects what a Clock returns, with nine decimals."""

    def __init__(self) -> None:
        self._wholes = array("q")
        self._rows, self._billionths = array("q"), array("q")  # of the values that are not whole

    def extend(self, values: Sequence[int | Decimal]) -> None:
        """Add the values of the next rows."""
        first = len(self._wholes)
        self._wholes.extend(array("q", map(int, values)))
        for row, value in enumerate(values, first):
            if isinstance(value, int):  # then they all are
                break
            if fraction := value % 1:
                self._rows.append(row)
                self._billionths.append(int(fraction * 10**9))

    def ticks(self, source: str) -> tuple[np.ndarray, int, list[str]]:
        """The timestamps (n,) int64, how many of them make a second, and a note unless they are whole seconds.

        The file's unit is recognised by the magnitude of its latest timestamp. DataError, naming `source`, if not all
        timestamps can be in that unit.
        """
        values, billionths = np.array(self._wholes), np.zeros(len(self._wholes), dtype=np.int64)
        billionths[np.array(self._rows)] = self._billionths
        earliest, latest = int(values.argmin()), int(values.argmax())
        unit = _unit_of(values[latest])
        other = _unit_of(values[earliest])
        if other is not unit:
            raise DataError(
                f"{source}: data row {earliest + 1}: timestamp {values[earliest]} looks like {other.name}, but "
                f"{values[latest]} in data row {latest + 1} like {unit.name}; give all of them in one unit"
            )
        decimals = next(d for d in (0, 3, 6, 9) if not (billionths % 10 ** (9 - d)).any())
        while (int(values[latest]) + 1) * 10**decimals > 2**63:  # more decimals would not fit into int64
            decimals -= 3
        ticks = values * 10**decimals + billionths // 10 ** (9 - decimals)
        return ticks, unit.per_second * 10**decimals, _notes(unit, int(values[latest]), decimals)


def _unit_of(value: int) -> _Unit:
    return next(unit for unit in _UNITS if value < unit.end)


def _notes(unit: _Unit, latest: int, decimals: int) -> list[str]:
    kept = f" with {decimals} decimals" if decimals else ""
    if unit.per_second > 1:
        return [f"timestamps are read as {unit.name}{kept}: as seconds, {latest} would lie beyond the year 2286"]
    return [f"timestamps are read as seconds{kept}, so that their order within a second is kept"] if decimals else []
