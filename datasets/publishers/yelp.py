"""Yelp Open Dataset: `yelp_academic_dataset_review.json`, plain, gzip, or inside the published tar or zip."""

from __future__ import annotations

from pathlib import Path

from datasets.interactions import Interactions
from datasets.readers.json_lines import Fields, read_json_lines
from datasets.readers.timestamps import utc_clock

REVIEWS = "yelp_academic_dataset_review.json"

_FIELDS = Fields(
    user="user_id",
    item="business_id",
    time="date",
    clock=utc_clock("0000-00-00 00:00:00"),
)


def read(path: Path) -> Interactions:
    """All reviews, in file order; the texts are streamed past. DataError names the file and the first bad line."""
    return read_json_lines(path, _FIELDS, member=REVIEWS)
