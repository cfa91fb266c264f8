"""Precision and compiler, which a user chooses: how fast they train, and what bfloat16 does to accuracy.

The other choices are decided: the attention formula, the twins' own pass for the last position and one process per
core were each measured against their alternatives; the figures are in tables/bench.md of commit b8e5b60.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.bench import laps, workloads
from benchmark.bench.measures import Group, Ratio
from benchmark.bench.options import BenchOptions, CaseResult
from benchmark.bench.turns import Contender, Result
from benchmark.bench.workloads import STEPS, BenchData, Recipe, TrainingLoad
from benchmark.plan.config import ConfigError
from benchmark.plan.selection import METRIC
from benchmark.runs.training import Diverged, EpochRow, check_compiler, train

METHOD = "sasrec-ce"
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
    "bf16 and compiled": {"precision": "bf16", "compile": True},
}
"""Changes to how a method is trained."""
SEED = 0


def variants(options: BenchOptions, load: TrainingLoad, recipe: Recipe) -> tuple[list[Contender], list[Result]]:
    """Contenders that train by the recipe in each of the VARIANTS, and the results of those that cannot run here.

    Of what is compiled the first epoch, which the compiler takes, is neither a lap nor a warm-up.
    """
    targets, found, absent = load.targets(load.rows), [], []
    try:
        check_compiler(options.turns.device)
        lack = ""
    except ConfigError as error:
        lack = str(error)
    for label, changes in VARIANTS.items():
        name = f"{recipe.method}, {label}"
        changed = replace(recipe, training=replace(recipe.training, **changes))
        if lack and changed.training.compile:
            options.notify(f"{name}: {lack}")
            absent.append(Result(name, targets, "skipped", note=lack))
            continue
        run = partial(
            laps.train_ours, load, changed.lasting(4 * (options.turns.repeats + 1)), int(changed.training.compile)
        )
        found.append(Contender(name, run, targets))
    return found, absent


def variant_ratios(title: str, method: str) -> list[Ratio]:
    """Speed of the method's VARIANTS against the method as it is."""
    names = [f"{method}, {label}" for label in VARIANTS]
    return [Ratio(f"training {name}, {title}: speed, against fp32 and eager", name, method) for name in names]


# --- what bfloat16 does to accuracy -----------------------------------------------------------------------------------


def precision(options: BenchOptions) -> CaseResult:
    """SASRec (CE) trained by the suite's own loop in float32 and then in bfloat16, on the first dataset, from one and
    the same seed: seconds of an epoch with its validation, and the best NDCG@10 on validation. One seed says little
    about a small difference. Then how fast it trains in either, and with and without the compiler.
    """
    data = options.data(options.datasets[0])
    return CaseResult([_accuracy(options, data), _speed(options, data)])


def _speed(options: BenchOptions, data: BenchData) -> Group:
    maxlen = (options.maxlens or (50,))[0]
    recipe = workloads.recipe(METHOD, data, maxlen)
    batch_size = recipe.training.batch_size
    load = workloads.training_load(data.split.train, data.split.n_items, maxlen, batch_size, STEPS)
    found, absent = variants(options, load, recipe)
    run = partial(laps.train_ours, load, recipe.lasting(4 * (options.turns.repeats + 1)), 0)
    title = f"{data.title}, maxlen {maxlen}: precision and compiler"
    group = options.measure(title, [Contender(METHOD, run, load.targets(load.rows)), *found])
    group.results += absent
    group.unit, group.synthetic = "targets", data.synthetic
    group.workload = {"batch_size": batch_size, "rows": len(load.rows), "items": load.n_items, "maxlen": maxlen}
    group.ratios = variant_ratios(f"{data.title}, maxlen {maxlen}", METHOD)
    return group


def _accuracy(options: BenchOptions, data: BenchData) -> Group:
    epochs, maxlen = 2 if options.quick else options.epochs, (options.maxlens or (50,))[0]
    recipe = workloads.recipe(METHOD, data, maxlen).lasting(epochs)
    group = Group(
        f"{data.title}, maxlen {maxlen}, {epochs} epochs, one seed",
        "targets",
        data.synthetic,
        {"batch_size": recipe.training.batch_size, "items": data.split.n_items, "maxlen": maxlen, "epochs": epochs},
        [],
    )
    group.details["seed"] = SEED
    for name, changes in {METHOD: {}, f"{METHOD}, bf16": VARIANTS["bf16"]}.items():
        options.notify(f"{group.title}: {name}")
        training = replace(recipe.training, **changes)
        result, group.details[name] = _learned(options, data, replace(recipe, training=training), name)
        group.results.append(result)
        options.notify(f"{name}: {result.note}")
    ours, other = (result.contender for result in group.results)
    group.ratios = [Ratio(f"{group.title}: {other}, seconds of an epoch against fp32", other, ours)]
    return group


def _learned(options: BenchOptions, data: BenchData, recipe: Recipe, name: str) -> tuple[Result, dict[str, Any]]:
    """A lap is an epoch."""
    device, batch_size = options.turns.device, recipe.training.batch_size
    learned = TrainingData(data.split.train, data.split.n_items, recipe.encoder.maxlen).to(device)
    cases = data.split.cases("validation").to(device)
    counts = (learned.sequences.lengths[learned.trainable] - 1).clamp_max(learned.maxlen)
    rows = max(len(counts) // batch_size * batch_size, min(batch_size, len(counts)))  # the loop drops the rest
    result, epochs = Result(name, float(counts.double().mean()) * rows), list[EpochRow]()
    method = METHODS[recipe.method].method(recipe.settings)
    try:
        train(method, learned, cases, recipe.encoder, recipe.training, SEED, epochs.append)
    except Diverged as error:
        result.status, result.note = "failed", str(error)
        return result, {"epochs": epochs}
    result.seconds = [row["seconds"] for row in epochs]
    best = max(epochs, key=lambda row: row["validation"][METRIC])
    value = best["validation"][METRIC]
    result.note = f"best validation NDCG@10 {value:.4f}, in epoch {best['epoch']}"
    seconds = float(np.median(result.seconds))
    return result, {"best_ndcg": value, "best_epoch": best["epoch"], "seconds_per_epoch": seconds, "epochs": epochs}
