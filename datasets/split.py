"""The split, global in time or leave-one-out: who trains, who is tested, on which events.

Global: a timestamp T divides the interactions. Users who are active from T on are test users and never train; all
others are training users, with everything they did. The code released with the paper (arXiv 2510.26407) does the same.

A window ends at a second timestamp: its test users are those active between the two, and all others train with what
they did before T.

Leave-one-out, the home protocol of the baselines: every user trains and is tested, on their last two items.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from datasets.cases import Cases, Stage, drawn_cases, ordered_cases
from datasets.counts import data_summary, popularity_buckets, split_summary
from datasets.filtering import apply_filter, distinct_partners
from datasets.interactions import DataError, Interactions
from datasets.protocol import OPEN, TIE_DRAWS, Protocol
from datasets.sequences import Sequences

NUMBERING_SEED = 20251026
"""Of the order in which users are numbered: by ascending id, a number would tell the id."""


@dataclass(frozen=True, eq=False)
class Split:
    """U training users, N test users and the catalogue: V items, numbered by ascending original id. These are the
    training items, under leave-one-out also what occurs as a target alone.

    `train`: the training users' whole sequences. `events`: per test user the history, then the validation target, then
    the test target, M events in all; `event_ties` (M,) bool: whether an event has the user and the time of the event
    before it, and neither is trained on, so that their order is arbitrary; `tie_draws`: over how many draws of both
    targets from simultaneous last events results are averaged, 0 if the order of `events` decides. Original ids:
    `item_labels` (V,), `train_user_labels` (U,), `test_user_labels` (N,). `test_user_numbers` (N,) int64: numbers that
    stand for the test users where no id may be shown, the same ones in all windows of one dataset and filter. Per item,
    (V,): `item_interactions` and `item_users` int64, its training interactions and by how many users they are;
    `item_buckets` uint8, its popularity third, 0 = most popular. `summary`: JSON-ready counts and shares.
    """

    train: Sequences
    events: Sequences
    event_ties: np.ndarray
    tie_draws: int
    item_labels: np.ndarray
    train_user_labels: np.ndarray
    test_user_labels: np.ndarray
    test_user_numbers: np.ndarray
    item_interactions: np.ndarray
    item_users: np.ndarray
    item_buckets: np.ndarray
    summary: dict[str, Any]

    @property
    def n_items(self) -> int:
        return len(self.item_labels)

    @property
    def item_popularity(self) -> np.ndarray:
        """(V,) float64: the share of the training users who have an item."""
        return self.item_users / len(self.train)

    def cases(self, stage: Stage) -> Cases:
        """What is to be predicted: one case per test user or, under ties = "draws", the distinct ones of all draws."""
        if self.tie_draws:
            return drawn_cases(self.events, self.event_ties, stage, self.tie_draws)
        return ordered_cases(self.events, stage)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """All of it as arrays that `np.savez` stores without pickling; `from_arrays` is the way back."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        for name, sequences in (("train", self.train), ("event", self.events)):
            arrays[f"{name}_items"] = sequences.items.numpy().astype(np.int32)
            arrays[f"{name}_lengths"] = sequences.lengths.numpy()
        return arrays | {"tie_draws": np.array(self.tie_draws), "summary": np.array(json.dumps(self.summary))}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Split:
        """Rebuild what `to_arrays` gave; raises KeyError or ValueError for anything else."""
        train, events = (
            Sequences.from_arrays(arrays[f"{name}_items"], _offsets(arrays[f"{name}_lengths"]))
            for name in ("train", "event")
        )
        values: dict[str, Any] = {**arrays, "train": train, "events": events, "tie_draws": int(arrays["tie_draws"])}
        values["summary"] = json.loads(str(arrays["summary"]))
        return cls(**{field.name: values[field.name] for field in fields(cls)})

    def __reduce__(self) -> tuple[Any, ...]:
        return Split.from_arrays, (self.to_arrays(),)

    def fingerprint(self) -> str:
        """SHA-256 (hex) of what models and metrics see: sequences and item counts, but no original ids."""
        digest = hashlib.sha256()
        for values in (
            self.train.lengths.numpy(),
            self.train.items.numpy(),
            self.events.lengths.numpy(),
            self.events.items.numpy(),
            self.item_interactions,
            self.item_users,
        ):
            digest.update(len(values).to_bytes(8, "little"))
            digest.update(values.astype("<i8").tobytes())
        return digest.hexdigest()


