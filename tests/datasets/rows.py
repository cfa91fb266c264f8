"""Interactions from rows that a test writes down."""

from __future__ import annotations

from typing import Any

import numpy as np

from datasets.interactions import Interactions


def from_columns(users: Any, items: Any, timestamps: Any) -> Interactions:
    """From columns of original ids (integers or strings) and Unix seconds, each of length n."""
    user_labels, user_ids = np.unique(np.asarray(users), return_inverse=True)
    item_labels, item_ids = np.unique(np.asarray(items), return_inverse=True)
    seconds = np.asarray(timestamps, dtype=np.int64)
    return Interactions(user_ids.astype(np.int32), item_ids.astype(np.int32), seconds, user_labels, item_labels)
