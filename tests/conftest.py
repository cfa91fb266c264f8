"""Shared by all tests: a single thread, so that numbers do not depend on the cores; signal handlers; real data."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

torch.set_num_threads(1)

# A shell script in the background or nohup ignores these signals; the processes that tests start would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def real_data() -> Callable[[str], Path]:
    """`real_data("ml-1m.csv.gz")` returns the path of that file, or skips the test if it is absent."""
    directory = Path(os.environ.get("BTSR_TEST_DATA") or REPOSITORY.parent / "shared" / "data")

    def find(name: str) -> Path:
        path = directory / name
        if not path.is_file():
            pytest.skip(f"no real data: {path} is absent; set BTSR_TEST_DATA to the directory that has it")
        return path

    return find
