"""The bench's side: what a contender in another environment is given, how it is started and asked."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.bench.peers.channel import HISTORIES, INTERACTIONS, Job
from benchmark.bench.race import Track
from benchmark.runs.environment import ROOT
from datasets.split import Split

HERE = Path(__file__).parent
ENVIRONMENTS = ROOT / ".peers"
TORCH = "2.13.0"

LAP_TARGETS = 1_000
"""A lap's seconds are those of so many targets, whatever its batches held: those of other users hold other numbers."""
LOOK_ROWS = 16_384
"""Prefixes in a lap where it should be an epoch: an epoch of all prefixes would be too long to wait for."""
FLOAT, LOGITS = 4, 3  # bytes; copies of the logits at once: themselves, their softmax, its gradient


@dataclass(frozen=True)
class Peer:
    """A SASRec and the script that drives it. `prefixes`: whether its rows are prefixes with one target each, not users
    with one at every position. `wanted`: how many times as fast per target ours is to be.
    """

    name: str
    title: str
    driver: Path
    prefixes: bool = False
    wanted: float | None = None

    def python(self, named: Mapping[str, Path]) -> Path | None:
        """The interpreter of its environment: the one that is named, else the usual one if it is there."""
        usual = ENVIRONMENTS / self.name / "bin" / "python"
        return named.get(self.name, usual if usual.exists() else None)

    def absence(self) -> str:
        """What to say where there is none: the commands that install it."""
        place, pip = f".peers/{self.name}", f".peers/{self.name}/bin/pip install"
        listed = f"--no-deps -r benchmark/bench/peers/{self.name}.txt"
        return f"skipped, not installed: python3 -m venv {place} && {pip} torch=={TORCH} && {pip} {listed}"

    def driven(self, python: Path, job: Job) -> Driven:
        """It as a contender."""
        batches = job.batches or (LOOK_ROWS // job.batch_size if self.prefixes else 0)
        positions = job.batch_size * (1 if self.prefixes else job.maxlen)
        needs = LOGITS * FLOAT * positions * job.n_items
        return Driven(self.title, python, self.driver, replace(job, name=self.name, batches=batches), needs)


OURS = Peer("sasrec-ce", "sasrec-ce", HERE / "drive_ours.py")
PEERS = {
    "recbole": Peer("recbole", "RecBole", HERE / "drive_recbole.py", prefixes=True, wanted=3.0),
    "rectools": Peer("rectools", "RecTools", HERE / "drive_rectools.py", wanted=2.0),
}


def export(folder: Path, split: Split) -> None:
    """Write the files that `Job` names, and for ourselves train.npz, which is those interactions as arrays."""
    items, lengths = split.train.items.numpy(), split.train.lengths.numpy()
    offsets = np.concatenate([[0], lengths.cumsum()])
    users = np.arange(len(lengths)).repeat(lengths)
    places = np.arange(len(users)) - offsets[:-1].repeat(lengths)
    (folder / INTERACTIONS).mkdir()
    with (folder / INTERACTIONS / f"{INTERACTIONS}.inter").open("w", encoding="ascii") as file:
        file.write("user_id:token\titem_id:token\ttimestamp:float\n")
        np.savetxt(file, np.column_stack([users, items, places]), fmt="%d", delimiter="\t")
    np.savez(folder / f"{INTERACTIONS}.npz", items=items, offsets=offsets)
    cases = split.cases("validation")
    rows, seen = cases.histories.flatten()
    ends = np.bincount(rows.numpy(), minlength=len(cases.targets)).cumsum()
    np.savez(folder / HISTORIES, items=seen.numpy(), offsets=[0, *ends], targets=cases.targets.numpy())


@dataclass
class Driven:
    """A contender whose laps `driver` makes under the interpreter `python`; `about`: what it has said of itself."""

    name: str
    python: Path
    driver: Path
    job: Job
    needs_bytes: int = 0
    amount: float = LAP_TARGETS
    about: dict[str, Any] = field(default_factory=dict)

    def versions(self) -> str:
        """Of what it runs on; empty until it has said so."""
        return ", ".join(f"{package} {version}" for package, version in self.about.get("versions", {}).items())

    def launch(self, track: Track) -> tuple[DrivenProcess, DrivenProcess]:
        """Start it; it has its data and its model then, or has died."""
        process = DrivenProcess(self, replace(self.job, threads=track.threads))
        try:
            self.about = process.answer().get("about", {})
        except BaseException:
            process.kill()
            raise
        return process, process


class DrivenProcess:
    """Such a process and the line to it, in the terms of `race`."""

    def __init__(self, driven: Driven, job: Job) -> None:
        self.driven = driven
        path = Path(job.folder) / f"{job.name}.json"
        path.write_text(json.dumps(asdict(job)), encoding="utf-8")
        self.errors = path.with_suffix(".log")
        with self.errors.open("w", encoding="utf-8") as errors:
            self.process = subprocess.Popen(
                [driven.python, driven.driver, path],
                cwd=job.folder,
                env=_environment(job.threads),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )

    @property
    def exitcode(self) -> int | None:
        """None while it runs."""
        return self.process.returncode

    def send(self, word: str) -> None:
        """Say "go" or "stop"; if nobody listens any more, the answer will be why."""
        assert self.process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.process.stdin.write(f"{word}\n")
            self.process.stdin.flush()

    def recv(self) -> float | tuple[int, int] | str:
        """The seconds of a lap, the memory (peak, added), or why there is none."""
        answer = self.answer()
        if "died" in answer:
            return str(answer["died"])
        if "peak" in answer:
            return answer["peak"], answer["added"]
        return float(answer["seconds"] * self.driven.amount / answer["targets"])

    def answer(self) -> dict[str, Any]:
        """What it says, as `channel` has it; {"died": why} if it says nothing any more."""
        assert self.process.stdout is not None
        if line := self.process.stdout.readline():
            answer: dict[str, Any] = json.loads(line)
            return answer
        last = self.errors.read_text(encoding="utf-8", errors="replace").split("\n")
        words = " ".join(next((line for line in reversed(last) if line.strip()), "").split())
        return {"died": f"its process died with exit code {self.process.wait()}: {words[:200]}"}

    def kill(self) -> None:
        """End it, however it is."""
        self.process.kill()

    def join(self) -> None:
        """Wait until it has ended."""
        self.process.wait()

    def close(self) -> None:
        """Leave the line."""
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            with contextlib.suppress(BrokenPipeError):
                stream.close()


def _environment(threads: int) -> dict[str, str]:
    """Ours, with the repository to import the driver's own side from, a CPU and so many threads."""
    return os.environ | {
        "PYTHONPATH": str(ROOT),
        "PYTHONSAFEPATH": "1",
        "CUDA_VISIBLE_DEVICES": "",
        "OMP_NUM_THREADS": str(threads),
    }
