"""The two cases with peers: how fast they train, and how soon they are good."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, fields, replace
from functools import partial
from pathlib import Path

from benchmark.bench import laps, workloads
from benchmark.bench.lap_line import versions_of
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult
from benchmark.bench.peers.peer_task import PeerTask
from benchmark.bench.peers.peers import LAP_TARGETS, PEERS, PeerContender, export
from benchmark.bench.peers.quality import Learner, learn, level_group, most_popular
from benchmark.bench.turns import Contender
from benchmark.bench.workloads import BenchData, Recipe

OURS = "sasrec-ce"
MAXLENS = (50,)
LAP_BATCHES = 4
EPOCHS = 100_000  # more than there is time for


def peers(options: BenchOptions) -> CaseResult:
    """Training next to other libraries' SASRec (CE) of the same width, length, blocks and dropout, by targets."""
    groups = []
    for data, task, recipe in _tasks(options):
        load = data.training(recipe, LAP_BATCHES)
        ours = _ours(recipe, partial(laps.train_ours, load, recipe, 0), load.targets(load.rows))
        contenders = [ours, *_contenders(options, replace(task, batches=LAP_BATCHES))]
        title = f"{data.title}, maxlen {task.maxlen}"
        group = options.measure(title, contenders, "targets", data.about(recipe), synthetic=data.synthetic)
        for contender, result in zip(contenders, group.results, strict=True):
            versions = ", ".join(f"{name} {number}" for name, number in contender.about.get("versions", {}).items())
            result.note = "; ".join(filter(None, [versions, result.note]))
        for name in options.against:
            target = None if data.synthetic else PEERS[name].wanted
            label = f"training beside {PEERS[name].title}, {group.title}"
            group.ratios += [
                BenchRatio(f"{label}: time per target", ours.name, PEERS[name].title, target=target),
                BenchRatio(f"{label}: memory of the whole process", ours.name, PEERS[name].title, "peak memory"),
            ]
        group.details = {contender.name: contender.about for contender in contenders if contender.about}
        groups.append(group)
    return CaseResult(groups)


def peers_quality(options: BenchOptions) -> CaseResult:
    """Seconds of training until ours and another library's SASRec (CE) have the same NDCG@10 on validation."""
    groups = []
    for data, task, recipe in _tasks(options):
        validation = data.evaluation("validation", recipe.encoder)
        cases = validation.cases
        found = [each for each in _contenders(options, replace(task, judged=True)) if not each.lack]
        if not found:
            continue
        ours = _ours(recipe, partial(laps.learn_ours, data.training(recipe), recipe, validation), LAP_TARGETS)
        learners = [Learner(ours), *(Learner(contender, cases) for contender in found)]
        title = f"{data.title}, maxlen {task.maxlen}"
        options.notify(f"{title}: {', '.join(learner.contender.name for learner in learners)}")
        learn(learners, options.turns, options.notify, options.quality_seconds)
        popular = most_popular(cases, data.split.item_interactions, task.maxlen)
        for peer in learners[1:]:
            group = level_group(title, learners[0], peer, popular)
            group.synthetic, group.workload = data.synthetic, data.about(recipe) | {"users": len(cases.targets)}
            groups.append(group)
    return CaseResult(groups)


def _ours(recipe: Recipe, run: Callable[..., None], amount: float) -> Contender:
    settings = asdict(recipe.encoder) | {"batch_size": recipe.training.batch_size}
    return Contender(OURS, run, amount, about={"versions": versions_of(["torch", "numpy"]), "settings": settings})


def _tasks(options: BenchOptions) -> Iterator[tuple[BenchData, PeerTask, Recipe]]:
    """Each dataset and length, with its files in a folder that lasts for one turn, and how ours is trained on it."""
    for name in options.datasets:
        data = options.data(name)
        for maxlen in options.maxlens or MAXLENS:
            with tempfile.TemporaryDirectory() as folder:
                recipe = workloads.recipe(OURS, data, maxlen).lasting(EPOCHS)
                export(Path(folder), data.split)
                wanted = {field.name for field in fields(PeerTask)}
                known = asdict(recipe.encoder) | asdict(recipe.training) | {"n_items": data.split.n_items}
                yield data, PeerTask(folder, **{name: known[name] for name in wanted & known.keys()}), recipe


def _contenders(options: BenchOptions, task: PeerTask) -> list[PeerContender]:
    return [PEERS[name].contender(options.peer_pythons, task) for name in options.against]
