"""Precision and compiler, which a user chooses: what bfloat16 does to accuracy, and how fast each trains.

The other choices are decided: the attention formula, the twins' own pass for the last position and one process per
core were each measured against their alternatives; the figures are in tables/bench.md of commit b8e5b60.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmark.bench import laps, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group
from benchmark.bench.peers.quality import Learner, learn
from benchmark.bench.turns import Contender
from benchmark.bench.workloads import STEPS, BenchData, Recipe
from benchmark.plan.config import ConfigError
from benchmark.runs.training import check_compiler

METHOD = "sasrec-ce"
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
    "bf16 and compiled": {"precision": "bf16", "compile": True},
}
"""Changes to how a method is trained."""


def precision(options: BenchOptions) -> CaseResult:
    """SASRec (CE) trained by the suite's own loop in float32 and in bfloat16, on the first dataset, from one and the
    same seed: seconds of an epoch with its validation, and the best NDCG@10 on validation. One seed says little about a
    small difference. Then how fast it trains in either, and with and without the compiler; on a GPU a lap is an epoch.
    """
    data, maxlen = options.data(options.datasets[0]), options.first_length
    recipe = workloads.recipe(METHOD, data, maxlen)
    return CaseResult([_accuracy(options, data, recipe), _speed(options, data, recipe)])


def _accuracy(options: BenchOptions, data: BenchData, recipe: Recipe) -> Group:
    epochs = 2 if options.quick else options.epochs
    load, validation = data.training(recipe), data.evaluation("validation", recipe.encoder)
    targets = load.targets_of_epoch(recipe.training.batch_size)
    learners = []
    for name, changes in {METHOD: {}, f"{METHOD}, bf16": VARIANTS["bf16"]}.items():
        changed = replace(recipe, training=replace(recipe.training, **changes)).lasting(epochs)
        learners.append(Learner(Contender(name, partial(laps.learn_ours, load, changed, validation), targets)))
    title = f"{data.title}, maxlen {load.maxlen}, {epochs} epochs, one seed"
    options.notify(f"{title}: {', '.join(learner.contender.name for learner in learners)}")
    learn(learners, options.turns, options.notify, laps=epochs)
    group = Group(title, "targets", data.synthetic, data.about(recipe) | {"epochs": epochs}, [])
    for learner in learners:
        points, best = learner.points, learner.best
        seconds = np.diff([0.0, *(point.seconds for point in points)]).tolist()
        note = f"best validation NDCG@10 {best.ndcg:.4f}, in epoch {[*points, best].index(best) + 1}"
        group.results.append(learner.result(targets, seconds, note))
        group.details[learner.contender.name] = {"epochs": [point._asdict() for point in points]}
    ours, other = (result.contender for result in group.results)
    group.ratios = [BenchRatio(f"{group.title}: {other}, seconds of an epoch against fp32", other, ours)]
    return group


def _speed(options: BenchOptions, data: BenchData, recipe: Recipe) -> Group:
    steps = STEPS if options.turns.device.type == "cpu" else len(data.split.train)
    load = data.training(recipe, steps)
    lack, contenders = _lack_of_compiler(options), []
    for label, changes in {"": {}, **VARIANTS}.items():
        changed = replace(recipe, training=replace(recipe.training, **changes))
        is_compiled = changed.training.compile
        skipped = int(is_compiled)  # the epoch that the compiler takes is neither a lap nor a warm-up
        run = partial(laps.train_ours, load, changed.lasting(4 * (options.turns.repeats + 1)), skipped)
        name, amount = f"{METHOD}, {label}" if label else METHOD, load.targets(load.rows)
        contenders.append(Contender(name, run, amount, lack=lack if is_compiled else ""))
    title = f"{data.title}, maxlen {load.maxlen}"
    ratios = [
        BenchRatio(f"training {METHOD}, {label}, {title}: speed, against fp32 and eager", f"{METHOD}, {label}", METHOD)
        for label in VARIANTS
    ]
    title = f"{title}: precision and compiler"
    return options.measure(title, contenders, "targets", data.about(recipe), ratios, data.synthetic)


def _lack_of_compiler(options: BenchOptions) -> str:
    try:
        check_compiler(options.turns.device)
    except ConfigError as error:
        return str(error)
    return ""
