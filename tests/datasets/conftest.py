"""Real data, read by pandas and split once for all tests."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from pathlib import Path

import pandas as pd
import pytest

from datasets.interactions import Interactions
from datasets.protocol import Protocol
from datasets.split import Split, split
from tests.datasets.rows import from_columns


@pytest.fixture(scope="session")
def real_split(real_data: Callable[[str], Path]) -> Callable[[str, Protocol], Split]:
    """Return `real_split("ml-1m.csv.gz", protocol)`, which splits the interactions of that file."""

    @cache
    def interactions(name: str) -> Interactions:
        table = pd.read_csv(real_data(name))
        return from_columns(table["userid"], table["itemid"], table["timestamp"])

    return cache(lambda name, protocol: split(interactions(name), protocol))
