"""Read delimited text (CSV, TSV, `::`) in fast chunks; where that fails, find the line to blame."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal

import numpy as np
import pandas as pd

from datasets.columns import MAX_ID_BYTES, Chunk, Clock, assemble, ids, unix_seconds
from datasets.interactions import DataError, Interactions
from datasets.sources import open_source

CHUNK_ROWS = 250_000
MAX_LINE = 1 << 20

_ID_DTYPE, _TIME_DTYPE, _UNREAD_DTYPE = f"S{MAX_ID_BYTES + 1}", "S32", "S1"


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: `user`, `item`, `time` are places (from 0) among the `fields` of a line.

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
    clock: Clock = unix_seconds

    @property
    def stride(self) -> int:
        """Columns per field for a parser that takes every single character of the delimiter as one."""
        return len(self.delimiter)

    @property
    def quoting(self) -> Literal[0, 3]:
        """The csv module's word for `quoted`, which pandas shares."""
        return csv.QUOTE_MINIMAL if self.quoted else csv.QUOTE_NONE

    def describe(self) -> str:
        """The fields in words, for errors."""
        names = {"\t": "tabs", ",": "commas"}
        return f"{self.fields} fields separated by {names.get(self.delimiter, repr(self.delimiter))}"


def read_delimited(path: Path, layout: Layout, member: str | None = None) -> Interactions:
    """Interactions of a plain or gzip file, or of an archive's `member`.

    DataError names the first bad line.
    """
    return assemble(_chunks(path, layout, member), str(path))


def _chunks(path: Path, layout: Layout, member: str | None) -> Iterator[Chunk]:
    try:
        with open_source(path, member) as stream:
            for frame in _frames(stream, layout):
                if len(frame):
                    yield _parse(frame, layout)
    except ValueError as error:  # includes the parser's and the decoder's errors
        raise _blame(path, layout, member, str(error)) from error


def _frames(stream: IO[bytes], layout: Layout) -> Iterator[pd.DataFrame]:
    width = (layout.fields - 1) * layout.stride + 1
    types: dict[int, Any] = dict.fromkeys(range(width), _UNREAD_DTYPE)
    types[layout.user * layout.stride] = types[layout.item * layout.stride] = _ID_DTYPE
    types[layout.time * layout.stride] = _TIME_DTYPE
    yield from pd.read_csv(
        stream,
        engine="c",
        sep=layout.delimiter[0],
        quoting=layout.quoting,
        encoding="utf-8-sig",
        header=None,
        skiprows=int(layout.header),
        names=list(range(width)),
        dtype=types,
        na_filter=False,
        chunksize=CHUNK_ROWS,
    )


def _parse(frame: pd.DataFrame, layout: Layout) -> Chunk:
    if not isinstance(frame.index, pd.RangeIndex):  # pandas made an index of the fields that are too many
        raise ValueError("too many fields")
    gaps = [column for column in range(frame.shape[1]) if column % layout.stride]
    if any((frame[gap] != b"").any() for gap in gaps):
        raise ValueError("something between the characters of a delimiter")
    users, items, times = (frame[place * layout.stride].to_numpy() for place in (layout.user, layout.item, layout.time))
    return Chunk(ids(users), ids(items), layout.clock(times))


# --- blame: a slow second reading, line by line ----------------------------------------------------------------------


def _blame(path: Path, layout: Layout, member: str | None, reason: str) -> DataError:
    """The error that points at the first line not laid out as it should be, or else gives the parser's reason."""
    with open_source(path, member) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        lines = iter(lambda: text.readline(MAX_LINE), "")
        rows = csv.reader(lines, delimiter=layout.delimiter[0], quoting=layout.quoting, strict=True)
        line = 1
        try:
            for fields in rows:
                problem = _problem(fields, layout) if fields and not (layout.header and line == 1) else None
                if problem:
                    return DataError(f"{path}: line {line}: {problem}")
                line = rows.line_num + 1
        except csv.Error as error:
            return DataError(f"{path}: line {line}: {error}; check its quotes and that it is plain text")
    return DataError(f"{path}: cannot be parsed ({' '.join(reason.split())}); check its format")


def _problem(fields: list[str], layout: Layout) -> str | None:
    if any("\udc80" <= letter <= "\udcff" for field in fields for letter in field):
        return "is not UTF-8 text; convert the file to UTF-8"
    if layout.stride > 1:
        fields = layout.delimiter[0].join(fields).split(layout.delimiter)
        if any(layout.delimiter[0] in field for field in fields):
            return f"has a stray {layout.delimiter[0]!r} among its {layout.describe()}; check the line"
    if len(fields) != layout.fields:
        return f"has {len(fields)} instead of {layout.describe()}; check the format and the delimiter"
    for name, place, check in (
        ("user id", layout.user, ids),
        ("item id", layout.item, ids),
        ("timestamp", layout.time, layout.clock),
    ):
        field = fields[place]
        try:
            check(np.array([field.encode()]))
        except ValueError as error:
            return f"{name} {field!r:.60} {error}"
    return None
