"""Splits interactions into training users and test users, either globally in time or by leave-one-out.

Global split: a timestamp T divides the interactions. Users with events from T on are test users and never train. All
others are training users, with their whole sequences. The code released with the paper (arXiv 2510.26407) does this.

Window: a global split with an end. Users with events between T and the end are test users; all others train on their
events before T.

Leave-one-out: every user trains, and is tested on their last two items. The baselines were published on this split.
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
"""Seeds the numbering of users. It is random because numbers by ascending id would reveal the ids."""


@dataclass(frozen=True, eq=False)
class Split:
    """U training users, N test users with M events, and a catalogue of V items, numbered by ascending original id.

    The catalogue holds the items that occur in training and, under leave-one-out, those that are only targets.
    """

    train: Sequences  # the training users' whole sequences
    events: Sequences  # for each test user the history, the validation target and the test target
    event_ties: np.ndarray  # (M,) bool, same user and time as the event before, and neither of them is trained on
    tie_draws: int  # number of draws of targets from simultaneous events; 0 if the order of `events` decides
    item_labels: np.ndarray  # (V,) original ids
    train_user_labels: np.ndarray  # (U,) original ids
    test_user_labels: np.ndarray  # (N,) original ids
    test_user_numbers: np.ndarray  # (N,) int64, to publish instead of ids; the same in all windows of a dataset
    item_interactions: np.ndarray  # (V,) int64, number of training interactions
    item_users: np.ndarray  # (V,) int64, number of distinct training users
    item_buckets: np.ndarray  # (V,) uint8, popularity third, 0 = most popular
    summary: dict[str, Any]  # JSON-ready counts and shares

    @property
    def n_items(self) -> int:
        return len(self.item_labels)

    @property
    def item_popularity(self) -> np.ndarray:
        """(V,) float64, the share of training users who have each item."""
        return self.item_users / len(self.train)

    def cases(self, stage: Stage) -> Cases:
        """Return one case per test user or, with ties="draws", the distinct cases of all draws."""
        if self.tie_draws:
            return drawn_cases(self.events, self.event_ties, stage, self.tie_draws)
        return ordered_cases(self.events, stage)

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Convert to arrays that `np.savez` can store without pickling."""
        arrays = {name: value for name, value in vars(self).items() if isinstance(value, np.ndarray)}
        for name, sequences in (("train", self.train), ("event", self.events)):
            arrays[f"{name}_items"] = sequences.items.numpy().astype(np.int32)
            arrays[f"{name}_lengths"] = sequences.lengths.numpy()
        return arrays | {"tie_draws": np.array(self.tie_draws), "summary": np.array(json.dumps(self.summary))}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Split:
        """Rebuild a split from `to_arrays`. Raises KeyError or ValueError for any other arrays."""
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
        """Return the SHA-256 (hex) of what models and metrics see: sequences and item counts, but no original ids."""
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
    """Filter and split the interactions. Raises DataError if there is nothing left to train on or to test on."""
    data, filter_steps = apply_filter(protocol.filter, interactions)
    for kind, count in (("user", data.n_users), ("item", data.n_items)):
        if count == 1:
            raise DataError(f"only one {kind}; give more data, or filter less with --set protocol.filter=none")
    if protocol.preset == "sets":
        data = _as_sets(data)
    data = in_protocol_order(data, protocol)
    use = _leave_one_out(data, protocol) if protocol.is_leave_one_out else _divide_by_time(data, protocol)
    item_index = np.cumsum(use.in_catalogue) - 1

    rows, train_users, offsets = pack(data, use.trains)
    train = Sequences.from_arrays(item_index[data.item_ids[rows]], offsets)
    if int(train.lengths.max()) < 2:
        raise DataError("no training user has two interactions, so there is no order to learn; give longer histories")
    n_items = int(item_index[-1]) + 1
    item_interactions = np.bincount(train.items.numpy(), minlength=n_items)
    item_users = distinct_partners(train.items.numpy(), data.user_ids[rows], n_items)
    item_buckets = popularity_buckets(item_interactions, item_users)

    rows, test_users, offsets = pack(data, use.evaluates, protocol.tie_seed)
    events = Sequences.from_arrays(item_index[data.item_ids[rows]], offsets)
    times, last = data.timestamps[rows], offsets[1:] - 1

    return Split(
        train=train,
        events=events,
        event_ties=_ties(data, rows, use.trains),
        tie_draws=TIE_DRAWS if protocol.ties == "draws" else 0,
        item_labels=_without_objects(data.item_labels[use.in_catalogue]),
        train_user_labels=_without_objects(data.user_labels[train_users]),
        test_user_labels=_without_objects(data.user_labels[test_users]),
        test_user_numbers=np.random.default_rng(NUMBERING_SEED).permutation(data.n_users)[test_users],
        item_interactions=item_interactions,
        item_users=item_users,
        item_buckets=item_buckets,
        summary={
            **use.summary,
            "tied_share": float(np.mean(times[last] == times[last - 1])),
            "filter_steps": filter_steps,
            **data_summary(interactions, data),
            **split_summary(train, events, item_buckets),
        },
    )


def in_protocol_order(data: Interactions, protocol: Protocol) -> Interactions:
    """Sort the rows by item if that is the protocol's order of simultaneous events; they keep file order otherwise."""
    return data.select(np.argsort(data.item_ids, kind="stable")) if protocol.ties == "item" else data


