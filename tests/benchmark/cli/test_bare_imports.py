"""A machine that only trains needs torch, numpy, scipy, pandas, pydantic and filelock, but no other packages."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
ABSENT = ("tqdm", "pooch", "requests", "jinja2", "matplotlib", "seaborn", "ray", "pytest", "hypothesis")

BARE = f"""
import runpy, sys

class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {ABSENT}:
            raise ModuleNotFoundError("No module named " + repr(name), name=name)

sys.meta_path.insert(0, Absent())
sys.argv[0] = "run_all.py"
runpy.run_path("run_all.py", run_name="__main__")
"""


def run(*words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BARE, *words]
    return subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, timeout=600)


def test_prepare_and_train_need_six_packages(tmp_path: Path) -> None:
    small = ["--set", "training.epochs=1", "--methods", "popularity,sasrec-ce", "--seeds", "0", "--experiments", "main"]
    words = ["--dataset", "synthetic", "--profile", "quick", *small, "--out-dir", str(tmp_path)]
    done = run(*words, "--stages", "prepare,train", "--device", "cpu")
    assert done.returncode == 0, done.stderr
    assert "[2/2]" in done.stderr
    records = [json.loads(path.read_text()) for path in tmp_path.glob("results/synthetic/**/record.json")]
    assert {record["spec"]["method"]["name"]: record["status"] for record in records} == {
        "popularity": "done",
        "sasrec-ce": "done",
    }


def test_the_report_names_the_missing_package(tmp_path: Path) -> None:
    words = ["--dataset", "synthetic", "--profile", "quick", "--methods", "popularity", "--seeds", "0"]
    done = run(*words, "--out-dir", str(tmp_path), "--engine", "inline")
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("run_all.py: the report needs ")
    assert "--stages prepare,train" in last
