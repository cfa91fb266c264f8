"""Behance (He, Fang, Wang and McAuley 2016): `Behance_appreciate_1M[.gz]`, who appreciated which project."""

from __future__ import annotations

from pathlib import Path

from datasets.interactions import Interactions
from datasets.readers.delimited import Layout, read_delimited

_LAYOUT = Layout(user=0, item=1, time=2, fields=3, delimiter=" ")  # user, project, Unix seconds


def read(path: Path) -> Interactions:
    """All appreciations, in file order; DataError names the file and the first bad line."""
    return read_delimited(path, _LAYOUT)
