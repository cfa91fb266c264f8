"""What is committed in results/ and what is shown of it belong together."""

from __future__ import annotations

import json
import re
import shlex
import shutil
from pathlib import Path

import pytest

from benchmark.cli import main

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")


def test_the_committed_tables_follow_from_the_committed_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    [command] = re.findall(r"^python run_all\.py (--dataset ml-1m --seeds .*)$", README, re.MULTILINE)[:1]
    for name in ("ml-1m", "bench"):
        shutil.copytree(ROOT / "results" / name, tmp_path / "results" / name)
    monkeypatch.setattr("benchmark.report.FIGURES", {})
    main([*shlex.split(command), "--stages", "report", "--no-download", "--out-dir", str(tmp_path)])
    made = [*(ROOT / "tables" / "ml-1m").iterdir(), *(ROOT / "tables").glob("audit.*")]
    assert len(made) > 20
    for path in made:
        assert (tmp_path / path.relative_to(ROOT)).read_bytes() == path.read_bytes(), path


def test_every_measured_number_of_the_reproduction_stands_in_a_table() -> None:
    text = (ROOT / "REPRODUCTION.md").read_text(encoding="utf-8")
    linked = set(re.findall(r"\((tables/\S+?\.md)\)", text))
    shown = " ".join((ROOT / path).read_text(encoding="utf-8") for path in linked)
    numbers = re.findall(r"(?<![\d.])\d?\.\d{3,}", re.sub(r"\b\d+\.\d+\.\d+\b|arXiv \S+|arxiv\S+", "", text))
    assert len(numbers) > 20
    for number in numbers:
        assert number in shown, f"{number} is in no table that REPRODUCTION.md links to"


def test_the_figures_of_the_drill_are_those_of_its_file() -> None:
    drill = {
        name: section["figures"] for name, section in json.loads((ROOT / "results/drill.json").read_bytes()).items()
    }
    assert f"{drill['kills']['kills']} kills" in README
    assert f"{drill['kills']['restarts']} restarts" in README
    assert f"{drill['kills']['runs']} runs" in README
    assert f"{drill['fuzz']['inputs']:,} inputs" in README
    assert drill["kills"]["differences"] == drill["fuzz"]["tracebacks"] == 0
