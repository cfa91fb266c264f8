"""What every test shares: one thread, so that numbers do not depend on the cores, and where real data is."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("ml-1m.csv.gz")`: the path of that file; skips the test where it is absent."""
    directory = Path(os.environ.get("BTSR_TEST_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = directory / name
        if not path.is_file():
            pytest.skip(f"no real data: {path} is absent; BTSR_TEST_DATA names the directory to look in")
        return path

    return find
