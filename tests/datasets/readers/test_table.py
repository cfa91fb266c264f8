"""Users' own tables: accepted headers and formats, and a clear message for every kind of bad input."""

from __future__ import annotations

import bz2
import gzip
import lzma
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets.interactions import DataError
from datasets.readers import delimited
from datasets.readers.delimited import read_table
from tests.datasets.files import write

ROWS = [("7", "30", 978300760), ("7", "10", 978300750), ("2", "30", 978300760)]


def csv_text(header: str = "userid,itemid,timestamp", newline: str = "\n") -> str:
    return newline.join([header, *(f"{user},{item},{time}" for user, item, time in ROWS)]) + newline


def assert_rows(path: Path) -> None:
    data = read_table(path)
    assert data.user_labels[data.user_ids].tolist() == [7, 7, 2]
    assert data.item_labels[data.item_ids].tolist() == [30, 10, 30]
    assert (data.timestamps // data.ticks_per_second).tolist() == [978300760, 978300750, 978300760]
    assert not any("id" in note for note in data.notes)


@pytest.mark.parametrize(
    "header", ["userid,itemid,timestamp", "user_id,item_id,timestamp", '"User ID","Item-ID","TimeStamp"']
)
def test_header_spellings(tmp_path: Path, header: str) -> None:
    assert_rows(write(tmp_path / "a.csv", csv_text(header)))


@pytest.mark.parametrize(
    "content",
    [
        csv_text(newline="\r\n").encode(),
        csv_text(newline="\r").encode(),
        b"\xef\xbb\xbf" + csv_text().encode(),
        csv_text().encode().rstrip(b"\n"),
        csv_text().replace("\n", "\n\n").encode(),
        gzip.compress(csv_text().encode()),
        b'userid,itemid,timestamp\n"7","30","978300760"\n7,"10",978300750\n2,30,978300760\n',
    ],
    ids=["crlf", "cr", "bom", "no-final-newline", "blank-lines", "gzip", "quoted"],
)
def test_forms_of_csv(tmp_path: Path, content: bytes) -> None:
    assert_rows(write(tmp_path / "a.csv", content))


def test_columns_in_any_order_among_others(tmp_path: Path) -> None:
    lines = ["rating\ttimestamp\titemid\tcomment\tuserid"]
    lines += [f'5\t{time}.0\t{item}\tan "odd\t{user}' for user, item, time in ROWS]
    assert_rows(write(tmp_path / "a.tsv", "\n".join(lines)))


def test_quoted_tsv(tmp_path: Path) -> None:
    lines = ['"userid"\t"itemid"\t"timestamp"', *(f'"{user}"\t"{item}"\t"{time}"' for user, item, time in ROWS)]
    assert_rows(write(tmp_path / "a.tsv", "\n".join(lines)))


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
def test_tables_written_by_pandas_with_any_separator(tmp_path: Path, delimiter: str) -> None:
    notes = ["plain", 'a "quoted" word', "two\nlines", f"a{delimiter}b", '"', ""]
    frame = pd.DataFrame({"userid": ["u", 'u"2', "u", "u", "u", "u"], "note": notes, "itemid": range(6)})
    frame["timestamp"] = range(6)
    path = tmp_path / "mine.txt"
    frame.to_csv(path, sep=delimiter, index=False)
    data = read_table(path)
    assert data.user_labels[data.user_ids].tolist() == frame["userid"].tolist()
    assert data.item_labels[data.item_ids].tolist() == data.timestamps.tolist() == list(range(6))
    assert data.notes == (("quotes stand around fields, in which lines may break",) if delimiter in "\t|" else ())


@pytest.mark.parametrize("delimiter", ["\t", "|"])
def test_stray_quotes_belong_to_the_text(tmp_path: Path, delimiter: str) -> None:
    lines = [["userid", "note", "itemid", "timestamp"], *([user, '"odd', item, time] for user, item, time in ROWS)]
    assert_rows(write(tmp_path / "a.tsv", "\n".join(delimiter.join(map(str, line)) for line in lines)))


@pytest.mark.parametrize(("suffix", "compress"), [("gz", gzip.compress), ("bz2", bz2.compress), ("xz", lzma.compress)])
def test_compressed_tables(tmp_path: Path, suffix: str, compress: Callable[[bytes], bytes]) -> None:
    assert_rows(write(tmp_path / f"a.csv.{suffix}", compress(csv_text().encode())))
    u_data = "".join(f"{user}\t{item}\t3\t{time}\n" for user, item, time in ROWS)
    assert_rows(write(tmp_path / f"u.data.{suffix}", compress(u_data.encode())))


def test_recbole_inter(tmp_path: Path) -> None:
    lines = ["user_id:token\titem_id:token\trating:float\ttimestamp:float"]
    lines += [f"{user}\t{item}\t4.0\t{time}.7" for user, item, time in ROWS]
    assert_rows(write(tmp_path / "ml.inter", "\n".join(lines)))


@pytest.mark.parametrize("delimiter", [",", "\t", ";", "|"])
@pytest.mark.parametrize("rating", ["3", "4.5", '"5.0"'])
def test_ratings_without_a_header(tmp_path: Path, delimiter: str, rating: str) -> None:
    lines = [
        delimiter.join([f'"{user}"' if '"' in rating else user, item, rating, str(time)]) for user, item, time in ROWS
    ]
    path = write(tmp_path / "a.txt", "\n".join(lines))
    assert_rows(path)
    assert read_table(path).notes[0].startswith("has no header; its columns are read as user, item, rating, timestamp")


@pytest.mark.parametrize(
    "line", ["7,30,978300760,4.5", "7,30,4.5,3", "7,30,978300760", "7,30,4.5,978300760,x", "a,b,c,d"]
)
def test_columns_without_names_are_not_guessed(tmp_path: Path, line: str) -> None:
    message = (
        "the first line must name the columns .*, unless it is a user, an item, a rating and Unix seconds, as in 7,30"
    )
    with pytest.raises(DataError, match=f"line 1: {message}.*; it reads '{line}'"):
        read_table(write(tmp_path / "a.csv", f"{line}\n{line}\n"))


def test_text_ids_keep_their_exact_form(tmp_path: Path) -> None:
    text = 'userid,itemid,timestamp\n007,NA,1\n7,"a,""b""",2\nnull,é 日,3\n'
    data = read_table(write(tmp_path / "a.csv", text))
    assert data.user_labels[data.user_ids].tolist() == ["007", "7", "null"]
    assert data.item_labels[data.item_ids].tolist() == ["NA", 'a,"b"', "é 日"]


def test_duplicate_rows_are_kept(tmp_path: Path) -> None:
    assert len(read_table(write(tmp_path / "a.csv", "userid,itemid,timestamp\n1,2,3\n1,2,3\n"))) == 2


def test_many_batches_are_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.readers.columns.ROWS_AT_ONCE", 7)
    rng = np.random.default_rng(0)
    rows = np.column_stack([rng.integers(0, 50, 100), rng.integers(0, 9, 100), rng.integers(0, 10**9, 100)])
    text = "userid,itemid,timestamp\n" + "".join(f"{a},{b},{c}\n" for a, b, c in rows)
    data = read_table(write(tmp_path / "a.csv", text))
    read = np.column_stack([data.user_labels[data.user_ids], data.item_labels[data.item_ids], data.timestamps])
    assert (read == rows).all()


HEADER = "userid,itemid,timestamp\n"
GOOD = HEADER + "1,2,978300760\n"

BAD: dict[str, tuple[bytes, str]] = {
    "empty": (b"", "is empty.*must name the columns userid, itemid and timestamp"),
    "only-newlines": (b"\n\n", "is empty or begins with an empty line"),
    "header-only": (HEADER.encode(), "has no interactions; give a file with a line for each"),
    "no-header": (b"1,2,978300760\n", "line 1: the first line must name the columns"),
    "missing-column": (b"userid,itemid,rating\n1,2,3\n", "line 1: the first line must name the columns"),
    "wrong-delimiter": (GOOD.replace(",", " ").encode(), "line 1: .*separated by commas, tabs, semicolons or vertical"),
    "two-user-columns": (b"userid,user,itemid,timestamp\n1,1,2,3\n", "line 1: several columns could be the user's"),
    "other-delimiter-below": ((GOOD + "1\t2\t3\n").encode(), "line 3: has 1 instead of 3 fields separated by commas"),
    "too-few-fields": ((GOOD + "1,2\n" + "1,2,3\n").encode(), "line 3: has 2 instead of 3 fields"),
    "too-many-fields": ((GOOD + "1,2,3,4\n").encode(), "line 3: has 4 instead of 3 fields"),
    "too-many-fields-everywhere": ((HEADER + "0,1,2,3\n").encode(), "line 2: has 4 instead of 3 fields"),
    "text-time": ((GOOD + "1,2,soon\n").encode(), "line 3: timestamp 'soon' is not a number"),
    "nan-time": ((GOOD + "\n1,2,nan\n").encode(), "line 4: timestamp 'nan' is not a number"),
    "no-time": ((GOOD + "1,2,\n").encode(), "line 3: timestamp '' is not a number"),
    "underscored-time": ((GOOD + "1,2,0x1\n").encode(), "line 3: timestamp '0x1' is not a number"),
    "negative-time": ((GOOD + "1,2,-5\n").encode(), "line 3: timestamp '-5' is negative; give Unix seconds"),
    "two-units": ((GOOD + "1,2,978300760000\n").encode(), "data row 1: timestamp 978300760 looks like seconds, but"),
    "too-large": ((GOOD + "1,2,1e19\n").encode(), "line 3: timestamp '1e19' is too large"),
    "no-user": ((GOOD + ",2,3\n").encode(), "line 3: user id '' is empty"),
    "no-item": ((GOOD + "1,,3\n").encode(), "line 3: item id '' is empty"),
    "long-id": ((GOOD + f"{'x' * 200},2,3\n").encode(), "line 3: user id .* is longer than 127 bytes"),
    "open-quote": ((GOOD + '"1,2,3\n4,5,6\n').encode(), "line 3: .*check its quotes"),
    "latin-1": (GOOD.encode() + "é,2,3\n".encode("latin-1"), "line 3: user id .* is not UTF-8 text"),
    "latin-1-header": ("usér,itemid,timestamp\n".encode("latin-1"), "line 1: is not UTF-8 text"),
    "utf-16": (GOOD.encode("utf-16"), "line 1: is not UTF-8 text"),
    "binary": (bytes(range(255, 0, -1)) * 100, "line 1: is not UTF-8 text"),
    "html": (b"<!DOCTYPE html>\n<html>404</html>\n", "line 1: the first line must name"),
    "truncated-gzip": (gzip.compress(GOOD.encode() * 500)[:-20], "is truncated or damaged"),
}


@pytest.mark.parametrize("kind", BAD)
def test_bad_input_is_one_line_that_names_file_place_and_remedy(tmp_path: Path, kind: str) -> None:
    content, message = BAD[kind]
    path = write(tmp_path / "mine.csv", content)
    with pytest.raises(DataError, match=message) as error:
        read_table(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert ";" in str(error.value)  # after the semicolon comes what to do


def test_a_bad_line_far_down_is_found(tmp_path: Path) -> None:
    text = HEADER + "1,2,3\n" * 5000 + "1,2,x\n" + "1,2,3\n" * 50
    with pytest.raises(DataError, match="line 5002: timestamp 'x'"):
        read_table(write(tmp_path / "a.csv", text))


def test_bad_u_data(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="line 2: has 3 instead of 4 fields separated by tabs"):
        read_table(write(tmp_path / "u.data", "1\t2\t3\t978300760\n1\t2\t3\n"))
    with pytest.raises(DataError, match="no such file"):
        read_table(tmp_path / "absent.csv")


def test_a_real_table(real_data: Callable[[str], Path]) -> None:
    data = read_table(real_data("gowalla-1000-users.csv.gz"))
    assert (len(data), data.n_users, data.n_items) == (157_251, 1_000, 24_209)


def test_reading_does_not_import_pandas() -> None:
    words = "import sys, datasets.readers.delimited; print(sorted({'pandas', 'torch', 'scipy'} & set(sys.modules)))"
    root = Path(delimited.__file__).parents[2]
    assert subprocess.check_output([sys.executable, "-c", words], cwd=root, text=True) == "[]\n"
