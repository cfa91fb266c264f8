"""Amazon reviews by category, of 2014 (McAuley et al. 2015) and of 2018 (Ni, Li and McAuley 2019).

The files of 2014 are `ratings_<Category>.csv` and the 5-core `reviews_<Category>_5.json`. Those of 2018 are
`<Category>.csv`, whose first column is the item, `<Category>.json` and the 5-core `<Category>_5.json`.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from datasets.filtering import CORE_INTERACTIONS, apply_filter
from datasets.interactions import DataError, Interactions
from datasets.readers.delimited import Layout, read_delimited
from datasets.readers.json_lines import FieldNames, read_json_lines

_RATINGS_2014 = Layout(user=0, item=1, time=3, fields=4, delimiter=",", quoted=True)  # user,item,rating,timestamp
_RATINGS_2018 = replace(_RATINGS_2014, user=1, item=0)
_REVIEWS = FieldNames(user="reviewerID", item="asin", time="unixReviewTime")


def read(path: Path) -> Interactions:
    """Read all reviews in file order; the file's name determines its format. DataError names the first bad line."""
    if ".json" in path.suffixes:
        return read_json_lines(path, _REVIEWS)
    return read_delimited(path, _RATINGS_2014 if path.name.startswith("ratings_") else _RATINGS_2018)


def read_five_core(path: Path) -> Interactions:
    """Read the reviews, and reduce them to their 5-core unless the publisher has already done so."""
    data = read(path)
    if path.name.partition(".")[0].endswith("_5"):
        return data
    try:
        return apply_filter("core", data)[0]
    except DataError:
        raise DataError(
            f"{path}: no users and items with {CORE_INTERACTIONS} interactions each; give the publisher's whole file"
        ) from None
