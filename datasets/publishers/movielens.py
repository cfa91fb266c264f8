"""MovieLens-1M (Harper and Konstan 2015): `ml-1m.zip`, or its `ratings.dat` alone."""

from __future__ import annotations

from pathlib import Path

from datasets.interactions import Interactions
from datasets.readers.delimited import Layout, read_delimited

RATINGS = "ratings.dat"

_LAYOUT = Layout(user=0, item=1, time=3, fields=4, delimiter="::")  # UserID::MovieID::Rating::Timestamp


def read(path: Path) -> Interactions:
    """All ratings, in file order; DataError names the file and the first bad line."""
    return read_delimited(path, _LAYOUT, member=RATINGS)
