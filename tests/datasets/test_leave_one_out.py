"""The leave-one-out split against a plain one, its properties, and its numbers on real data."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable

import numpy as np
import pytest

from datasets.cases import redrawn_cases
from datasets.interactions import DataError
from datasets.protocol import Protocol
from datasets.split import Split, split
from tests.datasets.rows import Row, as_lists, interactions

HOME = Protocol.of_preset("leave-one-out", "none")


def random_rows(seed: int) -> list[Row]:
    """Users with few events, sometimes fewer than three and often simultaneous, and items that occur only once."""
    rng = np.random.default_rng(seed)
    columns = 5 * rng.integers(0, 30, 150), 3 * rng.integers(0, 60, 150), rng.integers(0, 8, 150)
    return [(int(u), int(i), int(t)) for u, i, t in zip(*columns, strict=True)]


@pytest.mark.parametrize("ties", ["file", "item"])
@pytest.mark.parametrize("seed", range(6))
def test_leave_one_out_equals_a_plain_split(seed: int, ties: str) -> None:
    rows = random_rows(seed)
    minimum = 3 + seed % 2
    by_user: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_user[row[0]].append(row)
    users = sorted(user for user, own in by_user.items() if len(own) >= minimum)
    items = sorted({item for user in users for _, item, _ in by_user[user]})
    # Python's sort is stable: what is simultaneous stays in file order, or in that of the items.
    by_time = {"file": lambda row: row[2], "item": lambda row: (row[2], row[1])}[ties]
    sequences = [[items.index(i) for _, i, _ in sorted(by_user[user], key=by_time)] for user in users]
    trained = [sequence[:-2] for sequence in sequences]

    found = split(interactions(rows), Protocol(preset="leave-one-out", ties=ties, min_events=minimum))
    assert found.train_user_labels.tolist() == found.test_user_labels.tolist() == users
    assert found.item_labels.tolist() == items
    assert as_lists(found.train) == as_lists(found.cases("validation").histories) == trained
    assert as_lists(found.cases("test").histories) == [sequence[:-1] for sequence in sequences]
    assert found.cases("validation").targets.tolist() == [sequence[-2] for sequence in sequences]
    assert found.cases("test").targets.tolist() == [sequence[-1] for sequence in sequences]

    visits = Counter(item for sequence in trained for item in sequence)
    visitors = Counter(item for sequence in trained for item in set(sequence))
    assert found.item_interactions.tolist() == [visits[item] for item in range(len(items))]
    assert found.item_users.tolist() == [visitors[item] for item in range(len(items))]
    assert 0 in found.item_interactions, "some item occurs as a target alone"
    assert found.summary["train_users"] == found.summary["test_users"] == len(users) < len(by_user)
    assert found.summary["items"] == len(items) == len(found.item_buckets)


@pytest.mark.parametrize("ties", ["file", "shuffle:4", "draws"])
def test_no_target_is_trained_on_whatever_the_tie_rule(ties: str) -> None:
    rows = [(user, 100 * user + k, k // 4) for user in range(9) for k in range(8)]  # no item twice, four at a time
    found = split(interactions(rows), Protocol(preset="leave-one-out", ties=ties))
    trained = set(found.train.items.tolist())
    cases = [found.cases("test"), found.cases("validation")]
    cases += [redrawn_cases(found.events, found.event_ties, "test", draw) for draw in range(5)]
    for case in cases:
        assert not trained & set(case.targets.tolist())
    redrawn = {tuple(case.targets.tolist()) for case in cases[2:]}
    assert len(redrawn) > 1, "the last two events are still exchanged"
    if ties != "file":
        assert found.cases("test").targets.tolist() != split(interactions(rows), HOME).cases("test").targets.tolist()


def test_equal_times_are_allowed_because_file_order_decides() -> None:
    found = split(interactions([(user, user + k, 5) for user in range(4) for k in range(4)]), HOME)
    assert as_lists(found.events) == [[user + k for k in range(4)] for user in range(4)]


def test_no_user_with_three_items_is_one_line() -> None:
    rows = [(user, item, item) for user in range(5) for item in (user, user + 1)]
    with pytest.raises(DataError, match=r"^no test users: none of the 5 users has 3 events, .+; give longer .+$"):
        split(interactions(rows), HOME)


@pytest.mark.parametrize(("key", "value"), [("history", "full"), ("quantile", 0.9), ("until", 0.98)])
def test_settings_without_meaning_are_refused(key: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^protocol\.{key}: .* is not possible; give .+ has no time T$"):
        Protocol(**{"preset": "leave-one-out", key: value})


@pytest.mark.parametrize(
    ("name", "users", "items", "rows"),
    [("beauty.csv.gz", 22_363, 12_101, 198_502), ("ml-1m.csv.gz", 6040, 3674, 1_000_072)],
)
def test_populations_on_real_data(
    real_split: Callable[[str, Protocol], Split], name: str, users: int, items: int, rows: int
) -> None:
    found = real_split(name, HOME)
    assert (len(found.train), len(found.events), found.n_items) == (users, users, items)
    assert len(found.events.items) == len(found.train.items) + 2 * users == rows