def split(interactions: Interactions, protocol: Protocol) -> Split:
    """Filter, divide, pack. Raises DataError (one line) if nothing is left to train or to test on."""
    data, filter_steps = apply_filter(protocol.filter, interactions)
    for kind, count in (("user", data.n_users), ("item", data.n_items)):
        if count == 1:
            raise DataError(f"only one {kind}; give more data, or filter less with --set protocol.filter=none")
    if protocol.preset == "sets":
        data = _without_order(data)
    if protocol.ties == "item":
        data = _by_item(data)
    cut = _leave_one_out(data, protocol) if protocol.is_leave_one_out else _cut(data, protocol)
    item_index = np.cumsum(cut.in_catalogue) - 1

    rows, train_users, offsets = pack(data, cut.trains)
    train = Sequences.from_arrays(item_index[data.item_ids[rows]], offsets)
    if int(train.lengths.max()) < 2:
        raise DataError("no training user has two interactions, so there is no order to learn; give longer histories")
    n_items = int(item_index[-1]) + 1
    item_interactions = np.bincount(train.items.numpy(), minlength=n_items)
    item_users = distinct_partners(train.items.numpy(), data.user_ids[rows], n_items)
    item_buckets = popularity_buckets(item_interactions, item_users)

    rows, test_users, offsets = pack(data, cut.evaluates, protocol.tie_seed)
    events = Sequences.from_arrays(item_index[data.item_ids[rows]], offsets)
    times, last = data.timestamps[rows], offsets[1:] - 1

    return Split(
        train=train,
        events=events,
        event_ties=_ties(data, rows, cut.trains),
        tie_draws=TIE_DRAWS if protocol.ties == "draws" else 0,
        item_labels=_without_objects(data.item_labels[cut.in_catalogue]),
        train_user_labels=_without_objects(data.user_labels[train_users]),
        test_user_labels=_without_objects(data.user_labels[test_users]),
        test_user_numbers=np.random.default_rng(NUMBERING_SEED).permutation(data.n_users)[test_users],
        item_interactions=item_interactions,
        item_users=item_users,
        item_buckets=item_buckets,
        summary={
            **cut.summary,
            "tied_share": float(np.mean(times[last] == times[last - 1])),
            "filter_steps": filter_steps,
            **data_summary(interactions, data),
            **split_summary(train, events, item_buckets),
        },
    )


def _without_order(data: Interactions) -> Interactions:
    """Each item of a user once, and all at the same time."""
    pairs = data.user_ids.astype(np.int64) * data.n_items + data.item_ids
    first = np.zeros(len(data), dtype=bool)
    first[np.unique(pairs, return_index=True)[1]] = True
    kept = data.select(first)
    return replace(kept, timestamps=np.zeros_like(kept.timestamps))


def _by_item(data: Interactions) -> Interactions:
    """The same in another file order, by ascending original item id."""
    rows = np.argsort(data.item_ids, kind="stable")
    return replace(data, user_ids=data.user_ids[rows], item_ids=data.item_ids[rows], timestamps=data.timestamps[rows])


