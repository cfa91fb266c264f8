"""What counts as an id and as a moment."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.interactions import DataError
from datasets.readers.columns import Chunk, assemble, ids, unix_seconds, utc_seconds

SECONDS = np.array([5, 6], dtype=np.int64)


def texts(*values: str) -> np.ndarray:
    return np.array([value.encode() for value in values])


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("978300760", 978300760),
        ("978300760.0", 978300760),
        ("978300760.9", 978300760),
        ("9.783e8", 978300000),
        (" 5 ", 5),
    ],
)
def test_unix_seconds(written: str, seconds: int) -> None:
    assert unix_seconds(texts(written)).tolist() == [seconds]
    assert unix_seconds(texts(written, "7.5")).tolist() == [seconds, 7]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "not a number"),
        ("nan", "not a number"),
        ("x", "not a number"),
        ("2001-01-01", "not a number"),
        ("-1", "negative"),
        ("-0.5", "negative"),
        ("-inf", "negative"),
        ("978300760000", "milliseconds"),
        ("1e300", "milliseconds"),
        ("inf", "milliseconds"),
        ("99999999999999999999999", "milliseconds"),
    ],
)
def test_impossible_unix_seconds(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unix_seconds(texts("5", written))


def test_utc_seconds() -> None:
    clock = utc_seconds("0000-00-00T00:00:00Z")
    assert clock(texts("1970-01-01T00:00:00Z", "2010-10-19T23:55:27Z")).tolist() == [0, 1287532527]
    assert utc_seconds("0000-00-00 00:00:00")(texts("2010-10-19 23:55:27")).tolist() == [1287532527]


@given(st.integers(0, 4_000_000_000))
def test_utc_seconds_is_the_inverse_of_writing(seconds: int) -> None:
    written = str(np.datetime64(seconds, "s")) + "Z"
    assert utc_seconds("0000-00-00T00:00:00Z")(texts(written)).tolist() == [seconds]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "NaT",
        "now",
        "2010-10-19",
        "2010-10-19T23:55:27",
        "2010-10-19T23:55:27Z+",
        "2010/10/19T23:55:27Z",
        "+010-10-19T23:55:27Z",
        "2010-13-19T23:55:27Z",
        "2010-02-30T23:55:27Z",
        "2010-10-19T24:55:27Z",
        "1969-12-31T23:59:59Z",
        "2999-01-01T00:00:00Z",
    ],
)
def test_impossible_utc_moments(written: str) -> None:
    with pytest.raises(ValueError, match="is not a moment"):
        utc_seconds("0000-00-00T00:00:00Z")(texts("2010-10-19T23:55:27Z", written))


def test_ids_take_as_few_bytes_as_they_need() -> None:
    assert ids(np.array([b"a", b"abc"], dtype="S128")).dtype == "S3"
    with pytest.raises(ValueError, match="empty"):
        ids(texts("a", ""))
    with pytest.raises(ValueError, match="longer than 127"):
        ids(texts("a" * 128))


@pytest.mark.parametrize(
    ("written", "labels"),
    [
        (("10", "9"), [9, 10]),
        (("-1", "0"), [-1, 0]),
        (("007", "7"), ["007", "7"]),
        (("+7", "7"), ["+7", "7"]),
        (("7.0", "7"), ["7", "7.0"]),
        (("10", "é"), ["10", "é"]),
        (("10", "99999999999999999999"), ["10", "99999999999999999999"]),
    ],
)
def test_labels_are_integers_only_if_every_id_is_a_plain_one(written: tuple[str, str], labels: list[object]) -> None:
    data = assemble([Chunk(texts(*written), texts("a", "b"), SECONDS)], "file")
    assert data.user_labels.tolist() == labels
    assert data.user_labels[data.user_ids].astype(str).tolist() == list(written)


def test_the_kind_of_label_does_not_depend_on_how_a_file_is_cut_into_chunks() -> None:
    users = texts("1", "2", "02", "3")
    whole = assemble([Chunk(users, users, np.arange(4))], "file")
    chunks = [Chunk(users[k : k + 1], users[k : k + 1], np.array([k])) for k in range(4)]
    cut = assemble([Chunk(ids(c.users), ids(c.items), c.seconds) for c in chunks], "file")
    assert whole.user_labels.tolist() == cut.user_labels.tolist() == ["02", "1", "2", "3"]
    assert whole.user_ids.tolist() == cut.user_ids.tolist()


def test_nothing_to_assemble_is_an_error() -> None:
    with pytest.raises(DataError, match="file: no interactions"):
        assemble([], "file")
