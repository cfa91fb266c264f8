"""Ids as texts: which are refused, which are tidied up, and how distinct ones become label arrays."""

from __future__ import annotations

import re
from array import array

import numpy as np

MAX_ID_BYTES = 127
PLACEHOLDERS = frozenset({"null", "none", "nan", "nat", "na", "n/a", "#n/a", "<na>", "\\n", "undefined"})
"""Lower-case forms of what programs write for a missing value."""

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_INTEGER = re.compile(r"0|-?[1-9][0-9]{0,18}")


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
