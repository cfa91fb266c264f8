"""What can be asked about a user besides the next item: favourite group of items, attributes, whether they come back.

Each user's events are cut in two: a history, and the future, their last ten events or the later half if that is less.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from datasets.interactions import Interactions
from datasets.protocol import N_BUCKETS, Protocol
from datasets.publishers import movielens
from datasets.sequences import Sequences
from datasets.split import Split, split_timestamps

FUTURE = 10
RETURN_SECONDS = 30 * 24 * 3600


@dataclass(frozen=True, eq=False)
class UserLabels:
    """The U training users of a split, then its N test users, n = U + N in all.

    `known`: their histories, each with the item that comes next; `n_train` = U. `labels`: by task (n,) int64, the class
    of each user: of their future, `genre` or popularity `bucket`, the most frequent one; of the user, `age` and
    `gender`, or `return`, whether the next event comes within 30 days.
    """

    known: Sequences
    n_train: int
    labels: dict[str, np.ndarray]

    @property
    def histories(self) -> Sequences:
        """What may be pretrained on: the histories of the training users."""
        known = self.known.without_last(1)
        return replace(known, starts=known.starts[: self.n_train], lengths=known.lengths[: self.n_train])


def user_labels(
    split: Split, interactions: Interactions, protocol: Protocol, movielens_path: Path | None
) -> UserLabels:
    """`interactions`: those that were split. With the file of MovieLens-1M the labels are the publisher's; else they
    follow from the interactions. Raises MissingData or DataError where the publisher's files are not there or unfit.
    """
    shift = len(split.train.items)
    events = Sequences(
        torch.cat([split.train.items, split.events.items]),
        torch.cat([split.train.starts, split.events.starts + shift]),
        torch.cat([split.train.lengths, split.events.lengths]),
    )
    future = (events.lengths // 2).clamp_max(FUTURE)  # (n,) no more than half, so that a history remains
    first = events.starts + events.lengths - future  # (n,) where the future begins
    rows, items = Sequences(events.items, first, future).flatten()
    users = np.concatenate([split.train_user_labels, split.test_user_labels])
    if movielens_path is None:
        seconds = np.concatenate(split_timestamps(interactions, protocol))
        places = first.numpy()
        gap = seconds[places] - seconds[np.maximum(places - 1, 0)]
        groups, name = np.eye(N_BUCKETS, dtype=bool)[split.item_buckets], "bucket"
        attributes = {"return": (gap <= RETURN_SECONDS).astype(np.int64)}
    else:
        published = movielens.labels_of(movielens_path, users.tolist(), split.item_labels.tolist())
        groups, name = published.genres, "genre"
        attributes = {"age": _classes(published.ages), "gender": _classes(published.genders)}
    counts = np.zeros((len(events), groups.shape[1]), np.int64)
    np.add.at(counts, rows.numpy(), groups[items.numpy()])
    known = replace(events, lengths=events.lengths - future + (future > 0))
    return UserLabels(known, len(split.train), {name: counts.argmax(1), **attributes})


def _classes(values: np.ndarray) -> np.ndarray:
    return np.unique(values, return_inverse=True)[1]
