"""Readers of delimited text: publishers' CSV and TSV files, MovieLens's `::`, and users' tables with named columns."""

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

COLUMN_NAMES = {
    "user": ("userid", "user", "uid", "reviewerid", "visitorid"),
    "item": ("itemid", "item", "iid", "asin", "movieid", "productid", "businessid", "locationid"),
    "time": ("timestamp", "time", "ts", "unixtime", "unixreviewtime"),
}
"""Accepted column names of a table. They are compared in lower case, without `_`, `-`, spaces and RecBole's `:type`."""

DELIMITERS = ",\t;|"
SEPARATED = "separated by commas, tabs, semicolons or vertical bars"
EXPECTED = (
    f"the first line must name the columns userid, itemid and timestamp, {SEPARATED}, unless it is a user, an item, a "
    "rating and Unix seconds, as in 7,30,4.5,978300760"
)
MAX_LINE, MAX_HEADER_BYTES = 1 << 20, 1 << 16

_SEPARATOR = "\x1f"  # replaces a delimiter of several characters, which the csv module does not support
_DELIMITER_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "vertical bars", " ": "blanks"}
_RATING, _SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]+)?"), re.compile(r"[0-9]{9,19}(\.[0-9]+)?")
_NO_HEADER = (
    "has no header; its columns are read as user, item, rating, timestamp: name them in a first line if that is wrong"
)


@dataclass(frozen=True)
class Layout:
    """The format of a delimited file."""

    user: int  # index of the column, from 0
    item: int
    time: int  # in a list of recommendations this is the rank
    fields: int  # number of fields in a line
    delimiter: str  # a character, or one character repeated, as in `::`
    header: bool = False  # whether the first line names the columns
    quoted: bool = False  # whether fields may be enclosed in double quotes
    clock: Clock = unix_clock

    def describe(self) -> str:
        """Describe the expected fields for error messages."""
        return f"{self.fields} fields separated by {_DELIMITER_NAMES.get(self.delimiter, repr(self.delimiter))}"


def read_delimited(path: Path, layout: Layout, member: str | None = None) -> Interactions:
    """Read a plain or compressed file, or the `member` of an archive. DataError names the first bad line."""
    with open_source(path, member) as stream:
        return assemble(read_rows(stream, layout, path), str(path), layout.clock)


def read_table(path: Path) -> Interactions:
    """Read CSV or TSV with named columns, RecBole's `.inter`, or ratings without a header; plain or compressed.

    Quotes around fields are recognised if the delimiter is a comma or semicolon or if the header has quotes. Any other
    file is read with quotes only if it cannot be read without them, for example because of line breaks inside quotes.
    Notes mention that, and a missing header, as in MovieLens's u.data. DataError names the file and the line, and says
    what is expected.
    """
    layout = _headerless_layout(path) or layout_of(path)
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


def read_rows(stream: IO[bytes], layout: Layout, path: Path) -> Iterator[Row]:
    """Yield line number (from 1), user, item and time of each row, as text. Raises DataError at the first bad line."""
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
            elif len(fields) != n and (len(fields) > 1 or "".join(fields).strip()):  # blank lines are skipped
                raise ValueError(
                    f"has {len(fields)} instead of {layout.describe()}; check the format and the delimiter"
                )
            line = reader.line_num + 1
    except csv.Error as error:
        message = repr(str(error))[1:-1]  # with escapes for line breaks and unprintable characters
        raise DataError(f"{path}: line {line}: {message:.200}; check its quotes and that it is plain text") from error
    except ValueError as error:
        raise DataError(f"{path}: line {line}: {error}") from error


def _lines(stream: IO[bytes], layout: Layout) -> Iterator[str]:
    """Yield the lines, very long ones in pieces. Bytes that are not UTF-8 become lone surrogates."""
    text = io.TextIOWrapper(stream, "utf-8-sig", errors="surrogateescape", newline="")
    lines = iter(partial(text.readline, MAX_LINE), "")
    return lines if len(layout.delimiter) == 1 else _replace_delimiter(lines, layout)


def _replace_delimiter(lines: Iterator[str], layout: Layout) -> Iterator[str]:
    for line in lines:
        separated = line.replace(layout.delimiter, _SEPARATOR)
        if layout.delimiter[0] in separated:
            raise ValueError(f"has a stray {layout.delimiter[0]!r} among its {layout.describe()}; check the line")
        yield separated


# --- the header of a table --------------------------------------------------------------------------------------------


def _headerless_layout(path: Path) -> Layout | None:
    """Return the layout of a table without a header, if the first line looks like 7,30,4.5,978300760."""
    header = _header(path, EXPECTED)
    for delimiter in DELIMITERS:
        match next(csv.reader([header], delimiter=delimiter)):
            case [_, _, rating, seconds] if _RATING.fullmatch(rating) and _SECONDS.fullmatch(seconds):
                quoted = _may_quote(header, delimiter)
                return Layout(user=0, item=1, time=3, fields=4, delimiter=delimiter, quoted=quoted)
    return None


def layout_of(path: Path, names: Mapping[str, Sequence[str]] = COLUMN_NAMES, expected: str = EXPECTED) -> Layout:
    """Return the layout of a table with a header, which must have one column for each of the three keys of `names`.

    Otherwise it raises DataError, which says what was `expected`.
    """
    header = _header(path, expected)
    for delimiter in DELIMITERS:
        roles = [_role_of(name, names) for name in next(csv.reader([header], delimiter=delimiter))]
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


def _role_of(name: str, names: Mapping[str, Sequence[str]]) -> str | None:
    """Return the key of `names` that accepts this column name, or None if the column is not needed."""
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
