"""The labels of downstream tasks, on users whose events can be counted by hand."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from datasets.interactions import Interactions
from datasets.protocol import Protocol
from datasets.split import Split, split
from datasets.user_labels import UserLabels, user_labels

DAY = 24 * 3600
PROTOCOL = Protocol(quantile=0.92)


def interactions() -> Interactions:
    """Users 1 to 9 train and user 10 is tested. Only user 1 pauses for 40 days before their last events."""
    rows = [(user, (user + i) % 7 + 1, 100 * DAY + i * 60) for user in range(1, 10) for i in range(6)]
    rows = [
        (user, item, moment + (40 * DAY if user == 1 and i % 6 >= 3 else 0))
        for i, (user, item, moment) in enumerate(rows)
    ]
    rows += [(10, item, (300 + i) * DAY) for i, item in enumerate((3, 1, 5, 5, 5, 2))]
    users, items, moments = (np.array(column) for column in zip(*rows, strict=True))
    labels = np.unique(items)
    return Interactions(
        (users - 1).astype(np.int32),
        np.searchsorted(labels, items).astype(np.int32),
        moments.astype(np.int64),
        np.arange(1, 11),
        labels,
    )


@pytest.fixture
def parts() -> tuple[Split, UserLabels]:
    data = interactions()
    result = split(data, PROTOCOL)
    return result, user_labels(result, data, PROTOCOL, None)


def test_the_later_half_is_the_future_and_its_first_item_comes_next(parts: tuple[Split, UserLabels]) -> None:
    result, known = parts
    assert known.n_train == 9
    histories = [result.item_labels[sequence].tolist() for sequence in known.known]
    assert histories[0] == [(1 + i) % 7 + 1 for i in range(4)]  # three of six events, and the next
    assert histories[9] == [3, 1, 5, 5]
    assert [len(sequence) for sequence in known.histories] == [3] * 9


def test_labels_describe_the_future(parts: tuple[Split, UserLabels]) -> None:
    result, known = parts
    assert known.labels["return"].tolist() == [0, *[1] * 9]  # user 1 alone stayed away for 40 days
    buckets = [result.item_buckets[result.item_labels.tolist().index(item)] for item in (5, 5, 2)]
    assert known.labels["bucket"][9] == np.bincount(buckets).argmax()


def test_movielens_has_the_publishers_labels(tmp_path: Path) -> None:
    ages = {user: (1, 25, 56)[user % 3] for user in range(1, 11)}
    lines = [f"{user}::{'FM'[user % 2]}::{age}::0::00000" for user, age in ages.items()]
    (tmp_path / "users.dat").write_text("\n".join(lines))
    genres = {1: "Drama", 2: "Comedy|Drama", 3: "Comedy", 4: "War", 5: "Comedy", 6: "War", 7: "War"}
    (tmp_path / "movies.dat").write_text("\n".join(f"{film}::Film {film}::{names}" for film, names in genres.items()))
    data = interactions()
    known = user_labels(split(data, PROTOCOL), data, PROTOCOL, tmp_path / "ratings.dat")
    assert known.labels.keys() == {"genre", "age", "gender"}
    assert known.labels["age"].tolist() == [sorted({1, 25, 56}).index(ages[user]) for user in range(1, 11)]
    assert known.labels["gender"].tolist() == [user % 2 for user in range(1, 11)]
    assert known.labels["genre"][9] == 0  # of 5, 5 and 2 three are comedies, one is a drama
