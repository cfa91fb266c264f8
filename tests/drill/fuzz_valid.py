"""Small valid files of every format, by a seeded draw."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from random import Random
from typing import Any

USERS, ITEMS = ("7", "u 1", "é", "a,b", "007"), ("3", "5", "70", "x;y", "item")
IDS = (*USERS, *ITEMS, "1", "2", "42", "-3", "9223372036854775807")


def _rows(rng: Random, ids: tuple[str, ...] = IDS) -> list[tuple[str, str, int]]:
    return [
        (rng.choice(ids), rng.choice(ids), rng.randrange(2_000_000_000)) for _ in range(rng.choice((1, 3, 5, 9, 40)))
    ]


def ratings(rng: Random) -> bytes:
    """MovieLens: user, item, rating and second, parted by `::`."""
    return "".join(f"{user}::{item}::5::{time}\n" for user, item, time in _rows(rng)).encode()


def amazon_ratings(rng: Random) -> bytes:
    """Amazon's CSV without a header."""
    return _csv([(user, item, "5.0", time) for user, item, time in _rows(rng)], ",")


def u_data(rng: Random) -> bytes:
    """MovieLens-100K's tabs."""
    return "".join(f"{user}\t{item}\t3\t{time}\n" for user, item, time in _rows(rng)).encode()


def checkins(rng: Random) -> bytes:
    """Gowalla's tabs, with moments of the calendar."""
    lines = [f"{user}\t{_moment(time, 'T')}Z\t30.2\t-97.7\t{item}\n" for user, item, time in _rows(rng)]
    return "".join(lines).encode()


def amazon_reviews(rng: Random) -> bytes:
    """Amazon's JSON lines, their texts full of what looks like JSON."""
    text = rng.choice(("good", 'he said: "asin": "B9", {"x": 1}', "é\n", ""))
    return _json_lines(
        rng,
        [
            {"reviewerID": user, "asin": item, "helpful": [0, 1], "reviewText": text, "unixReviewTime": time}
            for user, item, time in _rows(rng)
        ],
    )


def yelp_reviews(rng: Random) -> bytes:
    """Yelp's JSON lines."""
    return _json_lines(
        rng,
        [
            {"review_id": "r", "user_id": user, "business_id": item, "text": '"date":"x"', "date": _moment(time, " ")}
            for user, item, time in _rows(rng)
        ],
    )


def table(rng: Random) -> bytes:
    """Anybody's columns, in any order, among others."""
    delimiter = rng.choice((",", "\t", ";", "|"))
    columns = ["userid", "itemid", "timestamp", *rng.choice(((), ("rating",), ("rating", "a comment")))]
    rng.shuffle(columns)
    rows = []
    for user, item, time in _rows(rng):
        values = {"userid": user, "itemid": item, "timestamp": time, "rating": 5, "a comment": 'so, "so"'}
        rows.append(tuple(values[column] for column in columns))
    return _csv([tuple(columns), *rows], delimiter)


def recommendations(rng: Random) -> bytes:
    """Ranked lists of some users."""
    rows: list[tuple[Any, ...]] = []
    for user in rng.sample(USERS, rng.randrange(1, 6)):
        listed = rng.sample(ITEMS, rng.randrange(1, 6))
        rows += [(user, item, rank) for rank, item in enumerate(listed, 1)]
    rng.shuffle(rows)
    return _csv([("user_id", "item_id", "rank"), *rows], rng.choice((",", ";", "\t")))


def _csv(rows: list[tuple[Any, ...]], delimiter: str) -> bytes:
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator="\n").writerows(rows)
    return text.getvalue().encode()


def _json_lines(rng: Random, records: list[dict[str, Any]]) -> bytes:
    separators = rng.choice(((", ", ": "), (",", ":")))
    return "".join(json.dumps(record, separators=separators) + "\n" for record in records).encode()


def _moment(seconds: int, between: str) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime(f"%Y-%m-%d{between}%H:%M:%S")
