"""Contenders take turns: A, B, A, B, ..., each in a fresh process of its own, one at a time.

So all of them meet the same conditions on the machine, and the peak memory of a process is that of one contender. The
bench sends words, and a process answers with dictionaries: to "go" it makes a lap and sends {"seconds": ..., ...}; for
"count" and "profile" the lap is watched, and what was seen is added (see `profile`); to "stop" it sends {"peak":
..., "added": ...}, bytes, and ends; {"failed": why} means that it cannot go on. This module is also imported in the
environments of other libraries, which have torch and numpy, but not what else the suite needs.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import resource
import signal
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from platform import python_version
from typing import Any, Literal

import torch

from benchmark.bench.profile import WATCHES
from benchmark.runs.environment import peak_memory, reset_peak_memory

PRELOADED = ["benchmark.bench.laps", "torch._dynamo"]
"""Imported once for all processes; the first step of an optimiser would import the latter, 100 MiB of code."""

THREADS = 1  # of each contender, as in a run
FREE_SHARE = 0.8  # of the memory that is free, what a contender may take on a CPU

Status = Literal["measured", "skipped", "failed"]

Lap = Callable[..., None]
"""Takes the seconds of a lap and whatever else describes it; returns when it is the contender's turn again."""

NO_MEMORY = "not enough memory"
CPU = torch.device("cpu")


class Enough(Exception):
    """Ends a contender from within its lap."""


class LapLine:
    """A contender's end of the line to the bench, `connection`."""

    def __init__(self, connection: Connection, device: torch.device = CPU) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends us
        self._connection, self._device = connection, device
        self._before, self._peak = 0, 0
        self._packages: tuple[str, ...] = ("torch", "numpy")
        self._watch: Any = None

    def data_is_there(self) -> None:
        """From here on memory counts as added."""
        reset_peak_memory(self._device)
        self._before = peak_memory(self._device)

    def ready(self, *packages: str) -> None:
        """These packages make the laps too, so their versions are reported; wait for the first turn."""
        self._packages = (*packages, *self._packages)
        self.turn()

    def turn(self) -> None:
        """Wait for the next turn; raises Enough when there is none."""
        word = self._connection.recv()
        if word == "go":
            return
        self._peak = self._peak or peak_memory(self._device)  # a watch needs memory of its own
        if word == "stop":
            self._connection.send({"peak": self._peak, "added": self._peak - self._before})
            raise Enough
        self._watch = WATCHES[word](self._device)
        self._watch.__enter__()

    def lap(self, seconds: float, **more: float) -> None:
        """Say how long the lap took and wait for the next turn; `targets`: how many next items it learnt from."""
        seen: dict[str, Any] = {}
        if self._watch:
            self._watch.__exit__(None, None, None)
            seen, self._watch = self._watch.seen(seconds), None
        versions = ", ".join([f"python {python_version()}", *(f"{name} {version(name)}" for name in self._packages)])
        self._connection.send({"seconds": seconds, "versions": versions, **more, **seen})
        self.turn()

    def serve(self, work: Callable[[LapLine], None]) -> None:
        """Do the work, which makes laps until it is enough; say so if it fails."""
        try:
            work(self)
        except Enough:
            return
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
                text = f"{NO_MEMORY} ({text.rpartition('memory: ')[2].partition('. ')[0]})"
            self._connection.send({"failed": text[:200]})


@dataclass
class Contender:
    """`run` sets up, then makes laps without end, each of `amount` units of work; it must survive pickling, and is None
    where `serve` has another way. `lack`: what keeps it from being started. `watched`: which watches of `profile` it
    makes a lap for when all others are done. `work`: the name of what it computes, and the precision; the same for
    those that compute the same.
    """

    name: str
    run: Callable[[torch.device, Lap], None] | None
    amount: float
    lack: str = ""
    watched: Sequence[str] = ()
    work: tuple[str, str] = ("", "fp32")

    def serve(self, connection: Connection, device: torch.device) -> None:
        """What its process does."""

        def set_up_and_run(line: LapLine) -> None:
            line.turn()
            line.data_is_there()
            assert self.run
            self.run(device, line.lap)

        torch.set_num_threads(THREADS)
        LapLine(connection, device).serve(set_up_and_run)

    def judge(self, answer: dict[str, Any]) -> dict[str, Any]:
        """The answer to a "go", completed by what the process does not know itself."""
        return answer

    def last_words(self) -> str:
        """What is known of why its process died."""
        return ""


@dataclass
class Result:
    """What a contender did: the seconds of each lap, without the warm-up; the bytes at the peak of its process, and how
    many of them came after its data was there (model, optimiser and all that the work needs).

    A lap of other size than `amount` counts as the seconds that the amount would have taken. `laps`: what was said of
    each. `seen`: what its watches saw. `columns`: what the table is to show besides.
    """

    contender: str
    amount: float
    status: Status = "measured"
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    added_memory_bytes: int | None = None
    note: str = ""
    laps: list[dict[str, Any]] = field(default_factory=list)
    seen: dict[str, Any] = field(default_factory=dict)
    columns: dict[str, float] = field(default_factory=dict)

    @property
    def spent(self) -> float:
        """Seconds of all laps."""
        return sum(lap["seconds"] for lap in self.laps)


