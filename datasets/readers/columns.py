"""From columns of text to Interactions: what is an id, what is a moment; shared by every reader.

Columns are numpy arrays of fixed-width bytes (dtype "S"): parsed and compared without a Python object per value.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd

from datasets.interactions import LATEST_TIMESTAMP, DataError, Interactions

MAX_ID_BYTES = 127
MAX_TIME_BYTES = 32

BOM = b"\xef\xbb\xbf"
"""The byte-order mark of UTF-8, with which some programs begin a file."""

Clock = Callable[[np.ndarray], np.ndarray]
"""Texts (n,) of dtype "S" -> Unix seconds (n,) int64; ValueError with the reason if one is no moment."""


class Chunk(NamedTuple):
    """Consecutive interactions: `users`, `items` (n,) dtype "S", original ids; `seconds` (n,) int64, Unix time."""

    users: np.ndarray
    items: np.ndarray
    seconds: np.ndarray


def visible(text: object) -> str:
    """The text on one line, with escapes for what cannot be shown; of a long one the beginning."""
    return repr(str(text))[1:-1][:200]


def assemble(chunks: Iterable[Chunk], source: str) -> Interactions:
    """Join chunks in order; `source` names the file in errors. DataError if there is nothing in them.

    A column whose ids are all plain integers gets int64 labels, any other str labels: "007" is not "7".
    """
    parts = list(chunks)
    if not parts:
        raise DataError(f"{source}: no interactions; the file has no data rows, give one that has")
    users = _labels(np.concatenate([part.users for part in parts]))
    items = _labels(np.concatenate([part.items for part in parts]))
    return Interactions.from_columns(users, items, np.concatenate([part.seconds for part in parts]), source)


def ids(texts: np.ndarray) -> np.ndarray:
    """The ids (n,), dtype "S", in as few bytes as they need; ValueError with the reason if one is unusable."""
    lengths = np.strings.str_len(texts)
    if lengths.min() == 0:
        raise ValueError("is empty; every interaction needs one")
    if lengths.max() > MAX_ID_BYTES:
        raise ValueError(f"is longer than {MAX_ID_BYTES} bytes; shorten it")
    shortened = texts.astype(f"S{lengths.max()}")
    _refuse_invisible(shortened, lengths)
    return shortened


def _refuse_invisible(texts: np.ndarray, lengths: np.ndarray) -> None:
    """ValueError at a control character, as a quote that is never closed swallows them, or at a byte-order mark."""
    letters = texts.view(np.uint8)
    if np.count_nonzero(letters < ord(" ")) > letters.size - lengths.sum() or (letters == 0x7F).any():
        raise ValueError("holds a control character; check the line's quotes and its delimiter")
    if (letters == 0xEF).any() and (np.strings.find(texts, BOM) >= 0).any():
        raise ValueError("holds a byte-order mark; remove it, and check that the file is not several in one")


def unix_seconds(texts: np.ndarray) -> np.ndarray:
    """Numbers such as b"978300760" or b"978300760.0"; fractions of a second are cut off. See Clock."""
    if np.strings.str_len(texts).max() > MAX_TIME_BYTES:
        raise ValueError(f"is longer than {MAX_TIME_BYTES} bytes; give Unix seconds")
    if (np.strings.find(texts, b"_") >= 0).any():  # which Python takes for a part of a number
        raise ValueError("is not a number; give Unix seconds")
    try:
        seconds = texts.astype(np.int64)
    except (ValueError, OverflowError):
        seconds = _floored(texts)
    if seconds.min() < 0:
        raise ValueError("is negative; give Unix seconds")
    if seconds.max() >= LATEST_TIMESTAMP:
        raise ValueError("is not in Unix seconds (milliseconds?); divide it down to seconds")
    return seconds


def _floored(texts: np.ndarray) -> np.ndarray:
    try:
        values = texts.astype(np.float64)
    except ValueError:
        raise ValueError("is not a number; give Unix seconds") from None
    if np.isnan(values).any():
        raise ValueError("is not a number; give Unix seconds")
    return np.floor(values.clip(-1, LATEST_TIMESTAMP)).astype(np.int64)


def utc_seconds(pattern: str) -> Clock:
    """The clock for moments in UTC written as `pattern`, 0 standing for a digit: "0000-00-00 00:00:00"."""
    wanted = np.frombuffer(pattern.encode(), dtype=np.uint8)
    n_letters = len("0000-00-00T00:00:00")

    def clock(texts: np.ndarray) -> np.ndarray:
        padded = texts.astype(f"S{max(len(wanted) + 1, texts.dtype.itemsize)}")
        letters = padded.view(np.uint8).reshape(len(texts), -1)
        digits = (letters >= ord("0")) & (letters <= ord("9"))
        shapes = np.where(digits, ord("0"), letters)
        if (shapes[:, : len(wanted)] != wanted).any() or shapes[:, len(wanted) :].any():
            raise ValueError(f"is not a moment; write it as {pattern}")
        try:
            seconds = padded.astype(f"S{n_letters}").astype("datetime64[s]").astype(np.int64)
        except ValueError:
            raise ValueError("is not a moment of the calendar; correct it") from None
        if seconds.min() < 0 or seconds.max() >= LATEST_TIMESTAMP:
            raise ValueError("is not a moment between 1970 and 2286; correct it")
        return seconds

    return clock


def _labels(texts: np.ndarray) -> np.ndarray:
    integers = _plain_integers(texts)
    if integers is not None:
        return integers
    codes, distinct = pd.factorize(texts.astype(object))
    return np.array([label.decode() for label in distinct], dtype=object)[codes]


def _plain_integers(texts: np.ndarray) -> np.ndarray | None:
    """The texts as int64, or None if one is not just how its integer is written: "007", "+7", "7.0", "x"."""
    try:
        integers = texts.astype(np.int64)
    except (ValueError, OverflowError):
        return None
    return integers if np.array_equal(integers.astype(texts.dtype), texts) else None
