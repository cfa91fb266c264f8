"""The cases: which contenders are compared, on what, and which ratios are wanted."""

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
from benchmark.bench.workloads import BenchData, TrainingLoad, lasting
from benchmark.plan.run_spec import RunSpec
from datasets.cases import Cases

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

LARGE_CATALOGUE, SCORED_AT_ONCE = 60_000, 256
TWIN_SIZES, DRAWS = (10_000, 100_000, 1_000_000, 10_000_000), 2_560
CATALOGUES = (10_000, 100_000, 1_000_000, 10_000_000)
MEMORY_CATALOGUE = 50_000


# --- training ---------------------------------------------------------------------------------------------------------


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
        groups += [_training_group(options, data, maxlen, peak) for maxlen in MAXLENS.get(name, (50,))]
    return CaseResult(groups, notes=[note])


def _training_group(options: BenchOptions, data: BenchData, maxlen: int, peak: dict[str, float]) -> Group:
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
    skipped = pretraining or int(recipe.training.compile)  # an epoch spent compiling is not a lap
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


# --- evaluation -------------------------------------------------------------------------------------------------------


def evaluation(options: BenchOptions) -> CaseResult:
    """Users ranked per second, on the test users of ML-1M or the first dataset and on a catalogue of 60,000 items."""
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
    batched = f"{USUAL}, scored in batches of {SCORED_AT_ONCE}"
    ways: dict[str, Callable[..., None]] = {
        "ranks": partial(laps.rank_ours, whole=False),
        "ranks, top lists and raw scores": partial(laps.rank_ours, whole=True),
        USUAL: partial(laps.rank_naive, users_at_once=1),
        batched: partial(laps.rank_naive, users_at_once=SCORED_AT_ONCE),
    }
    contenders = [Contender(name, partial(rank, cases, n_items, encoder), users) for name, rank in ways.items()]
    label = f"evaluation, {title}"
    ratios = [
        BenchRatio(f"{label}: ranks", "ranks", USUAL),
        BenchRatio(f"{label}: ranks, against scoring in batches", "ranks", batched),
        BenchRatio(f"{label}: with top lists", "ranks, top lists and raw scores", USUAL),
        BenchRatio(f"{label}: added memory", "ranks", USUAL, "added memory"),
    ]
    workload = {"users": users, "items": n_items, "maxlen": encoder.maxlen}
    return options.measure(title, contenders, "users", workload, ratios, is_synthetic)


# --- what grows -------------------------------------------------------------------------------------------------------


Costs = dict[str, tuple[int, float]]
"""Of each contender the largest size measured, and the seconds of a lap."""


def expect(contender: Contender, size: int, before: Costs, power: float, allowed: float) -> Contender:
    """Leave it out where a lap of this `size`, by `power`, would take longer than a contender may run."""
    smaller, seconds = before.get(contender.name, (size, 0.0))
    expected = seconds * (size / smaller) ** power
    if expected > allowed:
        contender.lack = f"left out: a lap would take about {expected:.0f} s, {allowed:.0f} s are allowed"
    return contender


def costs(group: Group, size: int) -> Costs:
    return {each.contender: (size, float(np.median(each.seconds))) for each in group.results if each.seconds}


def twins(options: BenchOptions) -> CaseResult:
    """Building the index of same-target twins, and drawing from it, a batch at a time; as many items as sequences."""
    sizes = (200, 1_000, 2_000) if options.quick else TWIN_SIZES
    indexed, drawn, before = [], [], Costs()
    for size in sizes:
        final = workloads.final_items(size)
        built = Contender("sorted index", partial(laps.index_ours, final), size)
        scanned = Contender("list scan", partial(laps.index_naive, final), size)
        expect(scanned, size, before, 2, options.turns.seconds_each)
        title = f"index of {size:,} sequences"
        ratio = BenchRatio(f"{title}: time to build", "sorted index", "list scan")
        workload = {"sequences": size, "items": size}
        indexed.append(options.measure(title, [built, scanned], "sequences", workload, [ratio]))
        before |= costs(indexed[-1], size)
        rows = np.random.default_rng(1).integers(size, size=min(DRAWS, size))
        drawing = Contender("sorted index, draws", partial(laps.draw_ours, final, rows), len(rows))
        workload = {"sequences": size, "batch": laps.DRAWN_AT_ONCE}
        drawn.append(options.measure(f"draws from {size:,} sequences", [drawing], "draws", workload))
    return CaseResult([*indexed, *drawn], growth(sizes, indexed) + growth(sizes, drawn))


def scaling(options: BenchOptions) -> CaseResult:
    """Time per step and memory as the catalogue grows: BCE, CE, SCE, BT-SR (SCE), the same with sparse gradients of the
    item table, and the usual CE.
    """
    sizes = (100, 200) if options.quick else CATALOGUES
    rows, maxlen = (4, 8) if options.quick else (32, 32)
    groups, before = [], Costs()
    for n_items in sizes:
        load = _random_load(rows, maxlen, n_items)
        names = ("sasrec-bce", "sasrec-ce", "sasrec-sce", "btsr-sce")
        recipes = {name: workloads.recipe(name, "ml-1m", maxlen, rows) for name in names}
        runners = [runner for recipe in recipes.values() for runner in ours(options.turns, load, recipe)]
        sparse = partial(laps.train_sparse, load, recipes["btsr-sce"])
        runners.append(Contender("btsr-sce, sparse gradients", sparse, load.targets(load.rows)))
        runners.append(usual(load, recipes["sasrec-ce"]))
        for runner in runners:
            expect(runner, n_items, before, 1, options.turns.seconds_each).watched = ()
        workload = {"items": n_items, "tokens": rows * maxlen}
        groups.append(options.measure(f"{n_items:,} items", runners, "targets", workload))
        before |= costs(groups[-1], n_items)
    return CaseResult(groups, growth(sizes, groups))


def memory(options: BenchOptions) -> CaseResult:
    """Peak memory of a CE step at 50,000 items, 256 full rows of 50."""
    rows, maxlen, n_items = (4, 8, 100) if options.quick else (256, 50, MEMORY_CATALOGUE)
    load = _random_load(rows, maxlen, n_items)
    recipe = workloads.recipe("sasrec-ce", "ml-1m", maxlen, rows)
    runners = [*ours(options.turns, load, recipe), usual(load, recipe)]
    title = f"CE at {n_items:,} items"
    ratio = partial(BenchRatio, ours=runners[0].name, usual=runners[1].name)
    ratios = [
        ratio(f"{title}: memory that training adds", quantity="added memory"),
        ratio(f"{title}: memory of the whole process", quantity="peak memory"),
        ratio(f"{title}: speed"),
    ]
    return CaseResult([options.measure(title, runners, "targets", {"items": n_items, "tokens": rows * maxlen}, ratios)])


def _random_load(rows: int, maxlen: int, n_items: int) -> TrainingLoad:
    sequences = workloads.random_sequences(rows, maxlen + 1, n_items)
    return workloads.training_load(sequences, n_items, maxlen, batch_size=rows, steps=1)


CASES: dict[str, Callable[[BenchOptions], CaseResult]] = {
    "training": training,
    "evaluation": evaluation,
    "twins": twins,
    "scaling": scaling,
    "memory": memory,
    "peers": peers,
    "peers-quality": peers_quality,
}
ON_REQUEST = {"peers", "peers-quality"}
"""Cases that need other libraries, and run only when they are named; `--against` names the peers."""
