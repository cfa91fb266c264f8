"""Measure contenders in turns: A, B, A, B, ..., each in its own fresh process, one lap at a time.

Taking turns exposes all contenders to the same conditions, and separate processes keep their peak memory apart.

The bench sends a word and the process answers with a dictionary. "go": make a lap and send {"seconds": ..., ...};
"count" or "profile": make a lap under that profiler (see `profile`) and add what it found; "stop": send {"peak": bytes,
"added": bytes} and end. A process that cannot continue sends {"failed": why}.

The environments of other libraries import this module too. They have torch and numpy, but not the suite's other
dependencies.
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

from benchmark.bench.profile import PROFILERS
from benchmark.runs.environment import peak_memory, reset_peak_memory

PRELOADED = ["benchmark.bench.laps", "torch._dynamo"]
"""Imported once for all processes. The first step of an optimiser would import the latter, which takes 100 MiB."""

THREADS = 1  # per contender, as in a run
FREE_SHARE = 0.8  # how much of the free memory a contender may take on a CPU

Status = Literal["measured", "skipped", "failed"]

Lap = Callable[..., None]
"""Reports the seconds of a lap and anything else that describes it, and returns at the contender's next turn."""

NO_MEMORY = "not enough memory"
CPU = torch.device("cpu")


class NoMoreTurns(Exception):
    """Raised inside a contender to end it."""


class LapReporter:
    """What a contender's process uses to wait for its turns and to report its laps over the `connection`."""

    def __init__(self, connection: Connection, device: torch.device = CPU) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the bench ends this process
        self._connection, self._device = connection, device
        self._before, self._peak = 0, 0
        self._packages: tuple[str, ...] = ("torch", "numpy")
        self._profiler: Any = None

    def data_loaded(self) -> None:
        """Count memory as added from here on."""
        reset_peak_memory(self._device)
        self._before = peak_memory(self._device)

    def ready(self, *packages: str) -> None:
        """Wait for the first turn; `packages` are those whose versions to report beside torch's and numpy's."""
        self._packages = (*packages, *self._packages)
        self.wait()

    def wait(self) -> None:
        """Wait for the next turn; raises NoMoreTurns if there is none."""
        word = self._connection.recv()
        if word == "go":
            return
        self._peak = self._peak or peak_memory(self._device)  # read it before a profiler needs memory of its own
        if word == "stop":
            self._connection.send({"peak": self._peak, "added": self._peak - self._before})
            raise NoMoreTurns
        self._profiler = PROFILERS[word](self._device)
        self._profiler.__enter__()

    def lap(self, seconds: float, **more: float) -> None:
        """Report a lap and wait for the next turn; `targets`, if given, is how many next items it trained on."""
        seen: dict[str, Any] = {}
        if self._profiler:
            self._profiler.__exit__(None, None, None)
            seen, self._profiler = self._profiler.summary(seconds), None
        versions = ", ".join([f"python {python_version()}", *(f"{name} {version(name)}" for name in self._packages)])
        self._connection.send({"seconds": seconds, "versions": versions, **more, **seen})
        self.wait()

    def serve(self, work: Callable[[LapReporter], None]) -> None:
        """Call `work`, which makes laps until it is stopped, and report its failure if it fails."""
        try:
            work(self)
        except NoMoreTurns:
            return
        except Exception as error:
            text = f"{type(error).__name__}: {' '.join(str(error).split())}"
            if isinstance(error, MemoryError | torch.OutOfMemoryError) or "can't allocate memory" in text:
                text = f"{NO_MEMORY} ({text.rpartition('memory: ')[2].partition('. ')[0]})"
            self._connection.send({"failed": text[:200]})


