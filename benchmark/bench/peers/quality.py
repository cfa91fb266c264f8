"""How long each needs to become equally good: all learn in turns, and after each lap their NDCG@10 is computed.

It is that of the validation users, by our evaluation for all. The seconds are those of training: the others do not pay
for the evaluation, while ours does, because its training loop validates.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.bench.measures import BenchRatio, Group
from benchmark.bench.peers.peers import PeerContender
from benchmark.bench.turns import Contender, Result, Running, Turns, shortage
from benchmark.runs.evaluation import evaluate_ranks
from benchmark.runs.metrics import ndcg
from datasets.cases import Cases
from datasets.sequences import Batch

SHARE_OF_BEST = 0.95
"""Of the lower of two best values: what both must have reached."""


class QualityPoint(NamedTuple):
    """Seconds of training and targets learnt from so far, the NDCG@10 then, and the loss of the lap if reported."""

    seconds: float
    targets: float
    ndcg: float
    loss: float | None = None


START = QualityPoint(0.0, 0, 0.0)


@dataclass
class Learner:
    """A contender that learns, and how good it was after each lap.

    `cases` judge it if it does not report its NDCG@10 itself; `failure`: why it cannot go on, or could not begin.
    """

    contender: Contender
    cases: Cases | None = None
    points: list[QualityPoint] = field(default_factory=list)
    memory: tuple[int, int] | None = None
    failure: str = ""

    @property
    def last(self) -> QualityPoint:
        return self.points[-1] if self.points else START

    @property
    def best(self) -> QualityPoint:
        """The first point with the highest NDCG@10."""
        return max(self.points, key=lambda point: point.ndcg, default=START)

    def add(self, answer: dict[str, Any]) -> None:
        """Take the answer to a "go" or to a "stop"."""
        if "failed" in answer:
            self.failure = answer["failed"]
        elif "peak" in answer:
            self.memory = answer["peak"], answer["added"]
        else:
            seconds, targets = self.last.seconds + answer["seconds"], self.last.targets + answer["targets"]
            value = answer["ndcg"] if "ndcg" in answer else self._validate()
            self.points.append(QualityPoint(seconds, targets, value, answer.get("loss")))

    def _validate(self) -> float:
        assert isinstance(self.contender, PeerContender)
        assert self.cases is not None
        task = self.contender.task
        with np.load(task.vectors) as vectors:
            return judge(vectors["users"], vectors["items"], self.cases, task.maxlen)

    def result(self, amount: float, seconds: list[float], note: str) -> Result:
        """The result with these seconds for each `amount` of work, unless it has failed."""
        if self.failure or not seconds:
            return Result(self.contender.name, amount, "failed", note=self.failure)
        peak, added = self.memory or (None, None)
        return Result(self.contender.name, amount, "measured", seconds, peak, added, note)


def judge(users: np.ndarray, items: np.ndarray, cases: Cases, maxlen: int) -> float:
    """NDCG@10 of the vectors, (N, D) and (V, D), as `scorer` takes them."""
    score = scorer(torch.from_numpy(users), torch.from_numpy(items))
    return float(ndcg(evaluate_ranks(score, cases, len(items), maxlen), 10))


def most_popular(cases: Cases, counts: np.ndarray, maxlen: int) -> float:
    """NDCG@10 of recommending the most frequent items, by `counts` (V,), to all users."""
    return judge(np.ones((len(cases.targets), 1)), counts[:, None].astype(float), cases, maxlen)


def scorer(users: Tensor, items: Tensor) -> Callable[[Batch], Tensor]:
    """Scores by dot products of vectors, (N, D) and (V, D), for batches of users in their order. Items whose vectors
    are NaN come last.
    """
    known, asked = ~items.isnan().any(1), 0

    def score(histories: Batch) -> Tensor:
        nonlocal asked
        rows = users[asked : asked + len(histories.lengths)]
        asked += len(rows)
        scores = rows @ items.nan_to_num().T
        return torch.where(known, scores, scores.min() - 1)

    return score


def learn(
    learners: Sequence[Learner],
    turns: Turns,
    notify: Callable[[str], None],
    seconds: float = math.inf,
    laps: float = math.inf,
) -> None:
    """Let each learn for this number of seconds or laps; the one that has had least time takes the next turn."""
    started: list[tuple[Learner, Running]] = []
    try:
        for learner in learners:
            learner.failure = shortage(learner.contender, turns.device)
            if not learner.failure:
                running = learner.contender.start(turns.device, turns.threads)
                learner.failure = running.failure
                started.append((learner, running))
        while waiting := [pair for pair in started if not pair[0].failure and pair[0].memory is None]:
            learner, running = min(waiting, key=lambda pair: pair[0].last.seconds)
            learner.add(running.ask("go"))
            if learner.last.seconds >= seconds or len(learner.points) >= laps:
                learner.add(running.ask("stop"))
        for learner in learners:
            outcome = learner.failure or f"NDCG@10 {learner.best.ndcg:.4f} after {learner.last.seconds:.0f} s"
            notify(f"{learner.contender.name}: {outcome}")
    finally:
        for _, running in started:
            running.end()


def level_group(title: str, ours: Learner, peer: Learner, popular: float) -> Group:
    """What both took until the level that both have reached, with that of most-popular for comparison; the caller adds
    the data.
    """
    level = SHARE_OF_BEST * min(ours.best.ndcg, peer.best.ndcg)
    pair = (ours, peer)
    name = f"{title}, {peer.contender.name}: until validation NDCG@10 is {level:.4f} (most popular: {popular:.4f})"
    details = {
        "level": level,
        "most_popular": popular,
        "looks": {learner.contender.name: [point._asdict() for point in learner.points] for learner in pair},
        "about": {learner.contender.name: learner.contender.about for learner in pair},
    }
    ratio = BenchRatio(f"{name}: time", ours.contender.name, peer.contender.name, "time")
    return Group(name, "targets", True, {}, [_result(learner, level) for learner in pair], [ratio], details)


def _result(learner: Learner, level: float) -> Result:
    reached = [point for point in learner.points if point.ndcg >= level][:1]
    best, looks = learner.best, len(learner.points)
    note = f"best {best.ndcg:.4f} after {best.seconds:.0f} of {learner.last.seconds:.0f} s and {looks} looks"
    return learner.result(sum(point.targets for point in reached), [point.seconds for point in reached], note)
