"""Fuzzing of data files: each is read as the standard library reads it, or refused with one clear line."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from datasets.interactions import DataError, Interactions
from datasets.publishers import amazon, movielens
from datasets.readers.delimited import COLUMN_NAMES, read_table
from datasets.registry import DATASETS
from tests.drill import fuzz_oracles as oracles
from tests.drill.fuzz import unclear

PROPERTY = settings(
    derandomize=True, deadline=None, max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HEADER = "userid,itemid,timestamp\n"


def agree(path: Path, content: bytes, read: Callable[[Path], Interactions], oracle: Callable[[bytes], Any]) -> None:
    """Assert that the file is refused with a clear message, or read as the oracle reads it."""
    path.write_bytes(content)
    message, data = "", None
    try:
        data = read(path)
    except DataError as error:
        message = str(error)
    if data is None:
        assert not unclear(message, path.name)
        return
    try:
        expected = oracle(content)
    except oracles.Undecided:
        return
    assert oracles.rows_of(data) == expected
    assert not oracles.inconsistent(data)


fields = st.one_of(
    st.sampled_from(["7", "007", "a", "é", "", " 7", "7 ", "-1", "1_0", "nan", "1e400", '"a,b"', '"7', 'x"y', "7\x00"]),
    st.integers(-5, 2**65).map(str),
    st.floats().map(str),
    st.text(max_size=4),
)
newlines = st.sampled_from(["\n", "\r\n", "\r", "\n\n", "\n \n"])


@st.composite
def texts(draw: st.DrawFn, header: str, delimiters: tuple[str, ...], width: int) -> bytes:
    """A file of mostly well-formed lines."""
    delimiter, newline = draw(st.sampled_from(delimiters)), draw(newlines)
    good = st.tuples(*[st.integers(0, 9).map(str)] * (width - 1), st.integers(0, 2 * 10**9).map(str)).map(list)
    bad = st.lists(fields, min_size=width - 1, max_size=width + 1)
    lines = draw(st.lists(st.one_of(good, good, good, bad), max_size=6))
    text = header + newline.join(delimiter.join(line) for line in lines) + draw(st.sampled_from(["", newline]))
    content = text.encode("utf-8", "surrogatepass")
    return draw(
        st.sampled_from([content, content, content, b"\xef\xbb\xbf" + content, text.encode("utf-16", "replace")])
    )


@PROPERTY
@given(content=texts(HEADER, (",",), 3))
def test_any_table(tmp_path: Path, content: bytes) -> None:
    names = {role: COLUMN_NAMES[role] for role in ("user", "item", "time")}
    agree(tmp_path / "mine.csv", content, read_table, partial(oracles.table, names=names))


@PROPERTY
@given(content=texts("7,8,5,978300760\n", (",",), 4))
def test_any_table_without_a_header(tmp_path: Path, content: bytes) -> None:
    agree(tmp_path / "mine.csv", content, read_table, partial(oracles.table, names=COLUMN_NAMES))


@PROPERTY
@given(content=texts("", ("::",), 4))
def test_any_ratings(tmp_path: Path, content: bytes) -> None:
    oracle = partial(oracles.delimited, delimiter="::", places=(0, 1, 3), fields=4)
    agree(tmp_path / "ratings.dat", content, movielens.read, oracle)


values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(st.text(max_size=3), inner, max_size=2)),
    max_leaves=4,
)
reviews = st.fixed_dictionaries(
    {"reviewerID": st.one_of(st.just("A"), values), "asin": st.one_of(st.just("B"), values)},
    optional={
        "reviewText": st.text(max_size=9),
        "unixReviewTime": st.one_of(st.integers(0, 10**9), values),
        "x": values,
    },
)


@PROPERTY
@given(lines=st.lists(st.one_of(reviews, reviews, values), max_size=4), dense=st.booleans())
def test_any_reviews(tmp_path: Path, lines: list[Any], dense: bool) -> None:
    separators = (",", ":") if dense else (", ", ": ")
    content = "".join(json.dumps(line, separators=separators) + "\n" for line in lines).encode()
    oracle = partial(oracles.json_lines, keys=("reviewerID", "asin", "unixReviewTime"), second=None)
    agree(tmp_path / "reviews_X_5.json", content, amazon.read, oracle)


def moments(pattern: str) -> st.SearchStrategy[str]:
    """Mostly valid dates and times in the format of `pattern`."""
    good = st.datetimes(datetime(1971, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.strftime(pattern))
    return st.one_of(good, good, good, st.sampled_from(MOMENTS), fields)


MOMENTS = ["2010-02-30T23:55:27Z", "2010-10-19 23:55:27", "1969-12-31T23:59:59Z", "2010-10-19T24:00:00Z", "9999999999"]


@st.composite
def check_ins(draw: st.DrawFn) -> bytes:
    """Lines in Gowalla's format, some too short, too long or with odd fields."""
    good = st.integers(0, 99).map(str)
    place = st.one_of(good, good, good, fields)
    row = st.tuples(place, moments("%Y-%m-%dT%H:%M:%SZ"), st.just("30.2"), st.just("-97.7"), place).map(list)
    lines = draw(st.lists(st.one_of(row, row, row, st.lists(fields, max_size=6)), max_size=5))
    newline, encoding = draw(newlines), draw(st.sampled_from(["utf-8", "utf-8", "utf-8", "utf-8-sig", "utf-16"]))
    text = newline.join("\t".join(line) for line in lines) + draw(st.sampled_from(["", newline]))
    return text.encode(encoding, "surrogatepass")


