"""The case of training: every method, the usual way beside three of them, and what share of the device they use."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from baselines.method import Method, TrainedMethod
from baselines.registry import METHODS
from benchmark.bench import laps, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group, Quantity
from benchmark.bench.profile import peaks
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.workloads import BenchData, TrainingLoad, lasting
from benchmark.plan.run_spec import RunSpec

STEPS, GPU_STEPS = 2, 10  # batches in a lap
USUAL, USUALLY = "the usual way", ("sasrec-ce", "btsr-ce")
PROFILED = "sasrec-ce"
MAXLENS = {"ml-1m": (200, 50)}
QUANTITIES: tuple[Quantity, ...] = ("speed", "added memory")
VARIED = ("sasrec-ce", "sasrec-sce")
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
    "bf16-compiled": {"precision": "bf16", "compile": True},
}
"""Changes to how VARIED are trained."""


def training(options: BenchOptions) -> CaseResult:
    """Training targets per second and memory of every method, and on a CPU of the usual way; seconds of a whole epoch;
    FLOPs of matrix products and bytes read and written, each operation for itself, as shares of what the device does in
    a large matrix product of that precision and in a copy.
    """
    peak = peaks(options.turns.device, options.quick)
    measured = f"{peak['fp32'] / 1e12:.3g} TFLOP/s in fp32, {peak['bf16'] / 1e12:.3g} in bf16"
    note = f"Measured of the device: {measured}, {peak['bytes'] / 1e9:.3g} GB/s."
    groups = []
    for name in options.datasets:
        data = options.data(name)
        groups += [_group(options, data, maxlen, peak) for maxlen in MAXLENS.get(name, (50,))]
    return CaseResult(groups, notes=[note])


def _group(options: BenchOptions, data: BenchData, maxlen: int, peak: dict[str, float]) -> Group:
    recipes = {method: workloads.recipe(method, data.name, maxlen) for method in METHODS}
    first = recipes[PROFILED]
    load = data.training(first, GPU_STEPS if options.on_gpu else STEPS)
    contenders = [runner for recipe in recipes.values() for runner in ours(options.turns, load, recipe)]
    contenders += _variants(options, load, [recipes[name] for name in VARIED])
    usually = [] if options.on_gpu else list(USUALLY)
    contenders += [usual(load, recipes[name]) for name in usually]
    for contender in contenders:
        if contender.name in (PROFILED, f"{PROFILED}, {USUAL}"):
            contender.watched = [*contender.watched, "profile"]
    title = f"{data.title}, maxlen {maxlen}"
    ratios = [
        BenchRatio(f"training {name}, {title}: {quantity}", name, f"{name}, {USUAL}", quantity)
        for quantity in QUANTITIES
        for name in usually
    ]
    ratios += [
        BenchRatio(f"training {name}, {label}, {title}: speed, against fp32 and eager", f"{name}, {label}", name)
        for name in VARIED
        for label in options.variants
    ]
    workload = data.about(first.training.batch_size, maxlen) | {"rows": len(load.rows)}
    group = options.measure(title, contenders, "targets", workload, ratios, data.synthetic)
    epoch = data.training(first).targets_of_epoch(first.training.batch_size)
    counted = {
        contender.work: result.seen
        for contender, result in zip(contenders, group.results, strict=True)
        if "flops" in result.seen
    }
    for contender, result in zip(contenders, group.results, strict=True):
        work, flops = counted.get(contender.work, {}), peak[contender.work[1]]
        result.columns = _columns(result, work, epoch, peak["bytes"], flops)
    return group


def _columns(result: Result, work: dict[str, Any], epoch: int, bandwidth: float, flops: float) -> dict[str, float]:
    """The seconds of an epoch of `epoch` targets, and which percentages of the measured peak FLOPs and bandwidth the
    operations of a lap, counted in `work`, reach.
    """
    if not result.seconds:
        return {}
    seconds = float(np.median(result.seconds))
    columns = {"epoch s": epoch / result.amount * seconds}
    if work:
        columns["% of peak"] = 100 * work["flops"] / seconds / flops
        columns["% of bandwidth"] = 100 * work["bytes"] / seconds / bandwidth
    return columns


def _variants(options: BenchOptions, load: TrainingLoad, recipes: Sequence[RunSpec]) -> list[Contender]:
    found = []
    for label in options.variants:
        for recipe in recipes:
            changed = replace(recipe, training=replace(recipe.training, **VARIANTS[label]))
            [contender] = ours(options.turns, load, changed)
            contender.name = f"{recipe.method}, {label}"
            if changed.training.compile:
                contender.watched = ()  # a watch does not see into compiled code, whose work is that of the eager one
            found.append(contender)
    return found


def ours(turns: Turns, load: TrainingLoad, recipe: RunSpec) -> list[Contender]:
    """The method as it is; where it pretrains, its main stage and, apart, its pretraining."""
    method: Method = METHODS[recipe.method].method(recipe.settings)
    if not isinstance(method, TrainedMethod):
        everyone = load.targets(torch.arange(len(load.sequences)))
        return [Contender(recipe.method, partial(laps.fit_ours, load, recipe), everyone)]
    times = turns.repeats + 4  # with the warm-up and the watches
    short, long = lasting(recipe, 4 * times), lasting(recipe, 40 * times)
    pretraining = method.pretraining_epochs(short.training.epochs)
    skipped = pretraining or int(recipe.training.compile)  # the epoch that the compiler takes is no lap
    stages = {recipe.method: (short, skipped)} | ({f"{recipe.method}, pretraining": (long, 0)} if pretraining else {})
    return [
        Contender(
            name,
            partial(laps.train_ours, load, spec, left_out, None),
            load.targets(load.rows),
            work=(name, recipe.training.precision),
            watched=("count",),
        )
        for name, (spec, left_out) in stages.items()
    ]


def usual(load: TrainingLoad, recipe: RunSpec) -> Contender:
    """The same in the usual way."""
    return Contender(f"{recipe.method}, {USUAL}", partial(laps.train_naive, load, recipe), load.targets(load.rows))
