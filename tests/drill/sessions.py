"""Calls of the suite as processes that can be watched, signalled and killed. Linux alone has the /proc for it."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmark.cli.process import SIGNALS

ROOT = Path(__file__).resolve().parents[2]

HANG_SECONDS = 900.0
"""How long a session may take; a plan of the drill takes less than a minute on a machine that does nothing else."""

_started: list[Session] = []

_ENDED = re.compile(r"^\[\d+/\d+\] (.+): (done|diverged|failed|interrupted)\b", re.MULTILINE)


@dataclass(frozen=True)
class Process:
    """A process by its number and the time it began, for numbers are used again."""

    pid: int
    began: str

    def is_alive(self) -> bool:
        """Whether it still runs."""
        found = _stat(self.pid)
        return found is not None and found[2] == self.began and found[0] != "Z"

    def is_worker(self) -> bool:
        """Whether it is one of multiprocessing's workers, and not what keeps its books."""
        try:
            return b"spawn_main" in Path(f"/proc/{self.pid}/cmdline").read_bytes()
        except OSError:
            return False

    def kill(self) -> None:
        """With -9, if it still runs."""
        if self.is_alive():
            os.kill(self.pid, signal.SIGKILL)


@dataclass
class Session:
    """One call of run_all.py, or with `faults` of the driver, in a process group of its own.

    `log` gets what it writes on stderr. `children`: all that it was seen to have.
    """

    arguments: Sequence[str]
    log: Path
    faults: Mapping[str, Any] | None = None
    children: set[Process] = field(default_factory=set)

    def __post_init__(self) -> None:
        _started.append(self)
        entry = ["run_all.py"] if self.faults is None else ["-m", "tests.drill.driver", json.dumps(self.faults)]
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as stream:
            self.process = subprocess.Popen(
                [sys.executable, *entry, *self.arguments],
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=stream,
                start_new_session=True,
                preexec_fn=_hear_signals,
            )

    def ends_within(self, seconds: float) -> bool:
        """Wait for its end, no longer than that; says whether it came."""
        try:
            self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            return False
        return True

    def says(self, text: str, seconds: float = HANG_SECONDS) -> bool:
        """Wait until `text` is in the log; False if the session ends or the time is over before that."""
        deadline = time.monotonic() + seconds
        while text not in self.text():
            if self.ends_within(0.05) or time.monotonic() > deadline:
                return text in self.text()
        return True

    def listens(self, seconds: float) -> bool:
        """Wait until it takes signals, no longer than that; False as well if it ends, or is past taking any."""
        deadline = time.monotonic() + seconds
        while not _catches(self.process.pid, signal.SIGTERM):
            if self.ends_within(0.02) or time.monotonic() > deadline:
                return False
        return True

    def text(self) -> str:
        """What it has written on stderr up to now."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    def workers(self) -> list[Process]:
        """Those that live now."""
        found = [
            Process(int(path.name), entry[2])
            for path in Path("/proc").glob("[0-9]*")
            if (entry := _stat(int(path.name))) is not None and entry[1] == self.process.pid
        ]
        self.children.update(found)
        return sorted((process for process in found if process.is_worker()), key=lambda process: process.pid)

    def kill(self) -> None:
        """kill -9 of the parent alone; its workers are left to themselves."""
        self.workers()
        self.process.kill()
        self.process.wait()

    def kill_worker(self, rng: random.Random) -> bool:
        """kill -9 of any of its workers; says whether there was one."""
        workers = self.workers()
        if workers:
            rng.choice(workers).kill()
        return bool(workers)

    def signal_group(self, number: signal.Signals) -> None:
        """As a terminal does: to the process and its workers alike."""
        self.workers()
        os.killpg(self.process.pid, number)

    def end(self) -> int:
        """Kill whatever of it still lives, after some time to go by itself; returns how many processes that were."""
        if self.process.poll() is None:
            self.kill()
        deadline = time.monotonic() + 60
        while any(child.is_alive() for child in self.children) and time.monotonic() < deadline:
            time.sleep(0.05)
        left = [child for child in self.children if child.is_alive()]
        for child in left:
            child.kill()
        return len(left)


def end_all() -> None:
    """Whatever becomes of the drill, nothing of it goes on."""
    for session in _started:
        session.end()


def ended(logs: Sequence[Path], status: str = "done") -> list[str]:
    """The runs that sessions have announced as having ended so, as often as they did."""
    texts = [log.read_text(encoding="utf-8", errors="replace") for log in logs]
    return [run for text in texts for run, how in _ENDED.findall(text) if how == status]


def tracebacks(logs: Sequence[Path]) -> int:
    """How many of the logs show one."""
    return sum(b"Traceback" in log.read_bytes() or b"Exception ignored" in log.read_bytes() for log in logs)


def _hear_signals() -> None:
    """In the child: what the drill itself was told to ignore, by nohup or by a shell's `&`, is not ignored there."""
    for number in SIGNALS:
        signal.signal(number, signal.SIG_DFL)


def _catches(pid: int, number: signal.Signals) -> bool:
    """Whether it has a handler of its own for the signal. Python itself sets none for SIGTERM."""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    caught = re.search(r"^SigCgt:\s*(\w+)", status, re.MULTILINE)
    return caught is not None and bool(int(caught[1], 16) & 1 << (number - 1))


def _stat(pid: int) -> tuple[str, int, str] | None:
    """State, parent and beginning of a process; None if there is none."""
    try:
        words = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None
    return words[0], int(words[1]), words[19]
