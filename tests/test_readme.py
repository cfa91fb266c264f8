"""The README keeps its word: its commands parse, its table is the committed one, its files exist."""

from __future__ import annotations

import re
import shlex
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