def _as_sets(data: Interactions) -> Interactions:
    """Keep each item of a user once, and set all timestamps to zero."""
    pairs = data.user_ids.astype(np.int64) * data.n_items + data.item_ids
    kept = data.select(np.sort(np.unique(pairs, return_index=True)[1]))
    return replace(kept, timestamps=np.zeros_like(kept.timestamps))


def split_timestamps(interactions: Interactions, protocol: Protocol) -> tuple[np.ndarray, np.ndarray]:
    """Return the Unix seconds of the training items and of the events of a global split, which does not keep them."""
    data, _ = apply_filter(protocol.filter, interactions)
    use, seconds = _divide_by_time(data, protocol), data.timestamps
    if data.ticks_per_second > 1:
        seconds = seconds / data.ticks_per_second
    train_rows, *_ = pack(data, use.trains)
    event_rows, *_ = pack(data, use.evaluates)  # reordering simultaneous events would not change their timestamps
    return seconds[train_rows], seconds[event_rows]


@dataclass(frozen=True, eq=False)
class _RowUse:
    trains: np.ndarray  # (n,) bool, rows to train on
    evaluates: np.ndarray  # (n,) bool, rows that become events of test users
    in_catalogue: np.ndarray  # (items,) bool, items that can be recommended
    summary: dict[str, Any]  # JSON-ready facts about T


def _divide_by_time(data: Interactions, protocol: Protocol) -> _RowUse:
    if data.timestamps.min() == data.timestamps.max():
        raise DataError(
            f"all timestamps equal {data.timestamps[0]}, so nothing divides training from test; "
            "give the time of each interaction in Unix seconds"
        )
    begin, end = window(data.timestamps, protocol)
    before_end = data.timestamps < end  # (n,)
    in_window = before_end & (data.timestamps >= begin)  # (n,)
    is_test_user = _occurring(data.user_ids[in_window], data.n_users)  # (users,) one event in the window is enough
    by_test_user = is_test_user[data.user_ids]  # (n,)
    trains = ~by_test_user & (data.timestamps < begin)  # (n,)
    if not trains.any():
        raise DataError(
            f"no training users: all {data.n_users} users are active at or after T = {begin}; "
            f"raise it with --set protocol.quantile (now {protocol.quantile}) or give more users"
        )
    in_catalogue = _occurring(data.item_ids[trains], data.n_items)
    if in_catalogue.sum() == 1:
        raise DataError("only one item in training; give more data, or filter less with --set protocol.filter=none")
    known = by_test_user & in_catalogue[data.item_ids]  # (n,) items unseen in training cannot be recommended
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
        "threshold": begin // data.ticks_per_second,  # whole seconds, for reports
        "test_users_before_rule": int(is_test_user.sum()),
    }
    return _RowUse(trains, evaluates, in_catalogue, summary)


def window(timestamps: np.ndarray, protocol: Protocol) -> tuple[int, int]:
    """Return T, where the window of test events begins, and the first timestamp after it; `timestamps` (n,) are all.

    Raises DataError if the window would be empty.
    """
    # These are the quantiles that pandas calls "nearest".
    places = [round(quantile * (len(timestamps) - 1)) for quantile in (protocol.quantile, protocol.until)]
    begin, end = np.partition(timestamps, places)[places].tolist()
    if protocol.until == OPEN:
        return begin, end + 1
    if end <= begin:
        raise DataError(
            f"no window: it begins at {begin} (protocol.quantile {protocol.quantile}) and ends at {end} "
            f"(protocol.until {protocol.until}); raise the end with --set protocol.until"
        )
    return begin, end


def _leave_one_out(data: Interactions, protocol: Protocol) -> _RowUse:
    """Hold out each user's last two events, validation and test target, and train on all events before them.

    The training sequences are therefore the validation histories. As in the published codes of SASRec and RecBole,
    every user with at least `min_events` trains and is tested, and items that only occur as targets can be recommended.
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
    return _RowUse(trains, evaluates, _occurring(data.item_ids[evaluates], data.n_items), {})


def _occurring(ids: np.ndarray, n: int) -> np.ndarray:
    return np.bincount(ids, minlength=n) > 0


def pack(
    data: Interactions, keep: np.ndarray, tie_seed: int | None = None
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Sort the rows to keep by user, then time, then file order or, with a `tie_seed`, at random.

    Returns the rows (m,), the users (n,) and where each user's rows begin and end, offsets (n + 1,).
    """
    rows = np.flatnonzero(keep)
    if tie_seed is not None:
        rows = np.random.default_rng(tie_seed).permutation(rows)
    # lexsort is stable, so simultaneous rows stay in the order of `rows`.
    rows = rows[np.lexsort((data.timestamps[rows], data.user_ids[rows]))]
    users, lengths = np.unique(data.user_ids[rows], return_counts=True)
    return rows, users, _offsets(lengths)


def _ties(data: Interactions, rows: np.ndarray, trains: np.ndarray) -> np.ndarray:
    """Mark the rows with the same user and time as the row before them, if that one is not trained on, (m,) bool."""
    ties = np.zeros(len(rows), dtype=bool)
    users, times = data.user_ids[rows], data.timestamps[rows]
    ties[1:] = (users[1:] == users[:-1]) & (times[1:] == times[:-1]) & ~trains[rows[:-1]]
    return ties


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(lengths)])


def _without_objects(labels: np.ndarray) -> np.ndarray:
    return labels.astype(str) if labels.dtype == object else labels
