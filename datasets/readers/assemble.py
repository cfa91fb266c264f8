"""From rows of text to Interactions, for every reader: what can be an id, and which line is at fault."""

from __future__ import annotations

import re
from array import array
from collections.abc import Callable, Iterator
from itertools import islice

import numpy as np

from datasets.interactions import DataError, Interactions
from datasets.readers.timestamps import Clock, Timestamps, unix_clock

MAX_ID_BYTES = 127
PLACEHOLDERS = frozenset({"null", "none", "nan", "nat", "na", "n/a", "#n/a", "<na>", "\\n", "undefined"})
"""Lower-case forms of what programs write for a missing value."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")

Row = tuple[int, str, str, str]
"""The number of the line on which it begins, user id, item id and timestamp, as they are written."""

ROWS_AT_ONCE = 500  # few enough to stay in the processor's cache


def assemble(
    rows: Iterator[Row],
    source: str,
    clock: Clock = unix_clock,
    names: tuple[str, str, str] = ("user id", "item id", "timestamp"),
) -> Interactions:
    """The interactions of all rows, in their order; `clock` reads the timestamps, `names` is what errors call values.

    Raises DataError, which names `source` and the line, at a value that cannot be used, or if there are no rows.
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
            raise _first_problem(batch, source, names, readers) from error
    if not users:
        raise DataError(f"{source}: has no interactions; give a file with a line for each")
    user_ids, user_labels, user_notes = users.labelled(user_numbers, names[0])
    item_ids, item_labels, item_notes = items.labelled(item_numbers, names[1])
    ticks, ticks_per_second, time_notes = timestamps.ticks(source)
    notes = (*user_notes, *item_notes, *time_notes)
    return Interactions(user_ids, item_ids, ticks, user_labels, item_labels, ticks_per_second, notes)


def _first_problem(
    batch: list[Row], source: str, names: tuple[str, ...], readers: tuple[Callable[[str], object], ...]
) -> Exception:
    for line, *texts in batch:
        for name, text, read in zip(names, texts, readers, strict=True):
            try:
                read(text)
            except ValueError as error:
                return DataError(f"{source}: line {line}: {name} {text!r:.60} {error}")
    raise AssertionError("no value of the batch is at fault")


# --- ids ------------------------------------------------------------------------------------------------------------


class Ids(dict[str, int]):
    """The number of each distinct text, in order of appearance: `ids[text]` gives a new text the next number.

    It raises ValueError with the reason if the text cannot be an id.
    """

    def __missing__(self, text: str) -> int:
        _check(text)
        self[text] = number = len(self)
        return number

    def labelled(self, numbers: array[int], name: str) -> tuple[np.ndarray, np.ndarray, list[str]]:
        """What `numbers` (n,) stand for: codes (n,) int32, the ascending labels that they index, and notes on odd ids.

        `name`: what notes call an id. Labels are int64 if all ids are plain integers, else objects of type str: "007"
        is not "7". Blanks around an id do not belong to it.
        """
        rows = np.bincount(np.asarray(numbers), minlength=len(self))  # how many rows each text is in
        texts = [text.strip() for text in self]
        integers = _integers(texts)
        values = np.array(texts, dtype=object) if integers is None else np.array(integers, dtype=np.int64)
        labels, codes = np.unique(values, return_inverse=True)
        return codes.astype(np.int32)[np.asarray(numbers)], labels, self._notes(texts, rows, name)

    def _notes(self, texts: list[str], rows: np.ndarray, name: str) -> list[str]:
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
        return notes


def _check(text: str) -> None:
    if len(text) <= MAX_ID_BYTES and text.isascii() and text.isalnum():  # as almost all are
        return
    try:
        size = len(text.encode())
    except UnicodeEncodeError:  # from a byte that could not be decoded, or half a character
        raise ValueError("is not UTF-8 text; correct it, or save the file as UTF-8") from None
    if not text.strip():
        raise ValueError("is empty; every interaction needs one")
    if size > MAX_ID_BYTES:
        raise ValueError(f"is longer than {MAX_ID_BYTES} bytes; shorten it")
    if _CONTROL.search(text):  # a quote that is never closed swallows the ends of lines
        raise ValueError("holds a control character; check the line's quotes and its delimiter")
    if "\ufeff" in text:
        raise ValueError("holds a byte-order mark; remove it, and check that the file is not several files in one")


def _integers(texts: list[str]) -> list[int] | None:
    """The texts as integers, None if one is not written exactly as its integer is or does not fit into int64."""
    if not all(map(_INTEGER.fullmatch, texts)):
        return None
    integers = [int(text) for text in texts]
    return integers if min(integers) >= -(2**63) and max(integers) < 2**63 else None
