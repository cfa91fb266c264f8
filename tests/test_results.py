"""The committed tables follow from the committed results."""

from __future__ import annotations

import shlex
import shutil
from pathlib import Path

import pytest

from benchmark.cli.main import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")

REPORTS = (
    "python run_all.py --dataset ml-1m --hparams tuned --stages report",
    "python run_all.py --dataset ml-1m --hparams released --set protocol.ties=file --set encoder.padding=masked"
    " --stages report",
    "python run_all.py --dataset ml-1m,beauty --set protocol.ties=file --stages report",
    "python run_all.py --dataset beauty --protocol leave-one-out --experiments home --stages report",
    "python run_all.py --dataset beauty --protocol leave-one-out --set protocol.ties=item --experiments home"
    " --stages report",
)
ELSEWHERE = {"audit.md", "audit.csv", "bench.md", "drill.md"}
"""Tables written by other commands."""


def test_the_committed_tables_follow_from_the_committed_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = " ".join(README.split())
    assert all(report in words for report in REPORTS)
    for name in ("ml-1m", "beauty"):
        shutil.copytree(ROOT / "results" / name, tmp_path / "results" / name)
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})
    for report in REPORTS:
        main([*shlex.split(report)[2:], "--no-download", "--out-dir", str(tmp_path)])
    committed, made = tables(ROOT), tables(tmp_path)
    assert len(committed) > 50
    assert committed.keys() == made.keys()
    for path in committed:
        assert committed[path] == made[path], path


def tables(root: Path) -> dict[str, bytes]:
    """Every table of real data below `root`, by its path."""
    folder = root / "tables"
    paths = [path.relative_to(folder) for path in folder.rglob("*") if path.is_file()]
    return {
        str(path): (folder / path).read_bytes()
        for path in sorted(paths)
        if path.parts[0] != "synthetic" and path.name not in ELSEWHERE
    }
