"""From the file of a dataset, or anybody's table, to interactions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

from datasets.interactions import DataError, Interactions
from datasets.publishers import amazon, movielens
from datasets.readers.columns import utc_clock
from datasets.readers.delimited import Layout, read_delimited, read_table
from datasets.readers.json_lines import Fields, read_json_lines
from datasets.registry import Dataset, Published

READING_VERSION = 1
"""Part of the keys of cached splits: raise it whenever the same file is read as other interactions."""

# Yelp Open Dataset: the reviews plain, gzip, or inside the published tar or zip; their texts are streamed past.
_YELP_REVIEWS = "yelp_academic_dataset_review.json"
_YELP = Fields(user="user_id", item="business_id", time="date", clock=utc_clock("0000-00-00 00:00:00"))

# Gowalla check-ins (Cho, Myers and Leskovec 2011), each user's newest first: user, time, latitude, longitude, location.
_GOWALLA = Layout(user=0, item=4, time=1, fields=5, delimiter="\t", clock=utc_clock("0000-00-00T00:00:00Z"))

# Behance (He, Fang, Wang and McAuley 2016), who appreciated which project: user, project, Unix seconds.
_BEHANCE = Layout(user=0, item=1, time=2, fields=3, delimiter=" ")

READERS: dict[str, Callable[[Path], Interactions]] = {
    "movielens": movielens.read,
    "amazon": amazon.read,
    "amazon 5-core": amazon.read_five_core,
    "yelp": partial(read_json_lines, fields=_YELP, member=_YELP_REVIEWS),
    "gowalla": partial(read_delimited, layout=_GOWALLA),
    "behance": partial(read_delimited, layout=_BEHANCE),
    "table": read_table,
}
"""What reads the files of each of the registry's formats: all interactions, in file order."""


def read_interactions(path: Path, dataset: Dataset | None = None) -> Interactions:
    """Read what `locate` found for the dataset, or, without one, anybody's table.

    Raises DataError (one line) if the file cannot be used or, for a publisher's own file, is not all there.
    """
    if dataset is None or path.name in dataset.tables:
        return read_table(path)
    data = (dataset.reader or READERS[dataset.format])(path)
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
