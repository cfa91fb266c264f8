"""Draws between simultaneous targets: which events may move, how often they do, and that nothing else moves."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable

import numpy as np
import pytest
import torch
from scipy.stats import chisquare

from datasets.cases import Cases, drawn_cases, ordered_cases
from datasets.protocol import TIE_DRAWS, Protocol
from datasets.sequences import Sequences
from datasets.split import Split, split
from tests.datasets.rows import from_columns

Users = list[list[int]]
"""For each user the sizes of groups of simultaneous events, such as [1, 2] for one event and then two at once."""


def events_of(users: Users) -> tuple[Sequences, np.ndarray]:
    """Build events and their ties. Items number each user's events from 0, so that they identify the event."""
    lengths = [sum(groups) for groups in users]
    ties = [place > 0 for groups in users for size in groups for place in range(size)]
    items = np.concatenate([np.arange(length) for length in lengths])
    return Sequences.from_arrays(items, np.cumsum([0, *lengths])), np.array(ties)


def random_users(seed: int, n: int = 60) -> Users:
    rng = np.random.default_rng(seed)
    users = [rng.integers(1, 5, rng.integers(1, 6)).tolist() for _ in range(n)]
    return [groups for groups in users if sum(groups) >= 3]


def possible(groups: list[int]) -> set[tuple[int, ...]]:
    """Return all orders that a draw may give a user: the other events, the validation target, the test target."""
    events = [(group, place) for place, group in enumerate(g for g, size in enumerate(groups) for _ in range(size))]
    orders = set()
    for test in [event for event in events if event[0] == events[-1][0]]:
        rest = [event for event in events if event != test]
        for validation in [event for event in rest if event[0] == rest[-1][0]]:
            others = [event for event in rest if event != validation]
            orders.add(tuple(place for _, place in [*others, validation, test]))
    return orders


def orders(validation: Cases, test: Cases) -> list[list[tuple[int, ...]]]:
    """Return the order of each user's events in each draw, (K, N), after checking that both stages agree on it."""
    assert validation.draws is not None
    assert test.draws is not None
    found = []
    for first, second in zip(validation.draws.tolist(), test.draws.tolist(), strict=True):
        wholes = [(*test.histories[case].tolist(), int(test.targets[case])) for case in second]
        known = [(*validation.histories[case].tolist(), int(validation.targets[case])) for case in first]
        assert known == [whole[:-1] for whole in wholes]
        found.append(wholes)
    return found


def drawn(users: Users, n_draws: int = TIE_DRAWS) -> tuple[Cases, Cases]:
    events, ties = events_of(users)
    return drawn_cases(events, ties, "validation", n_draws), drawn_cases(events, ties, "test", n_draws)


@pytest.mark.parametrize("seed", range(5))
def test_a_draw_only_moves_targets_among_simultaneous_last_events(seed: int) -> None:
    users = random_users(seed)
    allowed = [possible(groups) for groups in users]
    for wholes in orders(*drawn(users)):
        assert all(whole in each for whole, each in zip(wholes, allowed, strict=True))
    assert any(len(each) == 1 for each in allowed)
    assert any(len(each) > 1 for each in allowed)


def test_every_possible_order_is_drawn_equally_often_and_independently() -> None:
    """Last groups of one, two or three events. An event after three leaves a choice of validation target."""
    kinds = [[1, 1, 1], [2, 1, 2], [1, 3], [1, 2, 3], [3, 1], [1, 3, 1]]
    copies = 400
    found = orders(*drawn(kinds * copies))
    for kind, groups in enumerate(kinds):
        expected = possible(groups)
        draws = [wholes[kind :: len(kinds)] for wholes in found]  # (K, copies)
        counts = Counter(itertools.chain(*draws))
        assert counts.keys() == expected
        if len(expected) > 1:
            assert chisquare(list(counts.values())).pvalue > 0.001
            pairs = Counter(zip(draws[0], draws[1], strict=True))
            assert chisquare([pairs[pair] for pair in itertools.product(expected, expected)]).pvalue > 0.001


