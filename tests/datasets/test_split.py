"""The split against a slow one in plain Python, its properties, and its numbers on real data."""

from __future__ import annotations

import io
import math
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch

from datasets.cases import redrawn_cases
from datasets.counts import popularity_buckets
from datasets.filtering import apply_filter
from datasets.interactions import DataError, Interactions
from datasets.protocol import Protocol
from datasets.split import Split, split, window
from tests.datasets.rows import Row, as_lists, from_columns, interactions

SEEDS = range(8)


def random_rows(seed: int, users: int = 40, items: int = 30, n: int = 600) -> list[Row]:
    """Users who are active for a while, with ties, repeated items, duplicate rows and items that appear late."""
    rng = np.random.default_rng(seed)
    births = rng.integers(0, 100, users)
    who = rng.integers(0, users, n)
    when = births[who] + rng.integers(0, 12, n)
    what = np.minimum(rng.zipf(1.3, n) + when // 10, items)
    return [(int(u) * 7, int(i) * 3, int(t)) for u, i, t in zip(who, what, when, strict=True)]


# --- a second implementation, slow and plain ----------------------------------------------------------------


def slow_core(rows: list[Row]) -> list[Row]:
    while True:
        users, items = Counter(u for u, _, _ in rows), Counter(i for _, i, _ in rows)
        kept = [(u, i, t) for u, i, t in rows if users[u] >= 5 and items[i] >= 5]
        if kept == rows:
            return rows
        rows = kept


def slow_one_pass(rows: list[Row]) -> list[Row]:
    users_of, items_of = defaultdict(set), defaultdict(set)
    for user, item, _ in rows:
        users_of[item].add(user)
    rows = [row for row in rows if len(users_of[row[1]]) >= 5]
    for user, item, _ in rows:
        items_of[user].add(item)
    return [row for row in rows if len(items_of[row[0]]) >= 20]


SLOW_FILTERS = {"none": lambda rows: rows, "core": slow_core, "one-pass": slow_one_pass}


@dataclass
class SlowSplit:
    threshold: int
    train: dict[int, list[Row]]  # by user, in time order
    testers: set[int]
    events: dict[int, list[Row]]
    catalogue: list[int]


def slow_split(rows: list[Row], protocol: Protocol) -> SlowSplit:
    rows = SLOW_FILTERS[protocol.filter](rows)
    times = sorted(t for _, _, t in rows)
    threshold = times[round(protocol.quantile * (len(rows) - 1))]
    end = times[round(protocol.until * (len(rows) - 1))] if protocol.until < 1 else math.inf
    testers = {u for u, _, t in rows if threshold <= t < end}
    rows = [row for row in rows if row[2] < (end if row[0] in testers else threshold)]
    catalogue = sorted({i for u, i, _ in rows if u not in testers})
    train, events = {}, {}
    for user in sorted({u for u, _, _ in rows}):
        own = sorted((row for row in rows if row[0] == user), key=lambda row: row[2])
        if user not in testers:
            train[user] = own
            continue
        known = [row for row in own if row[1] in catalogue]
        late = [row for row in known if row[2] >= threshold]
        if len(late) >= protocol.min_events:
            events[user] = known if protocol.history == "full" else late
    return SlowSplit(threshold, train, testers, events, catalogue)


def items_of(sequences: dict[int, list[Row]], catalogue: list[int]) -> list[list[int]]:
    return [[catalogue.index(item) for _, item, _ in sequence] for sequence in sequences.values()]


@pytest.mark.parametrize("history", ["after-T", "full"])
@pytest.mark.parametrize("name", ["none", "core"])
@pytest.mark.parametrize("seed", SEEDS)
def test_split_equals_the_slow_split(seed: int, name: str, history: str) -> None:
    rows = random_rows(seed)
    protocol = Protocol(filter=name, history=history, quantile=0.8, min_events=3 + seed % 2)
    check_against_slow_split(split(interactions(rows), protocol), slow_split(rows, protocol))


@pytest.mark.parametrize("history", ["after-T", "full"])
@pytest.mark.parametrize(("begin", "end"), [(0.5, 0.6), (0.6, 0.7), (0.3, 0.4)])
@pytest.mark.parametrize("seed", SEEDS)
def test_a_window_equals_the_slow_one(seed: int, begin: float, end: float, history: str) -> None:
    rows = random_rows(seed)
    rows += [(user, item, time + 70) for user, item, time in rows[::3]]  # many pause and come back
    protocol = Protocol(history=history, quantile=begin, until=end)
    found, expected = split(interactions(rows), protocol), slow_split(rows, protocol)
    check_against_slow_split(found, expected)
    of_trainers = sum(user in expected.train for user, _, _ in rows)
    assert len(found.train.items) < of_trainers, "what they do after the window has begun is not trained on"


def test_consecutive_windows_cover_every_event_exactly_once() -> None:
    rows = random_rows(9)
    bounds = [0.5, 0.7, 0.9, 1.0]
    late = {t for _, _, t in rows if t >= sorted(t for _, _, t in rows)[round(0.5 * (len(rows) - 1))]}
    seen: list[int] = []
    for begin, end in pairwise(bounds):
        data = interactions(rows)
        first, after = window(data.timestamps, Protocol(quantile=begin, until=end))
        seen += [t for t in sorted(late) if first <= t < after]
    assert seen == sorted(late)


def test_a_user_has_the_same_number_in_all_windows_and_it_does_not_reveal_the_id() -> None:
    rows = random_rows(11)
    data = interactions(rows)
    number_of: dict[int, int] = {}
    tested = 0
    for begin in (0.4, 0.5, 0.6, 0.7, 0.8):
        for history in ("after-T", "full"):
            found = split(data, Protocol(quantile=begin, until=round(begin + 0.1, 1), history=history))
            pairs = list(zip(found.test_user_labels.tolist(), found.test_user_numbers.tolist(), strict=True))
            assert all(number_of.setdefault(user, number) == number for user, number in pairs)
            tested += len(pairs)
    assert tested > 2 * len(number_of) > 20, "some users are tested in several windows"
    numbers = [number_of[user] for user in sorted(number_of)]
    assert len(set(numbers)) == len(numbers)
    assert max(numbers) < data.n_users
    assert abs(np.corrcoef(numbers, np.arange(len(numbers)))[0, 1]) < 0.5


def test_ties_are_drawn_in_a_window() -> None:
    rows = random_rows(10)
    ordered = split(interactions(rows), Protocol(ties="file", quantile=0.5, until=0.8))
    drawn = split(interactions(rows), Protocol(quantile=0.5, until=0.8))
    assert drawn.fingerprint() == ordered.fingerprint()
    draws = drawn.cases("test").draws
    assert draws is not None
    assert draws.shape[1] == len(ordered.events)
    assert (np.ptp(draws, axis=0) > 0).any()


def test_split_equals_the_slow_split_after_the_one_pass_filter() -> None:
    rows = random_rows(0, users=30, items=60, n=3000)
    protocol = Protocol(filter="one-pass", quantile=0.9)
    check_against_slow_split(split(interactions(rows), protocol), slow_split(rows, protocol))


def test_a_finer_unit_of_time_changes_nothing_but_the_order_within_a_second() -> None:
    coarse = interactions(random_rows(0))
    fine = replace(coarse, timestamps=coarse.timestamps * 10**9, ticks_per_second=10**9)
    expected, found = split(coarse, Protocol(quantile=0.8)), split(fine, Protocol(quantile=0.8))
    assert found.summary == expected.summary
    assert found.fingerprint() == expected.fingerprint()
    within = np.arange(len(coarse))[::-1]
    found = split(replace(fine, timestamps=fine.timestamps + within), Protocol(quantile=0.8))
    backwards = coarse.select(np.ones(len(coarse), dtype=bool))
    backwards = replace(
        backwards,
        user_ids=backwards.user_ids[::-1],
        item_ids=backwards.item_ids[::-1],
        timestamps=backwards.timestamps[::-1],
    )
    latest_first = split(backwards, Protocol(quantile=0.8))
    assert found.summary["threshold"] == expected.summary["threshold"]
    assert found.summary["tied_share"] == 0 < expected.summary["tied_share"]
    assert found.train.items.tolist() == latest_first.train.items.tolist() != expected.train.items.tolist()


def check_against_slow_split(found: Split, expected: SlowSplit) -> None:
    assert found.item_labels.tolist() == expected.catalogue
    assert found.n_items == len(expected.catalogue)
    assert found.train_user_labels.tolist() == list(expected.train)
    assert found.test_user_labels.tolist() == list(expected.events)
    assert as_lists(found.train) == items_of(expected.train, expected.catalogue)
    assert as_lists(found.events) == items_of(expected.events, expected.catalogue)

    training = [row for rows in expected.train.values() for row in rows]
    visits = Counter(i for _, i, _ in training)
    visitors = Counter(i for _, i in {(u, i) for u, i, _ in training})
    assert found.item_interactions.tolist() == [visits[item] for item in expected.catalogue]
    assert found.item_users.tolist() == [visitors[item] for item in expected.catalogue]

    endings = Counter(rows[-1][1] for rows in expected.train.values())
    late = expected.events.values()
    summary = found.summary
    assert summary["threshold"] == expected.threshold
    assert summary["test_users_before_rule"] == len(expected.testers)
    assert summary["test_users"] == len(expected.events)
    assert summary["train_users"] == len(expected.train)
    assert summary["train_interactions"] == len(training)
    assert summary["items"] == len(expected.catalogue)
    assert summary["tied_share"] == np.mean([rows[-1][2] == rows[-2][2] for rows in late])
    assert summary["masked_share"] == np.mean([rows[-1][1] in [i for _, i, _ in rows[:-1]] for rows in late])
    lone = [endings[rows[-1][1]] == 1 for rows in expected.train.values()]
    assert summary["twinless_share"] == pytest.approx(np.mean(lone))


# --- filters and counts -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["none", "core", "one-pass"])
@pytest.mark.parametrize("seed", SEEDS)
def test_filters_equal_the_slow_filters(seed: int, name: str) -> None:
    rows = random_rows(seed, users=60, items=90, n=4000)
    kept, steps = apply_filter(name, interactions(rows))
    expected = interactions(SLOW_FILTERS[name](rows))
    assert kept.user_labels[kept.user_ids].tolist() == expected.user_labels[expected.user_ids].tolist()
    assert kept.item_labels[kept.item_ids].tolist() == expected.item_labels[expected.item_ids].tolist()
    assert kept.timestamps.tolist() == expected.timestamps.tolist()
    counts = {"users": kept.n_users, "items": kept.n_items, "interactions": len(kept)}
    assert all(set(step) == {"step", *counts} for step in steps)
    assert [{**steps[-1], "step": ""}] == [{"step": "", **counts}] if steps else name == "none"


def test_core_is_repeated_until_stable() -> None:
    block = [(user, item, 0) for user in range(5) for item in range(5)]
    chain = [(9, item, 0) for item in range(4)] + [(9, 7, 0)] + [(user, 7, 0) for user in range(3)]
    kept, steps = apply_filter("core", interactions(block + chain))
    assert len(kept) == len(block)
    assert [step["interactions"] for step in steps] == [29, 25, 25]


def test_data_summary_counts() -> None:
    rows = random_rows(1)
    summary = split(interactions(rows), Protocol(filter="core", quantile=0.8)).summary
    kept = slow_core(rows)
    per_user = Counter(u for u, _, _ in kept).values()
    n_items = len({i for _, i, _ in kept})
    assert summary["raw"] == {
        "users": len({u for u, _, _ in rows}),
        "items": len({i for _, i, _ in rows}),
        "interactions": len(rows),
    }
    assert summary["duplicate_rows"] == len(rows) - len(set(rows)) > 0
    assert summary["filtered"] == {"users": len(per_user), "items": n_items, "interactions": len(kept)}
    assert summary["interactions_per_user"]["mean"] == pytest.approx(np.mean(list(per_user)))
    assert summary["interactions_per_user"]["median"] == np.median(list(per_user))
    assert summary["density"] == pytest.approx(len(kept) / len(per_user) / n_items)


@pytest.mark.parametrize("seed", SEEDS)
def test_buckets_equal_a_loop_down_the_popularity_ranking(seed: int) -> None:
    rng = np.random.default_rng(seed)
    users = rng.integers(1, 6, 50)
    visits = users + rng.integers(0, 4, 50)
    expected, before = {}, 0
    for item in sorted(range(50), key=lambda item: (-users[item], item)):
        expected[item] = min(2, 3 * before // visits.sum())
        before += visits[item]
    assert popularity_buckets(visits, users).tolist() == [expected[item] for item in range(50)]


def test_bucket_counts_add_up() -> None:
    found = split(interactions(random_rows(2)), Protocol(quantile=0.8))
    sizes, visits = found.summary["bucket_sizes"], found.summary["bucket_interactions"]
    assert sizes == [int((found.item_buckets == bucket).sum()) for bucket in range(3)]
    assert visits == [int(found.item_interactions[found.item_buckets == bucket].sum()) for bucket in range(3)]
    assert sum(visits) == found.summary["train_interactions"]


# --- what the split promises --------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_of_a_test_user_and_nothing_after_the_threshold_is_trained_on(seed: int) -> None:
    rows = random_rows(seed)
    found = split(interactions(rows), Protocol(quantile=0.8))
    trainers = set(found.train_user_labels.tolist())
    assert not trainers & set(found.test_user_labels.tolist())
    trained = [row for row in rows if row[0] in trainers]
    assert len(trained) == len(found.train.items) == found.item_interactions.sum()
    assert max(t for _, _, t in trained) < found.summary["threshold"]


@pytest.mark.parametrize("history", ["after-T", "full"])
def test_histories_and_targets_reassemble_the_events(history: str) -> None:
    found = split(interactions(random_rows(3)), Protocol(history=history, ties="file", quantile=0.8))
    validation, test = found.cases("validation"), found.cases("test")
    assert len(validation.targets) == len(test.targets) == len(found.events) > 0
    for i, events in enumerate(as_lists(found.events)):
        assert [*test.histories[i].tolist(), int(test.targets[i])] == events
        assert [*validation.histories[i].tolist(), int(validation.targets[i])] == test.histories[i].tolist()
        assert len(validation.histories[i]) >= 1


def test_full_history_only_adds_input_before_the_same_events() -> None:
    short = split(interactions(random_rows(4)), Protocol(ties="file", quantile=0.8))
    full = split(interactions(random_rows(4)), Protocol(history="full", ties="file", quantile=0.8))
    assert as_lists(full.train) == as_lists(short.train)
    assert full.test_user_labels.tolist() == short.test_user_labels.tolist()
    assert full.cases("test").targets.tolist() == short.cases("test").targets.tolist()
    pairs = list(zip(as_lists(full.events), as_lists(short.events), strict=True))
    assert all(longer[-len(events) :] == events for longer, events in pairs)
    assert any(len(longer) > len(events) for longer, events in pairs)


@pytest.mark.parametrize("history", ["after-T", "full"])
def test_shuffled_ties_only_move_simultaneous_events_of_test_users(history: str) -> None:
    rows = random_rows(5)
    by_file = split(interactions(rows), Protocol(quantile=0.8, history=history))
    shuffles = [
        split(interactions(rows), Protocol(quantile=0.8, history=history, ties=f"shuffle:{seed}")) for seed in range(20)
    ]
    slow = slow_split(rows, Protocol(quantile=0.8, history=history))
    seconds = [[t for _, _, t in events] for events in slow.events.values()]
    for shuffled in shuffles:
        assert shuffled.train.items.tolist() == by_file.train.items.tolist()
        assert shuffled.item_labels.tolist() == by_file.item_labels.tolist()
        pairs = zip(as_lists(shuffled.events), as_lists(by_file.events), seconds, strict=True)
        for drawn, filed, times in pairs:
            assert Counter(zip(drawn, times, strict=True)) == Counter(zip(filed, times, strict=True))
    assert len({shuffled.fingerprint() for shuffled in shuffles}) == len(shuffles)


def test_shuffled_ties_are_drawn_fairly() -> None:
    train = [(user, item, user) for user in range(20) for item in range(4)]
    tied = [(99, item, 100) for item in range(4)]
    data = interactions(train + tied)
    orders = Counter(
        tuple(split(data, Protocol(quantile=0.96, ties=f"shuffle:{seed}")).events.items.tolist()) for seed in range(720)
    )
    assert len(orders) == 24
    assert min(orders.values()) > 10


def test_a_tie_seed_gives_the_same_order_again() -> None:
    first, again, other = (
        split(interactions(random_rows(6)), Protocol(quantile=0.8, ties=f"shuffle:{seed}")).fingerprint()
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_the_catalogue_is_sorted_by_original_id_for_numbers_and_texts() -> None:
    rows = random_rows(7)
    users, items, times = (list(column) for column in zip(*rows, strict=True))
    numbers = split(from_columns(users, items, times), Protocol(quantile=0.8))
    names = [f"item {item}" for item in items]
    texts = split(from_columns(users, names, times), Protocol(quantile=0.8))
    assert numbers.item_labels.tolist() == sorted(numbers.item_labels.tolist())
    assert texts.item_labels.tolist() == sorted(texts.item_labels.tolist())
    assert texts.item_labels.dtype.kind == "U"
    original = [f"item {numbers.item_labels[item]}" for item in numbers.events.items.tolist()]
    assert [texts.item_labels[item] for item in texts.events.items.tolist()] == original


# --- storing ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("as_id", [int, "item {}".format])
def test_a_split_survives_storage_without_pickling(as_id: Callable[[int], Any]) -> None:
    users, items, times = zip(*random_rows(0), strict=True)
    data = from_columns(users, [as_id(item) for item in items], times)
    found = split(data, Protocol(quantile=0.8, filter="core"))
    stored = io.BytesIO()
    np.savez(stored, **found.to_arrays())
    stored.seek(0)
    with np.load(stored, allow_pickle=False) as arrays:
        again = Split.from_arrays(dict(arrays))
    assert again.fingerprint() == found.fingerprint()
    assert again.summary == found.summary
    for name, array in found.to_arrays().items():
        assert again.to_arrays()[name].tolist() == array.tolist()
        assert again.to_arrays()[name].dtype == array.dtype


def test_the_fingerprint_follows_the_data_and_not_the_names() -> None:
    rows = random_rows(1)
    protocol = Protocol(quantile=0.8)
    fingerprint = split(interactions(rows), protocol).fingerprint()
    assert len(fingerprint) == 64
    renamed = [(user + 1000, item + 1000, time) for user, item, time in rows]
    assert split(interactions(renamed), protocol).fingerprint() == fingerprint
    user, item, time = min(rows, key=lambda row: row[2])
    changed = [row for row in rows if row != (user, item, time)]
    assert split(interactions(changed), protocol).fingerprint() != fingerprint


# --- data that cannot be split ------------------------------------------------------------------------------

SPREAD = [(user, item, user) for user in range(40) for item in range(6)]


@pytest.mark.parametrize(
    ("rows", "protocol", "message"),
    [
        (
            SPREAD,
            Protocol(filter="one-pass"),
            r"the filter 'one-pass' removed everything: its step 'users with 20\+ distinct items' kept none of "
            r"the 40 users, 6 items and 240 interactions before it; use --set protocol\.filter=none",
        ),
        (
            [(0, 0, 1), (1, 1, 2)],
            Protocol(filter="core"),
            r"the filter 'core' removed everything: .*round 1.* 2 users.*protocol\.filter=none",
        ),
        ([(1, item, item) for item in range(9)], Protocol(), "only one user; .+"),
        ([(user, 1, user) for user in range(9)], Protocol(), "only one item; .+"),
        ([(1, 1, 1), *[(2, item, 9) for item in range(9)]], Protocol(), "only one item in training; .+"),
        ([(user, item, 5) for user, item, _ in SPREAD], Protocol(), "all timestamps equal 5, .+"),
        (
            [(user, item, time) for user in range(4) for item, time in ((1, 1), (2, 99))],
            Protocol(),
            r"no training users: all 4 users .*T = 99; .*--set protocol\.quantile.*",
        ),
        (
            [*SPREAD, (90, 1, 99), (90, 2, 99)],
            Protocol(quantile=0.999),
            r"no test users: none of the 1 active .*T = 99 has 3 events .*--set protocol\.quantile.*",
        ),
        ([*SPREAD, *[(90, item, 99) for item in (7, 8, 9, 1, 2)]], Protocol(quantile=0.999), r"no test users: .*"),
        (
            SPREAD,
            Protocol(quantile=0.8, until=0.7),
            r"no window: it begins at 31 \(protocol\.quantile 0\.8\) and ends at 27 \(protocol\.until 0\.7\); .+",
        ),
        (SPREAD, Protocol(quantile=0.8, until=0.801), "no window: it begins at 31 .* and ends at 31 .+"),
        ([(0, 1, 10), *SPREAD], Protocol(quantile=0.01, until=0.02), "no window: .+"),
        (
            [*SPREAD, (90, 1, 50), (90, 2, 51), *[(91, item, 99) for item in range(6)]],
            Protocol(quantile=240 / 247, until=242 / 247),
            r"no test users: none of the 1 active from T = 50 to 99 has 3 events .*",
        ),
    ],
)
def test_data_that_cannot_be_split_gives_one_line(rows: list[Row], protocol: Protocol, message: str) -> None:
    with pytest.raises(DataError, match=f"^{message}$"):
        split(interactions(rows), protocol)


# --- the numbers that prove it is the paper's protocol ------------------------------------------------------


RealSplit = Callable[[str, Protocol], Split]
COLUMNS = ("threshold", "train_users", "train_interactions", "items", "test_users_before_rule", "test_users")


@pytest.mark.parametrize(
    ("name", "filter_name", "expected"),
    [
        ("ml-1m.csv.gz", "none", (993074255, 5227, 725_252, 3606, 813, 750)),
        ("ml-1m.csv.gz", "core", (993073637, 5227, 724_964, 3411, 813, 750)),
        ("beauty.csv.gz", "none", (1403049600, 18_737, 152_324, 12_000, 3626, 1116)),
        ("beauty.csv.gz", "core", (1403049600, 18_737, 152_324, 12_000, 3626, 1116)),
        ("gowalla-1000-users.csv.gz", "none", (1286717948, 357, 37_665, 12_797, 643, 364)),
        ("gowalla-1000-users.csv.gz", "one-pass", (1286648200, 230, 22_473, 4260, 392, 253)),
    ],
)
def test_populations_on_real_data(
    real_split: RealSplit, name: str, filter_name: str, expected: tuple[int, ...]
) -> None:
    found = real_split(name, Protocol(filter=filter_name))
    assert tuple(found.summary[column] for column in COLUMNS) == expected
    assert (len(found.train), len(found.train.items), found.n_items) == expected[1:4]
    assert len(found.events) == expected[5]


@pytest.mark.parametrize(
    ("name", "total", "last_five"),
    [("ml-1m.csv.gz", 5655, [482, 511, 621, 852, 750]), ("beauty.csv.gz", 11_848, [1197, 1188, 1159, 1173, 1116])],
)
def test_users_of_ten_windows_on_real_data(real_split: RealSplit, name: str, total: int, last_five: list[int]) -> None:
    bounds = [round(0.05 * k, 2) for k in range(10, 21)]
    windows = [Protocol(quantile=begin, until=end) for begin, end in pairwise(bounds)]
    assert windows[-1] == Protocol()
    counts = [len(real_split(name, protocol).events) for protocol in windows]
    assert (sum(counts), counts[5:]) == (total, last_five)


@pytest.mark.parametrize(
    ("name", "filter_name", "share", "expected"),
    [
        ("ml-1m.csv.gz", "none", "tied_share", 0.21),
        ("beauty.csv.gz", "none", "tied_share", 0.73),
        ("ml-1m.csv.gz", "none", "twinless_share", 0.14),
        ("beauty.csv.gz", "none", "twinless_share", 0.20),
        ("gowalla-1000-users.csv.gz", "one-pass", "masked_share", 0.31),
    ],
)
def test_shares_on_real_data(real_split: RealSplit, name: str, filter_name: str, share: str, expected: float) -> None:
    assert round(real_split(name, Protocol(filter=filter_name)).summary[share], 2) == expected


@dataclass
class Tied:
    """A split with few distinct timestamps, in which neighbouring test users share the time of their last events."""

    split: Split
    time_of: dict[tuple[int, int], int]  # by user and item

    @classmethod
    def world(cls) -> Tied:
        rng, users, events = np.random.default_rng(0), 40, 12
        times = np.sort(rng.integers(0, 6, (users, events)), axis=1)
        times[:, -2:] = 5
        times = times + 1000 * (np.arange(users)[:, None] % 2)
        times[3::4] = 1005
        items = np.concatenate([rng.permutation(15)[:events] for _ in range(users)])
        data = from_columns(np.repeat(np.arange(users), events), items, times.ravel())
        time_of = {(k // events, int(item)): int(times.flat[k]) for k, item in enumerate(items)}
        return cls(split(data, Protocol(ties="file", quantile=0.5)), time_of)

    def times(self, n: int, items: list[int]) -> list[int]:
        user, labels = int(self.split.test_user_labels[n]), self.split.item_labels
        return [self.time_of[user, int(labels[item])] for item in items]


def test_redrawn_ties_only_move_simultaneous_events() -> None:
    world = Tied.world()
    cases, draws = world.split.cases("test"), []
    for seed in range(5):
        redrawn = redrawn_cases(world.split.events, world.split.event_ties, "test", seed)
        assert torch.equal(redrawn.histories.lengths, cases.histories.lengths)
        draws.append([[*redrawn.histories[n].tolist(), int(redrawn.targets[n])] for n in range(len(cases.targets))])
        for n, order in enumerate(draws[-1]):
            assert sorted(order) == sorted([*cases.histories[n].tolist(), int(cases.targets[n])])
            assert world.times(n, order) == sorted(world.times(n, order))
    assert all(len({tuple(draw[n]) for draw in draws}) > 1 for n in range(len(cases.targets))), "the draws differ"
    again = redrawn_cases(world.split.events, world.split.event_ties, "test", 4)
    assert [[*again.histories[n].tolist(), int(again.targets[n])] for n in range(len(again.targets))] == draws[4]


def test_a_tie_is_within_one_user() -> None:
    """Simultaneous events of users who are neighbours in the array are not ties."""
    train = [(user, item, user) for user in range(20) for item in range(4)]
    late = [(user, item, 100 + item) for user in (90, 92) for item in range(4)]
    late += [(91, item, 103) for item in range(4)]
    found = split(interactions(train + late), Protocol(quantile=80 / 91))
    assert found.event_ties.tolist() == [False] * 4 + [False, True, True, True] + [False] * 4
    assert found.events.items.tolist() == [0, 1, 2, 3] * 3


def test_without_ties_there_is_nothing_to_redraw() -> None:
    users, events = 20, 6
    times = np.arange(users * events)
    items = np.tile(np.arange(events), users)
    data = from_columns(np.repeat(np.arange(users), events), items, times)
    result = split(data, Protocol(ties="file", quantile=0.5))
    assert not result.event_ties.any()
    assert torch.equal(redrawn_cases(result.events, result.event_ties, "test", 1).targets, result.cases("test").targets)


def test_under_sets_two_random_distinct_items_of_every_user_are_held_out() -> None:
    random = np.random.default_rng(0)
    users, items = random.integers(0, 40, 900), random.integers(0, 25, 900)
    owned = {user: set(items[users == user].tolist()) for user in range(40)}
    data = Interactions(users.astype(np.int32), items.astype(np.int32), np.arange(900), np.arange(40), np.arange(25))
    result = split(data, Protocol.of_preset("sets", "none"))
    known = [set(result.item_labels[sequence].tolist()) for sequence in result.train]
    test = result.cases("test")
    assert result.train_user_labels.tolist() == result.test_user_labels.tolist()
    places = []
    for user, (history, train, target) in enumerate(zip(test.histories, known, test.targets.tolist(), strict=True)):
        whole = [*result.item_labels[history].tolist(), int(result.item_labels[target])]
        assert sorted(whole) == sorted(owned[user])  # each item once
        assert train == set(whole[:-2])
        places.append(sorted(whole).index(whole[-1]) / (len(whole) - 1))
    assert 0.3 < np.mean(places) < 0.7  # the target is no particular one