@dataclass
class Contender:
    """Something to measure, in laps of `amount` units of work each.

    `run` sets up, then makes laps without end. It must be picklable; it is None if a subclass overrides `serve`.
    `skip_reason`: why it cannot be started, if so. `profilers`: names of the profilers to run in an extra lap each.
    `work`: what it computes and in which precision; contenders with the same work are profiled only once.
    """

    name: str
    run: Callable[[torch.device, Lap], None] | None
    amount: float
    skip_reason: str = ""
    profilers: Sequence[str] = ()
    work: tuple[str, str] = ("", "fp32")

    def serve(self, connection: Connection, device: torch.device) -> None:
        """Run inside the contender's process."""

        def set_up_and_run(reporter: LapReporter) -> None:
            reporter.wait()
            reporter.data_loaded()
            assert self.run
            self.run(device, reporter.lap)

        torch.set_num_threads(THREADS)
        LapReporter(connection, device).serve(set_up_and_run)

    def judge(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Add to the report of a lap what the process cannot know itself."""
        return answer

    def last_words(self) -> str:
        """Return what is known about why the process died."""
        return ""


@dataclass
class Result:
    """What was measured of a contender.

    `seconds`: of each lap after the warm-up, scaled to `amount` units of work if laps differ in size. Memory is in
    bytes: the peak of the process, and how much of it was added once the data was loaded, for the model, the optimiser
    and everything else. `laps`: what was reported of each lap. `seen`: what the profilers found. `columns`: further
    columns of the table.
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
        """The seconds of all laps together."""
        return sum(lap["seconds"] for lap in self.laps)


class Running:
    """A contender in a fresh process, the connection to it, and its result so far."""

    def __init__(self, contender: Contender, result: Result, device: torch.device) -> None:
        self.contender, self.result, self.failure = contender, result, ""
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(PRELOADED)
        self.connection, theirs = context.Pipe()
        self.process: BaseProcess = context.Process(target=_serve, args=(contender, theirs, device), daemon=True)
        self.process.start()
        theirs.close()

    def send(self, word: str) -> None:
        with contextlib.suppress(OSError):  # the process has died, and `receive` will say why
            self.connection.send(word)

    def receive(self) -> dict[str, Any]:
        """Return the answer to the last word, {"failed": why} if the process has failed or died."""
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
        self.send(word)
        return self.receive()

    def lap(self) -> None:
        answer = self.ask("go")
        if not self.failure:
            self.result.laps.append(self.contender.judge(answer))

    def finish(self, repeats: int) -> None:
        """Make the profiled laps, ask for the memory, and complete the result."""
        result = self.result
        for word in self.contender.profilers:
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
        """End the process, whatever it is doing."""
        self.process.kill()
        self.process.join()
        self.connection.close()


def _serve(contender: Contender, connection: Connection, device: torch.device) -> None:
    """Limit the memory, so that a contender that asks for too much fails by itself, and serve."""
    free = free_memory()
    if device.type == "cpu" and free < math.inf:
        _, most = resource.getrlimit(resource.RLIMIT_DATA)
        resource.setrlimit(resource.RLIMIT_DATA, (int(FREE_SHARE * free), most))
    contender.serve(connection, device)


@dataclass(frozen=True)
class Turns:
    """Runs contenders on a device for `repeats` laps each, after one lap to warm up.

    A contender that has run for `seconds_each` gets no further turn, and its result notes how many laps it made. None
    is started after the `deadline`, a time of `time.perf_counter`. `together`: set up and warm up all at once, because
    on a GPU that takes most of the time. `alone`: take no turns, one contender after the other has the whole memory.
    """

    device: torch.device
    repeats: int
    seconds_each: float = 60.0
    deadline: float = math.inf
    together: bool = False
    alone: bool = False

    def measure(
        self, contenders: Sequence[Contender], notify: Callable[[str], None], learning_seconds: float = 0.0
    ) -> list[Result]:
        """Measure the contenders in turns. One that fails or runs out of memory says so in its result.

        If a warm-up takes half of `seconds_each`, it counts as a lap, unless all warm up together. With
        `learning_seconds` there is no warm-up: each contender makes laps for that long, and the one that has had the
        least time takes the next turn.
        """
        if self.alone and len(contenders) > 1:
            return [result for each in contenders for result in self.measure([each], notify, learning_seconds)]
        results = [Result(contender.name, contender.amount) for contender in contenders]
        running: list[Running] = []
        try:
            for contender, result in zip(contenders, results, strict=True):
                late = "left out: the time for all contenders is over" * (time.perf_counter() > self.deadline)
                if reason := contender.skip_reason or late:
                    result.status, result.note = "skipped", reason
                    continue
                running.append(Running(contender, result, self.device))
                if self.together:
                    running[-1].send("go")
                    continue
                running[-1].lap()
                if not learning_seconds and result.spent < self.seconds_each / 2:
                    result.laps.clear()
            for each in running if self.together else ():
                each.receive()
            while waiting := [each for each in running if not self._is_done(each, learning_seconds)]:
                min(waiting, key=lambda each: each.result.spent if learning_seconds else len(each.result.laps)).lap()
            for each in running:
                each.finish(0 if learning_seconds else self.repeats)
            for result in results:
                if result.note:
                    notify(f"{result.contender}: {result.note}")
        finally:
            for each in running:
                each.end()
        return results

    def _is_done(self, running: Running, learning_seconds: float) -> bool:
        result, laps = running.result, math.inf if learning_seconds else self.repeats
        seconds = learning_seconds or self.seconds_each
        return bool(running.failure) or len(result.laps) >= laps or result.spent >= seconds


def free_memory() -> float:
    """Return how many bytes a new process can allocate, or infinity if the system does not say."""
    try:
        with open("/proc/meminfo", encoding="ascii") as lines:
            return next(float(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return math.inf
