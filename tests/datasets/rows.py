"""Interactions from rows that a test writes down, and sequences as plain lists."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasets.interactions import Interactions
from datasets.sequences import Sequences

Row = tuple[int, int, int]
"""User, item and timestamp."""


def from_columns(users: Any, items: Any, timestamps: Any) -> Interactions:
    """Build them from columns of original ids (integers or strings) and Unix seconds."""
    user_labels, user_ids = np.unique(np.asarray(users), return_inverse=True)
    item_labels, item_ids = np.unique(np.asarray(items), return_inverse=True)
    seconds = np.asarray(timestamps, dtype=np.int64)
    return Interactions(user_ids.astype(np.int32), item_ids.astype(np.int32), seconds, user_labels, item_labels)


def interactions(rows: list[Row]) -> Interactions:
    return from_columns(*zip(*rows, strict=True))


def as_lists(sequences: Sequences) -> list[list[int]]:
    return [sequences[i].tolist() for i in range(len(sequences))]
