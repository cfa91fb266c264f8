"""How a process of the suite starts and ends: signals, exit codes, and one line on stderr for every error.

The first signal raises KeyboardInterrupt, the second ends the process at once, and neither prints a traceback.
Only the standard library is imported here, so that `launch` can install the signal handlers before the slow imports.
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
from importlib import import_module
from typing import Any, NoReturn

try:
    import fcntl  # noqa: F401
    import resource  # noqa: F401
except ImportError:
    sys.exit("This needs Linux or macOS; on Windows, run it inside WSL.")

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
FAILURE, USAGE, INTERRUPTED = 1, 2, 130
RESEND_SECONDS = 0.05
SAFE = "finished runs are stored, the same command goes on from there"

Handler = Callable[..., Any] | int


def launch(program: str, module: str) -> NoReturn:
    """Import a module, call its `main` and exit with the code that it returns."""
    set_handlers(exit_at_once)
    try:
        os.getcwd()
    except OSError as error:  # libraries would abort the process over it
        sys.exit(f"{program}: the current directory: {error.strerror or error}; change to a directory that exists")
    code = import_module(module).main()
    set_handlers(signal.SIG_IGN)  # nothing is left to interrupt
    sys.exit(code)


def run(program: str, command: Callable[[], int]) -> int:
    """Run `command` and return its exit code, or that of the error that stopped it."""
    from benchmark.plan.config import ConfigError
    from benchmark.store.atomic_files import StoreError
    from datasets.interactions import DataError

    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # print ? for characters that the terminal cannot show
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
    except BrokenPipeError:  # the reader of our output is gone, as with `| head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        return fail(program, f"{error.filename or 'input or output'}: {error.strerror or error}")


def fail(program: str, line: str, code: int = FAILURE) -> int:
    """Print what went wrong and return `code`."""
    from benchmark.store.store import to_stderr

    to_stderr(f"{program}: {line}")
    return code


# --- signals --------------------------------------------------------------------------------------------------------


def set_handlers(handler: Handler) -> dict[signal.Signals, Handler]:
    """Set the handler of SIGNALS and return the previous ones; ignored signals stay ignored, as nohup requires."""
    before: dict[signal.Signals, Handler] = {}
    for number in SIGNALS:
        present = signal.getsignal(number)
        if present is not None and present is not signal.SIG_IGN:
            before[number] = present
            signal.signal(number, handler)
    return before


def exit_at_once(*_: object) -> None:
    """Signal handler: exit without cleaning up, which is as safe as kill -9. Worker processes notice and end too."""
    with suppress(OSError):
        os.write(2, f"run_all.py: stopped at once; {SAFE}\n".encode())
    os._exit(INTERRUPTED)


@contextmanager
def unwinding() -> Iterator[None]:
    """Within the block, the first signal raises KeyboardInterrupt and the next one exits at once."""
    hook, before = sys.unraisablehook, set_handlers(_interrupt)
    sys.unraisablehook = partial(_resend_if_dropped, hook)
    try:
        yield
    finally:
        sys.unraisablehook = hook
        for number, handler in before.items():
            signal.signal(number, handler)


def _interrupt(number: int, _: object) -> None:
    set_handlers(exit_at_once)
    raise KeyboardInterrupt(number)


def _resend_if_dropped(hook: Callable[[Any], object], unraisable: Any) -> None:
    """Send a signal again that arrived inside a finaliser, where Python drops exceptions; leave the rest to `hook`."""
    error = unraisable.exc_value
    if isinstance(error, KeyboardInterrupt) and error.args:
        set_handlers(_interrupt)
        threading.Timer(RESEND_SECONDS, os.kill, (os.getpid(), error.args[0])).start()
    else:
        hook(unraisable)
