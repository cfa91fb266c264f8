"""Runs jobs in worker processes on this machine; a worker that dies costs the run that it had in hand, and that is
retried.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Generator, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from benchmark.runs.engines.engine import FinishedRun, OnNews, RunJob
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import RunOutcome, execute, to_record

ATTEMPTS = 2
"""How often a job is given to a worker before its deaths are recorded; the next start tries again."""


@dataclass
class Worker:
    """A process, our end of its pipe, and what it is doing."""

    number: int
    process: BaseProcess
    pipe: Connection
    job: RunJob | None = None
    started: datetime = field(default_factory=lambda: datetime.now(UTC))


class LocalEngine:
    """`workers` processes with one thread each (two single-threaded workers beat one worker with two threads)."""

    def __init__(self, device: torch.device, workers: int, threads: int = 1) -> None:
        self.device, self.workers, self.threads = device, workers, threads

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute, `workers` at a time."""
        waiting = iter(jobs)
        retries: list[RunJob] = []
        deaths: dict[str, int] = {}
        pool: list[Worker] = []
        try:
            while True:
                self._fill(pool, waiting, retries, prepared)
                if not pool:
                    return
                for worker in _ready(pool):
                    message = _receive(worker)
                    if message is None:
                        pool.remove(worker)
                        finished = self._bury(worker, prepared, retries, deaths)
                    else:
                        finished = self._handle(worker, message, on_news)
                        if finished is not None and finished.record.status not in ("done", "diverged"):
                            pool.remove(worker)  # what went wrong may have left it unfit for another run
                            _end(worker)
                    if finished is not None:
                        yield finished
        finally:
            for worker in pool:
                _end(worker)

    def _fill(self, pool: list[Worker], waiting: Iterator[RunJob], retries: list[RunJob], prepared: Prepared) -> None:
        """Give every idle worker a job, start workers while there is room, and dismiss whom there is nothing for."""
        taken = {worker.number for worker in pool}
        free = (number for number in range(self.workers) if number not in taken)
        for worker in [worker for worker in pool if worker.job is None]:
            job = _next(retries, waiting)
            if job is None:
                pool.remove(worker)
                worker.pipe.close()
                worker.process.join()
            else:
                _give(worker, job)
        for number in free:
            job = _next(retries, waiting)
            if job is None:
                return
            pool.append(self._hire(number, prepared))
            _give(pool[-1], job)

    def _hire(self, number: int, prepared: Prepared) -> Worker:
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        device = self.device
        if device.type == "cuda":
            device = torch.device("cuda", number % torch.cuda.device_count())
        process = context.Process(target=_work, args=(theirs, device, self.threads), daemon=True)
        with _ctrl_c_waiting():
            process.start()
        theirs.close()
        # The data goes through the pipe, not as an argument: so a worker that dies while it starts cannot block us.
        with contextlib.suppress(OSError):
            ours.send(prepared)
        return Worker(number, process, ours)

    def _handle(self, worker: Worker, message: tuple[str, Any], on_news: OnNews) -> FinishedRun | None:
        kind, content = message
        assert worker.job is not None
        if kind == "news":
            on_news(worker.job, content)
            return None
        finished = FinishedRun(worker.job, *content)
        worker.job = None
        return finished

    def _bury(
        self, worker: Worker, prepared: Prepared, retries: list[RunJob], deaths: dict[str, int]
    ) -> FinishedRun | None:
        worker.process.join()
        job = worker.job
        if job is None:
            return None
        deaths[job.key] = deaths.get(job.key, 0) + 1
        if deaths[job.key] < ATTEMPTS:
            retries.append(job)
            return None
        error = {"type": "WorkerDied", "message": _cause_of_death(worker.process.exitcode)}
        outcome = RunOutcome("interrupted", started=worker.started, error=error)
        record = to_record(job.spec, prepared, self.device, job.command, outcome)
        return FinishedRun(job, record, {})


def _next(retries: list[RunJob], waiting: Iterator[RunJob]) -> RunJob | None:
    return retries.pop(0) if retries else next(waiting, None)


def _give(worker: Worker, job: RunJob) -> None:
    worker.job, worker.started = job, datetime.now(UTC)
    with contextlib.suppress(OSError):  # it died while idle; its end of the pipe says so next
        worker.pipe.send(job)


def _end(worker: Worker) -> None:
    worker.process.kill()
    worker.process.join()
    worker.pipe.close()


def _ready(pool: list[Worker]) -> list[Worker]:
    ready = wait([worker.pipe for worker in pool])
    return [worker for worker in pool if worker.pipe in ready]


def _receive(worker: Worker) -> tuple[str, Any] | None:
    """What the worker says, None if it is dead."""
    try:
        return worker.pipe.recv()
    except (EOFError, OSError):
        return None


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        reason = "killed by SIGKILL; out of memory? use fewer --workers"
    else:
        reason = f"with exit code {exit_code}"
    return f"the worker died in each of {ATTEMPTS} attempts, at last {reason}"


@contextlib.contextmanager
def _ctrl_c_waiting() -> Iterator[None]:
    """Ctrl-C reaches the whole process group. A child started in here never hears it; we do, at the end of the block
    at the latest.
    """
    resource_tracker.ensure_running()  # starting a process would start it, and that unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _tell(pipe: Connection, news: dict[str, Any] | str) -> None:
    pipe.send(("news", news))


def _die_with_parent() -> None:
    """Nobody waits for this run any more, and whoever does it again needs the memory."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)


def _work(pipe: Connection, device: torch.device, threads: int) -> None:
    """A worker's life: the data, then jobs in, epochs and records out, until the other end of the pipe is gone."""
    threading.Thread(target=_die_with_parent, daemon=True).start()
    torch.set_num_threads(threads)
    try:
        prepared = pipe.recv()
        while True:
            job = pipe.recv()
            follow = partial(_tell, pipe)
            result = execute(job.spec, prepared, device, job.command, follow, job.checkpoint)
            pipe.send(("finished", result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the parent is gone; nobody waits for this run
