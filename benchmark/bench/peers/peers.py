"""Other libraries' methods, each in an environment of its own: how fast they train, and how soon they are good.

The NDCG@10 is that of the validation users, by our evaluation for all. The seconds are those of training: the others do
not pay for the evaluation, while ours does, because its training loop validates.
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
"""How many targets a lap's seconds are given for, because batches of other users hold other numbers of them."""
LOOK_ROWS = 16_384
"""Prefixes in a lap where it should be an epoch: an epoch of all prefixes would be too long to wait for."""
LAP_BATCHES = 4
MAXLEN = 50
EPOCHS = 100_000  # more than there is time for
SHARE_OF_BEST = 0.95
"""Of the lower of two best values: what both must have reached."""


@dataclass(frozen=True)
class Peer:
    """Another library, whose methods drive_{name}.py drives under the interpreter of .peers/{name}.

    `prefixes`: whether its rows are prefixes with one target each, and not users with a target at every position.
    `methods`: for each of ours, what it calls its own.
    """

    name: str
    title: str
    prefixes: bool = False
    methods: Mapping[str, str] = field(default_factory=lambda: {OURS: "SASRec"})

    def contenders(self, task: PeerTask, cases: Cases) -> list[PeerContender]:
        """What trains the task, one for each method."""
        batches = task.batches or (LOOK_ROWS // task.batch_size if self.prefixes else 0)
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
    """Write the files that the task names."""
    users, items = (column.numpy() for column in split.train.flatten())
    task.interactions.parent.mkdir()
    columns = {"user_id:token": users, "item_id:token": items, "timestamp:float": np.arange(len(users))}
    pd.DataFrame(columns).to_csv(task.interactions, sep="\t", index=False)
    histories = split.cases("validation").histories
    offsets = [0, *histories.lengths.cumsum(0)]
    np.savez(Path(task.folder) / HISTORIES, items=histories.flatten()[1].numpy(), offsets=offsets)


class PeerContender(Contender):
    """A contender whose laps the library's driver makes under the library's own interpreter. `cases`: to judge it by.
    `ours`: the method of ours that it is compared with.
    """

    def __init__(self, name: str, task: PeerTask, cases: Cases, ours: str = OURS) -> None:
        self.python, self.driver = ENVIRONMENTS / task.library / "bin" / "python", DRIVERS / f"drive_{task.library}.py"
        lack = "" if self.python.exists() else "not installed; docs/speed.md has the commands"
        super().__init__(name, None, LAP_TARGETS, lack)
        self.task, self.cases, self.ours = task, cases, ours

    def serve(self, connection: Connection, device: torch.device) -> None:
        """Give the process over to the other interpreter, with the repository on its path and no GPU."""
        environment = {"PYTHONPATH": str(ROOT), "PYTHONSAFEPATH": "1", "CUDA_VISIBLE_DEVICES": ""}
        os.chdir(self.task.folder)
        os.dup2(os.open(self.task.log, os.O_WRONLY | os.O_CREAT), 1)
        os.dup2(1, 2)
        os.set_inheritable(connection.fileno(), True)
        words = [str(self.python), str(self.driver), json.dumps(asdict(self.task)), str(connection.fileno())]
        os.execve(words[0], words, os.environ | environment | {"OMP_NUM_THREADS": str(THREADS)})

    def judge(self, answer: dict[str, Any]) -> dict[str, Any]:
        """With the NDCG@10 of the vectors that it wrote."""
        if not self.task.judged or "ndcg" in answer:
            return answer
        with np.load(self.task.vectors) as vectors:
            return answer | {"ndcg": ndcg_of(vectors["users"], vectors["items"], self.cases)}

    def last_words(self) -> str:
        *_, line = self.task.log.read_text(encoding="utf-8", errors="replace").strip().split("\n")
        return f": {' '.join(line.split()):.200}"


def ndcg_of(users: np.ndarray, items: np.ndarray, cases: Cases) -> float:
    """NDCG@10 of vectors, (N, D) and (V, D), whose dot products are the scores; items that are NaN come last."""
    scores = users @ np.nan_to_num(items).T
    scores[:, np.isnan(items).any(1)] = scores.min() - 1
    return float(ndcg(naive.ranks(scores, cases), 10))


def peers(options: BenchOptions) -> CaseResult:
    """Training next to other libraries' SASRec (CE), and where they have them CL4SRec and DuoRec, of the same width,
    length, blocks and dropout, by targets.
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
        installed = [other for other in others if not other.lack]
        if not installed:
            continue
        contenders = [*ours.values(), *installed]
        measured = options.measure(title, contenders, "targets", {}, learning=options.quality_seconds)
        results = {result.contender: result for result in measured.results}
        workload = data.about(task.batch_size, task.maxlen) | {"users": len(cases.targets)}
        counts = data.split.item_interactions[:, None].astype(float)
        popular = ndcg_of(np.ones((len(cases.targets), 1)), counts, cases)
        for other in installed:
            level = level_group(title, results[other.ours], results[other.name], popular)
            level.synthetic, level.workload = data.synthetic, workload
            groups.append(level)
    return CaseResult(groups)


def _tasks(options: BenchOptions) -> Iterator[tuple[BenchData, PeerTask]]:
    """Each dataset, with its files in a folder that lasts for one turn."""
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
    """The peers, and the methods of ours that they are compared with, which validate after every lap if judged."""
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


def looks(result: Result) -> np.ndarray:
    """(laps, 3) after each lap: the seconds of training and the targets learnt from so far, and the NDCG@10 then."""
    found = np.array([(lap["seconds"], lap["targets"], lap["ndcg"]) for lap in result.laps]).reshape(-1, 3)
    found[:, :2] = found[:, :2].cumsum(0)
    return found


def level_group(title: str, ours: Result, peer: Result, popular: float) -> Group:
    """What both took until the level that both have reached, with that of most-popular for comparison; the caller adds
    the data.
    """
    pair = (ours, peer)
    level = SHARE_OF_BEST * min(looks(result)[:, 2].max(initial=0) for result in pair)
    name = f"{title}, {peer.contender}: until validation NDCG@10 is {level:.4f} (most popular: {popular:.4f})"
    ratio = BenchRatio(f"{name}: time", ours.contender, peer.contender, "time")
    return Group(name, "targets", True, {}, [_until(level, result) for result in pair], [ratio])


def _until(level: float, result: Result) -> Result:
    """The result with the seconds and targets that it took, unless it has failed."""
    if not result.seconds:
        return result
    seconds, targets, ndcg = looks(result).T
    reached, best = (ndcg >= level).argmax(), ndcg.argmax()
    note = f"best {ndcg[best]:.4f} after {seconds[best]:.0f} of {seconds[-1]:.0f} s and {len(ndcg)} looks"
    return replace(result, amount=float(targets[reached]), seconds=[float(seconds[reached])], note=note)
