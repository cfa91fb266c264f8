"""The drill's frame, quickly; and each drill of processes with small numbers, slowly."""

from __future__ import annotations

import errno
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests.drill import __main__ as frame
from tests.drill import clock, disk, kills, signals, two
from tests.drill.plans import Plan
from tests.drill.sessions import HANG_SECONDS, ROOT, Session, end_all
from tests.drill.table import to_markdown, wrong

FIGURES = {"kills": 50, "parts": {"first": {"lost": 0, "runs": 36}}, "shares": [3, 4], "lost": 0}


def test_what_must_be_0_and_is_not_is_named_wherever_it_stands() -> None:
    assert wrong(FIGURES) == []
    found = {"lost": 2, "parts": {"first": {"tracebacks": 1, "inputs": 9}}, "hangs": False, "left_over": True}
    assert wrong(found) == ["lost 2", "parts: first: tracebacks 1", "left_over True"]


@pytest.fixture
def drills(monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, Any]]:
    """Figures that the drills `two` and `clock` come to at once; every other one is not installed, and those that are
    None break.
    """
    figures: dict[str, Any] = {"two": {"lost": 0}, "clock": {"lost": 0}}

    def found(module: str) -> Any:
        name = module.rpartition(".")[2]
        if name not in figures:
            raise ModuleNotFoundError(name=name)

        def drill(scratch: Path, seed: int, notify: Any) -> dict[str, Any]:
            if figures[name] is None:
                raise RuntimeError(f"broken\nin {scratch}")
            return figures[name] | {"seed": seed}

        return SimpleNamespace(drill=drill)

    monkeypatch.setattr(frame, "import_module", found)
    return figures


def test_a_section_replaces_itself_alone(tmp_path: Path, drills: dict[str, dict[str, Any]]) -> None:
    out = tmp_path / "drill.json"
    words = ["--out", str(out), "--scratch", str(tmp_path)]
    assert frame.main(["--only", "two,clock", *words]) == 0
    drills["two"]["lost"] = 1
    assert frame.main(["--only", "two", "--seed", "5", *words]) == 1
    document = json.loads(out.read_text())
    assert list(document) == ["clock", "two"], "in the order of the drills"
    assert document["clock"]["figures"] == {"lost": 0, "seed": 0}
    assert document["two"]["figures"] == {"lost": 1, "seed": 5}
    assert document["two"]["command"] == "python -m tests.drill --only two --seed 5"
    assert str(tmp_path) not in out.read_text()
    table = (tmp_path / "drill.md").read_text()
    assert "synthetic data" in table
    assert "lost 1" in table


