"""The cases of the bench: which contenders to compare, on which workload, and which ratios to report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np
import torch

from baselines.method import Method, TrainedMethod
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from benchmark.bench import laps, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group, Quantity, growth
from benchmark.bench.peers.peers import peers, peers_quality
from benchmark.bench.profile import peaks
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.waiting import commands, validation
from benchmark.bench.workloads import BenchData, TrainingLoad, lasting
from benchmark.plan.run_spec import RunSpec
from datasets.cases import Cases

STEPS, GPU_STEPS = 2, 10  # batches per lap
USUAL_WAY = "the usual way"
USUAL_METHODS = ("sasrec-ce", "btsr-ce")  # also trained in the usual way
PROFILED = "sasrec-ce"
MAXLENS = {"ml-1m": (200, 50)}
QUANTITIES: tuple[Quantity, ...] = ("speed", "added memory")
VARIED = ("sasrec-ce", "sasrec-sce")
VARIANTS: dict[str, dict[str, Any]] = {
    "bf16": {"precision": "bf16"},
    "compiled": {"compile": True},
    "bf16-compiled": {"precision": "bf16", "compile": True},
}
"""How the methods in VARIED are also trained: changes to their training settings."""

LARGE_CATALOGUE, SCORED_AT_ONCE = 60_000, 256
TWIN_SIZES, DRAWS = (10_000, 100_000, 1_000_000, 10_000_000), 2_560
CATALOGUES = (10_000, 100_000, 1_000_000, 10_000_000)
MEMORY_CATALOGUE = 50_000


# --- training ---------------------------------------------------------------------------------------------------------


def training(options: BenchOptions) -> CaseResult:
    """Training targets per second and memory of every method and, on a CPU, of the usual way; seconds of a whole epoch;
    FLOPs of the matrix products, and bytes read and written by each operation, as percentages of what the device
    reaches in a large matrix product of that precision and in a copy.
    """
    peak = peaks(options.turns.device, options.quick)
    flops = f"{peak['fp32'] / 1e12:.3g} TFLOP/s in fp32, {peak['bf16'] / 1e12:.3g} in bf16"
    note = f"Measured peak of the device: {flops}, {peak['bytes'] / 1e9:.3g} GB/s."
    groups = []
    for name in options.datasets:
        data = options.data(name)
        groups += [_training_group(options, data, maxlen, peak) for maxlen in MAXLENS.get(name, (50,))]
    return CaseResult(groups, notes=[note])


def _training_group(options: BenchOptions, data: BenchData, maxlen: int, peak: dict[str, float]) -> Group:
    recipes = {method: workloads.recipe(method, data.name, maxlen) for method in METHODS}
    first = recipes[PROFILED]
    load = data.training(first, GPU_STEPS if options.on_gpu else STEPS)
    contenders = [contender for recipe in recipes.values() for contender in ours(options.turns, load, recipe)]
    contenders += _variants(options, load, [recipes[name] for name in VARIED])
    usual_methods = () if options.on_gpu else USUAL_METHODS
    contenders += [usual(load, recipes[name]) for name in usual_methods]
    for contender in contenders:
        if contender.name in (PROFILED, f"{PROFILED}, {USUAL_WAY}"):
            contender.profilers = [*contender.profilers, "profile"]
    title = f"{data.title}, maxlen {maxlen}"
    ratios = [
        BenchRatio(f"training {name}, {title}: {quantity}", name, f"{name}, {USUAL_WAY}", quantity)
        for quantity in QUANTITIES
        for name in usual_methods
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
    """Return further columns of the table: the seconds of an epoch of `epoch` targets and, if the `work` of a lap was
    counted, its percentages of the device's peak `flops` and `bandwidth`.
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
                contender.profilers = ()  # they cannot see into compiled code; its work is that of the eager variant
            found.append(contender)
    return found


