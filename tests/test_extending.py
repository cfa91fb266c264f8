"""The tasks of docs/extending.md, carried out as it says on a copy of the tree."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from datasets import synthetic

ROOT = Path(__file__).resolve().parent.parent
GUIDE = (ROOT / "docs" / "extending.md").read_text(encoding="utf-8")
EXAMPLES = {path.stem: path.read_text(encoding="utf-8") for path in sorted((ROOT / "docs" / "examples").glob("*.py"))}
TARGET = re.compile(
    r"Copy it to (\S+), and add to (\S+) the import\n\n    (.+)\n\nand below `(.+)`\n\n    (.+)\n\"\"\""
)


def target(name: str) -> tuple[str, str, str, str, str]:
    """Where an example goes, its registry, the import, the head of the registry, and the line to add below that."""
    found = TARGET.search(EXAMPLES[name])
    assert found, name
    return found[1], found[2], found[3], found[4], found[5]


def insert(path: Path, after: str, line: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert text.count(f"{after}\n") == 1, f"{path}: {after}"
    path.write_text(text.replace(f"{after}\n", f"{after}\n{line}\n"), encoding="utf-8")


@pytest.fixture(scope="module")
def extended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the tree with all examples, the sweep, and data for the example's dataset."""
    clone = tmp_path_factory.mktemp("tree")
    for folder in ("baselines", "benchmark", "datasets"):
        shutil.copytree(ROOT / folder, clone / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for file in ("run_all.py", "pyproject.toml"):
        shutil.copy(ROOT / file, clone)
    for name, code in EXAMPLES.items():
        place, registry, imported, head, line = target(name)
        (clone / place).write_text(code, encoding="utf-8")
        insert(clone / registry, "from __future__ import annotations", f"\n{imported}")
        insert(clone / registry, head, f"    {line}")
    place, head, lines = re.search(
        r"## A sweep\n.*?`(\S+)`,? below `(.+?)`.*?```\n(.+?)\n```", GUIDE, re.DOTALL
    ).groups()
    insert(clone / place, head, lines)
    clicks = synthetic.generate(users=400, items=60, interactions=6_000)
    times = np.datetime_as_string(clicks.timestamps.astype("datetime64[s]"))
    rows = zip(clicks.user_ids, clicks.item_ids, times, strict=True)
    (clone / "data").mkdir()
    (clone / "data" / "clicks.txt").write_text(
        "".join(f"{user}|{item}|{time.replace('T', ' ')}\n" for user, item, time in rows), encoding="utf-8"
    )
    return clone


def run(folder: Path, *words: str) -> str:
    done = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_examples_run_and_are_reported(extended: Path) -> None:
    methods = ["sasrec-ce", "btsr-ce", "sasrec-gbce", "btsr-gbce", "mean", "masked", "duorec"]
    words = ["--dataset", "synthetic,clicks", "--profile", "quick", "--seeds", "0", "--engine", "inline"]
    words += ["--methods", ",".join(methods), "--experiments", "main,temperature"]
    tiny = ["training.epochs=1", "encoder.width=8", "encoder.maxlen=10"]
    run(extended, "run_all.py", *words, *(word for each in tiny for word in ("--set", each)))
    [reports] = (extended / "reports").iterdir()
    for dataset in ("synthetic", "clicks"):
        tables = {path.name: path for path in (reports / "tables" / dataset).rglob("*.csv")}
        table = pd.read_csv(tables["table2.csv"])
        shown = table[(table["metric"] == "ndcg@10") & table["mean"].notna()]
        assert set(methods) <= set(shown["method"])  # gBCE, another encoder, masked-item training
        assert "entropy@10" in tables["diversity.csv"].read_text(encoding="utf-8")  # a metric
        swept = pd.read_csv(tables["temperature.csv"])  # a sweep
        assert set(swept["variant"]) == {0.5, 2.0}
    for name in ("gains", "spread"):  # figures over two datasets
        [figure] = (reports / "figures").rglob(f"{name}.png")
        assert not {"synthetic", "clicks"} & set(figure.parts)  # one figure of both together


def test_the_guide_has_the_sizes_of_the_examples() -> None:
    for name, code in EXAMPLES.items():
        assert target(name)[0].endswith(f"/{name}.py")
        [row] = [line for line in GUIDE.splitlines() if f"(examples/{name}.py)" in line and line.startswith("|")]
        lines = len(code.partition('"""\n\n')[2].splitlines())
        assert row.split("|")[3].strip() == f"{lines} + 2", (name, lines)
