"""The one type that every preprocessor produces: who interacted with what, and when."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

LATEST_TIMESTAMP = 10_000_000_000
"""Seconds, in the year 2286: a number from here on is a timestamp in milliseconds or a finer unit."""


class DataError(Exception):
    """Data that cannot be used; the message is one line: what is wrong, where, and what to do."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions in file order, as three aligned integer arrays and the original ids behind them.

    Shapes: `user_ids`, `item_ids` (n,) int32, indices into the label arrays; `timestamps` (n,) int64, Unix time in
    ticks; `user_labels` (users,), `item_labels` (items,): the original ids, ascending and distinct, int64 or str.
    `ticks_per_second`: 1 where the file has whole seconds, else a power of 1000. `notes`: what to tell the user about
    how the file was read, a line each.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    timestamps: np.ndarray
    user_labels: np.ndarray
    item_labels: np.ndarray
    ticks_per_second: int = 1
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def n_users(self) -> int:
        return len(self.user_labels)

    @property
    def n_items(self) -> int:
        return len(self.item_labels)

    def select(self, keep: np.ndarray) -> Interactions:
        """The rows where `keep` (n,) bool is true, in the same order; labels that no row uses any more are dropped."""
        user_ids, user_labels = _compact(self.user_ids[keep], self.user_labels)
        item_ids, item_labels = _compact(self.item_ids[keep], self.item_labels)
        return replace(
            self,
            user_ids=user_ids,
            item_ids=item_ids,
            timestamps=self.timestamps[keep],
            user_labels=user_labels,
            item_labels=item_labels,
        )


def _compact(ids: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.bincount(ids, minlength=len(labels)) > 0
    renumbered = np.cumsum(used) - 1
    return renumbered[ids].astype(np.int32), labels[used]
