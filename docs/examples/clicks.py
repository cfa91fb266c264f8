"""A dataset in its publisher's own format: session|page|YYYY-MM-DD HH:MM:SS, one click per line.

Copy it to datasets/publishers/clicks.py, and add to datasets/registry.py the import

    from datasets.publishers import clicks

and below `_ALL = (`

    Dataset("clicks", "Clicks", published=(Published(("clicks.txt",)),), reader=clicks.read, page="https://example.org"),
"""

from __future__ import annotations

from pathlib import Path

from datasets.interactions import Interactions
from datasets.readers.columns import utc_clock
from datasets.readers.delimited import Layout, read_delimited

LAYOUT = Layout(user=0, item=1, time=2, fields=3, delimiter="|", clock=utc_clock("0000-00-00 00:00:00"))


def read(path: Path) -> Interactions:
    """Read all clicks in file order; raises DataError that names the first bad line."""
    return read_delimited(path, LAYOUT)
