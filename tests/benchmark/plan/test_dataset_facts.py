"""The dataset name of a user's file is unique and can be a folder."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path

import pytest

from benchmark.plan.dataset_facts import dataset_name_for
from benchmark.store.schema import NAME

FILES = [
    "\u6570\u636e.csv",
    "\u8d44\u6599.csv",
    "interactions.csv",
    "log+1.csv",
    "log&1.csv",
    "log-1.csv",
    "-log-1.csv",
    "caf\u00e9.csv",
    "caf\u00e8.csv",
    "caf.csv",
    "\udce9.csv",
    "\udce8.csv",
    "bench.csv",
    "own-bench.csv",
    "x-equal-paper.csv",
    "own-x-equal-paper.csv",
    ".csv",
]


@pytest.mark.parametrize(("one", "other"), list(combinations(FILES, 2)))
def test_files_with_different_names_are_different_datasets(one: str, other: str) -> None:
    assert dataset_name_for(Path(one)) != dataset_name_for(Path(other))


@pytest.mark.parametrize("file", FILES)
def test_the_name_is_stable_and_can_be_a_folder(file: str) -> None:
    assert NAME.fullmatch(dataset_name_for(Path(file)))
    assert dataset_name_for(Path("elsewhere") / f"{file}.gz") == dataset_name_for(Path(file))
    assert dataset_name_for(Path("\u6570\u636e.csv")) == "interactions-5440f7"
