"""How long each needs to become equally good: all learn by turns, and after each lap we look at their NDCG@10.

It is that of the validation users, by our evaluation for all. The seconds are those of training: a look at others costs
them none, while ours pays for its own, which its training loop holds.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from benchmark.bench.measures import Group, Ratio
from benchmark.bench.peers.launch import Driven, DrivenProcess
from benchmark.bench.race import Result, Track, shortage
from benchmark.runs.evaluation import evaluate_ranks
from benchmark.runs.metrics import ndcg
from datasets.sequences import Batch
from datasets.split import Cases

LEVEL = 0.95
"""Of the lower of two best values: what both must have reached."""


class Look(NamedTuple):
    """Seconds of training and targets learnt from so far, and how good it is then."""

    seconds: float
    targets: float
    ndcg: float


@dataclass
class Learner:
    """One who learns, and what it has come to; `died`: why it cannot go on, or could not begin."""

    driven: Driven
    cases: Cases
    looks: list[Look] = field(default_factory=list)
    memory: tuple[int, int] | None = None
    died: str = ""

    @property
    def seconds(self) -> float:
        """Of training so far."""
        return self.looks[-1].seconds if self.looks else 0.0

    @property
    def best(self) -> float:
        """The best look's value."""
        return max((look.ndcg for look in self.looks), default=0.0)

    def first_at(self, level: float) -> Look | None:
        """The first look that is as good."""
        return next((look for look in self.looks if look.ndcg >= level), None)

    def add(self, answer: dict[str, Any]) -> None:
        """Take the answer to a "go" or to a "stop"."""
        if "died" in answer:
            self.died = answer["died"]
        elif "peak" in answer:
            self.memory = answer["peak"], answer["added"]
        else:
            value = answer["ndcg"] if "ndcg" in answer else self._validate()
            targets = answer["targets"] + (self.looks[-1].targets if self.looks else 0)
            self.looks.append(Look(self.seconds + answer["seconds"], targets, value))

    def _validate(self) -> float:
        with np.load(self.driven.job.vectors) as vectors:
            return judge(vectors["users"], vectors["items"], self.cases, self.driven.job.maxlen)


def judge(users: np.ndarray, items: np.ndarray, cases: Cases, maxlen: int) -> float:
    """NDCG@10 of the vectors, (N, D) and (V, D), as `scorer` takes them."""
    score = scorer(torch.from_numpy(users), torch.from_numpy(items))
    return float(ndcg(evaluate_ranks(score, cases, len(items), maxlen), 10))


def most_popular(cases: Cases, counts: np.ndarray, maxlen: int) -> float:
    """NDCG@10 of recommending to all what is most frequent, by `counts` (V,): who is at its level has learnt little."""
    return judge(np.ones((len(cases.targets), 1)), counts[:, None].astype(float), cases, maxlen)


def scorer(users: Tensor, items: Tensor) -> Callable[[Batch], Tensor]:
    """Scores by dot products of vectors, (N, D) and (V, D), for batches of users that are asked for in order. Items
    whose vectors are NaN come last.
    """
    known, asked = ~items.isnan().any(1), 0

    def score(histories: Batch) -> Tensor:
        nonlocal asked
        rows = users[asked : asked + len(histories.lengths)]
        asked += len(rows)
        scores = rows @ items.nan_to_num().T
        return torch.where(known, scores, scores.min() - 1)

    return score


def learn(learners: Sequence[Learner], track: Track, seconds: float, notify: Callable[[str], None]) -> None:
    """Let each learn for so many seconds; the next turn is that of who has had least."""
    running: list[tuple[Learner, DrivenProcess]] = []
    try:
        for learner in learners:
            learner.died = shortage(learner.driven, track.device)
            if not learner.died:
                running.append((learner, learner.driven.launch(track)[0]))
        while waiting := [pair for pair in running if not pair[0].died and pair[0].seconds < seconds]:
            learner, process = min(waiting, key=lambda pair: pair[0].seconds)
            process.send("go")
            learner.add(process.answer())
            if learner.seconds >= seconds:
                process.send("stop")
                learner.add(process.answer())
        for learner in learners:
            notify(f"{learner.driven.name}: {learner.died or f'NDCG@10 {learner.best:.4f} after {seconds:.0f} s'}")
    finally:
        for _, process in running:
            process.kill()
            process.join()
            process.close()


def level_group(title: str, ours: Learner, peer: Learner, popular: float) -> Group:
    """What both took until the level that both have reached, with that of most-popular beside it; the caller says on
    what data.
    """
    level = LEVEL * min(ours.best, peer.best)
    pair = (ours, peer)
    name = f"{title}, {peer.driven.name}: until validation NDCG@10 is {level:.4f} (most popular: {popular:.4f})"
    details = {
        "level": level,
        "most_popular": popular,
        "looks": {learner.driven.name: [look._asdict() for look in learner.looks] for learner in pair},
        "about": {learner.driven.name: learner.driven.about for learner in pair},
    }
    ratio = Ratio(f"{name}: time", ours.driven.name, peer.driven.name, "time")
    return Group(name, "targets", True, {}, [_result(learner, level) for learner in pair], [ratio], details)


def _result(learner: Learner, level: float) -> Result:
    look = learner.first_at(level)
    if learner.died or look is None:
        return Result(learner.driven.name, 0, "failed", note=learner.died)
    peak, added = learner.memory or (None, None)
    best = max(learner.looks, key=lambda look: look.ndcg)
    note = f"best {best.ndcg:.4f} after {best.seconds:.0f} of {learner.seconds:.0f} s and {len(learner.looks)} looks"
    return Result(learner.driven.name, look.targets, "measured", [look.seconds], peak, added, note)
