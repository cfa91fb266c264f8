"""README.md and docs/ are correct: commands parse, links lead somewhere, numbers are in tables."""

from __future__ import annotations

import itertools
import json
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pandas as pd
import pytest

from baselines.registry import METHODS
from benchmark.cli import commands
from benchmark.cli.main import parse
from benchmark.plan.experiments import ADDED
from benchmark.plan.planner import choose_methods
from datasets.registry import DATASETS

ROOT = Path(__file__).resolve().parent.parent
PATHS = [
    *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md")),
    *sorted((ROOT / "docs").glob("*.md")),
]
DOCUMENTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in PATHS}
README, REPRODUCTION = DOCUMENTS["README.md"], DOCUMENTS["docs/reproduction.md"]


def lines_starting(start: str) -> list[str]:
    """The distinct command lines in code blocks of all documents that begin with `start`, without comments."""
    blocks = re.findall(r"^```\n(.*?)^```", "\n".join(DOCUMENTS.values()), re.DOTALL | re.MULTILINE)
    lines = [line.partition("#")[0].strip() for block in blocks for line in block.splitlines()]
    return sorted({line for line in lines if line.startswith(start)})


def links() -> list[tuple[str, str]]:
    """(document, target) of every link and picture except links to the web."""
    return [
        (name, target)
        for name, text in DOCUMENTS.items()
        for target in re.findall(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)", text)
    ]


def table_after(text: str, head: str) -> list[list[str]]:
    """The cells of the Markdown table whose first row begins with `head`, without its two header rows."""
    rows = text[text.index(head) :].partition("\n\n")[0].splitlines()
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_the_readme_is_short() -> None:
    assert len(README.splitlines()) <= 150
    assert len(README.encode()) <= 12_000


@pytest.mark.parametrize("command", lines_starting("python run_all.py"))
def test_every_command_of_run_all_parses(command: str) -> None:
    words = [word for word in shlex.split(command)[2:] if word != "steady"]
    options = parse(words if "steady" not in command else words[:-1])
    assert choose_methods(options.methods)


@pytest.mark.parametrize("command", lines_starting("python -m benchmark"))
def test_every_other_command_parses(command: str) -> None:
    words = shlex.split(command)[3:]
    if words != ["--help"]:
        commands.parse(words[0], words[1:])


@pytest.mark.parametrize(("document", "target"), links())
def test_links_lead_somewhere(document: str, target: str) -> None:
    assert (ROOT / document).parent.joinpath(target).exists()


@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_picture_is_described(document: str) -> None:
    assert all(len(words) > 20 for words in re.findall(r"!\[([^\]]*)\]", DOCUMENTS[document]))


def test_all_datasets_and_exactly_the_existing_methods_are_listed() -> None:
    for name in DATASETS:
        assert f"`{name}`" in DOCUMENTS["docs/running.md"], name
    rows = table_after(DOCUMENTS["docs/methods.md"], "| `--methods` |")
    listed = {name for row in rows for name in re.findall(r"`([a-z0-9-]+)`", row[0])}
    usual = {name for name, entry in METHODS.items() if entry.by_default}
    assert {*usual, *itertools.chain(*ADDED.values())} < listed <= set(METHODS)


def test_the_readme_has_the_numbers_of_table_2() -> None:
    table = pd.read_csv(ROOT / "tables" / "released-ties-file-equal-paper" / "table2.csv")
    rows = iter(table_after(README, "| NDCG@10 | SASRec (BCE) |"))
    for title, printed in zip(rows, rows, strict=True):
        shown = table[
            (table["title"] == title[0]) & (table["metric"] == "ndcg@10") & table["role"].isin(("baseline", "btsr"))
        ]
        assert len(shown) == len(title) - 1 == 7
        assert title[1:] == [f"{row.mean:.4f} ±{row.deviation:.4f}" for row in shown.itertuples()]
        assert printed == ["*paper*", *(f"*{value:.4f}*" for value in shown["paper_mean"])]


