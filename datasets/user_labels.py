"""Labels for downstream tasks: a user's favourite group of items, their attributes, and whether they come back.

Each user's events are split into a history and a future, which is the last ten events or the later half if that is
shorter.
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
    """Histories and labels of n users, the training users of a split before its test users.

    `labels` maps tasks to classes, (n,) int64: "genre" or "bucket" is the most frequent genre or popularity bucket of
    the future, "age" and "gender" are attributes, and "return" says whether the next event comes within 30 days.
    """

    known: Sequences  # each history followed by the next item
    n_train: int  # the number of training users
    labels: dict[str, np.ndarray]

    @property
    def histories(self) -> Sequences:
        """The histories of the training users, which a model may be pretrained on."""
        known = self.known.without_last(1)
        return replace(known, starts=known.starts[: self.n_train], lengths=known.lengths[: self.n_train])


def user_labels(
    split: Split, interactions: Interactions, protocol: Protocol, movielens_path: Path | None
) -> UserLabels:
    """Label the users of a `split` of these `interactions`.

    With `movielens_path`, a file of MovieLens-1M, the labels are the publisher's genres, ages and genders; otherwise
    they are derived from the interactions. Raises MissingData or DataError if the publisher's files cannot be used.
    """
    shift = len(split.train.items)
    events = Sequences(
        torch.cat([split.train.items, split.events.items]),
        torch.cat([split.train.starts, split.events.starts + shift]),
        torch.cat([split.train.lengths, split.events.lengths]),
    )
    future = (events.lengths // 2).clamp_max(FUTURE)  # (n,) at most half, so that a history remains
    first = events.starts + events.lengths - future  # (n,) the first event of the future
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
        named = {"age": published.ages, "gender": published.genders}
        attributes = {task: np.unique(values, return_inverse=True)[1] for task, values in named.items()}
    counts = np.zeros((len(events), groups.shape[1]), np.int64)
    np.add.at(counts, rows.numpy(), groups[items.numpy()])
    known = replace(events, lengths=events.lengths - future + (future > 0))
    return UserLabels(known, len(split.train), {name: counts.argmax(1), **attributes})
