"""What is fuzzed of data: every publisher's format, anybody's table, the archives around them, recommendations."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmark.runs.external import COLUMNS, read_ranked_lists
from datasets.download import verify_download
from datasets.interactions import DataError, Interactions
from datasets.protocol import Protocol
from datasets.publishers import amazon, movielens
from datasets.readers.delimited import COLUMN_NAMES, read_table
from datasets.registry import DATASETS
from datasets.split import split
from tests.drill import fuzz_oracles as oracles
from tests.drill import fuzz_valid as valid
from tests.drill.fuzz_containers import extracted, packed
from tests.drill.fuzz_mutations import BYTES, LINES, Mutation, json_line_changed, long_line, mutated

TEXTS = (*BYTES, *LINES, *LINES, long_line)
JSON_LINES = (*BYTES, *LINES, *(json_line_changed,) * 8, long_line)


@dataclass(frozen=True)
class File:
    """A format: `valid` writes a small file in it, `reader` is the suite's, `oracle` the second reading."""

    name: str
    place: str
    inputs: int
    folder: Path
    valid: Callable[[Random], bytes]
    reader: Callable[[Path], Any]
    oracle: Callable[[bytes], Any]
    mutations: tuple[Mutation, ...] = TEXTS
    damage: Callable[[Random, bytes], bytes] = field(default=lambda _, content: content)

    def make(self, rng: Random) -> bytes:
        """A valid file, mostly made wrong."""
        content = self.valid(rng)
        content = content if rng.random() < 0.05 else mutated(rng, content, self.mutations)
        return self.damage(rng, content)

    def read(self, content: bytes) -> Any:
        """By the suite; what can be read is now and then split as well."""
        path = self.folder / self.place
        path.write_bytes(content)
        result = self.reader(path)
        if isinstance(result, Interactions) and len(content) % 8 == 0:
            _try_to_split(result)
        return result

    def check(self, content: bytes, result: Any) -> str:
        """Whether both readings agree."""
        try:
            expected = self.oracle(content)
        except oracles.Unreadable as error:
            return f"was accepted, but: {error}"
        except oracles.Undecided:
            return ""
        except Exception as error:
            return f"was accepted, but the standard library says {type(error).__name__}: {error}"[:400]
        if isinstance(result, Interactions):
            found = oracles.rows_of(result)
            return oracles.inconsistent(result) or ("" if found == expected else f"{found} instead of {expected}"[:400])
        return "" if result == expected else f"{result} instead of {expected}"[:400]


def data_targets(folder: Path) -> Iterator[File | Downloads]:
    """One target for each format, with `folder` to write in."""
    names = {role: COLUMN_NAMES[role] for role in ("user", "item", "time")}
    yelp_time = oracles.calendar_second("%Y-%m-%d %H:%M:%S")
    as_ratings = partial(oracles.delimited, delimiter="::", places=(0, 1, 3), fields=4)
    yield File("ratings.dat", "ratings.dat", 10_000, folder, valid.ratings, movielens.read, as_ratings)
    yield File(
        "Amazon ratings",
        "ratings_Beauty.csv",
        9_000,
        folder,
        valid.amazon_ratings,
        amazon.read,
        partial(oracles.delimited, delimiter=",", places=(0, 1, 3), fields=4, quoted=True),
    )
    yield File(
        "Amazon reviews",
        "reviews_Beauty_5.json",
        14_000,
        folder,
        valid.amazon_reviews,
        amazon.read,
        partial(oracles.json_lines, keys=("reviewerID", "asin", "unixReviewTime"), second=None),
        JSON_LINES,
    )
    yield File(
        "Gowalla check-ins",
        "loc-gowalla_totalCheckins.txt",
        8_000,
        folder,
        valid.checkins,
        DATASETS["gowalla"].reader,
        partial(
            oracles.delimited,
            delimiter="\t",
            places=(0, 4, 1),
            fields=5,
            second=oracles.calendar_second("%Y-%m-%dT%H:%M:%SZ"),
        ),
    )
    yield File(
        "Yelp reviews",
        "yelp_academic_dataset_review.json",
        10_000,
        folder,
        valid.yelp_reviews,
        DATASETS["yelp"].reader,
        partial(oracles.json_lines, keys=("user_id", "business_id", "date"), second=yelp_time),
        JSON_LINES,
    )
    yield File("tables", "mine.csv", 14_000, folder, valid.table, read_table, partial(oracles.table, names=names))
    yield File("u.data", "u.data", 3_000, folder, valid.u_data, read_table, partial(oracles.table, names=names))
    yield File(
        "archives of ratings",
        "ml-1m.zip",
        6_000,
        folder,
        valid.ratings,
        movielens.read,
        lambda content: as_ratings(extracted(content)),
        LINES,
        packed,
    )
    yield File(
        "recommendations",
        "lists.csv",
        9_000,
        folder,
        valid.recommendations,
        partial(_read_lists, users=valid.USERS, items=valid.ITEMS),
        partial(oracles.ranked, names=COLUMNS, users=valid.USERS, items=valid.ITEMS),
    )
    yield Downloads(folder / "downloads")


class Downloads:
    """The note of what was downloaded: the file is the one that it tells of, or is refused."""

    name, place, inputs = "download notes", "ml-1m.zip", 1_500

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path = folder / "ml-1m.zip"
        self.path.write_bytes(b"whatever")
        self.digest = hashlib.sha256(b"whatever").hexdigest()

    def make(self, rng: Random) -> bytes:
        """The note, mostly made wrong."""
        content = f"{self.digest}  ml-1m.zip\n".encode()
        return mutated(rng, content, (*BYTES, *LINES))

    def read(self, content: bytes) -> None:
        """What happens before a file is read that was downloaded once."""
        self.path.with_name("ml-1m.zip.sha256").write_bytes(content)
        verify_download(self.path)

    def check(self, content: bytes, result: None) -> str:
        """Whether the note has the digest."""
        return "" if content.decode().split()[:1] == [self.digest] else f"accepted by {content!r:.80}"


def _try_to_split(data: Interactions) -> None:
    try:
        result = split(data, Protocol(quantile=0.6))
    except DataError:
        return
    lengths = [*result.train.lengths.tolist(), *result.events.lengths.tolist()]
    assert min(lengths) >= 1
    assert max(result.train.items.max(), result.events.items.max()) < result.n_items


def _read_lists(path: Path, users: tuple[str, ...], items: tuple[str, ...]) -> list[list[str]]:
    lists = read_ranked_lists(path, np.array(users), np.array(items))
    return [[items[item] for item in lists[user].tolist()] for user in range(len(users))]