@pytest.mark.parametrize("stage", ["validation", "test"])
def test_without_ties_the_draws_keep_the_order_of_the_file(stage: str) -> None:
    events, ties = events_of([[1] * 3, [2, 1, 1, 1], [4, 1, 1]])
    cases, plain = drawn_cases(events, ties, stage, TIE_DRAWS), ordered_cases(events, stage)
    assert cases.draws is not None
    assert cases.draws.tolist() == [[0, 1, 2]] * TIE_DRAWS
    assert torch.equal(cases.targets, plain.targets)
    assert [history.tolist() for history in cases.histories] == [history.tolist() for history in plain.histories]


@pytest.mark.parametrize("seed", range(5))
def test_cases_are_distinct_and_neighbours_share_equal_histories(seed: int) -> None:
    users = random_users(seed)
    for cases in drawn(users):
        assert cases.draws is not None
        owner = np.empty(len(cases.targets), dtype=int)
        owner[cases.draws] = np.arange(len(users))
        contents = [
            (user, tuple(history.tolist()), target)
            for user, history, target in zip(owner.tolist(), cases.histories, cases.targets.tolist(), strict=True)
        ]
        assert len(set(contents)) == len(contents) == len(np.unique(cases.draws))
        places = list(zip(cases.histories.starts.tolist(), cases.histories.lengths.tolist(), strict=True))
        runs = [place for place, _ in itertools.groupby(places)]
        assert len(runs) == len(set(places)) == len({content[:2] for content in contents})


def test_the_draws_follow_from_the_data_alone() -> None:
    users = random_users(0)
    torch.manual_seed(1)
    first = orders(*drawn(users))
    torch.manual_seed(2)
    assert orders(*drawn(users)) == first
    assert orders(*drawn(users, 3)) == first[:3], "further draws leave the earlier ones alone"
    assert len({tuple(wholes) for wholes in first}) == TIE_DRAWS


def test_values_per_case_become_values_per_user_and_draw() -> None:
    events, ties = events_of([[1, 1, 1], [1, 2], [1, 3]])
    cases = drawn_cases(events, ties, "test", 4)
    assert cases.draws is not None
    values = np.arange(len(cases.targets) * 2).reshape(-1, 2)
    assert cases.per_user(values).shape == (3, 4, 2)
    assert cases.per_user(values).tolist() == [[values[case].tolist() for case in draws] for draws in cases.draws.T]
    assert ordered_cases(events, "test").per_user(values[:3]).tolist() == values[:3].tolist()


@pytest.mark.parametrize("history", ["after-T", "full"])
def test_the_protocol_decides_whether_a_split_draws_targets(history: str) -> None:
    rng = np.random.default_rng(0)
    users, times = rng.integers(0, 40, 900), rng.integers(0, 30, 900)
    data = from_columns(users, rng.integers(0, 30, 900), users + times)
    found = split(data, Protocol(quantile=0.8, history=history))
    plain = split(data, Protocol(quantile=0.8, ties="file", history=history))
    assert found.fingerprint() == plain.fingerprint(), "the data is the same; the protocol is part of a run's key"
    assert found.events.items.tolist() == plain.events.items.tolist()
    for stage in ("validation", "test"):
        cases = found.cases(stage)
        expected = drawn_cases(found.events, found.event_ties, stage, TIE_DRAWS)
        assert cases.draws is not None
        assert cases.draws.tolist() == expected.draws.tolist()
        assert cases.targets.tolist() == expected.targets.tolist()
        assert plain.cases(stage).draws is None


@pytest.mark.parametrize(
    ("name", "users", "cases", "histories", "moved"),
    [("ml-1m.csv.gz", 750, 1308, 1112, 242), ("beauty.csv.gz", 1116, 5746, 4484, 955)],
)
def test_draws_on_real_data(
    real_split: Callable[[str, Protocol], Split], name: str, users: int, cases: int, histories: int, moved: int
) -> None:
    """Counts the cases and validation histories of ten draws, and the users for whom some draw moves a target."""
    found = real_split(name, Protocol())
    validation = found.cases("validation")
    assert validation.draws is not None
    places = torch.stack([validation.histories.starts, validation.histories.lengths]).T
    counts = (len(found.events), len(validation.targets), len(places.unique(dim=0)))
    assert (*counts, int((np.ptp(validation.draws, axis=0) > 0).sum())) == (users, cases, histories, moved)
    assert len(found.cases("test").targets) == cases
