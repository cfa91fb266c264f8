"""Executes runs on a Ray cluster.

The nodes need no common file system: code, data, checkpoints and records are sent through Ray. If a node or worker
dies, its run is started again and resumes from the last checkpoint that arrived here.
"""

from __future__ import annotations

import contextlib
import logging
import math
import os
import queue
import signal
import socket
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_NUM_REDIS_GET_RETRIES", "2")  # by default, Ray waits 13 minutes for an answer
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
import torch
from ray.exceptions import OutOfMemoryError, RayError, RayTaskError, RuntimeEnvSetupError, WorkerCrashedError

from benchmark.plan.config import ConfigError
from benchmark.runs import checkpoint
from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.engines.engine import ATTEMPTS, Death, RunJob, WorkerEngine
from benchmark.runs.environment import ROOT, code_version
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import execute

PACKAGES = ("baselines", "benchmark", "datasets")  # sent to the nodes, where they take precedence over other copies
NODE_DEATHS = 20  # nodes that a job may lose before its run is recorded as interrupted, for the job may be the cause
CHECKPOINT_INTERVAL_FACTOR = 3  # checkpoints that are sent over the network are made less often
POLL_SECONDS = 5.0  # to notice at the latest that a node has joined the cluster

Message = tuple[str, Any]


class RayEngine(WorkerEngine):
    """Executes `workers` runs at a time, by default one per GPU of the cluster, or per CPU if there are no GPUs.

    If there are more workers than GPUs, they share them. `address`: the cluster's address, by default that in
    RAY_ADDRESS or of a cluster started on this machine; without either, a local cluster is started for the lifetime of
    this process. `device`: auto, cpu or cuda. Raises ConfigError if there is no such cluster or no such device.
    """

    def __init__(self, address: str | None = None, device: str = "auto", workers: int | None = None) -> None:
        self.workers = workers
        code_version()  # cached now, before the code is sent
        _connect(address)
        self.device = _device(device)
        on_gpu = self.device.type == "cuda"
        sharing = math.ceil(max(1, (workers or 0) / ray.cluster_resources()["GPU"])) if on_gpu else 1
        self.task = ray.remote(_work).options(max_retries=0, num_cpus=1, num_gpus=1 / sharing if on_gpu else 0)
        self.sent: tuple[Prepared | None, Any] = None, None

    def room(self) -> int:
        """At least 1: if no node is free, the job waits for one."""
        resources = ray.cluster_resources()
        return self.workers or max(1, int(resources.get("GPU" if self.device.type == "cuda" else "CPU", 0)))

    def start(self, job: RunJob, prepared: Prepared) -> Any:
        if self.sent[0] is not prepared:
            self.sent = prepared, ray.put(prepared)  # each node fetches it once
        seconds = CHECKPOINT_INTERVAL_FACTOR * checkpoint.SECONDS_BETWEEN
        return self.task.remote(job, self.sent[1], self.device, Checkpoint(job.checkpoint).read(), seconds)

    def ready(self, workers: Collection[Any]) -> list[Any]:
        # With a timeout, because new nodes may have made room for more jobs.
        return ray.wait(list(workers), num_returns=1, timeout=POLL_SECONDS)[0]

    def receive(self, worker: Any) -> Message:
        """As in the base class; raises ConfigError if the nodes cannot execute runs at all."""
        try:
            kind, content = ray.get(next(worker))
        except (RayTaskError, RuntimeEnvSetupError) as error:
            reason = str(error).strip().splitlines()[-1]
            raise ConfigError(
                f"--engine ray: a node cannot execute runs ({reason}); install requirements.lock on every node"
            ) from error
        except RayError as error:
            crashed = isinstance(error, (WorkerCrashedError, OutOfMemoryError))
            loss = ("worker", ATTEMPTS) if crashed else ("node", NODE_DEATHS)
            return "dead", Death(type(error).__name__, f"with {_first_line(error)}", *loss)
        if kind == "finished":
            record, arrays = content
            content = replace(record, versions=record.versions | code_version()), arrays
        return kind, content

    def stop(self, worker: Any) -> None:
        with contextlib.suppress(RayError):
            ray.cancel(worker, force=True)


def _connect(address: str | None) -> None:
    """Join the cluster and send it our code. Keeps Ray from printing messages and from replacing our signal handler."""
    if address in (None, "auto"):
        address = os.environ.get("RAY_ADDRESS", address)
    if address is not None and address.startswith("ray://"):
        raise ConfigError(
            f"--ray-address {address}: addresses of a Ray client do not work here; start run_all.py on a node of the "
            "cluster, with --ray-address auto"
        )
    others = [f"/{path.name}" for path in ROOT.iterdir() if path.name not in PACKAGES]
    handler = signal.getsignal(signal.SIGTERM)
    try:
        _check_reachable(address or "")
        ray.init(
            address,
            include_dashboard=False,
            log_to_driver=False,
            logging_level=logging.CRITICAL,
            runtime_env={"working_dir": str(ROOT), "excludes": others},
        )
    except (OSError, RuntimeError, ValueError) as error:
        where = f"--ray-address {address}" if address else "--engine ray"
        raise ConfigError(f"{where}: no connection to a Ray cluster ({_first_line(error)}); see ray status") from error
    finally:
        with contextlib.suppress(ValueError):  # only the main thread may set handlers
            signal.signal(signal.SIGTERM, handler)


def _check_reachable(address: str) -> None:
    """Raise OSError right away if host:port does not answer."""
    host, _, port = address.rpartition(":")
    if host and port.isdecimal():
        socket.create_connection((host.strip("[]"), int(port)), timeout=10).close()


def _device(choice: str) -> torch.device:
    resources = ray.cluster_resources()
    gpus = resources.get("GPU", 0) > 0
    if choice == "cuda" and not gpus:
        raise ConfigError("--device cuda: no node of the Ray cluster has a GPU; use --device cpu or add such a node")
    if not gpus and not resources.get("CPU", 0):
        raise ConfigError("--engine ray: no node of the Ray cluster has a CPU to give; start one with ray start")
    return torch.device("cuda" if gpus and choice != "cpu" else "cpu")


def _first_line(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".")


# --- on the node ----------------------------------------------------------------------------------------------------


class _SentCheckpoint(Checkpoint):
    """A checkpoint that is sent to the driver, because files on a node are lost when it dies."""

    def __init__(self, content: bytes, seconds: float, send: Callable[[bytes], None]) -> None:
        super().__init__(Path(), seconds)
        self.content, self.send = content, send

    def read(self) -> bytes:
        return self.content

    def write(self, content: bytes) -> None:
        self.send(content)


def _work(job: RunJob, prepared: Prepared, device: torch.device, content: bytes, seconds: float) -> Iterator[Message]:
    """Execute one run, resuming from the checkpoint `content` if it is not empty, and yield its messages: news, a new
    checkpoint every `seconds` at most, and finally the record and arrays.
    """
    messages: queue.SimpleQueue[Message | None] = queue.SimpleQueue()

    def do() -> Any:
        torch.set_num_threads(1)
        try:
            sent = _SentCheckpoint(content, seconds, lambda state: messages.put(("checkpoint", state)))
            return execute(job.spec, prepared, device, lambda news: messages.put(("news", news)), sent)
        finally:
            messages.put(None)

    with ThreadPoolExecutor(1) as thread:  # only the task's own thread can yield, so the run gets another
        result = thread.submit(do)
        while (message := messages.get()) is not None:
            yield message
        yield "finished", result.result()
