"""Valid timestamps, the unit of a column, and that the order within a second is kept."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datasets.interactions import DataError
from datasets.readers.columns import Timestamps, unix_clock, utc_clock
from datasets.readers.delimited import read_table


@pytest.mark.parametrize(
    ("written", "value"),
    [
        ("978300760", 978300760),
        ("978300760.0", 978300760),
        ("978300760.9", Decimal("978300760.9")),
        ("9.783e8", 978300000),
        (" 5 ", 5),
        (".5", Decimal("0.5")),
        ("1e-400", Decimal("1e-400")),
        ("9223372036854775807", 2**63 - 1),
    ],
)
def test_unix_times(written: str, value: int | Decimal) -> None:
    assert list(unix_clock([written])) == [value]
    assert list(unix_clock([written, "7.5"])) == [value, Decimal("7.5")]


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("", "not a number"),
        ("nan", "not a number"),
        ("x", "not a number"),
        ("2001-01-01", "not a number"),
        ("1_000", "not a number"),
        ("٣", "not a number"),
        ("0x1", "not a number"),
        ("inf", "not a number"),
        ("-1", "negative"),
        ("-0.5", "negative"),
        ("1e300", "too large"),
        ("9223372036854775808", "too large"),
        ("99999999999999999999999", "too large"),
        ("0" * 40, "longer than 32"),
    ],
)
def test_impossible_unix_times(written: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        unix_clock([written])
    with pytest.raises(ValueError, match=r"."):
        unix_clock(["5", written])


def test_utc_seconds() -> None:
    clock = utc_clock("0000-00-00T00:00:00Z")
    assert list(clock(["1970-01-01T00:00:00Z", "2010-10-19T23:55:27Z"])) == [0, 1287532527]
    assert list(utc_clock("0000-00-00 00:00:00")(["2010-10-19 23:55:27"])) == [1287532527]


@given(st.integers(0, 4_000_000_000))
def test_utc_seconds_are_the_inverse_of_writing(seconds: int) -> None:
    written = str(np.datetime64(seconds, "s")) + "Z"
    assert list(utc_clock("0000-00-00T00:00:00Z")([written])) == [seconds]


@pytest.mark.parametrize(
    "written",
    [
        "",
        "NaT",
        "now",
        "2010-10-19",
        "2010-10-19T23:55:27",
        "2010-10-19T23:55:27Z+",
        "2010-10-19T23:55:27Z\0",
        "2010/10/19T23:55:27Z",
        "+010-10-19T23:55:27Z",
        "2010-13-19T23:55:27Z",
        "2010-02-30T23:55:27Z",
        "2010-10-19T24:55:27Z",
        "1969-12-31T23:59:59Z",
        "2999-01-01T00:00:00Z",
    ],
)
def test_impossible_dates_and_times(written: str) -> None:
    with pytest.raises(ValueError, match=r"is not (a date and time|in the calendar|between 1970 and 2286)"):
        utc_clock("0000-00-00T00:00:00Z")(["2010-10-19T23:55:27Z", written])


# --- units and order --------------------------------------------------------------------------------------------------

BASE = 1_700_000_000

COLUMNS: dict[str, tuple[list[str], list[int], int, str]] = {
    "seconds": (["1700000000", "1700000001"], [BASE, BASE + 1], 1, ""),
    "seconds as floats": (["1700000000.0", "1.7e9"], [BASE, BASE], 1, ""),
    "a placeholder far away": (["1700000000", "9999999999"], [BASE, 9_999_999_999], 1, ""),
    "fractions": (["1700000000.9", "1700000000.1", "1700000000"], [BASE * 1000 + k for k in (900, 100, 0)], 1000, "3"),
    "small numbers": (["100.9", "100.1"], [100_900, 100_100], 1000, "with 3 decimals"),
    "microseconds in fractions": (["1700000000.000002", "0"], [BASE * 10**6 + 2, 0], 10**6, "with 6 decimals"),
    "nanoseconds in fractions": (
        ["1700000000.000000002", "1700000000.000000001"],
        [BASE * 10**9 + 2, BASE * 10**9 + 1],
        10**9,
        "with 9 decimals",
    ),
    "a placeholder beside fractions": (
        ["1700000000.000000002", "9999999999"],
        [BASE * 10**6, 9_999_999_999 * 10**6],
        10**6,
        "with 6 decimals",
    ),
    "milliseconds": (["1700000000002", "1700000000001"], [BASE * 1000 + 2, BASE * 1000 + 1], 1000, "milliseconds:"),
    "milliseconds as floats": (["1700000000002.0", "1.7e12"], [BASE * 1000 + 2, BASE * 1000], 1000, "milliseconds:"),
    "fractions of milliseconds": (["1700000000002.5"], [BASE * 10**6 + 2500], 10**6, "milliseconds with 3 decimals"),
    "microseconds": (["1700000000000002"], [BASE * 10**6 + 2], 10**6, "microseconds"),
    "nanoseconds": (["1700000000000000002", "1700000000000000001"], [BASE * 10**9 + k for k in (2, 1)], 10**9, "nano"),
}


@pytest.mark.parametrize("kind", COLUMNS)
def test_the_unit_is_recognised_and_the_order_is_kept(tmp_path: Path, kind: str) -> None:
    written, ticks, ticks_per_second, note = COLUMNS[kind]
    path = tmp_path / "mine.csv"
    path.write_text("userid,itemid,timestamp\n" + "".join(f"1,{row},{text}\n" for row, text in enumerate(written)))
    data = read_table(path)
    assert data.timestamps.tolist() == ticks
    assert data.timestamps.dtype == np.int64
    assert data.ticks_per_second == ticks_per_second
    assert len(data.notes) == (ticks_per_second > 1)
    assert note in " ".join(data.notes)


@given(st.lists(st.decimals(0, 9_000_000_000, places=9), min_size=1, max_size=20))
def test_whatever_the_fractions_no_order_is_lost(values: list[Decimal]) -> None:
    timestamps = Timestamps()
    timestamps.extend(values)
    ticks, ticks_per_second, _ = timestamps.ticks("file")
    assert [Decimal(tick) / ticks_per_second for tick in ticks.tolist()] == values


def test_one_unit_for_all_rows() -> None:
    timestamps = Timestamps()
    timestamps.extend([1_700_000_000_000] * 600)
    timestamps.extend([1_700_000_000])
    with pytest.raises(DataError, match=r"file: data row 601: timestamp 1700000000 looks like seconds, but .* in"):
        timestamps.ticks("file")