def split_timestamps(interactions: Interactions, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Unix seconds of each of the training items and of each of the events of `split`, which does not keep them."""
    data, _ = apply_filter(protocol.filter, interactions)
    cut, seconds = _cut(data, protocol), data.timestamps
    if data.ticks_per_second > 1:
        seconds = seconds / data.ticks_per_second
    train_rows, *_ = pack(data, cut.trains)
    event_rows, *_ = pack(data, cut.evaluates)  # a draw among simultaneous events leaves their timestamps in place
    return seconds[train_rows], seconds[event_rows]


@dataclass(frozen=True, eq=False)
class _Cut:
    trains: np.ndarray  # (n,) bool: rows that are trained on
    evaluates: np.ndarray  # (n,) bool: rows that become events of test users
    in_catalogue: np.ndarray  # (items,) bool: items that can be recommended
    summary: dict[str, Any]  # JSON-ready facts about T


def _cut(data: Interactions, protocol: Protocol) -> _Cut:
    if data.timestamps.min() == data.timestamps.max():
        raise DataError(
            f"all timestamps equal {data.timestamps[0]}, so nothing divides training from test; "
            "give the time of each interaction in Unix seconds"
        )
    begin, end = window(data.timestamps, protocol)
    before_end = data.timestamps < end  # (n,)
    in_window = before_end & (data.timestamps >= begin)  # (n,)
    is_test_user = _occurring(data.user_ids[in_window], data.n_users)  # (users,): one event in the window is enough
    by_test_user = is_test_user[data.user_ids]  # (n,)
    trains = ~by_test_user & (data.timestamps < begin)  # (n,): a test user's events before T do not train either
    if not trains.any():
        raise DataError(
            f"no training users: all {data.n_users} users are active at or after T = {begin}; "
            f"raise it with --set protocol.quantile (now {protocol.quantile}) or give more users"
        )
    in_catalogue = _occurring(data.item_ids[trains], data.n_items)
    if in_catalogue.sum() == 1:
        raise DataError("only one item in training; give more data, or filter less with --set protocol.filter=none")
    known = by_test_user & in_catalogue[data.item_ids]  # (n,): an item that training never saw cannot be recommended
    remaining = np.bincount(data.user_ids[known & in_window], minlength=data.n_users)  # (users,)
    is_evaluated = remaining >= protocol.min_events
    if not is_evaluated.any():
        when = f"at or after T = {begin}" if protocol.until == OPEN else f"from T = {begin} to {end}"
        raise DataError(
            f"no test users: none of the {is_test_user.sum()} active {when} has "
            f"{protocol.min_events} events there with items known from training; "
            f"lower it with --set protocol.quantile (now {protocol.quantile}) or give more data"
        )
    usable = known & (before_end if protocol.history == "full" else in_window)
    evaluates = usable & is_evaluated[data.user_ids]
    summary = {
        "threshold": begin // data.ticks_per_second,  # in whole seconds, for reports
        "test_users_before_rule": int(is_test_user.sum()),
    }
    return _Cut(trains, evaluates, in_catalogue, summary)


def window(timestamps: np.ndarray, protocol: Protocol) -> tuple[int, int]:
    """T, and the first timestamp after the window of test events that begins there; `timestamps` (n,) are all.

    Raises DataError if that leaves no time between the two.
    """
    begin = nearest_quantile(timestamps, protocol.quantile)
    if protocol.until == OPEN:
        return begin, int(timestamps.max()) + 1
    end = nearest_quantile(timestamps, protocol.until)
    if end <= begin:
        raise DataError(
            f"no window: it begins at {begin} (protocol.quantile {protocol.quantile}) and ends at {end} "
            f"(protocol.until {protocol.until}); raise the end with --set protocol.until"
        )
    return begin, end


def _leave_one_out(data: Interactions, protocol: Protocol) -> _Cut:
    """Each user's last event is the test target, the one before it the validation target, and all before them trains.

    So the training sequences are the validation histories. As in the published codes of SASRec and RecBole every user
    with at least three events both trains and is tested, and an item can be recommended that occurs as a target alone.
    Users with fewer events are left out, because a history and two targets take three. The last two events stay in
    file order where they are simultaneous, unless `ties` has them sorted or drawn.
    """
    counts = np.bincount(data.user_ids)  # (users,)
    evaluates = (counts >= protocol.min_events)[data.user_ids]
    if not evaluates.any():
        raise DataError(
            f"no test users: none of the {data.n_users} users has {protocol.min_events} events, of which leave-one-out "
            "needs two as targets; give longer histories"
        )
    rows, _, offsets = pack(data, evaluates, protocol.tie_seed)
    trains = evaluates.copy()
    trains[rows[offsets[1:] - 1]] = False
    trains[rows[offsets[1:] - 2]] = False
    return _Cut(trains, evaluates, _occurring(data.item_ids[evaluates], data.n_items), {})


def nearest_quantile(timestamps: np.ndarray, quantile: float) -> int:
    """The timestamp at `quantile` of all `timestamps` (n,) in ascending order, as pandas' "nearest" has it."""
    position = round(quantile * (len(timestamps) - 1))
    return int(np.partition(timestamps, position)[position])


def _occurring(ids: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(ids, minlength=n) > 0


def pack(
    data: Interactions, keep: np.ndarray, tie_seed: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Kept rows by user, then time, then file order or a draw: rows (m,), users (n,), offsets (n + 1,)."""
    rows = np.flatnonzero(keep)
    if tie_seed is not None:
        rows = np.random.default_rng(tie_seed).permutation(rows)
    # By user, then by time; the sort is stable, so what is simultaneous keeps the order of `rows`.
    rows = rows[np.lexsort((data.timestamps[rows], data.user_ids[rows]))]
    users, lengths = np.unique(data.user_ids[rows], return_counts=True)
    return rows, users, _offsets(lengths)


def _ties(data: Interactions, rows: np.ndarray, trains: np.ndarray) -> np.ndarray:
    """(m,) bool: whether a row has the user and the time of the row before it, and that one is not trained on."""
    ties = np.zeros(len(rows), dtype=bool)
    users, times = data.user_ids[rows], data.timestamps[rows]
    ties[1:] = (users[1:] == users[:-1]) & (times[1:] == times[:-1]) & ~trains[rows[:-1]]
    return ties


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def _without_objects(labels: np.ndarray) -> np.ndarray:
    return labels.astype(str) if labels.dtype == object else labels
