"""Counts and shares of interactions and splits: what reports say about the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datasets.filtering import distinct, size
from datasets.interactions import Interactions
from datasets.protocol import N_BUCKETS
from datasets.sequences import Sequences, TwinIndex


def duplicate_rows(data: Interactions) -> int:
    """How many rows repeat an earlier one: the same user, item and timestamp."""
    _, pairs = np.unique(data.user_ids.astype(np.int64) * data.n_items + data.item_ids, return_inverse=True)
    _, times = np.unique(data.timestamps, return_inverse=True)
    return len(data) - len(distinct(pairs * (times.max() + 1) + times))


def popularity_buckets(item_interactions: np.ndarray, item_users: np.ndarray) -> np.ndarray:
    """The popularity third of each item, (V,) uint8: 0 = most popular; each has a third of the interactions.

    `item_interactions`, `item_users` (V,): items go by descending number of distinct users, ties by index,
    and are cut by how many interactions the items before them have.
    """
    order = np.argsort(-item_users, kind="stable")
    counts = item_interactions[order]
    before = np.cumsum(counts) - counts
    buckets = np.empty(len(order), dtype=np.uint8)
    buckets[order] = np.minimum(N_BUCKETS - 1, N_BUCKETS * before // counts.sum())
    return buckets


def data_summary(raw: Interactions, filtered: Interactions) -> dict[str, Any]:
    """JSON-ready sizes before and after filtering, and the shape of what is left, all users together."""
    per_user = np.bincount(filtered.user_ids)
    return {
        "raw": size(raw),
        "duplicate_rows": duplicate_rows(raw),
        "filtered": size(filtered),
        "interactions_per_user": {"mean": float(per_user.mean()), "median": float(np.median(per_user))},
        "density": len(filtered) / (filtered.n_users * filtered.n_items),
    }


def split_summary(train: Sequences, events: Sequences, item_buckets: np.ndarray) -> dict[str, Any]:
    """JSON-ready sizes of both populations and of the buckets (V,), and shares that qualify results: of the training
    sequences whose final item ends no other, and of the test users whose test target lies in their history already.
    """
    is_twinless = TwinIndex.build(train.final_items()).group_sizes == 1  # (U,)
    owners = torch.repeat_interleave(events.lengths)  # (M,)
    is_target = events.items == events.final_items()[owners]  # (M,), once for each user at least
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