def test_the_readme_has_the_hours_of_the_cost_tables() -> None:
    hours = []
    for name in ("ml-1m", "beauty"):
        cost = pd.read_csv(ROOT / "tables" / name / "released-ties-file-equal-paper" / "cost.csv")
        hours.append((cost["training_seconds"] * cost["runs"]).sum() / 3600)
    assert f"all {cost['runs'].sum()} runs of Table 2 for {hours[0]:.1f} and {hours[1]:.1f} hours" in README


@pytest.mark.parametrize("document", ["README.md", "docs/reproduction.md"])
def test_every_measured_number_is_in_a_linked_table(document: str) -> None:
    text = DOCUMENTS[document]
    linked = {target for name, target in links() if target.endswith(".md") and "tables/" in target and name == document}
    if document == "README.md":  # its one-sentence findings link to the reproduction, which has the evidence
        linked |= {target.removeprefix("../") for name, target in links() if name == "docs/reproduction.md"}
        linked = {target for target in linked if target.startswith("tables/") and target.endswith(".md")}
    folder = (ROOT / document).parent
    shown = " ".join((folder / target).read_text(encoding="utf-8") for target in linked)
    measured = re.sub(r"\b\d+\.\d+\.\d+\b|arXiv \S+|arxiv\S+", "", text)
    numbers = re.findall(r"(?<![\d.])\d?\.\d{3,}", measured)
    assert len(numbers) > 20
    for number in numbers:
        assert number in shown, f"{number} is in no table that {document} links to"


def test_the_counts_of_the_drill_are_those_of_its_file() -> None:
    sections = json.loads((ROOT / "results/drill.json").read_bytes())
    drill = {name: section["figures"] for name, section in sections.items()}
    text = " ".join(DOCUMENTS["docs/robustness.md"].split())
    kills = drill["kills"]
    assert f"{kills['kills']} kills, {kills['restarts']} restarts and {kills['runs']} runs" in text
    assert f"{drill['fuzz']['inputs']:,} inputs" in text
    assert kills["differences"] == drill["fuzz"]["tracebacks"] == 0


@pytest.fixture
def worked_example(tmp_path: Path) -> Path:
    """A clone with the method of docs/extending.md, added as the document says."""
    text = DOCUMENTS["docs/extending.md"]
    code, line = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    clone, name = tmp_path / "clone", re.match(r"# (baselines/\w+\.py)", code)
    imported = re.search(r"beside its import `(.+?)`", text)
    assert name
    assert imported
    for folder in ("baselines", "benchmark", "datasets", "tests"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("run_all.py", "pyproject.toml"):
        shutil.copy(ROOT / file, clone)
    (clone / name[1]).write_text(code, encoding="utf-8")
    registry = clone / "baselines" / "registry.py"
    registered = registry.read_text(encoding="utf-8")
    assert registered.endswith("}\n")
    after = "from baselines.sasrec import SASRec\n"
    registered = registered.replace(after, f"{after}{imported[1]}\n", 1)[: -len("}\n")] + f"{line}}}\n"
    registered = registered.replace("import Entry\n", "import Entry, Look\n", 1)
    registry.write_text(registered, encoding="utf-8")
    return clone


def test_the_worked_example_passes_the_tests_of_methods_trains_and_is_reported(worked_example: Path) -> None:
    def run(*words: str) -> str:
        done = subprocess.run([sys.executable, *words], cwd=worked_example, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    run("-m", "ruff", "check", "baselines")
    run("-m", "ruff", "format", "--check", "baselines/steady.py")
    run("-m", "mypy", "--cache-dir", str(ROOT / ".mypy_cache"), "baselines")
    files = [
        "tests/baselines/test_methods.py",
        "tests/benchmark/plan/test_tuning.py",
        "tests/benchmark/plan/test_experiments.py",
    ]
    tests = run("-m", "pytest", "-q", "-p", "no:cacheprovider", *files, "-k", "steady or eight_trials or neither_torch")
    assert "7 passed" in tests
    chosen = ["--dataset", "synthetic", "--profile", "quick", "--methods", "steady,popularity", "--seeds", "0"]
    report = run("run_all.py", *chosen, "--set", "training.epochs=1", "--engine", "inline")
    assert "Steady" in report
    [table] = (worked_example / "reports").rglob("table2.csv")
    assert "Steady" in table.read_text(encoding="utf-8")
