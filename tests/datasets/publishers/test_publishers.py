"""The formats of the publishers, written by the tests: MovieLens, Gowalla, Amazon, Yelp, Behance."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from datasets.download import MissingData
from datasets.interactions import DataError, Interactions
from datasets.publishers import amazon, movielens
from datasets.registry import DATASETS
from tests.datasets.files import tar_bytes, write, write_zip

YELP_REVIEWS = "yelp_academic_dataset_review.json"

READERS = {name: DATASETS[name].reader for name in ("behance", "gowalla", "yelp")}
ROWS = [("A7", "0205616461", 1287532527), ("A7", "B10", 1287532520), ("A2", "0205616461", 1287532527)]
INTEGER_ROWS = [(7, 30, 1287532527), (7, 10, 1287532520), (2, 30, 1287532527)]

RATINGS_DAT = "".join(f"{user}::{item}::5::{time}\n" for user, item, time in INTEGER_ROWS).encode()
CHECKINS = "".join(
    f"{user}\t{np.datetime64(time, 's')}Z\t30.23590911\t-97.79513958\t{item}\n" for user, item, time in INTEGER_ROWS
).encode()
RATINGS_CSV = "".join(f"{user},{item},5.0,{time}\n" for user, item, time in ROWS).encode()


def review(user: str, item: str, time: int, **changes: Any) -> dict[str, Any]:
    text = 'as he said: "asin": "B99", {"unixReviewTime": 1}, é\n'
    record = {"reviewerID": user, "asin": item, "reviewerName": "J", "helpful": [0, 1], "reviewText": text}
    return {**record, "overall": 5.0, "unixReviewTime": time, "reviewTime": "10 19, 2010", **changes}


def yelp_review(user: str, item: str, time: int, **changes: Any) -> dict[str, Any]:
    date = str(np.datetime64(time, "s")).replace("T", " ")
    record = {"review_id": "r", "user_id": user, "business_id": item, "stars": 4.0, "text": '"date":"x"', "date": date}
    return {**record, **changes}


def json_lines(records: list[dict[str, Any]], **options: Any) -> bytes:
    return "".join(json.dumps(record, **options) + "\n" for record in records).encode()


REVIEWS = json_lines([review(*row) for row in ROWS])
YELP = json_lines([yelp_review(*row) for row in ROWS], separators=(",", ":"))


def write_folder(path: Path, name: str, content: bytes) -> Path:
    return write_zip(path, {"folder/README": b"hello", f"folder/{name}": content})


def rows_of(data: Interactions) -> list[tuple[Any, Any, int]]:
    users, items = data.user_labels[data.user_ids], data.item_labels[data.item_ids]
    return list(zip(users.tolist(), items.tolist(), data.timestamps.tolist(), strict=True))


# --- what is read -----------------------------------------------------------------------------------------------------


def test_movielens(tmp_path: Path) -> None:
    assert rows_of(movielens.read(write(tmp_path / "ratings.dat", RATINGS_DAT))) == INTEGER_ROWS
    assert rows_of(movielens.read(write_folder(tmp_path / "ml-1m.zip", "ratings.dat", RATINGS_DAT))) == INTEGER_ROWS
    assert rows_of(movielens.read(write(tmp_path / "crlf.dat", RATINGS_DAT.replace(b"\n", b"\r\n")))) == INTEGER_ROWS


@pytest.mark.parametrize(
    ("archive", "member", "separator", "header"),
    [
        ("ml-100k.zip", "u.data", "\t", ""),
        ("ml-10m.zip", "ratings.dat", "::", ""),
        ("ml-32m.zip", "ratings.csv", ",", "userId,movieId,rating,timestamp\n"),
    ],
)
def test_movielens_in_other_sizes(tmp_path: Path, archive: str, member: str, separator: str, header: str) -> None:
    lines = [separator.join([str(user), str(item), "4.5", str(time)]) for user, item, time in INTEGER_ROWS]
    content = (header + "\n".join(lines)).encode()
    assert rows_of(movielens.read(write_folder(tmp_path / archive, member, content))) == INTEGER_ROWS
    assert rows_of(movielens.read(write(tmp_path / member, content))) == INTEGER_ROWS


def test_behance(tmp_path: Path) -> None:
    text = "".join(f"{user} {item:08d} {time}\n" for user, item, time in INTEGER_ROWS).encode()
    rows = [(user, f"{item:08d}", time) for user, item, time in INTEGER_ROWS]  # zeros belong to the names of projects
    assert rows_of(READERS["behance"](write(tmp_path / "Behance_appreciate_1M", text))) == rows
    assert rows_of(READERS["behance"](write(tmp_path / "Behance_appreciate_1M.gz", gzip.compress(text)))) == rows
    with pytest.raises(DataError, match="line 4: has 4 instead of 3 fields separated by blanks"):
        READERS["behance"](write(tmp_path / "Behance_appreciate_1M", text + b"1  2 3\n"))


def test_gowalla(tmp_path: Path) -> None:
    assert rows_of(READERS["gowalla"](write(tmp_path / "checkins.txt", CHECKINS))) == INTEGER_ROWS
    assert rows_of(READERS["gowalla"](write(tmp_path / "checkins.txt.gz", gzip.compress(CHECKINS)))) == INTEGER_ROWS


def test_amazon_ratings(tmp_path: Path) -> None:
    assert rows_of(amazon.read(write(tmp_path / "ratings_Beauty.csv", RATINGS_CSV))) == ROWS
    assert rows_of(amazon.read(write(tmp_path / "ratings_Beauty.csv.gz", gzip.compress(RATINGS_CSV)))) == ROWS
    item_first = "".join(f"{item},{user},5.0,{time}\n" for user, item, time in ROWS).encode()
    assert rows_of(amazon.read(write(tmp_path / "All_Beauty.csv", item_first))) == ROWS


@pytest.mark.parametrize(
    "content",
    [
        REVIEWS,
        REVIEWS.rstrip(b"\n"),
        REVIEWS.replace(b"\n", b"\r\n"),
        b"\xef\xbb\xbf" + REVIEWS,
        REVIEWS.replace(b"\n", b"\n\n"),
        gzip.compress(REVIEWS),
        json_lines([review(*row) for row in ROWS], ensure_ascii=False),
        json_lines([review(*row) for row in ROWS], sort_keys=True),
        json_lines([review(user, item, float(time)) for user, item, time in ROWS]),
        REVIEWS.replace(b'"A7"', rb'"\u0041\u0037"'),
    ],
    ids=[
        "usual",
        "no-final-newline",
        "crlf",
        "bom",
        "blank-lines",
        "gzip",
        "utf-8",
        "other-order",
        "floats",
        "escapes",
    ],
)
def test_amazon_reviews(tmp_path: Path, content: bytes) -> None:
    assert rows_of(amazon.read(write(tmp_path / "reviews_Beauty_5.json", content))) == ROWS


def test_amazon_five_core(tmp_path: Path) -> None:
    dense = [(f"u{user}", f"i{item}", 10 * user + item) for user in range(6) for item in range(6)]
    lone = [("u99", "i0", 5), ("u0", "i99", 6)]
    text = "".join(f"{user},{item},1.0,{time}\n" for user, item, time in [*lone, *dense]).encode()
    assert rows_of(amazon.read_five_core(write(tmp_path / "ratings_Beauty.csv", text))) == dense
    for name in ("reviews_Beauty_5.json", "All_Beauty_5.json"):
        assert rows_of(amazon.read_five_core(write(tmp_path / name, REVIEWS))) == ROWS
    all_reviews = json_lines([review(*row) for row in [*lone, *dense]])
    assert rows_of(amazon.read_five_core(write(tmp_path / "All_Beauty.json.gz", gzip.compress(all_reviews)))) == dense
    with pytest.raises(DataError, match=r"ratings_Beauty\.csv: no users and items with 5 interactions"):
        amazon.read_five_core(write(tmp_path / "ratings_Beauty.csv", RATINGS_CSV))


def test_yelp_in_every_container(tmp_path: Path) -> None:
    paths = [
        write(tmp_path / YELP_REVIEWS, YELP),
        write(tmp_path / f"{YELP_REVIEWS}.gz", gzip.compress(YELP)),
        write(tmp_path / "yelp_dataset.tar", tar_bytes({YELP_REVIEWS: YELP})),
        write(tmp_path / "yelp_dataset.tgz", tar_bytes({YELP_REVIEWS: YELP}, "w:gz")),
        write_folder(tmp_path / "yelp_dataset.zip", YELP_REVIEWS, YELP),
    ]
    paths.append(write_folder(tmp_path / "Yelp-JSON.zip", "yelp_dataset.tar", paths[2].read_bytes()))
    for path in paths:
        assert rows_of(READERS["yelp"](path)) == ROWS


def test_many_reviews_are_read_as_json_does(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    records = [
        review(f"A{rng.integers(99)}", f"B{rng.integers(99):03d}", int(rng.integers(10**9))) for _ in range(3000)
    ]
    path = write(tmp_path / "reviews_Beauty_5.json", json_lines(records))
    assert rows_of(amazon.read(path)) == [(r["reviewerID"], r["asin"], r["unixReviewTime"]) for r in records]


# --- what is refused --------------------------------------------------------------------------------------------------

Read = Callable[[Path], Interactions]

BY_SOURCE: dict[str, tuple[Read, str]] = {
    "movielens": (movielens.read, "ratings.dat"),
    "movielens-zip": (movielens.read, "ml-1m.zip"),
    "gowalla": (READERS["gowalla"], "checkins.txt"),
    "ratings": (amazon.read, "ratings_Beauty.csv"),
    "reviews": (amazon.read, "reviews_Beauty_5.json"),
    "yelp": (READERS["yelp"], YELP_REVIEWS),
}

BAD: list[tuple[str, bytes, str]] = [
    ("movielens", b"", "no interactions"),
    ("movielens", b"1,2,3,4\n", "line 1: has 1 instead of 4 fields separated by '::'"),
    ("movielens", b"1:2:3:4\n", "line 1: has a stray ':' among its 4 fields"),
    ("movielens", RATINGS_DAT + b"1::2::3\n", "line 4: has 3 instead of 4 fields"),
    ("movielens", RATINGS_DAT + b"1::2:3:4::5\n", "line 4: has a stray ':'"),
    ("movielens", b"UserID::MovieID::Rating::Timestamp\n", "line 1: timestamp 'Timestamp' is not a number"),
    ("movielens", RATINGS_DAT + b"1::2::3::x\n", "line 4: timestamp 'x' is not a number"),
    (
        "movielens",
        RATINGS_DAT + b"1::2::3::978300760000\n",
        "data row 2: timestamp 1287532520 looks like seconds, but 978300760000 in data row 4",
    ),
    ("movielens", RATINGS_DAT + b"1::\xe9::3::4\n", "line 4: item id .* is not UTF-8"),
    ("movielens-zip", b"PK\x03\x04 and no more", "truncated or damaged"),
    ("gowalla", b"", "no interactions"),
    ("gowalla", CHECKINS.replace(b"\t", b" "), "line 1: has 1 instead of 5 fields separated by tabs"),
    ("gowalla", CHECKINS + b"1\t2010-10-19\t0\t0\t5\n", "line 4: timestamp '2010-10-19' is not a date and time"),
    ("gowalla", CHECKINS + b"1\t2010-13-19T23:55:27Z\t0\t0\t5\n", "line 4: timestamp .*calendar"),
    ("gowalla", b"1\t1960-10-19T23:55:27Z\t0\t0\t5\n", "line 1: timestamp .*1970"),
    ("gowalla", CHECKINS + b"1\t2010-10-19T23:55:27Z\t0\t0\t\n", "line 4: item id '' is empty"),
    ("gowalla", gzip.compress(CHECKINS * 99)[:-9], "truncated or damaged"),
    ("ratings", b"user,item,rating,timestamp\n", "line 1: timestamp 'timestamp' is not a number"),
    ("ratings", RATINGS_CSV.replace(b",", b"\t"), "line 1: has 1 instead of 4 fields separated by commas"),
    ("ratings", RATINGS_CSV + b"A,B,5,-1\n", "line 4: timestamp '-1' is negative"),
    ("reviews", b"", "no interactions"),
    ("reviews", b"\n\n", "no interactions"),
    ("reviews", RATINGS_CSV, "line 1: is not a JSON object"),
    ("reviews", b"[1]\n", "line 1: is not a JSON object"),
    ("reviews", REVIEWS + b"{'asin': 'B'}\n", "line 4: is not a JSON object"),
    ("reviews", REVIEWS + b"[" * 100_000 + b"\n", "line 4: is not a JSON object"),
    ("reviews", REVIEWS[:-30], "line 3: is not a JSON object"),
    ("reviews", REVIEWS.replace(b"}\n", b"}", 1), "line 1: is not a JSON object"),
    ("reviews", gzip.compress(REVIEWS * 99)[:-9], "truncated or damaged"),
    ("reviews", REVIEWS.replace(b"J", b"\xe9", 1), "line 1: is not UTF-8"),
]


def bad_review(reason: str, **changes: Any) -> tuple[str, bytes, str]:
    return (
        "reviews",
        REVIEWS + json_lines([review("A", "B", 5, **changes)]),
        f"line 4: {next(iter(changes))} .*{reason}",
    )


def bad_yelp_review(message: str, **changes: Any) -> tuple[str, bytes, str]:
    record = yelp_review("A", "B", 5, **changes)
    present = {key: value for key, value in record.items() if value is not None}
    return "yelp", YELP + json_lines([present]), f"line 4: {message}"


BAD += [
    bad_review("is not a string", reviewerID=None),
    bad_review("is not a string", reviewerID=5),
    bad_review("is empty", asin=""),
    bad_review("is longer than 127 bytes", asin="x" * 128),
    bad_review("is not a number", unixReviewTime="5"),
    bad_review("is not a number", unixReviewTime=True),
    bad_review("is not a number", unixReviewTime=float("nan")),
    bad_review("is negative", unixReviewTime=-5),
    bad_review("is too large", unixReviewTime=10**19),
    bad_yelp_review("has no field 'user_id'", user_id=None),
    bad_yelp_review("has no field 'business_id'", business_id=None),
    bad_yelp_review("has no field 'date'", date=None),
    bad_yelp_review("date '2010-10-19' is not a date and time", date="2010-10-19"),
    bad_yelp_review("date 5 is not a string", date=5),
]


@pytest.mark.parametrize(
    ("source", "content", "message"), BAD, ids=lambda value: value if isinstance(value, str) else ""
)
def test_bad_input_is_one_line_that_names_file_and_place(
    tmp_path: Path, source: str, content: bytes, message: str
) -> None:
    read, name = BY_SOURCE[source]
    path = write(tmp_path / name, content)
    with pytest.raises(DataError, match=message) as error:
        read(path)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)
    assert len(str(error.value)) < 400


@pytest.mark.parametrize("read", [movielens.read, READERS["gowalla"], amazon.read, READERS["yelp"]])
def test_missing_file(tmp_path: Path, read: Read) -> None:
    with pytest.raises(DataError, match="absent: no such file"):
        read(tmp_path / "absent")


def test_a_bad_review_far_down_is_found(tmp_path: Path) -> None:
    path = write(tmp_path / "reviews_X_5.json", REVIEWS * 1000 + b"\n{}\n" + REVIEWS)
    with pytest.raises(DataError, match="line 3002: has no field 'reviewerID'"):
        amazon.read(path)


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datasets.readers.json_lines.MAX_LINE", 50)
    with pytest.raises(DataError, match="line 1: is longer than 50 bytes"):
        READERS["yelp"](write(tmp_path / "yelp.json", b"{" * 1000))


# --- labels of users and films ----------------------------------------------------------------------------------------

USERS_DAT = b"2::M::56::16::70072\n7::F::1::10::48067\n9::M::25::1::1\n"
MOVIES_DAT = "10::Am\u00e9lie (2001)::Comedy|Romance\n20::Heat (1995)::Action\n30::Jumanji (1995)::Comedy\n".encode(
    "latin-1"
)


def test_labels_follow_the_ids_wherever_the_files_are(tmp_path: Path) -> None:
    zipped = tmp_path / "zipped" / "ml-1m.zip"
    zipped.parent.mkdir()
    files = {"ml-1m/ratings.dat": RATINGS_DAT, "ml-1m/users.dat": USERS_DAT, "ml-1m/movies.dat": MOVIES_DAT}
    write_zip(zipped, files)
    beside = write(tmp_path / "ratings.dat", RATINGS_DAT)
    with pytest.raises(MissingData, match=r"there is no users\.dat beside it"):
        movielens.labels_of(beside, [7], [30])
    write(tmp_path / "ml-1m-users.dat", USERS_DAT)
    write(tmp_path / "movies.dat", MOVIES_DAT)
    for path in (zipped, beside):
        data = movielens.read(path)
        labels = movielens.labels_of(path, data.user_labels, data.item_labels)
        assert labels.genders[data.user_ids].tolist() == ["F", "F", "M"]
        assert labels.ages[data.user_ids].tolist() == [1, 1, 56]
        assert labels.genres[data.item_ids].tolist() == [[True, False], [True, True], [True, False]]
    with pytest.raises(DataError, match=r"movies\.dat has no line about '40'"):
        movielens.labels_of(beside, [7], [40])
    write(tmp_path / "movies.dat", b"10::Comedy\n")
    with pytest.raises(DataError, match=r"movies\.dat has lines with fewer than 3 fields"):
        movielens.labels_of(beside, [7], [10])


def test_labels_of_the_real_data(real_data: Callable[[str], Path]) -> None:
    path = real_data("ml-1m.csv.gz")
    labels = movielens.labels_of(path, range(1, 6041), [1, 6])
    assert np.unique(labels.genders, return_counts=True)[1].tolist() == [1709, 4331]
    assert np.unique(labels.ages, return_counts=True)[1].tolist() == [222, 1103, 2096, 1193, 550, 496, 380]
    names = ["Action", "Animation", "Children's", "Comedy", "Crime", "Thriller"]
    toy_story, heat = (set(np.array(names)[row]) for row in labels.genres)
    assert toy_story == {"Animation", "Children's", "Comedy"}
    assert heat == {"Action", "Crime", "Thriller"}
