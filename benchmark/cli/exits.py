"""How a command ends: an exit code, and one line on stderr for whatever stopped it."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable

from benchmark.plan.config import ConfigError
from benchmark.runs.signals import INTERRUPTED, SAFE, unwinding
from benchmark.store.store import StoreError, to_stderr
from datasets.interactions import DataError

FAILURE, USAGE = 1, 2


def run(program: str, command: Callable[[], int]) -> int:
    """Run `command`; returns its exit code, or that of the error that stopped it."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark for it
    try:
        with unwinding():
            code = command()
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    except ConfigError as error:
        return fail(program, str(error), USAGE)
    except (DataError, StoreError) as error:
        return fail(program, str(error), FAILURE)
    except KeyboardInterrupt:
        return fail(program, f"interrupted; {SAFE}", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        return fail(program, f"{error.filename or 'input or output'}: {error.strerror or error}", FAILURE)


def fail(program: str, line: str, code: int = FAILURE) -> int:
    """Say what went wrong; returns `code`."""
    to_stderr(f"{program}: {line}")
    return code
