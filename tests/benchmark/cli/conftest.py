"""Small tables of interactions for whole runs of the command line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from datasets import synthetic


def write_interactions(
    path: Path, size: tuple[int, int, int] = (300, 60, 4_000), shuffled: bool = False
) -> pd.DataFrame:
    """Write a CSV of that many users, items and interactions, with string ids, and return it as a frame.

    `shuffled`: whether the rows are in random order, with distinct timestamps.
    """
    data = synthetic.generate(*size, seed=3)
    timestamps = np.random.default_rng(0).permutation(len(data)) + 10**9 if shuffled else data.timestamps
    users, items = (np.char.add(kind, ids.astype(str)) for kind, ids in (("u", data.user_ids), ("i", data.item_ids)))
    frame = pd.DataFrame({"userid": users, "itemid": items, "timestamp": timestamps})
    frame.to_csv(path, index=False)
    return frame
