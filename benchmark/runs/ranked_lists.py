"""Read recommendations: a table of users, items and ranks. Errors name the file and the line."""

from __future__ import annotations

import re
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd

from datasets.interactions import DataError
from datasets.readers.delimited import rows
from datasets.readers.sources import open_source
from datasets.readers.table import NAMES, SEPARATED, layout_of
from datasets.sequences import Sequences

COLUMNS: Mapping[str, Sequence[str]] = {"user": NAMES["user"], "item": NAMES["item"], "rank": ("rank",)}
"""Accepted column names, compared like those of a table of interactions; other columns are ignored."""

EXPECTED = f"the first line must name the columns userid, itemid and rank, {SEPARATED}"
_NUMBER = re.compile("[0-9]{1,9}")

Index = Mapping[str, int]


def read_ranked_lists(path: Path, users: np.ndarray, items: np.ndarray) -> Sequences:
    """One list per user, best first, as positions in `items`; empty for a user whom the file does not name.

    `users` (N,), `items` (V,): the original ids that the file, plain or gzip, must use, written as `str` writes them.
    The order of its rows does not matter. Raises DataError, with file and line number, for an unknown user or item, an
    item that is twice in a list, ranks other than 1 to n, and a file that is not such a table.
    """
    user_index, item_index = ({str(label): i for i, label in enumerate(labels.tolist())} for labels in (users, items))
    cells = np.array(_parsed(path, user_index, item_index), dtype=np.int64).reshape(-1, 4)
    if not len(cells):
        raise DataError(f"{path}: has no recommendations; give one line with user, item and rank for each")
    listed = pd.DataFrame(cells, columns=["user", "item", "rank", "line"])
    for user, item, _, line in listed[listed.duplicated(["user", "item"])].to_numpy():
        raise DataError(
            f"{path}: line {line}: item {str(items[item])!r:.60} is in the list of user {str(users[user])!r:.60} a "
            "second time; list each item once"
        )
    listed = listed.sort_values(["user", "rank", "line"])
    listed["place"] = listed.groupby("user").cumcount() + 1
    lengths = np.bincount(listed["user"], minlength=len(users))
    for user, _, rank, line, place in listed[listed["rank"] != listed["place"]].to_numpy():
        n = lengths[user]
        raise DataError(
            f"{path}: line {line}: rank {rank} of user {str(users[user])!r:.60} stands where rank {place} should; "
            f"number the user's {n} items from 1 to {n}, each rank once"
        )
    return Sequences.from_arrays(listed["item"].to_numpy(copy=True), np.concatenate([[0], np.cumsum(lengths)]))


def _parsed(path: Path, users: Index, items: Index) -> array[int]:
    """User, item, rank and line of each recommendation, one after the other."""
    cells = array("q")
    layout = replace(layout_of(path, COLUMNS, EXPECTED), quoted=True)
    with open_source(path) as stream:
        for line, user, item, rank in rows(stream, layout, path):
            try:
                cells.extend((*_recommendation(user.strip(), item.strip(), rank.strip(), users, items), line))
            except ValueError as error:
                raise DataError(f"{path}: line {line}: {error}") from error
    return cells


def _recommendation(user: str, item: str, rank: str, users: Index, items: Index) -> tuple[int, int, int]:
    """User, item and rank as numbers; ValueError if one is wrong."""
    if any("\udc80" <= letter <= "\udcff" for letter in user + item):
        raise ValueError("is not UTF-8 text; convert the file to UTF-8")
    if user not in users:
        raise ValueError(f"user {user!r:.60} is not a test user; use the ids in test_histories.csv of export-split")
    if item not in items:
        raise ValueError(f"item {item!r:.60} is not in the catalogue; use the ids in catalogue.csv of export-split")
    if not _NUMBER.fullmatch(rank) or int(rank) < 1:
        raise ValueError(f"rank {rank!r:.60} is not a whole number from 1; number each user's items 1, 2, 3, ...")
    return users[user], items[item], int(rank)
