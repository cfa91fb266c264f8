"""What the driver can do to a process from within: frequent checkpoints, writes that fail, clocks that jump.

A fault is named by a key of FAULTS and told by its JSON value; `seed`, which any of them may use, comes with them.
"""

from __future__ import annotations

import errno
import io
import os
import random
import sys
import time
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta, tzinfo
from pathlib import Path
from typing import Any

from benchmark.runs import checkpoint, execution

HOUR = 3600.0


def inject(faults: Mapping[str, Any]) -> None:
    """Have all of them from now on."""
    rng = random.Random(faults.get("seed", 0))
    for name, value in faults.items():
        if name != "seed":
            FAULTS[name](value, rng)


def _checkpoint_seconds(seconds: float, rng: random.Random) -> None:
    checkpoint.SECONDS_BETWEEN = seconds


def _retry_seconds(seconds: float, rng: random.Random) -> None:
    execution.RETRY_SECONDS = seconds


# --- writes that fail -------------------------------------------------------------------------------------------------


def _writes(fault: Mapping[str, Any], rng: random.Random) -> None:
    """Every write, flush, rename or new file or directory `below` a path fails with the error `errno`: a `share` of
    them at random, or all of them for as long as the file `while` exists.
    """
    number, below = getattr(errno, fault["errno"]), fault["below"].rstrip("/") + "/"

    def refuse(place: Any) -> bool:
        path = os.readlink(f"/proc/self/fd/{place}") if isinstance(place, int) else os.path.abspath(place)
        if not path.startswith(below):
            return False
        return os.path.exists(fault["while"]) if "while" in fault else rng.random() < fault["share"]

    def refusing(function: Callable[..., Any], writes: Callable[..., bool] = lambda *_: True) -> Callable[..., Any]:
        def refuse_or_do(place: Any, *arguments: Any, **options: Any) -> Any:
            if writes(*arguments) and refuse(place):
                raise OSError(number, os.strerror(number))
            return function(place, *arguments, **options)

        return refuse_or_do

    class Torn(io.BufferedWriter):
        def write(self, content: Any) -> int:
            super().write(content[: len(content) // 2])
            super().flush()
            raise OSError(number, os.strerror(number))

    present = Path.open

    def opened(path: Path, mode: str = "r", *arguments: Any, **options: Any) -> Any:
        if mode in ("xb", "wb") and refuse(path):
            return Torn(io.FileIO(path, mode[0]))
        return present(path, mode, *arguments, **options)

    Path.open = opened  # type: ignore[method-assign, assignment]
    for name in ("fsync", "replace", "rename", "mkdir"):
        setattr(os, name, refusing(getattr(os, name)))
    os.open = refusing(os.open, lambda flags, *_: bool(flags & os.O_CREAT))


# --- clocks that jump -------------------------------------------------------------------------------------------------


def _clocks(names: list[str], rng: random.Random) -> None:
    """The clocks of `time` with these names jump by hours, back and forth, at every third look or so; with `time`, the
    wall clock, what `datetime` says does as well.
    """
    shift = 0.0

    def jumping(clock: Callable[[], float]) -> Callable[[], float]:
        def look() -> float:
            nonlocal shift
            if rng.random() < 0.3:
                shift = rng.uniform(-12 * HOUR, 12 * HOUR)
            return clock() + shift

        return look

    for name in names:
        setattr(time, name, jumping(getattr(time, name)))
    if "time" in names:
        _replace_datetime()


class _Jumping(datetime):
    @classmethod
    def now(cls, tz: tzinfo | None = None) -> datetime:  # type: ignore[override]
        return datetime.fromtimestamp(0, tz) + timedelta(seconds=time.time())


def _replace_datetime() -> None:
    for name, module in list(sys.modules.items()):
        if name.startswith("benchmark.") and getattr(module, "datetime", None) is datetime:
            module.datetime = _Jumping  # type: ignore[attr-defined]


FAULTS: dict[str, Callable[[Any, random.Random], None]] = {
    "checkpoint_seconds": _checkpoint_seconds,
    "retry_seconds": _retry_seconds,
    "writes": _writes,
    "clocks": _clocks,
}
