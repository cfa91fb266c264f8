"""Compare with the methods of other libraries, each in its own environment: speed of training, and time to quality.

Quality is NDCG@10 on the validation users, by our evaluation for all. Seconds are those of training. For the others
they exclude evaluation; for ours they include it, because our training loop validates.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmark.bench import laps, naive, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group
from benchmark.bench.peers.peer_task import HISTORIES, PeerTask
from benchmark.bench.turns import THREADS, Contender, Result
from benchmark.bench.workloads import BenchData
from benchmark.runs.environment import ROOT
from benchmark.runs.metrics import ndcg
from datasets.cases import Cases
from datasets.split import Split

DRIVERS = Path(__file__).parent
ENVIRONMENTS = ROOT / ".peers"
TORCH = "2.13.0"
OURS = "sasrec-ce"

LAP_TARGETS = 1_000
"""The seconds of a lap are scaled to this many targets, because batches differ in how many they have."""
PREFIX_ROWS = 16_384
"""Rows per lap for libraries that train on prefixes in peers-quality, where an epoch would take too long."""
LAP_BATCHES = 4
MAXLEN = 50
EPOCHS = 100_000  # more than there is time for
SHARE_OF_BEST = 0.95
"""The quality that both must reach, as a share of the lower one of their best values."""


@dataclass(frozen=True)
class Peer:
    """Another library. drive_{name}.py runs its methods under the interpreter of .peers/{name}.

    `prefixes`: whether it trains on prefixes with one target each, rather than on users with a target at every
    position. `methods`: our methods, and the library's names for its own.
    """

    name: str
    title: str
    prefixes: bool = False
    methods: Mapping[str, str] = field(default_factory=lambda: {OURS: "SASRec"})

    def contenders(self, task: PeerTask, cases: Cases) -> list[PeerContender]:
        """Return a contender for each method of the library."""
        batches = task.batches or (PREFIX_ROWS // task.batch_size if self.prefixes else 0)
        named = replace(task, library=self.name, batches=batches)
        return [
            PeerContender(f"{self.title} {model}", replace(named, model=model), cases, ours)
            for ours, model in self.methods.items()
        ]


PEERS = {
    peer.name: peer
    for peer in (
        Peer("recbole", "RecBole", prefixes=True),
        Peer("rectools", "RecTools"),
        Peer("warprec", "WarpRec", True, methods={OURS: "SASRec", "cl4srec": "CL4SRec", "duorec": "DuoRec"}),
    )
}


def export(task: PeerTask, split: Split) -> None:
    """Write the training interactions and the validation histories to the task's folder."""
    users, items = (column.numpy() for column in split.train.flatten())
    task.interactions.parent.mkdir()
    columns = {"user_id:token": users, "item_id:token": items, "timestamp:float": np.arange(len(users))}
    pd.DataFrame(columns).to_csv(task.interactions, sep="\t", index=False)
    histories = split.cases("validation").histories
    offsets = [0, *histories.lengths.cumsum(0)]
    np.savez(Path(task.folder) / HISTORIES, items=histories.flatten()[1].numpy(), offsets=offsets)