@PROPERTY
@given(content=check_ins())
def test_any_check_ins(tmp_path: Path, content: bytes) -> None:
    second = oracles.calendar_second("%Y-%m-%dT%H:%M:%SZ")
    oracle = partial(oracles.delimited, delimiter="\t", places=(0, 4, 1), fields=5, second=second)
    agree(tmp_path / "loc-gowalla_totalCheckins.txt", content, DATASETS["gowalla"].reader, oracle)


yelp_reviews = st.fixed_dictionaries(
    {
        "user_id": st.one_of(st.just("A"), st.just("A"), values),
        "business_id": st.one_of(st.just("B"), st.just("B"), values),
        "date": st.one_of(moments("%Y-%m-%d %H:%M:%S"), values),
    },
    optional={"text": st.text(max_size=9), "x": values},
)


@PROPERTY
@given(
    lines=st.lists(st.one_of(yelp_reviews, yelp_reviews, yelp_reviews, values), max_size=4),
    dense=st.booleans(),
    ends=st.sampled_from(["\n", "\r\n", "\n\n"]),
)
def test_any_reviews_of_yelp(tmp_path: Path, lines: list[Any], dense: bool, ends: str) -> None:
    separators = (",", ":") if dense else (", ", ": ")
    content = "".join(json.dumps(line, separators=separators) + ends for line in lines).encode()
    second = oracles.calendar_second("%Y-%m-%d %H:%M:%S")
    oracle = partial(oracles.json_lines, keys=("user_id", "business_id", "date"), second=second)
    agree(tmp_path / "yelp_academic_dataset_review.json", content, DATASETS["yelp"].reader, oracle)


@PROPERTY
@given(content=st.binary(max_size=300))
def test_any_bytes(tmp_path: Path, content: bytes) -> None:
    for read, name in (
        (movielens.read, "r.dat"),
        (DATASETS["gowalla"].reader, "c.txt"),
        (DATASETS["yelp"].reader, "y.json"),
        (read_table, "t.csv"),
    ):
        path = tmp_path / name
        path.write_bytes(content)
        with pytest.raises(DataError) as caught:
            read(path)
        assert not unclear(str(caught.value), name)


# --- what was once read wrongly, or took for ever ---------------------------------------------------------------------

REVIEW = '{"reviewerID": "A", "asin": "B", "unixReviewTime": 5}\n'

