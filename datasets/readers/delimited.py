"""Read delimited text: a publisher's CSV, TSV or MovieLens's `::`, and anybody's table with named columns."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import IO

from datasets.interactions import DataError, Interactions
from datasets.readers.columns import Clock, Row, assemble, unix_clock
from datasets.readers.sources import BYTE_ORDER_MARK, open_source

NAMES = {
    "user": ("userid", "user", "uid", "reviewerid", "visitorid"),
    "item": ("itemid", "item", "iid", "asin", "movieid", "productid", "businessid", "locationid"),
    "time": ("timestamp", "time", "ts", "unixtime", "unixreviewtime"),
}
"""Accepted column names of a table, compared in lower case without `_`, `-`, spaces and RecBole's `:type`."""

DELIMITERS = ",\t;|"
SEPARATED = "separated by commas, tabs, semicolons or vertical bars"
EXPECTED = (
    f"the first line must name the columns userid, itemid and timestamp, {SEPARATED}, unless it is a user, an item, a "
    "rating and Unix seconds, as in 7,30,4.5,978300760"
)
MAX_LINE, MAX_HEADER_BYTES = 1 << 20, 1 << 16

_SEPARATOR = "\x1f"  # stands for a delimiter of several characters, which the csv module does not take
_DELIMITER_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars", " ": "blanks"}
_RATING, _SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]+)?"), re.compile(r"[0-9]{9,19}(\.[0-9]+)?")
_NO_HEADER = (
    "has no header; its columns are read as user, item, rating, timestamp: name them in a first line if that is wrong"
)


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
        return f"{self.fields} fields separated by {_DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter))}"


def read_delimited(path: Path, layout: Layout, member: str | None = None) -> Interactions:
    """Interactions of a plain or compressed file, or of an archive's `member`; DataError names the first bad line."""
    with open_source(path, member) as stream:
        return assemble(rows(stream, layout, path), str(path), layout.clock)


def read_table(path: Path) -> Interactions:
    """All rows of CSV or TSV with named columns, RecBole's `.inter`, or ratings without a header; plain or compressed.

    DataError names the file and the line, and says what is expected. Fields may stand in quotes where commas or
    semicolons separate them or where the header has quotes. Another file is read so only if it cannot be read without,
    as where a line breaks inside quotes, and a note says so. Another note says so where the columns have no names, as
    in MovieLens's u.data.
    """
    layout = _nameless_ratings(path) or layout_of(path)
    notes = [] if layout.header else [_NO_HEADER]
    try:
        data = read_delimited(path, layout)
    except DataError as problem:
        if layout.quoted:
            raise
        try:
            data = read_delimited(path, replace(layout, quoted=True))
        except DataError:
            raise problem from None
        notes.append("quotes stand around fields, in which lines may break")
    return replace(data, notes=(*data.notes, *notes))


# --- lines ------------------------------------------------------------------------------------------------------------


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
        raise _unparsed(path, line, error) from error
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


def _unparsed(path: Path, line: int, error: csv.Error) -> DataError:
    """The csv module's error on one line, with escapes for what cannot be shown; of a long one the beginning."""
    return DataError(f"{path}: line {line}: {repr(str(error))[1:-1]:.200}; check its quotes and that it is plain text")


# --- the header of a table --------------------------------------------------------------------------------------------


def _nameless_ratings(path: Path) -> Layout | None:
    """The layout of a table without a header, if its first line is like 7,30,4.5,978300760."""
    header = _header(path, EXPECTED)
    for delimiter in DELIMITERS:
        match _header_fields(path, header, delimiter):
            case [_, _, rating, seconds] if _RATING.fullmatch(rating) and _SECONDS.fullmatch(seconds):
                quoted = _may_quote(header, delimiter)
                return Layout(user=0, item=1, time=3, fields=4, delimiter=delimiter, quoted=quoted)
    return None


def layout_of(path: Path, names: Mapping[str, Sequence[str]] = NAMES, expected: str = EXPECTED) -> Layout:
    """The layout of a table with a header, found by the `names` of its user, its item and its third column.

    Raises DataError, which says what is `expected`, if the header does not name each once.
    """
    header = _header(path, expected)
    for delimiter in DELIMITERS:
        roles = [_role_of(name, names) for name in _header_fields(path, header, delimiter)]
        for role in names:
            if roles.count(role) > 1:
                raise DataError(
                    f"{path}: line 1: several columns could be the {role}'s; rename all but one in {header!r:.100}"
                )
        if set(names) <= set(roles):
            user, item, time = (roles.index(role) for role in names)
            return Layout(user, item, time, len(roles), delimiter, header=True, quoted=_may_quote(header, delimiter))
    raise DataError(f"{path}: line 1: {expected}; it reads {header!r:.100}")


def _may_quote(header: str, delimiter: str) -> bool:
    return delimiter in ",;" or '"' in header


def _header_fields(path: Path, header: str, delimiter: str) -> list[str]:
    """The names in the first line of the file at `path`; DataError if they cannot be told apart."""
    try:
        return next(csv.reader([header], delimiter=delimiter))
    except csv.Error as error:
        raise _unparsed(path, 1, error) from error


def _role_of(name: str, names: Mapping[str, Sequence[str]]) -> str | None:
    """What the column called `name` holds, of the roles in `names`; None for a column that is not needed."""
    plain = name.partition(":")[0].strip().lower().translate(str.maketrans("", "", "_- "))
    return next((role for role, accepted in names.items() if plain in accepted), None)


def _header(path: Path, expected: str) -> str:
    with open_source(path) as stream:
        line = stream.readline(MAX_HEADER_BYTES)
    first, *rest = re.split(b"[\r\n]", line, maxsplit=1)
    if not first.removeprefix(BYTE_ORDER_MARK).strip():
        raise DataError(f"{path}: is empty or begins with an empty line; {expected}")
    if len(line) == MAX_HEADER_BYTES and not rest:
        raise DataError(f"{path}: line 1: is longer than {MAX_HEADER_BYTES} bytes; {expected}")
    try:
        return first.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise DataError(f"{path}: line 1: is not UTF-8 text; {expected}") from None