class PeerContender(Contender):
    """A contender whose laps are made by the library's driver under the library's own interpreter.

    `cases`: what its vectors are evaluated on. `ours`: the method of ours that it is compared with.
    """

    def __init__(self, name: str, task: PeerTask, cases: Cases, ours: str = OURS) -> None:
        self.python, self.driver = ENVIRONMENTS / task.library / "bin" / "python", DRIVERS / f"drive_{task.library}.py"
        skip_reason = "" if self.python.exists() else "not installed; docs/speed.md has the commands"
        super().__init__(name, None, LAP_TARGETS, skip_reason)
        self.task, self.cases, self.ours = task, cases, ours

    def serve(self, connection: Connection, device: torch.device) -> None:
        """Replace this process by the driver, with the repository on its path and no GPU."""
        environment = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "CUDA_VISIBLE_DEVICES": ""}
        os.chdir(self.task.folder)
        os.dup2(os.open(self.task.log, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        os.set_inheritable(connection.fileno(), True)
        words = [str(self.python), str(self.driver), json.dumps(asdict(self.task)), str(connection.fileno())]
        os.execve(words[0], words, os.environ | environment | {"OMP_NUM_THREADS": str(THREADS)})

    def judge(self, answer: dict[str, Any]) -> dict[str, Any]:
        """Add the NDCG@10 of the vectors that the driver wrote."""
        if not self.task.judged or "ndcg" in answer:
            return answer
        with np.load(self.task.vectors) as vectors:
            return answer | {"ndcg": ndcg_of(vectors["users"], vectors["items"], self.cases)}

    def last_words(self) -> str:
        *_, line = self.task.log.read_text(encoding="utf-8", errors="replace").strip().split("\n")
        return f": {' '.join(line.split()):.200}"


def ndcg_of(users: np.ndarray, items: np.ndarray, cases: Cases) -> float:
    """Compute the NDCG@10 of vectors, (N, D) and (V, D), whose dot products are the scores; NaN items rank last."""
    scores = users @ np.nan_to_num(items).T
    scores[:, np.isnan(items).any(1)] = scores.min() - 1
    return float(ndcg(naive.ranks(scores, cases), 10))


def peers(options: BenchOptions) -> CaseResult:
    """Training per target compared with other libraries' SASRec (CE), and CL4SRec and DuoRec if they have them, of
    the same width, length, blocks and dropout.
    """
    groups = []
    for data, task in _tasks(options):
        ours, others = _contenders(options, data, replace(task, batches=LAP_BATCHES))
        contenders = [*ours.values(), *others]
        title = f"{data.title}, maxlen {task.maxlen}"
        group = options.measure(
            title, contenders, "targets", data.about(task.batch_size, task.maxlen), synthetic=data.synthetic
        )
        for result in group.results:
            result.note = "; ".join(filter(None, [*(lap["versions"] for lap in result.laps[:1]), result.note]))
        for other in others:
            label = f"training {other.ours} beside {other.name}, {title}"
            group.ratios += [
                BenchRatio(f"{label}: time per target", other.ours, other.name),
                BenchRatio(f"{label}: memory of the whole process", other.ours, other.name, "peak memory"),
            ]
        groups.append(group)
    return CaseResult(groups)


def peers_quality(options: BenchOptions) -> CaseResult:
    """Seconds of training until a method of ours and another library's have the same NDCG@10 on validation."""
    groups = []
    for data, task in _tasks(options):
        cases = data.split.cases("validation")
        ours, others = _contenders(options, data, replace(task, judged=True))
        title = f"{data.title}, maxlen {task.maxlen}"
        installed = [other for other in others if not other.skip_reason]
        if not installed:
            continue
        contenders = [*ours.values(), *installed]
        measured = options.measure(title, contenders, "targets", {}, learning_seconds=options.quality_seconds)
        results = {result.contender: result for result in measured.results}
        workload = data.about(task.batch_size, task.maxlen) | {"users": len(cases.targets)}
        counts = data.split.item_interactions[:, None].astype(float)
        popular = ndcg_of(np.ones((len(cases.targets), 1)), counts, cases)
        for other in installed:
            ours_and_theirs = results[other.ours], results[other.name]
            groups.append(time_to_quality(title, *ours_and_theirs, popular, data.synthetic, workload))
    return CaseResult(groups)


def _tasks(options: BenchOptions) -> Iterator[tuple[BenchData, PeerTask]]:
    """Yield each dataset with a task whose files are in a temporary folder."""
    for name in options.datasets:
        data = options.data(name)
        with tempfile.TemporaryDirectory() as folder:
            spec = workloads.recipe(OURS, name, MAXLEN)
            wanted = {field.name for field in fields(PeerTask)}
            known = asdict(spec.encoder) | asdict(spec.training) | {"n_items": data.split.n_items}
            task = PeerTask(folder, **{name: known[name] for name in wanted & known.keys()})
            export(task, data.split)
            yield data, task


def _contenders(
    options: BenchOptions, data: BenchData, task: PeerTask
) -> tuple[dict[str, Contender], list[PeerContender]]:
    """Return our methods by name, which validate after every lap if the task is judged, and the peers."""
    cases = data.split.cases("validation")
    others = [contender for name in options.against for contender in PEERS[name].contenders(task, cases)]
    ours = {}
    for method in dict.fromkeys(other.ours for other in others):
        recipe = workloads.lasting(workloads.recipe(method, data.name, task.maxlen), EPOCHS)
        load = data.training(recipe, task.batches or None)
        run = partial(laps.train_ours, load, recipe, 0, cases if task.judged else None)
        amount = LAP_TARGETS if task.judged else load.targets(load.rows)
        ours[method] = Contender(method, run, amount)
    return ours, others


def learning_curve(result: Result) -> np.ndarray:
    """Return (laps, 3): the seconds and targets trained up to the end of each lap, and the NDCG@10 reached there."""
    found = np.array([(lap["seconds"], lap["targets"], lap["ndcg"]) for lap in result.laps]).reshape(-1, 3)
    found[:, :2] = found[:, :2].cumsum(0)
    return found


def time_to_quality(
    title: str, ours: Result, peer: Result, popular: float, synthetic: bool, workload: dict[str, int]
) -> Group:
    """Compare how long two contenders trained until they reached a quality that both have reached.

    The title also gives `popular`, the quality of the most popular items.
    """
    pair = (ours, peer)
    quality = SHARE_OF_BEST * min(learning_curve(result)[:, 2].max(initial=0) for result in pair)
    name = f"{title}, {peer.contender}: until validation NDCG@10 is {quality:.4f} (most popular: {popular:.4f})"
    ratio = BenchRatio(f"{name}: time", ours.contender, peer.contender, "time")
    return Group(name, "targets", synthetic, workload, [_until(quality, result) for result in pair], [ratio])


def _until(quality: float, result: Result) -> Result:
    """Return the result with the seconds and targets that it took to reach a quality, or unchanged if it failed."""
    if not result.seconds:
        return result
    seconds, targets, ndcg = learning_curve(result).T
    reached, best = (ndcg >= quality).argmax(), ndcg.argmax()
    note = f"best {ndcg[best]:.4f} after {seconds[best]:.0f} of {seconds[-1]:.0f} s and {len(ndcg)} evaluations"
    return replace(result, amount=float(targets[reached]), seconds=[float(seconds[reached])], note=note)
