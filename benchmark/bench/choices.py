"""What was chosen by measurement, and precision and compiler, which a user chooses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.bench import alternatives, contenders, workloads
from benchmark.bench.alternatives import Team
from benchmark.bench.measures import Group, Ratio
from benchmark.bench.race import Contender, Entrant, Result
from benchmark.bench.setting import Outcome, Setting
from benchmark.bench.workloads import STEPS, Data, Recipe, TrainingLoad
from benchmark.plan.config import ConfigError
from benchmark.plan.selection import METRIC
from benchmark.runs.training import Diverged, EpochRow, check_compiler, train

METHOD, TWINNED = "sasrec-ce", "btsr-ce"
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
    "bf16 and compiled": {"precision": "bf16", "compile": True},
}
"""Changes to how a method is trained."""
SEED = 0


def variants(setting: Setting, load: TrainingLoad, recipe: Recipe) -> tuple[list[Contender], list[Result]]:
    """Contenders that train by the recipe in each of the VARIANTS, and the results of those that cannot run here.

    Of what is compiled the first lap, which the compiler takes, is no lap and no warm-up.
    """
    targets, found, absent = load.targets(load.rows), [], []
    try:
        check_compiler(setting.track.device)
        lack = ""
    except ConfigError as error:
        lack = str(error)
    for label, changes in VARIANTS.items():
        name = f"{recipe.method}, {label}"
        changed = replace(recipe, training=replace(recipe.training, **changes))
        if lack and changed.training.compile:
            setting.notify(f"{name}: {lack}")
            absent.append(Result(name, targets, "skipped", note=lack))
            continue
        run = partial(contenders.train_ours, load, _lasting(setting, changed), int(changed.training.compile))
        found.append(Contender(name, run, targets))
    return found, absent


def variant_ratios(title: str, method: str) -> list[Ratio]:
    """Speed of the method's VARIANTS against the method as it is."""
    names = [f"{method}, {label}" for label in VARIANTS]
    return [Ratio(f"training {name}, {title}: speed, against fp32 and eager", name, method) for name in names]


# --- what was chosen --------------------------------------------------------------------------------------------------


def choices(setting: Setting) -> Outcome:
    """What was chosen by measurement beside what was not, on the CPU: how attention is computed, where BT-SR's twins
    are, processes or threads; and precision and compiler, of which fp32 without compiler is the default. Every way
    computes the same loss, in bfloat16 up to its rounding. Without dropout torch's attention has its fused kernel.
    """
    groups = []
    for name in setting.datasets:
        data = setting.data(name)
        for maxlen in setting.lengths(name):
            recipe, twinned = (
                _lasting(setting, workloads.recipe(method, data, maxlen)) for method in (METHOD, TWINNED)
            )
            load = workloads.training_load(
                data.split.train, data.split.n_items, maxlen, recipe.training.batch_size, STEPS
            )
            for topic in (
                _attention(load, recipe),
                _twins(load, twinned),
                _workers(load, recipe),
                _arithmetic(setting, load, recipe),
            ):
                groups.append(_group(setting, data, load, recipe.training.batch_size, *topic))
    return Outcome(groups)


Topic = tuple[str, Sequence[Entrant], Sequence[tuple[str, str]], Sequence[Result]]
"""What is compared: its name, who races, which pairs (chosen, other) to compare, and the results of the absent."""


def _attention(load: TrainingLoad, recipe: Recipe) -> Topic:
    ways = {"the formula": contenders.train_ours, "torch's own": alternatives.train_builtin}
    plain = replace(recipe, encoder=replace(recipe.encoder, dropout=0.0))
    runners = [
        _contender(f"{way}{label}", load, partial(run, load, some, 0))
        for label, some in (("", recipe), (" without dropout", plain))
        for way, run in ways.items()
    ]
    ours, other, *without = [runner.name for runner in runners]
    return "attention", runners, [(ours, other), (without[0], without[1])], []


def _twins(load: TrainingLoad, recipe: Recipe) -> Topic:
    ours, other = "a pass of their own for the last position", "one forward of anchors and twins"
    runners = [
        _contender(ours, load, partial(contenders.train_ours, load, recipe, 0)),
        _contender(other, load, partial(alternatives.train_concatenated, load, recipe, 0)),
    ]
    return "twins of BT-SR", runners, [(ours, other)], []


def _workers(load: TrainingLoad, recipe: Recipe) -> Topic:
    one = _contender(METHOD, load, partial(contenders.train_ours, load, recipe, 0))
    ours, other = "two processes of one thread", "one process of two threads"
    runners = [Team(ours, one, 2, 1), Team(other, one, 1, 2), Team("one process of one thread", one, 1, 1)]
    return "processes and threads", runners, [(ours, other)], []


def _arithmetic(setting: Setting, load: TrainingLoad, recipe: Recipe) -> Topic:
    found, absent = variants(setting, load, recipe)
    runners = [_contender(METHOD, load, partial(contenders.train_ours, load, recipe, 0)), *found]
    names = [*(runner.name for runner in found), *(result.contender for result in absent)]
    return "precision and compiler", runners, [(METHOD, name) for name in names], absent


def _group(
    setting: Setting,
    data: Data,
    load: TrainingLoad,
    batch_size: int,
    topic: str,
    runners: Sequence[Entrant],
    pairs: Sequence[tuple[str, str]],
    absent: Sequence[Result],
) -> Group:
    group = setting.race(f"{topic}, {data.title}, maxlen {load.maxlen}", runners)
    group.results += absent
    group.unit, group.synthetic = "targets", data.synthetic
    steps = max(len(load.rows) // batch_size, 1)
    group.workload = {"batch_size": batch_size, "steps": steps, "items": load.n_items, "maxlen": load.maxlen}
    group.ratios = [Ratio(f"{group.title}: {ours}, against {other}", ours, other) for ours, other in pairs]
    laps = {result.contender: result.seconds for result in group.results if result.seconds}
    group.details = {"seconds_per_step": {name: float(np.median(lap)) / steps for name, lap in laps.items()}}
    return group


def _contender(name: str, load: TrainingLoad, run: Any) -> Contender:
    return Contender(name, run, load.targets(load.rows))


def _lasting(setting: Setting, recipe: Recipe) -> Recipe:
    """For more epochs than there are laps."""
    return recipe.lasting(4 * (setting.track.repeats + 1))


# --- what bfloat16 does to accuracy -----------------------------------------------------------------------------------


def precision(setting: Setting) -> Outcome:
    """SASRec (CE) trained by the suite's own loop in float32 and then in bfloat16, on the first dataset, from one and
    the same seed: seconds of an epoch with its validation, and the best NDCG@10 on validation. One seed says little
    about a small difference.
    """
    data = setting.data(setting.datasets[0])
    epochs, maxlen = 2 if setting.quick else setting.epochs, (setting.maxlens or (50,))[0]
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
        setting.notify(f"{group.title}: {name}")
        training = replace(recipe.training, **changes)
        result, group.details[name] = _learned(setting, data, replace(recipe, training=training), name)
        group.results.append(result)
        setting.notify(f"{name}: {result.note}")
    ours, other = (result.contender for result in group.results)
    group.ratios = [Ratio(f"{group.title}: {other}, seconds of an epoch against fp32", other, ours)]
    return Outcome([group])


def _learned(setting: Setting, data: Data, recipe: Recipe, name: str) -> tuple[Result, dict[str, Any]]:
    """A lap is an epoch."""
    device, batch_size = setting.track.device, recipe.training.batch_size
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
