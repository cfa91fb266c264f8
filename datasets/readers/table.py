"""Anybody's table of interactions: CSV or TSV with named columns, RecBole's `.inter`, and ratings without a header."""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from datasets.interactions import DataError, Interactions
from datasets.readers.delimited import Layout, read_delimited, visible
from datasets.readers.sources import BYTE_ORDER_MARK, open_source

NAMES = {
    "user": ("userid", "user", "uid", "reviewerid", "visitorid"),
    "item": ("itemid", "item", "iid", "asin", "movieid", "productid", "businessid", "locationid"),
    "time": ("timestamp", "time", "ts", "unixtime", "unixreviewtime"),
}
"""Accepted column names, compared in lower case without `_`, `-`, spaces and RecBole's `:type`."""

DELIMITERS = ",\t;|"
SEPARATED = "separated by commas, tabs, semicolons or vertical bars"
EXPECTED = (
    f"the first line must name the columns userid, itemid and timestamp, {SEPARATED}, unless it is a user, an item, a "
    "rating and Unix seconds, as in 7,30,4.5,978300760"
)
MAX_HEADER_BYTES = 1 << 16

_RATING, _SECONDS = re.compile(r"[0-9]{1,3}(\.[0-9]+)?"), re.compile(r"[0-9]{9,19}(\.[0-9]+)?")
_NO_HEADER = (
    "has no header; its columns are read as user, item, rating, timestamp: name them in a first line if that is wrong"
)


def read(path: Path) -> Interactions:
    """All rows, in file order; plain or compressed. DataError names the file and the line, and says what is expected.

    Fields may stand in quotes where commas or semicolons separate them or where the header has quotes. Another file is
    read so only if it cannot be read without, as where a line breaks inside quotes, and a note says it. Another note
    says it where the columns have no names, as in MovieLens's u.data.
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


def _nameless_ratings(path: Path) -> Layout | None:
    """The layout of a table without a header, if its first line is like 7,30,4.5,978300760."""
    header = _header(path, EXPECTED)
    for delimiter in DELIMITERS:
        match _header_fields(path, header, delimiter):
            case [_, _, rating, seconds] if _RATING.fullmatch(rating) and _SECONDS.fullmatch(seconds):
                return Layout(
                    user=0, item=1, time=3, fields=4, delimiter=delimiter, quoted=_may_quote(header, delimiter)
                )
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
            quoted = _may_quote(header, delimiter)
            return Layout(user, item, time, len(roles), delimiter, header=True, quoted=quoted)
    raise DataError(f"{path}: line 1: {expected}; it reads {header!r:.100}")


def _may_quote(header: str, delimiter: str) -> bool:
    return delimiter in ",;" or '"' in header


def _header_fields(path: Path, header: str, delimiter: str) -> list[str]:
    """The names in the first line of the file at `path`; DataError if they cannot be told apart."""
    try:
        return next(csv.reader([header], delimiter=delimiter))
    except csv.Error as error:
        raise DataError(f"{path}: line 1: {visible(error)}; check its quotes and that it is plain text") from error


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
