"""Other libraries' SASRec as contenders: what they are given, and how they are started in their own environments."""

from __future__ import annotations

import json
import multiprocessing
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmark.bench.peers.peer_task import HISTORIES, INTERACTIONS, PeerTask
from benchmark.bench.turns import Contender, Running
from benchmark.runs.environment import ROOT
from datasets.split import Split

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".peers"
TORCH = "2.13.0"

LAP_TARGETS = 1_000
"""How many targets a lap's seconds are given for, because batches of other users hold other numbers of them."""
LOOK_ROWS = 16_384
"""Prefixes in a lap where it should be an epoch: an epoch of all prefixes would be too long to wait for."""
FLOAT, LOGITS = 4, 3  # bytes; copies of the logits at once: themselves, their softmax, its gradient


@dataclass(frozen=True)
class Peer:
    """Another library's SASRec and the script that drives it.

    `prefixes`: whether its rows are prefixes with one target each, and not users with a target at every position.
    `wanted`: how many times as fast per target ours is to be.
    """

    name: str
    title: str
    driver: Path
    prefixes: bool = False
    wanted: float | None = None

    def absence(self) -> str:
        """What to say where it is not installed: the commands that install it."""
        place, pip = f".peers/{self.name}", f".peers/{self.name}/bin/pip install"
        listed = f"--no-deps -r benchmark/bench/peers/{self.name}.txt"
        return f"skipped, not installed: python3 -m venv {place} && {pip} torch=={TORCH} && {pip} {listed}"

    def contender(self, named: Mapping[str, Path], task: PeerTask) -> PeerContender:
        """Trains the task under the interpreter that is `named`, else under the usual one, if that is there."""
        usual = ENVIRONMENTS / self.name / "bin" / "python"
        python = named.get(self.name, usual)
        batches = task.batches or (LOOK_ROWS // task.batch_size if self.prefixes else 0)
        positions = task.batch_size * (1 if self.prefixes else task.maxlen)
        needs = LOGITS * FLOAT * positions * task.n_items
        lack = "" if python.exists() else self.absence()
        return PeerContender(
            self.title, python, self.driver, replace(task, name=self.name, batches=batches), needs, lack
        )


PEERS = {
    "recbole": Peer("recbole", "RecBole", HERE / "drive_recbole.py", prefixes=True, wanted=3.0),
    "rectools": Peer("rectools", "RecTools", HERE / "drive_rectools.py", wanted=2.0),
}


def export(folder: Path, split: Split) -> None:
    """Write the files that a PeerTask names."""
    users, items = (column.numpy() for column in split.train.flatten())
    (folder / INTERACTIONS).mkdir()
    with (folder / INTERACTIONS / f"{INTERACTIONS}.inter").open("w", encoding="ascii") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        np.savetxt(file, np.column_stack([users, items, np.arange(len(users))]), fmt="%d", delimiter="\t")
    histories = split.cases("validation").histories
    np.savez(folder / HISTORIES, items=histories.flatten()[1].numpy(), offsets=[0, *histories.lengths.cumsum(0)])


class PeerContender(Contender):
    """A contender whose laps the script `driver` makes under the interpreter `python`."""

    def __init__(
        self, name: str, python: Path, driver: Path, task: PeerTask, needs_bytes: int = 0, lack: str = ""
    ) -> None:
        super().__init__(name, _runs_elsewhere, LAP_TARGETS, needs_bytes, lack)
        self.python, self.driver, self.task = python, driver, task

    def start(self, device: torch.device, threads: int) -> Running:
        """Start it; it has its data and its model then, or has died."""
        path = Path(self.task.folder) / f"{self.task.name}.json"
        path.write_text(json.dumps(asdict(replace(self.task, threads=threads))), encoding="utf-8")
        ours, theirs = multiprocessing.Pipe()
        with path.with_suffix(".log").open("w", encoding="utf-8") as log:
            process = subprocess.Popen(
                [self.python, self.driver, path, str(theirs.fileno())],
                cwd=self.task.folder,
                env=_environment(threads),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(theirs.fileno(),),
            )
        theirs.close()
        running = Running(process, ours)
        try:
            self.about = running.answer()
        except BaseException:
            running.end()
            raise
        if running.failure:
            printed = path.with_suffix(".log").read_text(encoding="utf-8", errors="replace")
            *_, last_line = printed.strip().split("\n")
            running.failure += f": {' '.join(last_line.split()):.200}"
        return running


def _runs_elsewhere(device: torch.device, lap: Any) -> None:
    raise NotImplementedError("the driver makes the laps")


def _environment(threads: int) -> dict[str, str]:
    """Our environment variables, with the repository on the path, no GPU, and this number of threads."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
    }
