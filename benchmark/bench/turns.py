"""Contenders take turns: A, B, A, B, ..., each in a fresh process of its own, one at a time.

So all of them meet the same conditions on the machine, and the peak memory of a process is that of one contender.
"""

from __future__ import annotations

import contextlib
import math
import multiprocessing
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any, Literal

import torch

from benchmark.bench.lap_line import Lap, LapLine

SECONDS_EACH = 60.0
"""A contender that has run for so long gets no further turn; it then has fewer laps, and its result says so."""

PRELOADED = ["benchmark.bench.laps", "torch._dynamo"]
"""Imported once for all processes; the first step of an optimiser would import the latter, 100 MiB of code."""

FREE_SHARE = 0.8
"""The share of the free memory that a contender may ask for."""

Status = Literal["measured", "skipped", "failed", "extrapolated"]


@dataclass
class Running:
    """A contender's process and the line to it."""

    process: BaseProcess | subprocess.Popen[bytes]  # the latter runs under another library's interpreter
    connection: Connection
    failure: str = ""

    def answer(self) -> dict[str, Any]:
        """What the process says next, see `lap_line`; {"failed": why} if it has died."""
        try:
            answer: dict[str, Any] = self.connection.recv()
        except (EOFError, OSError):
            answer = {"failed": f"its process died with exit code {self._exit_code()}"}
        self.failure = answer.get("failed", "")
        return answer

    def ask(self, word: str) -> dict[str, Any]:
        """Say "go" or "stop"; returns the answer."""
        if self.failure:
            return {"failed": self.failure}
        with contextlib.suppress(OSError):  # the process has ended; the answer will say why
            self.connection.send(word)
        return self.answer()

    def end(self) -> None:
        """End the process, in whatever state it is."""
        self.process.kill()
        self._exit_code()
        self.connection.close()

    def _exit_code(self) -> int | None:
        """That of the process, once it has ended."""
        if isinstance(self.process, subprocess.Popen):
            return self.process.wait()
        self.process.join()
        return self.process.exitcode


@dataclass
class Contender:
    """`run` sets up, then makes laps for ever, each of `amount` units of work; it must survive pickling.

    `needs_bytes`: memory without which it is not even started; 0 if that does not matter. `lack`: what else keeps it
    from being started. `about`: the versions and settings that it works with, where they are to be told.
    """

    name: str
    run: Callable[[torch.device, Lap], None]
    amount: float
    needs_bytes: int = 0
    lack: str = ""
    about: dict[str, Any] = field(default_factory=dict)

    def start(self, device: torch.device, threads: int) -> Running:
        """Start it in a fresh process of this interpreter."""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, self.run, device, threads), daemon=True)
        process.start()
        theirs.close()
        return Running(process, ours)


def _work(connection: Connection, run: Callable[[torch.device, Lap], None], device: torch.device, threads: int) -> None:
    def lap(seconds: float, **more: float) -> None:
        line.lap(seconds, **more)
        line.turn()

    def work() -> None:
        line.turn()
        line.data_is_there()
        run(device, lap)

    line = LapLine(connection, device)
    torch.set_num_threads(threads)
    line.serve(work)


@dataclass
class Result:
    """What a contender did: the seconds of each lap, without the warm-up; the bytes at the peak of its process, and how
    many of them came after its data was there (model, optimiser and all that the work needs).
    """

    contender: str
    amount: float
    status: Status = "measured"
    seconds: list[float] = field(default_factory=list)
    peak_memory_bytes: int | None = None
    added_memory_bytes: int | None = None
    note: str = ""


@dataclass(frozen=True)
class Turns:
    """Where contenders run, on how many threads, and how many laps each makes after a first one to warm up."""

    device: torch.device
    threads: int
    repeats: int

    def measure(self, contenders: Sequence[Contender], notify: Callable[[str], None]) -> list[Result]:
        """Let them take turns; a contender that fails or finds no memory says so in its result.

        A warm-up that takes half of a contender's time counts as a lap.
        """
        results = [Result(contender.name, contender.amount) for contender in contenders]
        running: dict[int, Running] = {}
        try:
            for number, (contender, result) in enumerate(zip(contenders, results, strict=True)):
                if lack := shortage(contender, self.device):
                    result.status, result.note = "skipped", lack
                    continue
                running[number] = contender.start(self.device, self.threads)
                _lap(running[number], result)
                if sum(result.seconds) < SECONDS_EACH / 2:
                    result.seconds.clear()
            for _ in range(self.repeats):
                for number, process in running.items():
                    _lap(process, results[number])
            for number, process in running.items():
                _finish(process, results[number], self.repeats)
            for result in results:
                if result.note:
                    notify(f"{result.contender}: {result.note}")
        finally:
            for process in running.values():
                process.end()
        return results


def _finish(process: Running, result: Result, repeats: int) -> None:
    """Ask for the memory, and say what did not go as it should."""
    answer = process.ask("stop")
    result.peak_memory_bytes, result.added_memory_bytes = answer.get("peak"), answer.get("added")
    if "failed" in answer:
        result.status, result.note, result.seconds = "failed", answer["failed"], []
    elif len(result.seconds) < repeats:
        result.note = f"{len(result.seconds)} of {repeats} laps: it took {sum(result.seconds):.0f} s"


def _lap(process: Running, result: Result) -> None:
    """One lap, unless the time is spent. Of a lap of other size, the seconds are those of the contender's amount."""
    if sum(result.seconds) < SECONDS_EACH:
        answer = process.ask("go")
        if "seconds" in answer:
            share = result.amount / answer["targets"] if "targets" in answer else 1.0
            result.seconds.append(answer["seconds"] * share)


def shortage(contender: Contender, device: torch.device) -> str:
    """Why it cannot be started, for example for want of memory; nothing if it can."""
    needs, free = contender.needs_bytes, free_memory(device)
    if contender.lack or needs <= FREE_SHARE * free:
        return contender.lack
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
        return math.inf
