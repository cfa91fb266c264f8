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
from benchmark.cli.arguments import parse
from benchmark.paper.printed import BASELINES
from benchmark.plan.planner import choose_methods
from datasets.registry import DATASETS

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = re.findall(r"^python run_all\.py[^\n#]*", README, re.MULTILINE)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 5


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_is_one_that_the_program_takes(command: str) -> None:
    options = parse(shlex.split(command)[2:])
    assert choose_methods(options.methods)


def test_the_datasets_and_the_papers_methods_are_listed_and_no_others() -> None:
    for name in {*DATASETS, *BASELINES, "btsr-bce", "btsr-ce", "btsr-sce"} - {"synthetic"}:
        assert f"`{name}`" in README, name
    table = README.partition("| method | `--methods` |")[2].partition("\n\n")[0]
    listed = re.findall(r"`([a-z0-9-]+)`", " ".join(row.split("|")[2] for row in table.splitlines()[2:]))
    assert set(BASELINES) < set(listed) <= set(METHODS)


@pytest.mark.parametrize("dataset", ["ml-1m", "beauty"])
def test_the_results_shown_are_the_committed_table(dataset: str) -> None:
    table = (ROOT / "tables" / dataset / "table2.md").read_text(encoding="utf-8")
    rows = [line for line in table.splitlines() if line.startswith("|")]
    assert rows
    for row in rows:
        assert row in README


@pytest.mark.parametrize("path", re.findall(r"\]\((?!https?:)([^)#]+)\)", README))
def test_links_lead_somewhere(path: str) -> None:
    assert (ROOT / path).exists()


@pytest.fixture
def worked_example(tmp_path: Path) -> Path:
    """A clone in which the README's method has been added by the README's words."""
    code, line = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
    clone, name = tmp_path / "clone", re.match(r"# (baselines/\w+\.py)", code)
    imported = re.search(r"beside its import `(.+?)`", README)
    assert name
    assert imported
    for folder in ("baselines", "benchmark", "datasets", "tests"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("run_all.py", "pyproject.toml"):
        shutil.copy(ROOT / file, clone)
    (clone / name[1]).write_text(code, encoding="utf-8")
    registry = clone / "baselines" / "registry.py"
    text = registry.read_text(encoding="utf-8")
    assert text.endswith("}\n")
    text = text.replace("\nMETHODS", f"\n{imported[1]}\n\nMETHODS", 1)[: -len("}\n")] + f"{line}}}\n"
    registry.write_text(text, encoding="utf-8")
    return clone


def test_the_worked_example_trains_and_is_reported(worked_example: Path) -> None:
    words = ["--dataset", "synthetic", "--methods", "steady,popularity", "--seeds", "0", "--set", "training.epochs=1"]
    done = subprocess.run(
        [sys.executable, "run_all.py", *words, "--engine", "inline"],
        cwd=worked_example,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Steady" in done.stdout
    [table] = (worked_example / "tables").rglob("table2.csv")
    assert "Steady SASRec" in table.read_text(encoding="utf-8")


def test_the_tests_of_methods_are_those_of_the_worked_example_too(worked_example: Path) -> None:
    words = ["-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/baselines/test_methods.py", "-k", "steady"]
    done = subprocess.run([sys.executable, *words], cwd=worked_example, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout
    assert "4 passed" in done.stdout, done.stdout
