"""Filters that drop rare items and inactive users before the split."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from datasets.interactions import DataError, Interactions
from datasets.protocol import Filter

CORE_INTERACTIONS = 5  # paper, section 4.1: users and items with fewer are dropped
# From the released preprocessing of Scalable Cross-Entropy (RecSys 2024), which the paper builds on.
ONE_PASS_ITEM_USERS = 5
ONE_PASS_USER_ITEMS = 20

Steps = Iterator[tuple[str, Interactions]]


def size(data: Interactions) -> dict[str, int]:
    return {"users": data.n_users, "items": data.n_items, "interactions": len(data)}


def distinct(values: np.ndarray) -> np.ndarray:
    """Return the distinct values of an integer array (n,), ascending.

    This sorts, because `np.unique` hashes since NumPy 2.3, which took 80 times as long on six million pairs of ids.
    """
    ordered = np.sort(values)
    return ordered[np.diff(ordered, prepend=ordered[:1] - 1) != 0]


def distinct_partners(ids: np.ndarray, partners: np.ndarray, n_ids: int = 0) -> np.ndarray:
    """Count the different partners of each id, (max id + 1,) int64, or (n_ids,) if that is longer.

    `ids` and `partners` (n,) are aligned and not negative, such as the item and the user of each interaction.
    """
    width = int(partners.max()) + 1
    return np.bincount(distinct(ids.astype(np.int64) * width + partners) // width, minlength=n_ids)


def apply_filter(name: Filter, data: Interactions) -> tuple[Interactions, list[dict[str, Any]]]:
    """Filter the data. Also return the sizes after each step: "step", "users", "items" and "interactions".

    Raises DataError if a step leaves nothing.
    """
    steps: list[dict[str, Any]] = []
    for step, kept in FILTERS[name](data):
        if len(kept) == 0:
            raise DataError(
                f"the filter '{name}' removed everything: its step '{step}' kept none of the {data.n_users} "
                f"users, {data.n_items} items and {len(data)} interactions before it; "
                "use --set protocol.filter=none"
            )
        steps.append({"step": step, **size(kept)})
        data = kept
    return data, steps


def _none(data: Interactions) -> Steps:
    yield from ()


def _core(data: Interactions) -> Steps:
    for round_number in itertools.count(1):
        active_users = np.bincount(data.user_ids) >= CORE_INTERACTIONS
        active_items = np.bincount(data.item_ids) >= CORE_INTERACTIONS
        keep = active_users[data.user_ids] & active_items[data.item_ids]
        data = data.select(keep)
        yield f"round {round_number}: users and items with {CORE_INTERACTIONS}+ interactions", data
        if keep.all():
            return


def _one_pass(data: Interactions) -> Steps:
    known_items = distinct_partners(data.item_ids, data.user_ids) >= ONE_PASS_ITEM_USERS
    data = data.select(known_items[data.item_ids])
    yield f"items with {ONE_PASS_ITEM_USERS}+ distinct users", data
    active_users = distinct_partners(data.user_ids, data.item_ids) >= ONE_PASS_USER_ITEMS
    data = data.select(active_users[data.user_ids])
    yield f"users with {ONE_PASS_USER_ITEMS}+ distinct items", data


FILTERS: dict[Filter, Callable[[Interactions], Steps]] = {"none": _none, "core": _core, "one-pass": _one_pass}
