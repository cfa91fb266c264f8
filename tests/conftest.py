"""What every test shares: one thread, so that numbers do not depend on the cores, signals that are heard, and where
real data is.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

# Started in the background of a script or by nohup, we would ignore these, and so would the processes that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

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
