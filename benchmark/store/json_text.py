"""Strict JSON, as the store reads and writes it."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from datasets.readers.json_lines import unique_keys

MAX_BYTES = 64 * 2**20
MAX_DEPTH = 16
LARGEST = 2**63


def parse_json(document: str | bytes) -> Any:
    """Parse a JSON document in UTF-8; raise ValueError, with a message of one line, if it is not valid.

    Stricter than the standard library: it also refuses repeated keys, numbers that fit neither a float nor a 64-bit
    integer, nesting deeper than MAX_DEPTH, lone surrogates, and control characters other than newline and tab.
    """
    if len(document) > MAX_BYTES:
        raise ValueError(f"{len(document)} bytes, {MAX_BYTES} are allowed")
    if isinstance(document, bytes):
        document = document.decode()
    try:
        value = json.loads(document, parse_constant=_refuse_constant, object_pairs_hook=unique_keys)
    except RecursionError:
        raise ValueError(f"nested deeper than {MAX_DEPTH} levels") from None
    _check(value, MAX_DEPTH)
    return value


def printable(text: str, kept: str = "") -> str:
    """Escape every character that cannot be printed, for example as \\x1b, except those in `kept`."""
    if text.isprintable():
        return text
    with suppress(UnicodeError):  # a UTF-8 file name that was decoded in the C locale
        text = text.encode("utf-8", "surrogateescape").decode("utf-8")
    return "".join(c if c.isprintable() or c in kept else c.encode("unicode_escape").decode() for c in text)


def plain(value: Any) -> Any:
    """Convert a value to JSON's types. NaN and infinity become None; characters that cannot be printed are escaped."""
    if isinstance(value, Mapping):
        return {printable(str(key)): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, str):
        return printable(value, kept="\n\t")
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(value: Any) -> str:
    """Serialise a value the way every JSON file of the store is written. Equal values give equal text."""
    return json.dumps(plain(value), sort_keys=True, indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def _check(value: Any, depth: int) -> None:
    if isinstance(value, str):
        if not value.isprintable() and printable(value, kept="\n\t") != value:
            raise ValueError(f"{value!r:.60} contains a character that cannot be shown")
    elif isinstance(value, dict | list):
        if not depth:
            raise ValueError(f"nested deeper than {MAX_DEPTH} levels")
        if isinstance(value, dict) and (key := next((key for key in value if not key.isprintable()), "")):
            raise ValueError(f"the key {key!r:.60} contains a character that cannot be shown")
        for entry in value.values() if isinstance(value, dict) else value:
            _check(entry, depth - 1)
    elif isinstance(value, int) and not -LARGEST <= value < LARGEST:
        raise ValueError("a whole number beyond 64 bits")
    elif isinstance(value, float) and not math.isfinite(value):
        raise ValueError("a number beyond the range of floats")


def _refuse_constant(constant: str) -> None:
    raise ValueError(f"{constant} is not a JSON number")
