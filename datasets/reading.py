"""From the file of a dataset, or anybody's table, to interactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from datasets.interactions import DataError, Interactions
from datasets.publishers import amazon, behance, gowalla, movielens, yelp
from datasets.readers import table
from datasets.registry import Dataset, Published

READING_VERSION = 1
"""Part of the keys of cached splits: raise it whenever the same file is read as other interactions."""

READERS: dict[str, Callable[[Path], Interactions]] = {
    "movielens": movielens.read,
    "amazon": amazon.read,
    "amazon 5-core": amazon.read_five_core,
    "yelp": yelp.read,
    "gowalla": gowalla.read,
    "behance": behance.read,
    "table": table.read,
}
"""What reads the files of each of the registry's formats."""


def read_interactions(path: Path, dataset: Dataset | None = None) -> Interactions:
    """Read what `locate` found for the dataset, or, without one, anybody's table (see `datasets.readers.table`).

    Raises DataError (one line) if the file cannot be used or, for a publisher's own file, is not all there.
    """
    if dataset is None or path.name in dataset.tables:
        return table.read(path)
    data = READERS[dataset.format](path)
    names = {Path(name).name: published for published in dataset.published for name in published.names}
    return _checked(data, names[path.name], path) if path.name in names else data


def _checked(data: Interactions, published: Published, path: Path) -> Interactions:
    """The data with notes on what to know about the file; DataError if a part of it is missing."""
    notes = list(data.notes)
    if published.remark:
        notes.append(published.remark)
    found = (len(data), data.n_users, data.n_items)
    if published.counts not in (None, found):
        expected = "{:,} interactions of {:,} users with {:,} items".format(*published.counts)
        message = f"holds {'{:,}, {:,} and {:,}'.format(*found)} instead of {expected}"
        if published.verified:
            raise DataError(f"{path}: {message}; fetch it again, or give your own version as a table (--interactions)")
        notes.append(f"{message} (as others report; it could not be checked here): is it another version of the file?")
    return replace(data, notes=tuple(notes))
