"""The two cases with peers: how fast they train, and how soon they are good."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

from benchmark.bench import workloads
from benchmark.bench.measures import Ratio
from benchmark.bench.peers.channel import Job
from benchmark.bench.peers.launch import LAP_TARGETS, OURS, PEERS, Driven, export
from benchmark.bench.peers.quality import Learner, learn, level_group, most_popular
from benchmark.bench.race import Result
from benchmark.bench.setting import Outcome, Setting
from benchmark.bench.workloads import Data, Recipe

MAXLENS = (50,)
LAP_BATCHES = 4


def peers(setting: Setting) -> Outcome:
    """Training next to other libraries' SASRec (CE) of the same width, length, blocks and dropout, by targets."""
    groups = []
    for data, job in _tasks(setting):
        ours, found, absent = _contenders(setting, replace(job, batches=LAP_BATCHES))
        group = setting.race(f"{data.title}, maxlen {job.maxlen}", [ours, *found.values()])
        for driven, result in zip([ours, *found.values()], group.results, strict=True):
            result.note = "; ".join(filter(None, [driven.versions(), result.note]))
        group.results += absent
        group.unit, group.synthetic, group.workload = "targets", data.synthetic, _workload(job)
        for name in setting.against:
            target = None if data.synthetic else PEERS[name].wanted
            label = f"training beside {PEERS[name].title}, {group.title}"
            group.ratios += [
                Ratio(f"{label}: time per target", ours.name, PEERS[name].title, target=target),
                Ratio(f"{label}: memory of the whole process", ours.name, PEERS[name].title, "peak memory"),
            ]
        group.details = {driven.name: driven.about for driven in [ours, *found.values()]}
        groups.append(group)
    return Outcome(groups)


def peers_quality(setting: Setting) -> Outcome:
    """Seconds of training until ours and another library's SASRec (CE) have the same NDCG@10 on validation."""
    groups = []
    for data, job in _tasks(setting):
        cases = data.split.cases("validation")
        ours, found, _ = _contenders(setting, replace(job, judged=True))
        if not found:
            continue
        learners = [Learner(driven, cases) for driven in [ours, *found.values()]]
        title = f"{data.title}, maxlen {job.maxlen}"
        setting.notify(f"{title}: {', '.join(learner.driven.name for learner in learners)}")
        learn(learners, setting.track, setting.quality_seconds, setting.notify)
        popular = most_popular(cases, data.split.item_interactions, job.maxlen)
        for peer in learners[1:]:
            group = level_group(title, learners[0], peer, popular)
            group.synthetic, group.workload = data.synthetic, _workload(job) | {"users": len(cases.targets)}
            groups.append(group)
    return Outcome(groups)


def _tasks(setting: Setting) -> Iterator[tuple[Data, Job]]:
    """Each dataset and length, with its files in a folder that lasts for one turn."""
    for name in setting.datasets:
        data = setting.data(name)
        for maxlen in setting.maxlens or MAXLENS:
            with tempfile.TemporaryDirectory() as folder:
                recipe = workloads.recipe(OURS.name, data, maxlen)
                export(Path(folder), data.split)
                yield data, _job(folder, recipe, data.split.n_items, setting.track.threads)


def _job(folder: str, recipe: Recipe, n_items: int, threads: int) -> Job:
    training = recipe.training
    return Job(
        folder=folder,
        name=recipe.method,
        n_items=n_items,
        **asdict(recipe.encoder),
        learning_rate=training.learning_rate,
        betas=training.betas,
        batch_size=training.batch_size,
        batches=0,
        threads=threads,
        seed=0,
        judged=False,
    )


def _workload(job: Job) -> dict[str, int]:
    return {"batch_size": job.batch_size, "items": job.n_items, "maxlen": job.maxlen}


def _contenders(setting: Setting, job: Job) -> tuple[Driven, dict[str, Driven], list[Result]]:
    """Ours, the peers that are there, and the results of those that are not."""
    found, absent = {}, []
    for name in setting.against:
        peer, python = PEERS[name], PEERS[name].python(setting.peer_pythons)
        if python is None:
            absent.append(Result(peer.title, LAP_TARGETS, "skipped", note=peer.absence()))
            setting.notify(f"{peer.title}: {peer.absence()}")
        else:
            found[name] = peer.driven(python, job)
    return OURS.driven(Path(sys.executable), job), found, absent
