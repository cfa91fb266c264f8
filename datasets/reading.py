"""From the file of a dataset, or anybody's table, to interactions."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

from datasets import synthetic
from datasets.interactions import DataError, Interactions
from datasets.publishers import amazon, gowalla, movielens, yelp
from datasets.readers import table
from datasets.registry import Dataset, Published

logger = logging.getLogger(__name__)

READERS: dict[str, Callable[[Path], Interactions]] = {
    "ml-1m": movielens.read,
    "beauty": amazon.read_five_core,
    "yelp": yelp.read,
    "gowalla": gowalla.read,
    "kindle-store": amazon.read,
    "synthetic": lambda _: synthetic.demo(),
}
"""For each dataset of the registry, what reads its publisher's file."""


def read_interactions(path: Path, dataset: Dataset | None = None) -> Interactions:
    """Read what `locate` found for the dataset, or, without one, anybody's table (see `datasets.readers.table`).

    Raises DataError (one line) if the file cannot be used or, for a publisher's own file, is not all there.
    """
    if dataset is None or path.name in dataset.tables:
        return table.read(path)
    data = READERS[dataset.name](path)
    for published in dataset.published:
        if path.name in {Path(name).name for name in published.names}:
            _check_counts(data, published, path)
    return data


def _check_counts(data: Interactions, published: Published, path: Path) -> None:
    if published.remark:
        logger.warning("%s: %s", path, published.remark)
    found = (len(data), data.n_users, data.n_items)
    if published.counts in (None, found):
        return
    expected = "{:,} interactions of {:,} users with {:,} items".format(*published.counts)
    message = f"{path}: holds {'{:,}, {:,} and {:,}'.format(*found)} instead of {expected}"
    if published.verified:
        raise DataError(f"{message}; fetch it again, or give your own version as a table (--interactions)")
    logger.warning("%s (as reported by others; nobody here could check): another version of the file?", message)
