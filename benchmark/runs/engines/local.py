"""Runs jobs in worker processes on this machine. If a worker dies, the run that it had is done again."""

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

from benchmark.runs.engines.engine import ATTEMPTS, FinishedRun, JobQueue, OnNews, RunJob
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import News, execute


class LocalEngine:
    """`workers` processes with one thread each (two single-threaded workers beat one worker with two threads)."""

    def __init__(self, device: torch.device, workers: int) -> None:
        self.device, self.workers = device, workers

    def run(self, jobs: Iterable[RunJob], prepared: Prepared, on_news: OnNews) -> Generator[FinishedRun]:
        """Execute, `workers` at a time."""
        pool = _Pool(self, jobs, prepared)
        try:
            while pool.give_out():
                for worker in pool.ready():
                    kind, content = worker.receive()
                    if kind == "news":
                        on_news(worker.job, content)
                    elif (finished := pool.finished(worker, content)) is not None:
                        yield finished
        finally:
            for worker in pool.workers:
                worker.kill()


@dataclass
class _Worker:
    """A process, our end of its pipe, and the job that it has."""

    number: int
    process: BaseProcess
    pipe: Connection
    job: RunJob
    started: datetime = field(default_factory=lambda: datetime.now(UTC))

    def give(self, job: RunJob) -> None:
        self.job, self.started = job, datetime.now(UTC)
        with contextlib.suppress(OSError):  # it died while idle; its end of the pipe says so next
            self.pipe.send(job)

    def receive(self) -> tuple[str, Any]:
        """Its next message; an end without a result if it is dead."""
        try:
            return self.pipe.recv()
        except (EOFError, OSError):
            return "finished", None

    def kill(self) -> None:
        self.process.kill()
        self.process.join()
        self.pipe.close()


class _Pool(JobQueue):
    """The workers of one `LocalEngine.run`, and the jobs that wait for them."""

    def __init__(self, engine: LocalEngine, jobs: Iterable[RunJob], prepared: Prepared) -> None:
        super().__init__(engine.device, jobs, prepared)
        self.engine = engine
        self.workers: list[_Worker] = []
        self.idle: list[_Worker] = []

    def give_out(self) -> bool:
        """Give jobs to idle workers, and start workers while there is room; returns whether any is at work."""
        while (self.idle or len(self.workers) < self.engine.workers) and (job := self.next_job()) is not None:
            if self.idle:
                self.idle.pop().give(job)
            else:
                self.workers.append(self._start(job))
        while self.idle:  # there is nothing left for it
            worker = self.idle.pop()
            self.workers.remove(worker)
            worker.pipe.close()
            worker.process.join()
        return bool(self.workers)

    def ready(self) -> list[_Worker]:
        """The workers that have a message, or are dead; waits for one."""
        pipes = wait([worker.pipe for worker in self.workers])
        return [worker for worker in self.workers if worker.pipe in pipes]

    def finished(self, worker: _Worker, result: Any) -> FinishedRun | None:
        """What a worker has finished. Without a result it is dead, and None means that its job is given out again."""
        if result is None:
            self.workers.remove(worker)
            worker.process.join()
            cause = _cause_of_death(worker.process.exitcode)
            return self.after_death(worker.job, worker.started, "WorkerDied", cause, "worker", ATTEMPTS)
        run = FinishedRun(worker.job, *result)
        if run.record.status in ("done", "diverged"):
            self.idle.append(worker)
        else:  # what went wrong may have left it unfit for another run
            self.workers.remove(worker)
            worker.kill()
        return run

    def _start(self, job: RunJob) -> _Worker:
        taken = {worker.number for worker in self.workers}
        number = next(number for number in range(self.engine.workers) if number not in taken)
        device = self.engine.device
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
            ours.send(self.prepared)
        worker = _Worker(number, process, ours, job)
        worker.give(job)
        return worker


def _cause_of_death(exit_code: int | None) -> str:
    if exit_code == -signal.SIGKILL:
        return "killed by SIGKILL; out of memory? use fewer --workers"
    return f"with exit code {exit_code}"


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
    """A worker's life: first the data, then one job after the other, until the other end of the pipe is closed."""
    threading.Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    try:
        prepared = pipe.recv()
        while True:
            job = pipe.recv()
            tell = partial(_tell, pipe)
            pipe.send(("finished", execute(job.spec, prepared, device, job.command, tell, job.checkpoint)))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        os._exit(0)  # the parent is gone or needs this worker no more


def _tell(pipe: Connection, news: News) -> None:
    pipe.send(("news", news))


def _end_with_parent() -> None:
    """End with the parent: its result would be lost, and its memory is needed to do the run again."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(0)
