"""How a process of the suite begins and ends: with an exit code, and with one line on stderr for whatever stopped it.

Of the signals to stop, the first one unwinds, the second one ends the process at once, and none gives a traceback.
Importing this takes only the standard library, so that signals are heard before anything else is imported.
"""

from __future__ import annotations

import io
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Any, NoReturn

try:
    import fcntl  # noqa: F401
    import resource  # noqa: F401
except ImportError:
    sys.exit("This needs Linux or macOS; on Windows, run it inside WSL.")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURE, USAGE, INTERRUPTED = 1, 2, 130
AGAIN_SECONDS = 0.05
SAFE = "finished runs are stored, the same command goes on from there"

Handler = Callable[..., Any] | int


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


def run(program: str, command: Callable[[], int]) -> int:
    """Run `command`; returns its exit code, or that of the error that stopped it."""
    from benchmark.plan.config import ConfigError
    from benchmark.store.atomic_files import StoreError
    from datasets.interactions import DataError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark for it
    try:
        with unwinding():
            code = command()
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    except (ConfigError, DataError, StoreError) as error:
        return fail(program, str(error), USAGE if isinstance(error, ConfigError) else FAILURE)
    except KeyboardInterrupt:
        return fail(program, f"interrupted; {SAFE}", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        return fail(program, f"{error.filename or 'input or output'}: {error.strerror or error}")


def fail(program: str, line: str, code: int = FAILURE) -> int:
    """Say what went wrong; returns `code`."""
    from benchmark.store.store import to_stderr

    to_stderr(f"{program}: {line}")
    return code


# --- signals --------------------------------------------------------------------------------------------------------


def listen(handler: Handler) -> dict[signal.Signals, Handler]:
    """Let `handler` take the signals; returns the earlier handlers. Ignored signals stay ignored, as nohup needs it."""
    before: dict[signal.Signals, Handler] = {}
    for number in SIGNALS:
        present = signal.getsignal(number)
        if present is not None and present is not signal.SIG_IGN:
            before[number] = present
            signal.signal(number, handler)
    return before


def leave(*_: object) -> None:
    """End at once, which is as safe as kill -9 at any time; worker processes notice, and end as well."""
    with suppress(OSError):
        os.write(2, f"run_all.py: stopped at once; {SAFE}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def unwinding() -> Iterator[None]:
    """Within the block the first signal raises KeyboardInterrupt and the next one leaves."""
    hook, before = sys.unraisablehook, listen(_unwind)
    sys.unraisablehook = partial(_repeat_if_swallowed, hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _unwind(number: int, _: object) -> None:
    listen(leave)
    raise KeyboardInterrupt(number)


def _repeat_if_swallowed(otherwise: Callable[[Any], object], unraisable: Any) -> None:
    """Send a signal again if it came while an object was being finalised, where Python drops exceptions."""
    error = unraisable.exc_value
    if isinstance(error, KeyboardInterrupt) and error.args:
        listen(_unwind)
        threading.Timer(AGAIN_SECONDS, os.kill, (os.getpid(), error.args[0])).start()
    else:
        otherwise(unraisable)
