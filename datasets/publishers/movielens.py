"""MovieLens (Harper and Konstan 2015): ratings, and for MovieLens-1M also attributes of users and films."""

from __future__ import annotations

import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from datasets.download import MissingData
from datasets.interactions import DataError, Interactions
from datasets.readers.delimited import Layout, read_delimited
from datasets.readers.sources import open_source

_LAYOUTS = {  # UserID, MovieID, Rating, Timestamp
    ".data": Layout(user=0, item=1, time=3, fields=4, delimiter="\t"),  # 100K
    ".dat": Layout(user=0, item=1, time=3, fields=4, delimiter="::"),  # 1M, 10M
    ".csv": Layout(user=0, item=1, time=3, fields=4, delimiter=",", header=True),  # 20M, 25M, 32M
}
_MEMBERS = {"ml-100k.zip": "u.data", "ml-1m.zip": "ratings.dat", "ml-10m.zip": "ratings.dat"}


def read(path: Path) -> Interactions:
    """Read all ratings in file order; the file's name determines its format. DataError names the first bad line."""
    member = _MEMBERS.get(path.name, "ratings.csv")
    return read_delimited(path, _LAYOUTS.get(path.suffix) or _LAYOUTS[Path(member).suffix], member)


@dataclass(frozen=True, eq=False)
class Labels:
    """Attributes of users and films in MovieLens-1M, in the order of the requested ids."""

    genders: np.ndarray  # (users,) "F" or "M"
    ages: np.ndarray  # (users,) int64, the youngest age in the user's group: 1, 18, 25, 35, 45, 50 or 56
    genres: np.ndarray  # (items, G) bool, which of the G genres a film has, in alphabetical order


def labels_of(path: Path, user_labels: Iterable[int], item_labels: Iterable[int]) -> Labels:
    """Look up users and films by their original ids, the labels of `Interactions` and `Split`.

    They come from the publisher's users.dat and movies.dat, inside `path` if that is ml-1m.zip, otherwise beside it.
    Raises MissingData if one of these is missing, DataError if it lacks a user, a film or a field.
    """
    users = _rows(path, "users.dat", user_labels)  # UserID::Gender::Age::Occupation::Zip-code
    films = _rows(path, "movies.dat", item_labels)  # MovieID::Title::Genres
    genres_of = [frozenset(row[-1].split("|")) for row in films]
    names = sorted(frozenset().union(*genres_of))
    return Labels(
        genders=np.array([row[1] for row in users]),
        ages=np.array([row[2] for row in users]).astype(np.int64),
        genres=np.array([[name in genres for name in names] for genres in genres_of]),
    )


def _rows(path: Path, name: str, ids: Iterable[int]) -> list[list[str]]:
    """Return the fields of each id's line in the publisher's file `name`."""
    source = path if zipfile.is_zipfile(path) else path.with_name(name)
    if not source.is_file():
        source = path.with_name(f"ml-1m-{name}")  # its name beside a table called ml-1m.csv
    if not source.is_file():
        raise MissingData(f"{path}: there is no {name} beside it; take it from ml-1m.zip, which has it")
    with open_source(source, name) as stream:
        lines = stream.read().decode("latin-1").splitlines()
    by_id = {line.partition("::")[0]: line.split("::") for line in lines}
    try:
        rows = [by_id[str(each)] for each in ids]
    except KeyError as error:
        raise DataError(f"{source}: {name} has no line about {error}; give the publisher's own file") from None
    width = max(map(len, rows))
    if width < 3 or min(map(len, rows)) < width:
        raise DataError(f"{source}: {name} has lines with fewer than 3 fields separated by '::'; fetch it again")
    return rows
