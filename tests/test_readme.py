"""The README keeps its word: its commands parse, its table is the committed one, its files exist."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baselines.registry import METHODS
from benchmark.arguments import parse
from benchmark.plan import choose_methods
from datasets import DATASETS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python run_all\.py[^\n#]*", README, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_the_program_takes(command: str) -> None:
    options = parse(shlex.split(command)[2:])
    assert choose_methods(options.methods)


def test_every_dataset_and_method_is_listed() -> None:
    for name in [*DATASETS, *METHODS]:
        assert f"`{name}`" in README or name == "synthetic", name


def test_the_results_shown_are_the_committed_table() -> None:
    table = (ROOT / "tables" / "ml-1m" / "table2.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert rows
    for row in rows:
        assert row in README


@pytest.mark.parametrize("path", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


def test_the_worked_example_trains_and_is_reported(tmp_path: Path) -> None:
    code, line = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    clone, name = tmp_path / "clone", re.match(r"# (baselines/\w+\.py)", code)
    imported = re.search(r"beside its import `(.+?)`", README)
    assert name
    assert imported
    for folder in ("baselines", "benchmark", "datasets"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / "run_all.py", clone)
    (clone / name[1]).write_text(code, encoding="utf-8")
    registry = clone / "baselines" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    text = text.replace("\nMETHODS", f"\n{imported[1]}\n\nMETHODS", 1)[: -len("}\n")] + f"{line}}}\n"
    registry.write_text(text, encoding="utf-8")

    words = ["--dataset", "synthetic", "--methods", "steady,popularity", "--seeds", "0", "--set", "training.epochs=1"]
    done = subprocess.run(
        [sys.executable, "run_all.py", *words, "--engine", "inline"], cwd=clone, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "Steady" in done.stdout
    [table] = (clone / "tables").rglob("table2.csv")
    assert "Steady SASRec" in table.read_text(encoding="utf-8")