def ours(turns: Turns, load: TrainingLoad, recipe: RunSpec) -> list[Contender]:
    """Return the contender for our implementation of a method, and one more for its pretraining if it has any."""
    method: Method = METHODS[recipe.method].method(recipe.settings)
    if not isinstance(method, TrainedMethod):
        everyone = load.targets(torch.arange(len(load.sequences)))
        return [Contender(recipe.method, partial(laps.fit_ours, load, recipe), everyone)]
    n_laps = turns.repeats + 4  # with warm-up and profilers
    short, long = lasting(recipe, 4 * n_laps), lasting(recipe, 40 * n_laps)
    pretraining = method.pretraining_epochs(short.training.epochs)
    skipped = pretraining or int(recipe.training.compile)  # an epoch spent compiling is not a lap
    stages = {recipe.method: (short, skipped)} | ({f"{recipe.method}, pretraining": (long, 0)} if pretraining else {})
    return [
        Contender(
            name,
            partial(laps.train_ours, load, spec, epochs_skipped, None),
            load.targets(load.rows),
            work=(name, recipe.training.precision),
            profilers=("count",),
        )
        for name, (spec, epochs_skipped) in stages.items()
    ]


def usual(load: TrainingLoad, recipe: RunSpec) -> Contender:
    """Return the contender for the same method in the usual way."""
    return Contender(f"{recipe.method}, {USUAL_WAY}", partial(laps.train_naive, load, recipe), load.targets(load.rows))


# --- evaluation -------------------------------------------------------------------------------------------------------


def evaluation(options: BenchOptions) -> CaseResult:
    """Users ranked per second: test users of ML-1M or the first dataset, and users of a catalogue of 60,000 items."""
    data = options.data("ml-1m" if "ml-1m" in options.datasets else options.datasets[0])
    encoder = EncoderSettings(maxlen=50)
    users, n_items = (20, 600) if options.quick else (500, LARGE_CATALOGUE)
    large = workloads.random_cases(users, encoder.maxlen, n_items)
    test = data.split.cases("test")
    return CaseResult(
        [
            _evaluation_group(options, data.title, data.synthetic, test, data.split.n_items, encoder),
            _evaluation_group(options, f"{n_items:,} items", True, large, n_items, encoder),
        ]
    )


def _evaluation_group(
    options: BenchOptions, title: str, is_synthetic: bool, cases: Cases, n_items: int, encoder: EncoderSettings
) -> Group:
    users = len(cases.targets)
    batched = f"{USUAL_WAY}, scored in batches of {SCORED_AT_ONCE}"
    ways: dict[str, Callable[..., None]] = {
        "ranks": partial(laps.rank_ours, whole=False),
        "ranks, top lists and raw scores": partial(laps.rank_ours, whole=True),
        USUAL_WAY: partial(laps.rank_naive, users_at_once=1),
        batched: partial(laps.rank_naive, users_at_once=SCORED_AT_ONCE),
    }
    contenders = [Contender(name, partial(rank, cases, n_items, encoder), users) for name, rank in ways.items()]
    label = f"evaluation, {title}"
    ratios = [
        BenchRatio(f"{label}: ranks", "ranks", USUAL_WAY),
        BenchRatio(f"{label}: ranks, against scoring in batches", "ranks", batched),
        BenchRatio(f"{label}: with top lists", "ranks, top lists and raw scores", USUAL_WAY),
        BenchRatio(f"{label}: added memory", "ranks", USUAL_WAY, "added memory"),
    ]
    workload = {"users": users, "items": n_items, "maxlen": encoder.maxlen}
    return options.measure(title, contenders, "users", workload, ratios, is_synthetic)


# --- growth -----------------------------------------------------------------------------------------------------------


Costs = dict[str, tuple[int, float]]
"""The largest size at which each contender was measured, and the seconds of a lap."""


def skip_if_slow(contender: Contender, size: int, measured: Costs, power: float, allowed: float) -> None:
    """Skip a contender if a lap of this `size` would take more than the `allowed` seconds.

    The estimate assumes that time grows with size ** power from the largest size that was `measured`.
    """
    smaller, seconds = measured.get(contender.name, (size, 0.0))
    expected = seconds * (size / smaller) ** power
    if expected > allowed:
        contender.skip_reason = f"left out: a lap would take about {expected:.0f} s, {allowed:.0f} s are allowed"


def costs(group: Group, size: int) -> Costs:
    return {each.contender: (size, float(np.median(each.seconds))) for each in group.results if each.seconds}


