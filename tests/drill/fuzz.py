"""Garbage in everything that is read: each input must be read rightly or refused in one clear line.

The inputs are mostly valid ones with a few things changed. What is accepted is read a second time, slowly and by other
means; what is refused must name the place and the remedy. All of it happens in this process, a clock beside it.
"""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import tempfile
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any, Protocol

from benchmark.plan.config import ConfigError
from benchmark.store.atomic_files import StoreError
from datasets.interactions import DataError
from tests.drill.fuzz_archives import archive_targets
from tests.drill.fuzz_commands import Commands
from tests.drill.fuzz_data import data_targets
from tests.drill.fuzz_store import Shelf, store_targets
from tests.drill.fuzz_words import words_targets

CLEAR = (DataError, StoreError, ConfigError)
PATIENCE = 20.0
"""Seconds until an input counts as one that hangs; the machine may be slow and busy."""

MAX_MESSAGE = 700
REMEDIES = ("; ", "expected ", "use ", "give ", "set ", "did you mean", "only of ")
SHOWN = 3
"""Failures of a kind that are told in full for each target; the others are counted."""


class Target(Protocol):
    """Something that is read. `place`: what every refusal must name; `inputs`: how many are tried."""

    name: str
    place: str
    inputs: int

    def make(self, rng: Random) -> bytes:
        """One input, by a seeded draw."""

    def read(self, content: bytes) -> Any:
        """What the suite makes of it; raises one of CLEAR where it refuses it."""

    def check(self, content: bytes, result: Any) -> str:
        """What is wrong with what was accepted; nothing if it is what the input says."""


class Hang(BaseException):
    """An input that has taken longer than PATIENCE."""


@dataclass
class Tally:
    """Inputs by what became of them; `wrong_results` were accepted, `unclear` refused in words that do not help."""

    accepted: int = 0
    refused: int = 0
    tracebacks: int = 0
    hangs: int = 0
    wrong_results: int = 0
    unclear: int = 0
    seen: set[bytes] = field(default_factory=set)

    @property
    def inputs(self) -> int:
        """How many were tried, no two of a target alike."""
        return len(self.seen)

    def is_new(self, content: bytes) -> bool:
        """Whether this input has not been tried; it is remembered."""
        before = len(self.seen)
        self.seen.add(hashlib.blake2b(content, digest_size=8).digest())
        return len(self.seen) > before


def drill(scratch: Path, seed: int, notify: Callable[[str], None], share: float = 1.0) -> dict[str, Any]:
    """Feed every target its inputs, or a `share` of them; what failed is left in `scratch`. Returns the figures."""
    started, tallies = time.monotonic(), dict[str, Tally]()
    with tempfile.TemporaryDirectory(dir=_in_memory(scratch)) as folder, _alarm():
        for target in all_targets(Path(folder)):
            clock, tally = time.monotonic(), Tally()
            fuzz(target, round(target.inputs * share), Random(f"{seed} {target.name}"), tally, scratch, notify)
            tallies[target.name] = tally
            notify(
                f"{target.name}: {tally.accepted:,} read, {tally.refused:,} refused, in "
                f"{time.monotonic() - clock:.0f} s"
            )
    return _figures(tallies, time.monotonic() - started)


def all_targets(folder: Path) -> list[Target]:
    """Everything that is read, with `folder` to write in."""
    shelf = Shelf(folder / "shelf")
    paths = [path for path in sorted(shelf.root.rglob("*")) if path.is_file()]
    files = {path.relative_to(shelf.root).as_posix(): path.read_bytes() for path in paths}
    return [
        *data_targets(folder),
        *store_targets(shelf),
        *archive_targets(folder, files),
        *words_targets(folder),
        Commands(folder / "commands", (folder / "whole.tar.gz").read_bytes(), shelf.root),
    ]


def fuzz(target: Target, inputs: int, rng: Random, tally: Tally, scratch: Path, notify: Callable[[str], None]) -> None:
    """Try so many different inputs on one target."""
    shown = Counter[str]()
    while tally.inputs < inputs:
        content = target.make(rng)
        if not tally.is_new(content):
            continue
        kind, problem = _try(target, content, tally)
        if problem and shown[kind] < SHOWN:
            shown[kind] += 1
            sample = scratch / f"{target.name.replace(' ', '-')}-{kind}-{shown[kind]}"
            sample.write_bytes(content)
            notify(f"{target.name}: {problem} (input in {sample})")


def _try(target: Target, content: bytes, tally: Tally) -> tuple[str, str]:
    """What was not as it must be: of which kind, and in a line or with its traceback; nothing if all was well."""
    signal.setitimer(signal.ITIMER_REAL, PATIENCE)
    try:
        result = target.read(content)
        signal.setitimer(signal.ITIMER_REAL, 0)
        tally.accepted += 1
        kind, problem = "wrong_results", target.check(content, result)
    except CLEAR as error:
        tally.refused += 1
        kind, problem = "unclear", unclear(str(error), target.place)
    except Hang:
        kind, problem = "hangs", f"took more than {PATIENCE:.0f} s"
    except Exception:
        kind, problem = "tracebacks", traceback.format_exc()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
    if problem:
        setattr(tally, kind, getattr(tally, kind) + 1)
    return kind, problem


def unclear(message: str, place: str) -> str:
    """Why a message does not help; nothing if it is one line that names the place and says what to do."""
    wrong = [
        reason
        for reason, holds in (
            ("not one printable line", not message.isprintable()),
            ("too long", len(message) > MAX_MESSAGE),
            (f"does not name {place}", place not in message),
            ("no remedy", not any(word in message for word in REMEDIES)),
        )
        if holds
    ]
    return f"{', '.join(wrong)}: {message[:MAX_MESSAGE]!r}" if wrong else ""


@contextmanager
def _alarm() -> Iterator[None]:
    def ring(*_: object) -> None:
        raise Hang

    before = signal.signal(signal.SIGALRM, ring)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _in_memory(scratch: Path) -> Path:
    """Where files cost no disk: a hundred thousand are written."""
    shared = Path("/dev/shm")
    return shared if os.access(shared, os.W_OK) else scratch


def _figures(tallies: dict[str, Tally], seconds: float) -> dict[str, Any]:
    outcomes = ("accepted", "refused", "tracebacks", "hangs", "wrong_results", "unclear")
    totals = {name: sum(getattr(tally, name) for tally in tallies.values()) for name in outcomes}
    return {
        "inputs": sum(tally.inputs for tally in tallies.values()),
        **totals,
        "peak_memory_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024,
        "inputs_per_second": round(sum(tally.inputs for tally in tallies.values()) / seconds),
        "read_and_refused": {name: [tally.accepted, tally.refused] for name, tally in tallies.items()},
    }
