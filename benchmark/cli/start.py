"""How a process of the suite begins and ends; imports nothing that takes time, so that signals are heard at once."""

from __future__ import annotations

import os
import signal
import sys
from typing import NoReturn

try:
    import fcntl  # noqa: F401
    import resource  # noqa: F401
except ImportError:
    sys.exit("This needs Linux or macOS; on Windows, run it inside WSL.")

from benchmark.runs.signals import leave, listen


def begin(program: str) -> None:
    """Listen for signals, and end with one line if the current directory is gone."""
    listen(leave)
    try:
        os.getcwd()
    except OSError as error:  # libraries would abort the process over it
        sys.exit(f"{program}: the current directory: {error.strerror or error}; change to a directory that exists")


def end(code: int) -> NoReturn:
    """Leave with an exit code; nothing is left that a signal could interrupt."""
    listen(signal.SIG_IGN)
    sys.exit(code)