REFUSED: dict[str, tuple[str, bytes, str]] = {
    "nul": ("mine.csv", (HEADER + "7,3,5\n7\0x,3,5\n").encode(), "line 3: user id .* holds a control character"),
    "nul at the end of an id": (
        "mine.csv",
        (HEADER + "7\0,3,5\n").encode(),
        "line 2: user id .* holds a control character",
    ),
    "a number that Python writes": ("mine.csv", (HEADER + "7,3,1_000\n").encode(), "timestamp '1_000' is not a number"),
    "a time of 49 digits": (
        "mine.csv",
        (HEADER + f"7,3,{'0' * 40}978300760\n").encode(),
        "is longer than 32 characters",
    ),
    "a line that a quote swallows": ("mine.csv", (HEADER + '7,"3,5\n8,4",6\n').encode(), "holds a control character"),
    "too few fields": (
        "mine.csv",
        b"userid,rating,itemid,timestamp,x\n1,5,30,9,0\n1,30,978300760,4\n",
        "line 3: has 4",
    ),
    "white at the beginning": (
        "mine.csv",
        b"x\tuserid\titemid\ttimestamp\n1\t2\t3\t4\n 7",
        "line 3: has 1 instead of 4",
    ),
    "a mark inside": ("mine.csv", (HEADER + "7,3,5\n\ufeff7,3,5\n").encode(), "line 3: user id .* byte-order mark"),
    "a header without end": ("mine.csv", b"userid,itemid,timestamp," + b"x" * 10**6, "line 1: is longer than 65536"),
    "a hundred thousand fields": ("ratings_X.csv", b"a,b,5," + b"," * 10**5 + b"\n", "line 1: has 100004 instead of 4"),
    "a mark in a key": (
        "reviews_X_5.json",
        REVIEW.encode() + b'{"x\\"reviewerID":"C","asin":"B","unixReviewTime":5}\n',
        "line 2: has no field 'reviewerID'",
    ),
    "a field in another": (
        "reviews_X_5.json",
        REVIEW.encode() + b'{"x":{"reviewerID":"C"},"asin":"B","unixReviewTime":5}\n',
        "line 2: has no field 'reviewerID'",
    ),
    "a key twice": (
        "reviews_X_5.json",
        REVIEW.replace('"asin"', '"asin": "C", "asin"').encode(),
        "line 1: the key 'asin' is given twice",
    ),
    "half a character": (
        "reviews_X_5.json",
        REVIEW.replace("A", "\\ud800").encode(),
        "line 1: reviewerID .* is not UTF-8",
    ),
    "a NUL escape": (
        "reviews_X_5.json",
        REVIEW.replace("A", "A\\u0000").encode(),
        "line 1: reviewerID .* holds a control character",
    ),
    "a raw control character": (
        "reviews_X_5.json",
        REVIEW.replace("A", "A\x01").encode(),
        "line 1: is not a JSON object",
    ),
    "deep": ("reviews_X_5.json", b'{"x":' * 10**5 + b"\n", "line 1: is not a JSON object"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_ambiguous_files_are_refused(tmp_path: Path, kind: str) -> None:
    name, content, pattern = REFUSED[kind]
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=pattern) as caught:
        (read_table if name == "mine.csv" else amazon.read)(path)
    assert not unclear(str(caught.value), name)


def test_blanks_around_an_id_are_removed_in_every_column(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text(HEADER + " 7, 3,5\n7,\u30003\u00a0,6\n \n\n7 ,3,8\n")
    data = read_table(path)
    assert data.user_labels.tolist() == [7]
    assert data.item_labels.tolist() == [3]
    assert data.notes == (
        "blanks around the user id were removed in 2 of 3 rows",
        "blanks around the item id were removed in 2 of 3 rows",
    )


def test_delimiters_and_line_breaks_in_quotes_do_not_split_fields(tmp_path: Path) -> None:
    path = tmp_path / "mine.csv"
    path.write_text("userid,itemid,timestamp,note\n" + '1,2,3,"so, so\n, so"\n' * 5)
    assert len(read_table(path)) == 5


def test_a_line_crafted_to_be_slow_is_read_quickly(tmp_path: Path) -> None:
    """One line has each of the three keys thousands of times, and no line is valid."""
    part = '"reviewerID":"a","asin":"b","unixReviewTime":5 ' * 4000
    path = tmp_path / "reviews_X_5.json"
    path.write_text("{" + part + "\n" + "{}\n" * 3999)
    started = time.process_time()
    with pytest.raises(DataError, match="line 1"):
        amazon.read(path)
    assert time.process_time() - started < 30  # it was hours