def test_what_is_not_installed_is_skipped_and_no_old_figures_stay(
    tmp_path: Path, drills: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drill.json"
    words = ["--only", "ray,two", "--out", str(out), "--scratch", str(tmp_path)]
    drills["ray"] = {"lost": 0, "kills": 6}
    assert frame.main(words) == 0
    del drills["ray"]
    assert frame.main(words) == 0
    assert "ray: skipped: ray is not installed" in capsys.readouterr().err
    document = json.loads(out.read_text())
    assert list(document) == ["two", "ray"]
    assert document["ray"]["skipped"] == "ray is not installed"
    assert document["ray"]["figures"] == {}
    assert "| skipped: ray is not installed |  |" in (tmp_path / "drill.md").read_text()


def test_what_breaks_ends_no_other_drill_and_leaves_no_old_figures(
    tmp_path: Path, drills: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drill.json"
    words = ["--only", "clock,two,fuzz", "--out", str(out), "--scratch", str(tmp_path)]
    assert frame.main(["--only", "clock", *words[2:]]) == 0
    drills["clock"] = None
    assert frame.main(words) == 1
    said = capsys.readouterr().err.splitlines()
    assert any(re.fullmatch(r"clock: FAILED: RuntimeError: broken in .*traceback in .*", line) for line in said)
    assert not any(line.startswith("Traceback") for line in said)
    document = json.loads(out.read_text())
    assert [document[name].get("failed") for name in ("clock", "two", "fuzz")] == [
        "RuntimeError",
        None,
        "ModuleNotFoundError",
    ], "only Ray is optional"
    assert document["clock"]["figures"] == {}
    assert document["two"]["figures"] == {"lost": 0, "seed": 0}
    assert str(tmp_path) not in out.read_text()
    assert "| failed: RuntimeError |  |" in (tmp_path / "drill.md").read_text()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--scratch", "/nonexistent", "--only", "makespan"], "--scratch /nonexistent: cannot work there"),
        (["--only", ""], "--only: nothing named"),
        (["--only", "x"], "--only: unknown 'x'"),
        (["--kills", "-1"], "--kills: -1 is not a number from 1"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_usage_is_one_line(words: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    try:
        code: Any = frame.main(words)
    except SystemExit as end:
        code = end.code
    assert code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(says)


def test_a_damaged_file_of_figures_is_not_replaced(
    tmp_path: Path, drills: dict[str, dict[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "drill.json"
    out.write_text("{")
    assert frame.main(["--only", "two", "--out", str(out), "--scratch", str(tmp_path)]) == 1
    assert "drill again" in capsys.readouterr().err
    assert out.read_text() == "{"


def test_every_number_of_the_file_is_in_the_table() -> None:
    section = {
        "what": "this | that",
        "figures": FIGURES,
        "command": "python -m tests.drill",
        "seconds": 12.3,
        "started": "2026-01-01T00:00:00+00:00",
        "hardware": {"name": "processor", "platform": "Linux x86_64"},
        "versions": {"code": "0" * 40, "code_dirty": True, "torch": "2.13.0", "python": "3.11.7"},
    }
    text = to_markdown({"kills": section})
    assert "| kills: this | that | kills 50, shares 3 + 4 | lost 0 |" in text
    assert "| kills: parts | lost | runs |\n|:--|--:|--:|\n| first | 0 | 36 |\n" in text
    assert "changed since" in text


def test_a_session_hears_what_the_drill_was_told_to_ignore(tmp_path: Path) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        session = Session(["--help"], tmp_path / "log")
        status = Path(f"/proc/{session.process.pid}/status").read_text()
    finally:
        signal.signal(signal.SIGINT, before)
    assert session.ends_within(60)
    ignored = int(re.search(r"^SigIgn:\s*(\w+)", status, re.MULTILINE)[1], 16)  # type: ignore[index]
    assert not ignored & 1 << (signal.SIGINT - 1)


WRITES = """
import json, sys
from pathlib import Path
from tests.drill.faults import inject
from benchmark.store.atomic_files import StoreError, write_file
out = Path(sys.argv[1])
inject({"seed": 1, "writes": json.loads(sys.argv[2])})
failed = 0
for number in range(200):
    try:
        write_file(out / str(number), b"content")
    except StoreError as error:
        assert "No space left" in str(error)
        failed += 1
print(failed)
"""


def test_injected_errors_tear_writes_and_leave_nothing_behind(tmp_path: Path) -> None:
    fault = json.dumps({"errno": "ENOSPC", "share": 0.1, "below": str(tmp_path)})
    words = [sys.executable, "-c", WRITES, str(tmp_path), fault]
    failed = int(subprocess.check_output(words, cwd=ROOT, text=True))
    assert 20 < failed < 150
    whole = list(tmp_path.iterdir())
    assert all(path.read_bytes() == b"content" and path.name.isdecimal() for path in whole)
    assert len(whole) >= 200 - failed, "an error at the very end is one although the file is there"
    assert os.strerror(errno.ENOSPC) == "No space left on device"


# --- slowly -----------------------------------------------------------------------------------------------------------

FEW = Plan("few", ("markov", "ec4srec"), 2)
"""The fewest runs in which something can be disturbed."""


def silent(line: str) -> None:
    """Notify nobody."""


@pytest.fixture
def place(tmp_path: Path) -> Any:
    """Where a drill works; none of its processes outlives the test."""
    (tmp_path / "drill").mkdir()
    yield tmp_path / "drill"
    end_all()


@pytest.mark.slow
def test_kill_9(place: Path) -> None:
    figures = kills.drill(place, 0, silent, kills=4, plan=FEW)
    assert figures["kills"] == 4
    assert wrong(figures) == []


@pytest.mark.slow
def test_signals(place: Path) -> None:
    figures = signals.drill(place, 0, silent, signals=5, plan=FEW)
    assert figures["signals"] == sum(figures["sent"].values()) == 5
    assert wrong(figures) == []


class Deaf(Session):
    """One that works through the plan at once, whatever happens."""

    def listens(self, seconds: float) -> bool:
        assert self.ends_within(HANG_SECONDS)
        return False


@pytest.mark.slow
def test_signals_that_nothing_is_there_to_hear_are_counted(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(signals, "Session", Deaf)
    figures = signals.drill(place, 0, silent, signals=1, plan=FEW)
    assert (figures["rounds"], figures["signals"], figures["ended_before_the_signal"]) == (2, 0, 2)
    assert wrong(figures) == ["not_delivered 1"]


@pytest.mark.slow
def test_a_full_disk(place: Path) -> None:
    assert wrong(disk.drill(place, 0, silent, plan=FEW)) == []


@pytest.mark.slow
def test_jumping_clocks(place: Path) -> None:
    assert wrong(clock.drill(place, 0, silent, plan=FEW)) == []


@pytest.mark.slow
def test_two_and_three_at_once(place: Path) -> None:
    figures = two.drill(place, 0, silent, plan=FEW, crowd_plan=FEW, crowd=3)
    assert sum(figures["runs_of_each_of_two"]) == FEW.runs
    assert wrong(figures) == []
