"""The files for another recommender, from a table whose rows are unordered."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from benchmark.cli.commands import main as command
from tests.benchmark.cli.conftest import write_interactions


@pytest.mark.parametrize("rules", [[], ["--set", "protocol.quantile=0.5", "--set", "protocol.until=0.7"]])
def test_histories_are_exported_in_time_order(tmp_path: Path, rules: list[str]) -> None:
    frame = write_interactions(tmp_path / "mine.csv", shuffled=True)
    assert not frame.groupby("userid")["timestamp"].is_monotonic_increasing.all()
    words = ["--interactions", str(tmp_path / "mine.csv"), "--out-dir", str(tmp_path), "--to", str(tmp_path / "split")]
    assert command(["export-split", *words, *rules, "--set", "protocol.ties=file"]) == 0
    item_at = frame.set_index("timestamp")["itemid"]
    for name in ("train", "test_histories"):
        written = pd.read_csv(tmp_path / "split" / "mine" / f"{name}.csv")
        assert written.groupby("userid")["timestamp"].is_monotonic_increasing.all()
        assert (written["itemid"].to_numpy() == item_at.loc[written["timestamp"]].to_numpy()).all()
