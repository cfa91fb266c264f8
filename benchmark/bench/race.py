"""Contenders by turns: A, B, A, B, ..., each in a fresh process of its own, one at a time.

So all of them meet the same weather on the machine, and the peak memory of a process is that of one contender.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any, Literal, Protocol

import torch

from benchmark.runs.environment import peak_memory, reset_peak_memory

SECONDS_EACH = 60.0
"""A contender that has run for so long is not called again; it then has fewer laps, and says so."""

PRELOADED = ["benchmark.bench.contenders", "torch._dynamo"]
"""Imported once for all processes; the first step of an optimiser would import the latter, 100 MiB of code."""

FREE_SHARE = 0.8  # of the free memory that a contender may ask for

Lap = Callable[[float], None]
"""Takes the seconds of a lap; returns when it is the contender's turn again."""

Status = Literal["measured", "skipped", "failed", "extrapolated"]


class Enough(Exception):
    """Ends a contender from within its lap."""


class Process(Protocol):
    """A contender's process."""

    @property
    def exitcode(self) -> int | None:
        """None while it runs."""

    def kill(self) -> None:
        """End it."""

    def join(self) -> None:
        """Wait until it has ended."""


class Line(Protocol):
    """The line to it: "go" is answered by the seconds of a lap, "stop" by its memory (peak, added), either perhaps by a
    text that says what went wrong. Raises EOFError or OSError where nobody answers.
    """

    def send(self, word: str) -> None:
        """Say a word."""

    def recv(self) -> Any:
        """The answer."""

    def close(self) -> None:
        """Hang up."""


class Entrant(Protocol):
    """Who can race: makes laps of `amount` units of work each, and needs so much memory to be started."""

    @property
    def name(self) -> str:
        """As its result is called."""

    @property
    def amount(self) -> float:
        """Units of work in a lap."""

    @property
    def needs_bytes(self) -> int:
        """0 where that is no question."""

    def launch(self, track: Track) -> tuple[Process, Line]:
        """Start it."""


@dataclass(frozen=True)
class Contender:
    """`run` sets up, then makes laps for ever, each of `amount` units of work; it must survive pickling.

    `needs_bytes`: memory without which it is not even started; 0 where that is no question.
    """

    name: str
    run: Callable[[torch.device, Lap], None]
    amount: float
    needs_bytes: int = 0

    def launch(self, track: Track) -> tuple[Process, Line]:
        """In a fresh process of this interpreter."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        ours, theirs = context.Pipe()
        arguments = (theirs, self.run, track.device, track.threads)
        process = context.Process(target=_work, args=arguments, daemon=True)
        process.start()
        theirs.close()
        return process, ours


@dataclass
class Result:
    """What a contender did: seconds of each lap, without the warm-up; bytes at the peak of its process, and how many
    of them came after its data was there (model, optimiser and all that the work needs).
    """

    contender: str
    amount: float
    status: Status = "measured"
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    added_memory_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Track:
    """Where contenders run, on how many threads, and how many laps each makes after a first one to warm up."""

    device: torch.device
    threads: int
    repeats: int

    def race(self, contenders: Sequence[Entrant], notify: Callable[[str], None]) -> list[Result]:
        """Let them run by turns; a contender that fails or finds no memory says so in its result."""
        runners: list[_Runner] = []
        try:
            for contender in contenders:
                runners.append(_Runner(contender, self))
                runners[-1].start()
            for _ in range(self.repeats):
                for runner in runners:
                    runner.lap()
            for runner in runners:
                runner.finish()
                if runner.result.note:
                    notify(f"{runner.result.contender}: {runner.result.note}")
        finally:
            for runner in runners:
                runner.kill()
        return [runner.result for runner in runners]


class _Runner:
    """One contender's process, seen from outside."""

    def __init__(self, contender: Entrant, track: Track) -> None:
        self.contender, self.track = contender, track
        self.result = Result(contender.name, contender.amount)
        self.process: Process | None = None
        self.spent = 0.0

    def start(self) -> None:
        """Start the process and let it warm up; a warm-up that takes half of its time is a lap."""
        if lack := shortage(self.contender, self.track.device):
            self.result.status, self.result.note = "skipped", lack
            return
        self.process, self.pipe = self.contender.launch(self.track)
        self.lap()
        if self.spent < SECONDS_EACH / 2:
            self.result.seconds.clear()

    def lap(self) -> None:
        """One lap, if it can still run and has time left."""
        if self.process is None or self.spent >= SECONDS_EACH:
            return
        answer = self._ask("go")
        if isinstance(answer, float):
            self.result.seconds.append(answer)
            self.spent += answer

    def finish(self) -> None:
        """Ask for the memory, end the process."""
        if self.process is None:
            return
        answer = self._ask("stop")
        if isinstance(answer, tuple):
            self.result.peak_memory_bytes, self.result.added_memory_bytes = answer
        if len(self.result.seconds) < self.track.repeats and self.result.status == "measured":
            self.result.note = f"{len(self.result.seconds)} of {self.track.repeats} laps: it took {self.spent:.0f} s"
        self.kill()

    def _ask(self, word: str) -> Any:
        assert self.process is not None
        try:
            self.pipe.send(word)
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            answer = f"its process died with exit code {self.process.exitcode}"
        if isinstance(answer, str):
            self.result.status, self.result.note = "failed", answer
            self.result.seconds.clear()
            self.kill()
        return answer

    def kill(self) -> None:
        """End the process, however it is."""
        if self.process is not None:
            self.process.kill()
            self.process.join()
            self.pipe.close()
            self.process = None


def _work(pipe: Connection, run: Callable[[torch.device, Lap], None], device: torch.device, threads: int) -> None:
    """A contender's process: answers "go" with the seconds of a lap, "stop" with its memory, or with an error."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent ends us
    torch.set_num_threads(threads)
    pipe.recv()
    reset_peak_memory(device)
    before = peak_memory(device)

    def lap(seconds: float) -> None:
        pipe.send(seconds)
        if pipe.recv() == "stop":
            peak = peak_memory(device)
            pipe.send((peak, peak - before))
            raise Enough

    try:
        run(device, lap)
    except Enough:
        return
    except Exception as error:
        text = " ".join(str(error).split())
        pipe.send(f"{type(error).__name__}: {text[:200]}")


def shortage(entrant: Entrant, device: torch.device) -> str:
    """That there is not enough memory to start it; nothing if there is."""
    needs, free = entrant.needs_bytes, free_memory(device)
    if needs <= FREE_SHARE * free:
        return ""
    share = f"of the {free / 2**30:.1f} GiB that are free a contender may take {FREE_SHARE:.0%}"
    return f"needs about {needs / 2**30:.1f} GiB of memory; {share}"


def free_memory(device: torch.device) -> float:
    """Bytes that a new process can have on the device; infinite where the system does not tell."""
    if device.type == "cuda":
        return float(torch.cuda.mem_get_info(device)[0])
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        pass
    try:
        return float(os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
    except (AttributeError, OSError, ValueError):
        return float("inf")
