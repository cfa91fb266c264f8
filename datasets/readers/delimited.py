"""Read delimited text: CSV, TSV, MovieLens's `::`."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO

from datasets.interactions import DataError, Interactions
from datasets.readers.assemble import Row, assemble
from datasets.readers.sources import open_source
from datasets.readers.timestamps import Clock, unix_clock

MAX_LINE = 1 << 20

_SEPARATOR = "\x1f"  # stands for a delimiter of several characters, which the csv module does not take
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars", " ": "blanks"}


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: `user`, `item`, `time` are places (from 0) among the `fields` of a line. A list of
    recommendations has a rank in place of the time.

    `delimiter` may be a character repeated, as in `::`. `quoted`: fields may stand in double quotes.
    `header`: the first line names the fields.
    """

    user: int
    item: int
    time: int
    fields: int
    delimiter: str
    header: bool = False
    quoted: bool = False
    clock: Clock = unix_clock

    def describe(self) -> str:
        """The fields in words, for errors."""
        return f"{self.fields} fields separated by {_NAMES.get(self.delimiter, repr(self.delimiter))}"


def read_delimited(path: Path, layout: Layout, member: str | None = None) -> Interactions:
    """Interactions of a plain or compressed file, or of an archive's `member`; DataError names the first bad line."""
    with open_source(path, member) as stream:
        return assemble(rows(stream, layout, path), str(path), layout.clock)


def visible(text: object) -> str:
    """The text on one line, with escapes for what cannot be shown; of a long one the beginning."""
    return repr(str(text))[1:-1][:200]


def rows(stream: IO[bytes], layout: Layout, path: Path) -> Iterator[Row]:
    """Line number (from 1), user, item and time of each row, as text. Raises DataError at the first bad line."""
    reader = csv.reader(
        _lines(stream, layout),
        delimiter=layout.delimiter if len(layout.delimiter) == 1 else _SEPARATOR,
        quoting=csv.QUOTE_MINIMAL if layout.quoted else csv.QUOTE_NONE,
        strict=True,
    )
    user, item, time, n = layout.user, layout.item, layout.time, layout.fields
    line = 1
    try:
        for fields in reader:
            if len(fields) == n and not (layout.header and line == 1):
                yield line, fields[user], fields[item], fields[time]
            elif len(fields) != n and (len(fields) > 1 or "".join(fields).strip()):  # else the line is blank
                raise ValueError(
                    f"has {len(fields)} instead of {layout.describe()}; check the format and the delimiter"
                )
            line = reader.line_num + 1
    except csv.Error as error:
        raise DataError(f"{path}: line {line}: {visible(error)}; check its quotes and that it is plain text") from error
    except ValueError as error:
        raise DataError(f"{path}: line {line}: {error}") from error


def _lines(stream: IO[bytes], layout: Layout) -> Iterator[str]:
    """The lines of the text, longer ones in pieces; a byte that is not UTF-8 becomes a lone surrogate."""
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    lines = iter(partial(text.readline, MAX_LINE), "")
    return lines if len(layout.delimiter) == 1 else _separated(lines, layout)


def _separated(lines: Iterator[str], layout: Layout) -> Iterator[str]:
    for line in lines:
        separated = line.replace(layout.delimiter, _SEPARATOR)
        if layout.delimiter[0] in separated:
            raise ValueError(f"has a stray {layout.delimiter[0]!r} among its {layout.describe()}; check the line")
        yield separated
