"""Amazon reviews of 2014 (McAuley et al. 2015): `ratings_<Category>.csv`, 5-core `reviews_<Category>_5.json`."""

from __future__ import annotations

from pathlib import Path

from datasets.filtering import CORE_INTERACTIONS, apply_filter
from datasets.interactions import DataError, Interactions
from datasets.readers.delimited import Layout, read_delimited
from datasets.readers.json_lines import Fields, read_json_lines

_RATINGS = Layout(user=0, item=1, time=3, fields=4, delimiter=",", quoted=True)  # user,item,rating,timestamp
_REVIEWS = Fields(user="reviewerID", item="asin", time="unixReviewTime")


def read(path: Path) -> Interactions:
    """All reviews in the file, in file order; its name tells the format. DataError names the first bad line."""
    if is_five_core(path):
        return read_json_lines(path, _REVIEWS)
    return read_delimited(path, _RATINGS)


def read_five_core(path: Path) -> Interactions:
    """As `read`; a file of all ratings is reduced to its 5-core, which the publisher does for the other format."""
    data = read(path)
    if is_five_core(path):
        return data
    try:
        return apply_filter("core", data)[0]
    except DataError:
        raise DataError(
            f"{path}: no users and items with {CORE_INTERACTIONS} interactions each; give the publisher's whole file"
        ) from None


def is_five_core(path: Path) -> bool:
    """Whether this is a file that the publisher has already reduced to its 5-core."""
    return path.name.startswith("reviews_")
