"""Executes runs in worker processes on this machine. If a worker dies, its run is started again."""

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

from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.engines.engine import ATTEMPTS, Death, FinishedRun, OnNews, RunJob, WorkerEngine
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import execute


@dataclass(frozen=True, eq=False)
class _Worker:
    """A process that executes one job after the other, and our end of its pipe."""

    number: int
    process: BaseProcess
    pipe: Connection


class LocalEngine(WorkerEngine):
    """Uses `workers` processes with one thread each, because two such workers are faster than one with two threads."""

    def __init__(self, device: torch.device, workers: int) -> None:
        self.device, self.workers = device, workers
        self.alive: list[_Worker] = []
        self.idle: list[_Worker] = []

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        try:
            yield from super().run(jobs, prepared, on_news)
        finally:
            for worker in list(self.alive):
                self.stop(worker)

    def room(self) -> int:
        return self.workers

    def start(self, job: RunJob, prepared: Prepared) -> _Worker:
        worker = self.idle.pop() if self.idle else self._new_worker(prepared)
        with contextlib.suppress(OSError):  # it died while it was idle; `receive` will find out
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
        elif kind == "finished":  # after an error, the process may not be fit for another run
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
        with _block_ctrl_c():
            process.start()
        theirs.close()
        # Sent through the pipe, not as an argument, because a worker that dies while starting would then block us.
        with contextlib.suppress(OSError):
            ours.send(prepared)
        self.alive.append(worker := _Worker(number, process, ours))
        return worker


@contextlib.contextmanager
def _block_ctrl_c() -> Iterator[None]:
    """Block SIGINT, which Ctrl-C sends to the whole process group. A child started in this block inherits the mask.

    For this process, a Ctrl-C meanwhile takes effect at the end of the block.
    """
    resource_tracker.ensure_running()  # otherwise process.start() would start it, which unblocks the signal
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


# --- in the worker ----------------------------------------------------------------------------------------------------


def _work(pipe: Connection, device: torch.device) -> None:
    """Receive the data, then execute one job after the other, until killed or until the parent is gone."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        prepared = pipe.recv()
        while True:
            job = pipe.recv()
            checkpoint = Checkpoint(job.checkpoint)
            result = execute(job.spec, prepared, device, lambda news: pipe.send(("news", news)), checkpoint)
            pipe.send(("finished", result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)


def _end_with_parent() -> None:
    """Exit when the parent does: the result would be lost, and the memory is needed for the next start."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
