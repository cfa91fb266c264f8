"""Counts and shares of interactions and splits: what filters go by, what reports say about the data."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from datasets.interactions import Interactions
from datasets.protocol import N_BUCKETS
from datasets.sequences import Sequences, TwinIndex


def size(data: Interactions) -> dict[str, int]:
    """How many users, items and interactions."""
    return {"users": data.n_users, "items": data.n_items, "interactions": len(data)}


def distinct(values: np.ndarray) -> np.ndarray:
    """The distinct values of an integer array (n,), ascending.

    By sorting: since NumPy 2.3 `np.unique` hashes, which took 80 times as long on six million pairs of ids.
    """
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]


def distinct_partners(ids: np.ndarray, partners: np.ndarray, n_ids: int = 0) -> np.ndarray:
    """How many different partners each id meets, (max id + 1,) int64, or (n_ids,) if that is longer.

    `ids`, `partners` (n,): aligned and not negative, such as the item and the user of each interaction.
    """
    width = int(partners.max()) + 1
    return np.bincount(distinct(ids.astype(np.int64) * width + partners) // width, minlength=n_ids)


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
    """JSON-ready sizes of both populations and of the buckets (V,), and shares that qualify the results."""
    buckets_of_events = item_buckets[train.items.numpy()]
    return {
        "train_users": len(train),
        "train_interactions": len(train.items),
        "items": len(item_buckets),
        "test_users": len(events),
        "twinless_share": twinless_share(train),
        "masked_share": masked_share(events),
        "bucket_sizes": np.bincount(item_buckets, minlength=N_BUCKETS).tolist(),
        "bucket_interactions": np.bincount(buckets_of_events, minlength=N_BUCKETS).tolist(),
    }


def twinless_share(train: Sequences) -> float:
    """Share of the training sequences whose final item ends no other sequence."""
    return float((TwinIndex.build(train.final_items()).group_sizes == 1).double().mean())


def masked_share(events: Sequences) -> float:
    """Share of the test users whose last item, the test target, lies in their history already."""
    owners = torch.repeat_interleave(events.lengths)
    is_target = events.items == events.final_items()[owners]
    return float((torch.bincount(owners[is_target]) > 1).double().mean())


def tied_share(timestamps: np.ndarray, offsets: np.ndarray) -> float:
    """Share of the test users whose last two events are simultaneous.

    `timestamps` (total,) of all events; `offsets` (N + 1,): user i has `offsets[i] : offsets[i + 1]`.
    """
    last = offsets[1:] - 1
    return float(np.mean(timestamps[last] == timestamps[last - 1]))
