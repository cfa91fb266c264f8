"""The cases: which contenders are compared, on what, and which ratios are wanted."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from baselines.method import Method, TrainedMethod
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from benchmark.bench import laps, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group, extrapolate, growth
from benchmark.bench.peers.cases import peers, peers_quality
from benchmark.bench.precision import precision
from benchmark.bench.profile import Breakdown, breakdown
from benchmark.bench.turns import SECONDS_EACH, Contender, Result
from benchmark.bench.workloads import STEPS, BenchData, EvaluationLoad, Recipe, TrainingLoad
from benchmark.runs.evaluation import CELLS_AT_ONCE, USERS_AT_ONCE
from datasets import synthetic

TRAINING_TARGETS = {("ml-1m", 200): 4.0, ("beauty", 50): 12.0}
LARGE_CATALOGUE, LARGE_TARGET = 60_000, 3.0
EVALUATION_TARGETS = {"ml-1m": 2.0}
SCORED_AT_ONCE = 256
EVALUATION_NOTE = (
    f"Ours adds more memory here than the usual way because it encodes and scores up to {USERS_AT_ONCE} users, or "
    f"{CELLS_AT_ONCE:,} scores, at once, with a masked copy and a scratch of that size, and the usual way encodes one; "
    "but the usual way's matrix grows with the number of users, and ours does not."
)
TWIN_SIZES, LARGEST_SCAN, TWIN_TARGET_SIZE, TWIN_TARGET = (10_000, 100_000, 1_000_000), 100_000, 100_000, 1000.0
DRAWS = 2_560
CATALOGUES = (10_000, 100_000, 1_000_000, 10_000_000)
MEMORY_CATALOGUE, MEMORY_TARGET = 50_000, 20.0
GOWALLA_FILE = (107_092, 1_280_969, 6_442_892)
FLOAT = 4  # bytes
TABLES = 9  # copies of the item table that training holds at once: weights, gradients, Adam's, the best epoch's
USUAL = "the usual way"
PROFILED = "sasrec-ce"
CPU = torch.device("cpu")


# --- training ---------------------------------------------------------------------------------------------------------


def training(options: BenchOptions) -> CaseResult:
    """Training targets per second and memory of every method, and of the usual way; on a GPU a lap is an epoch."""
    found = CaseResult([])
    for name in options.datasets:
        data = options.data(name)
        for maxlen in options.lengths(name):
            found.groups.append(_training_group(options, data, maxlen))
            if options.turns.device.type == "cpu":
                found.breakdowns.append(_training_breakdown(data, maxlen))
    return found


def _training_group(options: BenchOptions, data: BenchData, maxlen: int) -> Group:
    recipes = {method: workloads.recipe(method, data, maxlen) for method in METHODS}
    batch_size = recipes["sasrec-ce"].training.batch_size
    steps = STEPS if options.turns.device.type == "cpu" else len(data.split.train)
    load = data.training(recipes["sasrec-ce"], steps)
    usual = {method: recipe for method, recipe in recipes.items() if recipe.usual_task}
    contenders = [runner for recipe in recipes.values() for runner in _ours(options, load, recipe)]
    contenders += [_usual(load, recipe) for recipe in usual.values()]
    title = f"{data.title}, maxlen {maxlen}"
    targets = {} if data.synthetic else {"sasrec-ce": TRAINING_TARGETS.get((data.name, maxlen))}
    ratios = [
        BenchRatio(f"training {method}, {title}: speed", method, f"{method}, {USUAL}", target=targets.get(method))
        for method in usual
    ]
    ratios += [
        BenchRatio(f"training {method}, {title}: added memory", method, f"{method}, {USUAL}", "added memory")
        for method in usual
    ]
    workload = {"batch_size": batch_size, "rows": len(load.rows), "items": load.n_items, "maxlen": maxlen}
    return options.measure(title, contenders, "targets", workload, ratios, data.synthetic)


def _training_breakdown(data: BenchData, maxlen: int) -> Breakdown:
    """Of SASRec (CE), ours and the usual way."""
    recipe = workloads.recipe(PROFILED, data, maxlen)
    load = data.training(recipe, STEPS)
    contenders = {
        PROFILED: partial(laps.train_ours, load, recipe.lasting(4), 0, CPU),
        f"{PROFILED}, {USUAL}": partial(laps.train_naive, load, recipe, CPU),
    }
    return breakdown(f"{data.title}, maxlen {maxlen}", data.synthetic, contenders)


def _ours(options: BenchOptions, load: TrainingLoad, recipe: Recipe) -> list[Contender]:
    """The method as it is; where it pretrains, its main stage and, apart, its pretraining."""
    method: Method = METHODS[recipe.method].method(recipe.settings)
    if not isinstance(method, TrainedMethod):
        everyone = load.targets(torch.arange(len(load.sequences)))
        return [Contender(recipe.method, partial(laps.fit_ours, load, recipe), everyone)]
    times, targets = options.turns.repeats + 1, load.targets(load.rows)
    needs = TABLES * load.n_items * recipe.encoder.width * FLOAT
    short, long = recipe.lasting(4 * times), recipe.lasting(40 * times)
    skipped = method.pretraining_epochs(short.training.epochs)
    runners = [Contender(recipe.method, partial(laps.train_ours, load, short, skipped), targets, needs)]
    if skipped:
        name = f"{recipe.method}, pretraining"
        runners.append(Contender(name, partial(laps.train_ours, load, long, 0), targets, needs))
    return runners


def _usual(load: TrainingLoad, recipe: Recipe) -> Contender:
    task = recipe.usual_task
    assert task is not None
    tables = TABLES * load.n_items * recipe.encoder.width * FLOAT
    positions = min(recipe.training.batch_size, len(load.rows)) * load.maxlen
    row = 3 * load.n_items if task.objective == "ce" else 3 * (task.negatives + 1) * recipe.encoder.width
    run = partial(laps.train_naive, load, recipe)
    return Contender(f"{recipe.method}, {USUAL}", run, load.targets(load.rows), tables + positions * row * FLOAT)


# --- evaluation -------------------------------------------------------------------------------------------------------


def evaluation(options: BenchOptions) -> CaseResult:
    """Users ranked per second, on the test users of the first dataset and on a catalogue of 60,000 items."""
    data = options.data(options.datasets[0])
    encoder = EncoderSettings(maxlen=options.first_length)
    real = data.evaluation("test", encoder)
    target = None if data.synthetic else EVALUATION_TARGETS.get(data.name)
    users, n_items = (20, 600) if options.quick else (500, LARGE_CATALOGUE)
    cases = workloads.random_cases(users, encoder.maxlen, n_items)
    large = EvaluationLoad(cases, n_items, encoder)
    large_target = None if options.quick else LARGE_TARGET
    return CaseResult(
        [
            _evaluation_group(options, data.title, data.synthetic, real, target),
            _evaluation_group(options, f"{n_items:,} items", True, large, large_target),
        ],
        notes=[EVALUATION_NOTE],
    )


def _evaluation_group(
    options: BenchOptions, title: str, is_synthetic: bool, load: EvaluationLoad, target: float | None
) -> Group:
    users = len(load.cases.targets)
    kind, matrix = f"{USUAL}, scored in batches of {SCORED_AT_ONCE}", 3 * users * load.n_items * FLOAT
    contenders = [
        Contender("ranks", partial(laps.rank_ours, load, False), users),
        Contender("ranks, top lists and raw scores", partial(laps.rank_ours, load, True), users),
        Contender(USUAL, partial(laps.rank_naive, load, 1), users, matrix),
        Contender(kind, partial(laps.rank_naive, load, SCORED_AT_ONCE), users, matrix),
    ]
    label = f"evaluation, {title}"
    ratios = [
        BenchRatio(f"{label}: ranks", "ranks", USUAL, target=target),
        BenchRatio(f"{label}: ranks, against scoring in batches", "ranks", kind),
        BenchRatio(f"{label}: with top lists", "ranks, top lists and raw scores", USUAL),
        BenchRatio(f"{label}: added memory", "ranks", USUAL, "added memory"),
    ]
    workload = {"users": users, "items": load.n_items, "maxlen": load.encoder.maxlen}
    return options.measure(title, contenders, "users", workload, ratios, is_synthetic)


# --- twins ------------------------------------------------------------------------------------------------------------


def twins(options: BenchOptions) -> CaseResult:
    """Building the index of same-target twins, and drawing from it, a batch at a time."""
    sizes = (200, 1_000, 2_000) if options.quick else TWIN_SIZES
    largest_scan = 1_000 if options.quick else LARGEST_SCAN
    groups: list[Group] = []
    for size in sizes:
        final = workloads.final_items(size)
        runners = [Contender("sorted index", partial(laps.index_ours, final), size)]
        if size <= largest_scan:
            pairs = int(np.square(np.bincount(final), dtype=np.int64).sum())
            runners.append(Contender("list scan", partial(laps.index_naive, final), size, 16 * pairs))
        title = f"index of {size:,} sequences"
        target = TWIN_TARGET if size == TWIN_TARGET_SIZE else None
        ratio = BenchRatio(f"{title}: time to build", "sorted index", "list scan", target=target)
        group = options.measure(title, runners, "sequences", {"sequences": size}, [ratio])
        if size > largest_scan:
            scanned = next(g for g in reversed(groups) if g.workload["sequences"] <= largest_scan)
            group.results.append(extrapolate(scanned.results[1], size // scanned.workload["sequences"], 2))
        groups.append(group)
    return CaseResult([*groups, *(_draw_group(options, size) for size in sizes)])


def _draw_group(options: BenchOptions, size: int) -> Group:
    final = workloads.final_items(size)
    rows = np.random.default_rng(1).integers(size, size=min(DRAWS, size))
    contenders = [
        Contender("sorted index", partial(laps.draw_ours, final, rows), len(rows)),
        Contender("list scan", partial(laps.draw_naive, final, rows), len(rows)),
    ]
    title, workload = f"draws from {size:,} sequences", {"sequences": size, "batch": laps.DRAWN_AT_ONCE}
    ratio = BenchRatio(f"{title}: time", "sorted index", "list scan")
    return options.measure(title, contenders, "draws", workload, [ratio])


# --- catalogues -------------------------------------------------------------------------------------------------------


def scaling(options: BenchOptions) -> CaseResult:
    """Time per step and memory of CE, SCE and BCE as the catalogue grows, and of the usual CE."""
    sizes = (100, 200) if options.quick else CATALOGUES
    rows, maxlen = (4, 8) if options.quick else (32, 32)
    before: dict[str, tuple[int, Result]] = {}  # of each contender the largest catalogue measured, and how it went
    groups = []
    for n_items in sizes:
        load = _random_load(rows, maxlen, n_items)
        recipes = [workloads.plain_recipe(f"sasrec-{name}", maxlen, rows) for name in ("bce", "ce", "sce")]
        runners = [runner for recipe in recipes for runner in _ours(options, load, recipe)]
        runners.append(_usual(load, recipes[1]))
        for runner in runners:
            if runner.name in before:
                size, result = before[runner.name]
                _expect(runner, result, n_items / size)
        workload = {"items": n_items, "tokens": rows * maxlen}
        group = options.measure(f"{n_items:,} items", runners, "targets", workload)
        before |= {result.contender: (n_items, result) for result in group.results if result.seconds}
        groups.append(group)
    return CaseResult(groups, growth(sizes, groups))


def _expect(runner: Contender, before: Result, times: float) -> None:
    """Set what the contender needs at `times` the size of `before`: at most `times` the memory that it added then.

    It is left out where a step would take longer than a contender may run.
    """
    if before.added_memory_bytes is not None:
        runner.needs_bytes = math.ceil(times * before.added_memory_bytes)
    seconds = times * float(np.median(before.seconds))
    if seconds > SECONDS_EACH:
        runner.lack = f"left out: a step would take about {seconds:.0f} s, {SECONDS_EACH:.0f} s are allowed"


def memory(options: BenchOptions) -> CaseResult:
    """Peak memory of a CE step at 50,000 items, 256 full rows of 50."""
    rows, maxlen, n_items = (4, 8, 100) if options.quick else (256, 50, MEMORY_CATALOGUE)
    load = _random_load(rows, maxlen, n_items)
    recipe = workloads.plain_recipe("sasrec-ce", maxlen, rows)
    runners = [*_ours(options, load, recipe), _usual(load, recipe)]
    title, target = f"CE at {n_items:,} items", None if options.quick else MEMORY_TARGET
    names = "sasrec-ce", f"sasrec-ce, {USUAL}"
    ratios = [
        BenchRatio(f"{title}: memory that training adds", *names, "added memory", target),
        BenchRatio(f"{title}: memory of the whole process", *names, "peak memory", target),
        BenchRatio(f"{title}: speed", *names),
    ]
    return CaseResult([options.measure(title, runners, "targets", {"items": n_items, "tokens": rows * maxlen}, ratios)])


def _random_load(rows: int, maxlen: int, n_items: int) -> TrainingLoad:
    sequences = workloads.random_sequences(rows, maxlen + 1, n_items)
    return workloads.training_load(sequences, n_items, maxlen, batch_size=rows, steps=1)


# --- preparation ------------------------------------------------------------------------------------------------------


def preparation(options: BenchOptions) -> CaseResult:
    """Reading, filtering and splitting a file in Gowalla's format, as large as Gowalla's."""
    users, items, interactions = workloads.QUICK_SIZE if options.quick else GOWALLA_FILE
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "checkins.txt.gz"
        options.notify(f"writing {interactions:,} synthetic check-ins")
        synthetic.write_gowalla(synthetic.stand_in(users, items, interactions), path)
        runner = Contender("prepare", partial(laps.prepare_gowalla, path), interactions)
        workload = {"users": users, "items": items, "interactions": interactions}
        group = options.measure(f"{interactions:,} check-ins, gzipped", [runner], "check-ins", workload)
    return CaseResult([group])


CASES: dict[str, Callable[[BenchOptions], CaseResult]] = {
    "training": training,
    "evaluation": evaluation,
    "twins": twins,
    "scaling": scaling,
    "memory": memory,
    "preparation": preparation,
    "precision": precision,
    "peers": peers,
    "peers-quality": peers_quality,
}
ON_REQUEST = {"preparation", "precision", "peers", "peers-quality"}
"""Cases that take minutes or need other libraries, and run only when they are named; `--against` names the peers."""
