"""Signals, tested in separate processes: messages, exit codes, and handlers that are restored."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from benchmark.cli.process import INTERRUPTED, SAFE, SIGNALS, unwinding

ROOT = Path(__file__).resolve().parents[3]
IMPORTS = "import signal, time; from benchmark.cli.process import exit_at_once, set_handlers, unwinding; "

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a Python program and wait until it has printed a line."""
    started: list[subprocess.Popen[str]] = []

    def run(program: str) -> subprocess.Popen[str]:
        pipe = subprocess.PIPE
        words = [sys.executable, "-c", IMPORTS + program]
        process = subprocess.Popen(words, cwd=ROOT, stdout=pipe, stderr=pipe, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        return process

    yield run
    for process in started:
        process.kill()
        process.communicate()


READY = "print('ready', flush=True); time.sleep(60)"


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_a_signal_outside_unwinding_ends_the_process_at_once(start: Start, number: signal.Signals) -> None:
    process = start(f"set_handlers(exit_at_once); {READY}")
    process.send_signal(number)
    assert process.communicate(timeout=60)[1] == f"run_all.py: stopped at once; {SAFE}\n"
    assert process.returncode == INTERRUPTED


UNWIND = """
try:
    with unwinding():
        print("ready", flush=True)
        time.sleep(60)
except KeyboardInterrupt:
    print("unwound", flush=True)
    {after}
"""


@pytest.mark.parametrize("number", SIGNALS, ids=lambda number: number.name)
def test_the_first_signal_raises_keyboard_interrupt(start: Start, number: signal.Signals) -> None:
    process = start(UNWIND.format(after="raise SystemExit(7)"))
    process.send_signal(number)
    assert process.communicate(timeout=60) == ("unwound\n", "")
    assert process.returncode == 7


SWALLOWED = """
import os

class Finalised:
    def __del__(self):
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0.1)

print("ready", flush=True)
try:
    with unwinding():
        Finalised()
        time.sleep(60)
except KeyboardInterrupt:
    print("unwound", flush=True)
    raise SystemExit(7)
"""


def test_a_signal_during_a_finaliser_is_not_lost(start: Start) -> None:
    process = start(SWALLOWED)
    assert process.communicate(timeout=60) == ("unwound\n", "")
    assert process.returncode == 7


def test_other_errors_in_finalisers_are_still_printed(start: Start) -> None:
    program = "\nclass Broken:\n    def __del__(self): 1 / 0\nprint('ready', flush=True)\nwith unwinding(): Broken()"
    assert "ZeroDivisionError" in start(program).communicate(timeout=60)[1]


def test_the_second_signal_ends_the_process_at_once(start: Start) -> None:
    program = """
try:
    with unwinding():
        try:
            print("ready", flush=True)
            time.sleep(60)
        finally:
            print("unwinding", flush=True)
            time.sleep(60)
finally:
    print("never", flush=True)
"""
    process = start(program)
    process.send_signal(signal.SIGINT)
    assert process.stdout is not None
    assert process.stdout.readline() == "unwinding\n"
    process.send_signal(signal.SIGTERM)
    assert process.communicate(timeout=60) == ("", f"run_all.py: stopped at once; {SAFE}\n")
    assert process.returncode == INTERRUPTED


def test_signals_ignored_by_nohup_stay_ignored(start: Start) -> None:
    process = start(
        f"signal.signal(signal.SIGHUP, signal.SIG_IGN)\nset_handlers(exit_at_once)\nwith unwinding(): {READY}"
    )
    process.send_signal(signal.SIGHUP)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.5)
    process.send_signal(signal.SIGTERM)
    assert "KeyboardInterrupt" in process.communicate(timeout=60)[1]


def test_previous_handlers_are_restored() -> None:
    before = [sys.unraisablehook, *(signal.getsignal(number) for number in SIGNALS)]
    with unwinding():
        assert [sys.unraisablehook, *(signal.getsignal(number) for number in SIGNALS)] != before
    assert [sys.unraisablehook, *(signal.getsignal(number) for number in SIGNALS)] == before
