"""The one command in other environments: other directories, odd paths, no home, plain ASCII, no network."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
CODE = ("baselines", "benchmark", "datasets", "run_all.py")
ODD = "Größe & Maß (клон)"
SHORT = ["--dataset", "synthetic", "--methods", "popularity", "--seeds", "0", "--experiments", "main"]

ASCII = {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
TIMEOUT = 600

Launch = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def odd(tmp_path: Path) -> Path:
    """A directory whose name has spaces, non-ASCII letters and characters special to a shell."""
    path = tmp_path / ODD
    path.mkdir()
    return path


@pytest.fixture
def launch(odd: Path) -> Launch:
    """Run run_all.py with its own output directory; keywords set environment variables, None removes one."""

    def run(
        *words: str, script: Path = ROOT / "run_all.py", python: tuple[str, ...] = (), **changes: str | None
    ) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **changes}
        return subprocess.run(
            [sys.executable, *python, str(script), *SHORT, "--out-dir", str(odd / "out"), *words],
            cwd=odd,
            env={name: value for name, value in environment.items() if value is not None},
            capture_output=True,
            text=True,
            encoding="utf-8",
            timeout=TIMEOUT,
        )

    return run


def assert_reported(done: subprocess.CompletedProcess[str], odd: Path) -> None:
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert "Warning" not in done.stderr
    assert list((odd / "out" / "results").rglob("record.json"))
    assert list((odd / "out" / "reports").rglob("table2.md"))
    assert list((odd / "out" / "reports").glob("*/index.html"))


NO_NETWORK = """
import socket, sys, runpy

def refuse(*arguments, **options):
    raise OSError("a test forbids the network")

socket.socket.connect = socket.socket.connect_ex = socket.getaddrinfo = refuse
sys.argv = sys.argv[1:]
sys.path[0] = sys.argv[0].rpartition("/")[0]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def test_a_clone_anywhere_without_home_network_or_utf_8(odd: Path, launch: Launch) -> None:
    """All conditions at once, because each run takes seconds."""
    clone, blocked, nowhere = odd / "the clone", odd / "blocked.py", odd / "file"
    clone.mkdir()
    for name in CODE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, clone / name, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(ROOT / name, clone)
    blocked.write_text(NO_NETWORK, encoding="utf-8")
    nowhere.write_text("", encoding="ascii")
    bare = dict.fromkeys(os.environ) | {"PATH": os.environ.get("PATH", os.defpath), "HOME": str(nowhere / "home")}
    done = launch("--engine", "inline", script=clone / "run_all.py", python=(str(blocked),), **bare | ASCII)
    assert_reported(done, odd)
    assert "?" in done.stdout
    assert str(odd.parent) in done.stdout


def test_an_interactions_file_with_an_odd_name(odd: Path) -> None:
    path = odd / "мой магазин.csv"
    rows = (f"ü{user},i{(user * 7 + step) % 40},{user * 50 + step}" for user in range(80) for step in range(9))
    path.write_text("userid,itemid,timestamp\n" + "\n".join(rows) + "\n", encoding="utf-8")
    words = ["--interactions", path.name]
    done = subprocess.run(
        [sys.executable, str(ROOT / "run_all.py"), *words, "--out-dir", "out", "--stages", "prepare"],
        cwd=odd,
        env={**os.environ, **ASCII},
        capture_output=True,
        timeout=TIMEOUT,
    )
    assert done.returncode == 0, done.stderr
    assert b"Traceback" not in done.stderr
    [data] = (odd / "out" / "results").glob("*/data.json")
    assert json.loads(data.read_bytes())["title"] == "мой магазин"


def test_a_missing_network_is_reported_in_one_line(odd: Path, launch: Launch) -> None:
    blocked = odd / "blocked.py"
    blocked.write_text(NO_NETWORK, encoding="utf-8")
    words = ["--dataset", "ml-1m", "--data-dir", str(odd / "data")]
    done = launch(*words, python=(str(blocked),))
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "ml-1m" in done.stderr.splitlines()[-1]


@pytest.mark.parametrize("stages", ["prepare,train", "prepare,train,report"])
def test_a_closed_standard_output(odd: Path, stages: str) -> None:
    """After `>&-`, the next file that is opened gets the number of standard output. With and without a worker."""
    is_reported = "report" in stages
    command = [sys.executable, str(ROOT / "run_all.py"), *SHORT, "--out-dir", str(odd / "out"), "--stages", stages]
    command += ["--engine", "local" if is_reported else "inline", "--workers", "1"]
    done = subprocess.run(
        ["sh", "-c", 'exec "$@" >&-', "sh", *command], cwd=odd, stderr=subprocess.PIPE, text=True, timeout=TIMEOUT
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert list((odd / "out" / "results").rglob("record.json"))
    assert bool(list(odd.rglob("table2.md"))) == is_reported


def test_a_closed_pipe_and_explicit_encodings(odd: Path) -> None:
    """After `| head -1` closes the pipe, records and tables are complete, and no traceback is printed."""
    command = [sys.executable, "-X", "warn_default_encoding", str(ROOT / "run_all.py"), *SHORT]
    command += ["--out-dir", str(odd / "out"), "--engine", "inline"]
    done = subprocess.run(
        ["sh", "-c", '"$@" | head -n 1', "sh", *command], cwd=odd, capture_output=True, text=True, timeout=TIMEOUT
    )
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert len(done.stdout.splitlines()) == 1
    assert list((odd / "out" / "results").rglob("record.json"))
    assert list((odd / "out" / "reports").rglob("table2.md"))
    code = tuple(str(ROOT / name) for name in CODE)  # not .venv, which is in the clone too
    ours = [line for line in done.stderr.splitlines() if "EncodingWarning" in line and line.startswith(code)]
    assert not ours, "\n".join(ours)
