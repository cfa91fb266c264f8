"""Runs jobs in worker processes on this machine. If a worker dies, the run that it had is done again."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Collection, Generator, Iterable, Iterator
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import Any

import torch

from benchmark.runs.engines.engine import ATTEMPTS, Death, FinishedRun, OnNews, RunJob, WorkerEngine
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import execute


@dataclass(frozen=True, eq=False)
class _Worker:
    """A process that does one job after the other, and our end of its pipe."""

    number: int
    process: BaseProcess
    pipe: Connection


class LocalEngine(WorkerEngine):
    """`workers` processes with one thread each (two single-threaded workers beat one worker with two threads)."""

    def __init__(self, device: torch.device, workers: int) -> None:
        self.device, self.workers = device, workers
        self.alive: list[_Worker] = []
        self.idle: list[_Worker] = []

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute, `workers` at a time; no worker outlives this."""
        try:
            yield from super().run(jobs, prepared, on_news)
        finally:
            for worker in list(self.alive):
                self.stop(worker)

    def room(self) -> int:
        return self.workers

    def start(self, job: RunJob, prepared: Prepared) -> _Worker:
        worker = self.idle.pop() if self.idle else self._new_worker(prepared)
        with contextlib.suppress(OSError):  # it died while it was idle, as its end of the pipe says next
            worker.pipe.send(job)
        return worker

    def ready(self, workers: Collection[_Worker]) -> list[_Worker]:
        pipes = wait([worker.pipe for worker in workers])
        return [worker for worker in workers if worker.pipe in pipes]

    def receive(self, worker: _Worker) -> tuple[str, Any]:
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode
            killed = "killed by SIGKILL; out of memory? use fewer --workers"
            self.stop(worker)
            cause = killed if code == -signal.SIGKILL else f"with exit code {code}"
            return "dead", Death("WorkerDied", cause, "worker", ATTEMPTS)
        if kind == "finished" and content[0].status in ("done", "diverged"):
            self.idle.append(worker)
        elif kind == "finished":  # what went wrong may have left it unfit for another run
            self.stop(worker)
        return kind, content

    def stop(self, worker: _Worker) -> None:
        self.alive.remove(worker)
        if worker in self.idle:
            self.idle.remove(worker)
        worker.process.kill()
        worker.process.join()
        worker.pipe.close()

    def _new_worker(self, prepared: Prepared) -> _Worker:
        taken, device = {worker.number for worker in self.alive}, self.device
        number = next(number for number in range(self.workers) if number not in taken)
        if device.type == "cuda":
            device = torch.device("cuda", number % torch.cuda.device_count())
        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_work, args=(theirs, device), daemon=True)
        with _ctrl_c_waiting():
            process.start()
        theirs.close()
        # The data goes through the pipe, not as an argument: so a worker that dies while it starts cannot block us.
        with contextlib.suppress(OSError):
            ours.send(prepared)
        self.alive.append(worker := _Worker(number, process, ours))
        return worker


@contextlib.contextmanager
def _ctrl_c_waiting() -> Iterator[None]:
    """Hold Ctrl-C back, which reaches the whole process group: a child that is started in this block ignores it.

    This process gets it at the end of the block at the latest.
    """
    resource_tracker.ensure_running()  # starting a process would start it, and that unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the worker ----------------------------------------------------------------------------------------------------


def _work(pipe: Connection, device: torch.device) -> None:
    """A worker's life: first the data, then one job after the other, until it is killed or its parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        prepared = pipe.recv()
        while True:
            job = pipe.recv()
            result = execute(job.spec, prepared, device, lambda news: pipe.send(("news", news)), job.checkpoint)
            pipe.send(("finished", result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _end_with_parent() -> None:
    """End with the parent: its result would be lost, and its memory is needed to do the run again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
