"""The one type that every preprocessor produces: who interacted with what, and when."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

LATEST_TIMESTAMP = 10_000_000_000
"""Seconds, the year 2286: anything larger is a timestamp in milliseconds or finer."""


class DataError(Exception):
    """Data that cannot be used; the message is one line: what is wrong, where, and what to do."""


@dataclass(frozen=True, eq=False)
class Interactions:
    """Interactions in source order, as three aligned integer arrays and the original ids behind them.

    Shapes: `user_ids`, `item_ids` (n,) int32, indices into the label arrays; `timestamps` (n,) int64, Unix seconds;
    `user_labels` (users,), `item_labels` (items,): the original ids, ascending and distinct, int64 or str.
    """

    user_ids: np.ndarray
    item_ids: np.ndarray
    timestamps: np.ndarray
    user_labels: np.ndarray
    item_labels: np.ndarray

    def __len__(self) -> int:
        return len(self.timestamps)

    @property
    def n_users(self) -> int:
        """Number of distinct users."""
        return len(self.user_labels)

    @property
    def n_items(self) -> int:
        """Number of distinct items."""
        return len(self.item_labels)

    @classmethod
    def from_columns(cls, users: object, items: object, timestamps: object, source: str) -> Interactions:
        """Build from columns of original ids (integers or strings) and Unix seconds, each of length n.

        `source` names the file in errors. Raises DataError if there are no rows or a timestamp is impossible.
        """
        seconds = np.asarray(timestamps, dtype=np.int64)
        if len(seconds) == 0:
            raise DataError(f"{source}: no interactions; the file has no data rows, give one that has")
        _check_timestamps(seconds, source)
        user_ids, user_labels = _factorise(users)
        item_ids, item_labels = _factorise(items)
        return cls(user_ids, item_ids, seconds, user_labels, item_labels)

    def select(self, keep: np.ndarray) -> Interactions:
        """The rows where `keep` (n,) bool is true, in the same order; labels that no row uses any more are dropped."""
        user_ids, user_labels = _compact(self.user_ids[keep], self.user_labels)
        item_ids, item_labels = _compact(self.item_ids[keep], self.item_labels)
        return Interactions(user_ids, item_ids, self.timestamps[keep], user_labels, item_labels)


def _factorise(values: object) -> tuple[np.ndarray, np.ndarray]:
    codes, labels = pd.factorize(np.asarray(values), sort=True)
    return codes.astype(np.int32), np.asarray(labels)


def _compact(ids: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    used = np.bincount(ids, minlength=len(labels)) > 0
    renumbered = np.cumsum(used) - 1
    return renumbered[ids].astype(np.int32), labels[used]


def _check_timestamps(seconds: np.ndarray, source: str) -> None:
    row = int(np.argmin(seconds))
    if seconds[row] < 0:
        raise DataError(f"{source}: data row {row + 1}: timestamp {seconds[row]} is negative; give Unix seconds")
    row = int(np.argmax(seconds))
    if seconds[row] >= LATEST_TIMESTAMP:
        raise DataError(
            f"{source}: data row {row + 1}: timestamp {seconds[row]} is not in Unix seconds (milliseconds?); "
            "divide it down to seconds"
        )
