"""The type that every reader produces: who interacted with what, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

LATEST_TIMESTAMP = 10_000_000_000
"""In seconds, in the year 2286. A larger number must be a timestamp in milliseconds or a finer unit."""


class DataError(Exception):
    """Raised for unusable data. The message is one line that says what is wrong, where, and what to do."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """n interactions in file order, as three aligned integer arrays and the original ids."""

    user_ids: np.ndarray  # (n,) int32, indices into `user_labels`
    item_ids: np.ndarray  # (n,) int32, indices into `item_labels`
    timestamps: np.ndarray  # (n,) int64, Unix time in ticks
    user_labels: np.ndarray  # (users,) the original ids, int64 or str, ascending and distinct
    item_labels: np.ndarray  # (items,) likewise
    ticks_per_second: int = 1  # a power of 1000 if the file has fractions of seconds
    notes: tuple[str, ...] = ()  # what to tell the user about how the file was read, one line each

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def n_users(self) -> int:
        return len(self.user_labels)

    @property
    def n_items(self) -> int:
        return len(self.item_labels)

    def select(self, rows: np.ndarray) -> Interactions:
        """Keep only these rows, a mask (n,) bool or indices, and the labels that they use."""
        users, user_labels = _renumber(self.user_ids[rows], self.user_labels)
        items, item_labels = _renumber(self.item_ids[rows], self.item_labels)
        return Interactions(
            users, items, self.timestamps[rows], user_labels, item_labels, self.ticks_per_second, self.notes
        )


def _renumber(ids: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.bincount(ids, minlength=len(labels)) > 0
    renumbered = np.cumsum(used) - 1
    return renumbered[ids].astype(np.int32), labels[used]