class Running:
    """A contender in a fresh process, the line to it, and what it has done so far."""

    def __init__(self, contender: Contender, result: Result, device: torch.device) -> None:
        self.contender, self.result, self.failure = contender, result, ""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_work, args=(contender, theirs, device), daemon=True)
        self.process.start()
        theirs.close()

    def say(self, word: str) -> None:
        """Say a word; `hear` gives the answer."""
        with contextlib.suppress(OSError):  # the process has ended; the answer will say why
            self.connection.send(word)

    def hear(self) -> dict[str, Any]:
        """The answer, {"failed": why} if the process has died, now or before."""
        if not self.failure:
            try:
                answer: dict[str, Any] = self.connection.recv()
            except (EOFError, OSError):
                self.process.join()
                why = f"its process died with exit code {self.process.exitcode}"
                answer = {"failed": f"{why}{self.contender.last_words()}"}
            self.failure = answer.get("failed", "")
        return {"failed": self.failure} if self.failure else answer

    def ask(self, word: str) -> dict[str, Any]:
        self.say(word)
        return self.hear()

    def lap(self) -> None:
        answer = self.ask("go")
        if not self.failure:
            self.result.laps.append(self.contender.judge(answer))

    def finish(self, repeats: int) -> None:
        """Have the watched laps made, ask for the memory, and note what went wrong."""
        result = self.result
        for word in self.contender.watched:
            result.seen |= self.ask(word)
        answer = self.ask("stop")
        result.peak_memory_bytes, result.added_memory_bytes = answer.get("peak"), answer.get("added")
        if self.failure:
            result.status = "skipped" if self.failure.startswith(NO_MEMORY) else "failed"
            result.note = self.failure
            return
        result.seconds = [lap["seconds"] * result.amount / lap.get("targets", result.amount) for lap in result.laps]
        if len(result.laps) < repeats:
            result.note = f"{len(result.laps)} of {repeats} laps: it took {result.spent:.0f} s"

    def end(self) -> None:
        """End the process, in whatever state it is."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _work(contender: Contender, connection: Connection, device: torch.device) -> None:
    """With a limit to the memory, so that who asks for too much fails, and not the machine."""
    free = free_memory()
    if device.type == "cpu" and free < math.inf:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (int(FREE_SHARE * free), most))
    contender.serve(connection, device)


@dataclass(frozen=True)
class Turns:
    """Where contenders run, and how many laps each makes after one to warm up.

    One that has run for `seconds_each` gets no further turn; it then has fewer laps, and its result says so. After the
    `deadline`, a time of `time.perf_counter`, no contender is started. `together`: whether all set up and warm up at
    once, on a GPU, where that takes most of the time.
    """

    device: torch.device
    repeats: int
    seconds_each: float = 60.0
    deadline: float = math.inf
    together: bool = False

    def measure(
        self, contenders: Sequence[Contender], notify: Callable[[str], None], learning: float = 0.0
    ) -> list[Result]:
        """Let them take turns; a contender that fails or finds no memory says so in its result.

        A warm-up that takes half of a contender's time counts as a lap, unless they warm up together. With `learning`
        there is none: each makes laps for this number of seconds, and the one that has had least time takes the next
        turn.
        """
        results = [Result(contender.name, contender.amount) for contender in contenders]
        running: list[Running] = []
        try:
            for contender, result in zip(contenders, results, strict=True):
                late = "left out: the time for all contenders is over" * (time.perf_counter() > self.deadline)
                if lack := contender.lack or late:
                    result.status, result.note = "skipped", lack
                    continue
                running.append(Running(contender, result, self.device))
                if self.together:
                    running[-1].say("go")
                    continue
                running[-1].lap()
                if not learning and result.spent < self.seconds_each / 2:
                    result.laps.clear()
            for each in running if self.together else ():
                each.hear()
            while waiting := [each for each in running if not self._is_over(each, learning)]:
                min(waiting, key=lambda each: each.result.spent if learning else len(each.result.laps)).lap()
            for each in running:
                each.finish(0 if learning else self.repeats)
            for result in results:
                if result.note:
                    notify(f"{result.contender}: {result.note}")
        finally:
            for each in running:
                each.end()
        return results

    def _is_over(self, running: Running, learning: float) -> bool:
        result, laps = running.result, math.inf if learning else self.repeats
        return bool(running.failure) or len(result.laps) >= laps or result.spent >= (learning or self.seconds_each)


def free_memory() -> float:
    """Bytes that a new process can have; infinite where the system does not tell."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return math.inf