def twins(options: BenchOptions) -> CaseResult:
    """Building the index of same-target twins and drawing from it in batches, with as many items as sequences."""
    sizes = (200, 1_000, 2_000) if options.quick else TWIN_SIZES
    indexed, drawn, measured = [], [], Costs()
    for size in sizes:
        final = workloads.random_final_items(size)
        built = Contender("sorted index", partial(laps.index_ours, final), size)
        scanned = Contender("list scan", partial(laps.index_naive, final), size)
        skip_if_slow(scanned, size, measured, 2, options.turns.seconds_each)
        title = f"index of {size:,} sequences"
        ratio = BenchRatio(f"{title}: time to build", "sorted index", "list scan")
        workload = {"sequences": size, "items": size}
        indexed.append(options.measure(title, [built, scanned], "sequences", workload, [ratio]))
        measured |= costs(indexed[-1], size)
        rows = np.random.default_rng(1).integers(size, size=min(DRAWS, size))
        drawing = Contender("sorted index, draws", partial(laps.draw_ours, final, rows), len(rows))
        workload = {"sequences": size, "batch": laps.DRAWN_AT_ONCE}
        drawn.append(options.measure(f"draws from {size:,} sequences", [drawing], "draws", workload))
    return CaseResult([*indexed, *drawn], growth(sizes, indexed) + growth(sizes, drawn))


def scaling(options: BenchOptions) -> CaseResult:
    """Time per step and memory as the catalogue grows: BCE, CE, SCE, BT-SR (SCE) with dense and sparse gradients of
    the item table, and CE in the usual way.
    """
    sizes = (100, 200) if options.quick else CATALOGUES
    rows, maxlen = (4, 8) if options.quick else (32, 32)
    options = replace(options, turns=replace(options.turns, alone=not options.on_gpu))
    groups, measured = [], Costs()
    for n_items in sizes:
        load = _random_load(rows, maxlen, n_items)
        names = ("sasrec-bce", "sasrec-ce", "sasrec-sce", "btsr-sce")
        recipes = {name: workloads.recipe(name, "ml-1m", maxlen, rows) for name in names}
        contenders = [contender for recipe in recipes.values() for contender in ours(options.turns, load, recipe)]
        sparse = partial(laps.train_sparse, load, recipes["btsr-sce"])
        contenders.append(Contender("btsr-sce, sparse gradients", sparse, load.targets(load.rows)))
        contenders.append(usual(load, recipes["sasrec-ce"]))
        for contender in contenders:
            contender.profilers = ()
            skip_if_slow(contender, n_items, measured, 1, options.turns.seconds_each)
        workload = {"items": n_items, "tokens": rows * maxlen}
        groups.append(options.measure(f"{n_items:,} items", contenders, "targets", workload))
        measured |= costs(groups[-1], n_items)
    return CaseResult(groups, growth(sizes, groups))


def memory(options: BenchOptions) -> CaseResult:
    """Peak memory of a CE step at 50,000 items, with 256 full rows of 50."""
    rows, maxlen, n_items = (4, 8, 100) if options.quick else (256, 50, MEMORY_CATALOGUE)
    load = _random_load(rows, maxlen, n_items)
    recipe = workloads.recipe("sasrec-ce", "ml-1m", maxlen, rows)
    contenders = [*ours(options.turns, load, recipe), usual(load, recipe)]
    title, workload = f"CE at {n_items:,} items", {"items": n_items, "tokens": rows * maxlen}
    ratio = partial(BenchRatio, ours=contenders[0].name, usual=contenders[1].name)
    ratios = [
        ratio(f"{title}: memory that training adds", quantity="added memory"),
        ratio(f"{title}: memory of the whole process", quantity="peak memory"),
        ratio(f"{title}: speed"),
    ]
    return CaseResult([options.measure(title, contenders, "targets", workload, ratios)])


def _random_load(rows: int, maxlen: int, n_items: int) -> TrainingLoad:
    sequences = workloads.random_sequences(rows, maxlen + 1, n_items)
    return workloads.training_load(sequences, n_items, maxlen, batch_size=rows, steps=1)


CASES: dict[str, Callable[[BenchOptions], CaseResult]] = {
    "training": training,
    "evaluation": evaluation,
    "twins": twins,
    "scaling": scaling,
    "memory": memory,
    "validation": validation,
    "commands": commands,
    "peers": peers,
    "peers-quality": peers_quality,
}
ON_REQUEST = {"peers", "peers-quality"}
"""Cases that need other libraries (`--against`) and run only when they are named."""
