"""Gowalla check-ins (Cho, Myers and Leskovec 2011): `loc-gowalla_totalCheckins.txt[.gz]`."""

from __future__ import annotations

from pathlib import Path

from datasets.interactions import Interactions
from datasets.readers.delimited import Layout, read_delimited
from datasets.readers.timestamps import utc_clock

_LAYOUT = Layout(  # user, 2010-10-19T23:55:27Z, latitude, longitude, location
    user=0, item=4, time=1, fields=5, delimiter="\t", clock=utc_clock("0000-00-00T00:00:00Z")
)


def read(path: Path) -> Interactions:
    """All check-ins, in file order (each user's newest first); items are locations. DataError names the bad line."""
    return read_delimited(path, _LAYOUT)
