"""Statistics of interactions and splits for reports."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datasets.filtering import distinct, size
from datasets.interactions import Interactions
from datasets.protocol import N_BUCKETS
from datasets.sequences import Sequences, TwinIndex


def duplicate_rows(data: Interactions) -> int:
    """Count the rows with the same user, item and timestamp as an earlier row."""
    _, pairs = np.unique(data.user_ids.astype(np.int64) * data.n_items + data.item_ids, return_inverse=True)
    _, times = np.unique(data.timestamps, return_inverse=True)
    return len(data) - len(distinct(pairs * (times.max() + 1) + times))


def popularity_buckets(item_interactions: np.ndarray, item_users: np.ndarray) -> np.ndarray:
    """Divide items into popularity thirds with a third of the interactions each, (V,) uint8, 0 = most popular.

    Items are sorted by descending number of distinct users `item_users` (V,), ties by index. The bucket of an item
    follows from the cumulative `item_interactions` (V,) of the items before it.
    """
    order = np.argsort(-item_users, kind="stable")
    counts = item_interactions[order]
    before = np.cumsum(counts) - counts
    buckets = np.empty(len(order), dtype=np.uint8)
    buckets[order] = np.minimum(N_BUCKETS - 1, N_BUCKETS * before // counts.sum())
    return buckets


def data_summary(raw: Interactions, filtered: Interactions) -> dict[str, Any]:
    """Return JSON-ready sizes before and after filtering, and statistics of all users after it."""
    per_user = np.bincount(filtered.user_ids)
    return {
        "raw": size(raw),
        "duplicate_rows": duplicate_rows(raw),
        "filtered": size(filtered),
        "interactions_per_user": {"mean": float(per_user.mean()), "median": float(np.median(per_user))},
        "density": len(filtered) / (filtered.n_users * filtered.n_items),
    }


def split_summary(train: Sequences, events: Sequences, item_buckets: np.ndarray) -> dict[str, Any]:
    """Return JSON-ready sizes of the training and test users and of the buckets, and two shares.

    "twinless_share" is the share of training sequences whose final item no other sequence ends with; "masked_share" is
    the share of test users whose test target is already in their history.
    """
    is_twinless = TwinIndex.build(train.final_items()).group_sizes == 1  # (U,)
    owners = torch.repeat_interleave(events.lengths)  # (M,)
    is_target = events.items == events.final_items()[owners]  # (M,), at least once per user
    is_masked = torch.bincount(owners[is_target]) > 1  # (N,)
    buckets_of_events = item_buckets[train.items.numpy()]
    return {
        "train_users": len(train),
        "train_interactions": len(train.items),
        "items": len(item_buckets),
        "test_users": len(events),
        "twinless_share": float(is_twinless.double().mean()),
        "masked_share": float(is_masked.double().mean()),
        "bucket_sizes": np.bincount(item_buckets, minlength=N_BUCKETS).tolist(),
        "bucket_interactions": np.bincount(buckets_of_events, minlength=N_BUCKETS).tolist(),
    }
