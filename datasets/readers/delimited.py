"""Read delimited text (CSV, TSV, `::`) in fast chunks; where that fails, find the line to blame."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import IO, Any, Literal, cast

import numpy as np
import pandas as pd

from datasets.interactions import DataError, Interactions
from datasets.readers.columns import MAX_ID_BYTES, MAX_TIME_BYTES, Chunk, Clock, assemble, ids, unix_seconds, visible
from datasets.readers.sources import BUFFER_BYTES, open_source

CHUNK_ROWS = 250_000
MAX_LINE = 1 << 20

_ID_DTYPE, _TIME_DTYPE, _UNREAD_DTYPE = f"S{MAX_ID_BYTES + 1}", f"S{MAX_TIME_BYTES + 1}", "S1"
_UNDECODED = re.compile("[\udc80-\udcff]")


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
    parsed = rows = 0
    try:
        with open_source(path, member) as stream:
            watched = _Watched(stream, layout.delimiter[0].encode())
            for frame in _frames(watched, layout):
                chunk = _parse(frame, layout, watched)
                parsed += len(frame)
                rows += len(chunk.seconds) if chunk else 0
                if chunk:
                    yield chunk
    except ValueError as error:  # includes the parser's and the decoder's errors
        raise _first_bad_line(path, layout, member) or _unexplained(path, str(error)) from error
    expected = (rows + layout.header) * (layout.fields - 1) * layout.stride
    may_lack_fields = rows < parsed or max(layout.user, layout.item, layout.time) < layout.fields - 1
    if watched.delimiters != expected or watched.has_white_lines or (watched.has_quotes and may_lack_fields):
        problem = _first_bad_line(path, layout, member)  # too few fields, or none: delimiters in quotes are no fault
        if problem:
            raise problem


class _Watched(io.RawIOBase):
    """Passes reads on and looks for what the parser is silent about: NUL bytes, and lines with too few fields."""

    def __init__(self, stream: IO[bytes], delimiter: bytes) -> None:
        self._stream, self._delimiter = cast("io.BufferedReader", stream), delimiter
        self.delimiters = 0
        self.has_quotes = self.has_white_lines = False

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        content = self._stream.read(len(buffer))
        if b"\0" in content:
            raise ValueError("a NUL byte, where the parser would end the field")
        self.delimiters += content.count(self._delimiter)
        self.has_quotes = self.has_quotes or b'"' in content
        buffer[: len(content)] = content
        return len(content)


def _frames(stream: io.RawIOBase, layout: Layout) -> Iterator[pd.DataFrame]:
    width = (layout.fields - 1) * layout.stride + 1
    types: dict[int, Any] = dict.fromkeys(range(width), _UNREAD_DTYPE)
    types[layout.user * layout.stride] = types[layout.item * layout.stride] = _ID_DTYPE
    types[layout.time * layout.stride] = _TIME_DTYPE
    buffered = io.BufferedReader(stream, BUFFER_BYTES)
    if _begins_wider(buffered.peek(), layout, width):
        raise ValueError("too many fields")
    yield from pd.read_csv(
        buffered,
        engine="c",
        sep=layout.delimiter[0],
        quoting=layout.quoting,
        encoding="utf-8-sig",
        header=None,
        skiprows=int(layout.header),
        skip_blank_lines=False,  # the parser would also take the blanks off the beginning of a line
        names=list(range(width)),
        dtype=types,
        na_filter=False,
        chunksize=CHUNK_ROWS,
    )


def _begins_wider(beginning: bytes, layout: Layout, width: int) -> bool:
    """Whether the first line of data has more than `width` columns: pandas would make an index of those too many, and
    of a hundred thousand take hours.
    """
    text = io.StringIO(beginning.decode(errors="replace"), newline="")
    try:
        rows = csv.reader(text, delimiter=layout.delimiter[0], quoting=layout.quoting)
        first = next(islice(filter(None, rows), int(layout.header), None), [])
    except csv.Error:  # a field that is too long
        return False
    return len(first) > width


def _parse(frame: pd.DataFrame, layout: Layout, watched: _Watched) -> Chunk | None:
    """The frame's interactions, None if it has only blank lines."""
    if not isinstance(frame.index, pd.RangeIndex):  # pandas made an index of the fields that are too many
        raise ValueError("too many fields")
    gaps = [column for column in range(frame.shape[1]) if column % layout.stride]
    if any((frame[gap] != b"").any() for gap in gaps):
        raise ValueError("something between the characters of a delimiter")
    columns = {place: frame[place * layout.stride].to_numpy() for place in (layout.user, layout.item, layout.time)}
    blank = np.logical_and.reduce([texts == b"" for place, texts in columns.items() if place])
    if blank.any():
        first = frame[0].to_numpy()[blank]  # where all is that a blank line has, or the beginning of it
        watched.has_white_lines = watched.has_white_lines or bool((first != b"").any())
        blank[blank] = np.strings.strip(first) == b""
        columns = {place: texts[~blank] for place, texts in columns.items()}
    users, items, times = (columns[place] for place in (layout.user, layout.item, layout.time))
    return Chunk(ids(users), ids(items), layout.clock(times)) if len(users) else None


# --- blame: a slow second reading, line by line ----------------------------------------------------------------------


def _first_bad_line(path: Path, layout: Layout, member: str | None) -> DataError | None:
    """The error that points at the first line not laid out as it should be; None if the csv module finds none."""
    with open_source(path, member) as stream:
        text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
        lines = iter(lambda: text.readline(MAX_LINE), "")
        rows = csv.reader(lines, delimiter=layout.delimiter[0], quoting=layout.quoting, strict=True)
        line = 1
        try:
            for fields in rows:
                blank = not fields or (len(fields) == 1 and not fields[0].strip())
                problem = None if blank or (layout.header and line == 1) else _problem(fields, layout)
                if problem:
                    return DataError(f"{path}: line {line}: {problem}")
                line = rows.line_num + 1
        except csv.Error as error:
            return DataError(f"{path}: line {line}: {visible(error)}; check its quotes and that it is plain text")
    return None


def _unexplained(path: Path, reason: str) -> DataError:
    return DataError(f"{path}: cannot be parsed ({visible(reason)}); check its format")


def _problem(fields: list[str], layout: Layout) -> str | None:
    whole = layout.delimiter[0].join(fields)
    if _UNDECODED.search(whole):
        return "is not UTF-8 text; convert the file to UTF-8"
    if "\0" in whole:
        return "holds a NUL byte; check that the file is plain text, and fetch or export it again"
    if layout.stride > 1:
        fields = whole.split(layout.delimiter)
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
