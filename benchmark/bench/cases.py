"""The cases: who runs against whom, on what, and which ratios are wanted."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

from baselines.method import Method, TrainedMethod
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from benchmark.bench import contenders, workloads
from benchmark.bench.choices import choices, precision, variant_ratios, variants
from benchmark.bench.measures import Group, Ratio, extrapolate, growth
from benchmark.bench.naive import NaiveTask
from benchmark.bench.peers.cases import peers, peers_quality
from benchmark.bench.profile import Breakdown, breakdown
from benchmark.bench.race import SECONDS_EACH, Contender, Result
from benchmark.bench.setting import Outcome, Setting
from benchmark.bench.workloads import STEPS, Data, Recipe, TrainingLoad
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
VARIED = ("sasrec-ce", "btsr-ce")
CPU = torch.device("cpu")


# --- training ---------------------------------------------------------------------------------------------------------


def training(setting: Setting) -> Outcome:
    """Training targets per second and memory of every method, and of the usual way; on a GPU a lap is an epoch, and
    precision and compiler are compared too (on a CPU the case choices does that).
    """
    found = Outcome([])
    for name in setting.datasets:
        data = setting.data(name)
        for maxlen in setting.lengths(name):
            found.groups.append(_training_group(setting, data, maxlen))
            if setting.track.device.type == "cpu":
                found.breakdowns.append(_training_breakdown(data, maxlen))
    return found


def _training_group(setting: Setting, data: Data, maxlen: int) -> Group:
    recipes = {method: workloads.recipe(method, data, maxlen) for method in METHODS}
    batch_size = recipes["sasrec-ce"].training.batch_size
    epoch, load = (
        workloads.training_load(data.split.train, data.split.n_items, maxlen, batch_size, steps)
        for steps in (len(data.split.train), STEPS)
    )
    varied: list[tuple[list[Contender], list[Result]]] = []
    if setting.track.device.type == "cuda":
        load = epoch
        varied = [variants(setting, load, recipes[method]) for method in VARIED]
    usual = {method: task for method, recipe in recipes.items() if (task := workloads.usual_task(recipe)) is not None}
    group = setting.race(
        f"{data.title}, maxlen {maxlen}",
        [
            *(runner for recipe in recipes.values() for runner in _ours(setting, load, recipe)),
            *(runner for runners, _ in varied for runner in runners),
            *(_usual(load, recipes[method], task) for method, task in usual.items()),
        ],
    )
    group.results += [result for _, absent in varied for result in absent]
    group.unit, group.synthetic = "targets", data.synthetic
    group.workload = {"batch_size": batch_size, "rows": len(load.rows), "items": load.n_items, "maxlen": maxlen}
    group.details = {"seconds_per_epoch": _epoch_seconds(group, epoch.targets(epoch.rows), load.targets(load.rows))}
    targets = {} if data.synthetic else {"sasrec-ce": TRAINING_TARGETS.get((data.name, maxlen))}
    for quantity in ("speed", "added memory"):
        for method in usual:
            goal = targets.get(method) if quantity == "speed" else None
            label = f"training {method}, {group.title}: {quantity}"
            group.ratios.append(Ratio(label, method, f"{method}, {USUAL}", quantity, goal))
    for method in VARIED[: len(varied)]:
        group.ratios += variant_ratios(group.title, method)
    return group


def _training_breakdown(data: Data, maxlen: int) -> Breakdown:
    """Of SASRec (CE), ours and the usual way."""
    recipe = workloads.recipe(PROFILED, data, maxlen)
    load = workloads.training_load(data.split.train, data.split.n_items, maxlen, recipe.training.batch_size, STEPS)
    usual = workloads.usual_task(recipe)
    assert usual is not None
    return breakdown(
        f"{data.title}, maxlen {maxlen}",
        data.synthetic,
        [
            (PROFILED, partial(contenders.train_ours, load, recipe.lasting(4), 0, CPU)),
            (f"{PROFILED}, {USUAL}", partial(contenders.train_naive, load, recipe, usual, CPU)),
        ],
    )


def _epoch_seconds(group: Group, targets: int, in_a_lap: int) -> dict[str, float]:
    """Of each contender that trains, from the median of its laps; a method that counts has no epochs."""
    fitted = {name for name, entry in METHODS.items() if not issubclass(entry.method, TrainedMethod)}
    laps = {result.contender: result.seconds for result in group.results if result.contender not in fitted}
    return {name: float(np.median(seconds)) * targets / in_a_lap for name, seconds in laps.items() if seconds}


def _ours(setting: Setting, load: TrainingLoad, recipe: Recipe) -> list[Contender]:
    """The method as it is; where it pretrains, its main stage and, apart, its pretraining."""
    method: Method = METHODS[recipe.method].method(recipe.settings)
    if not isinstance(method, TrainedMethod):
        everyone = load.targets(np.arange(len(load.offsets) - 1))
        return [Contender(recipe.method, partial(contenders.fit_ours, load, recipe), everyone)]
    laps, targets = setting.track.repeats + 1, load.targets(load.rows)
    needs = TABLES * load.n_items * recipe.encoder.width * FLOAT
    short, long = recipe.lasting(4 * laps), recipe.lasting(40 * laps)
    skipped = method.pretraining_epochs(short.training.epochs)
    runners = [Contender(recipe.method, partial(contenders.train_ours, load, short, skipped), targets, needs)]
    if skipped:
        name = f"{recipe.method}, pretraining"
        runners.append(Contender(name, partial(contenders.train_ours, load, long, 0), targets, needs))
    return runners


def _usual(load: TrainingLoad, recipe: Recipe, task: NaiveTask) -> Contender:
    tables = TABLES * load.n_items * recipe.encoder.width * FLOAT
    positions = min(recipe.training.batch_size, len(load.rows)) * load.maxlen
    row = 3 * load.n_items if task.objective == "ce" else 3 * (task.negatives + 1) * recipe.encoder.width
    run = partial(contenders.train_naive, load, recipe, task)
    name = f"{recipe.method}, {USUAL}"
    return Contender(name, run, load.targets(load.rows), tables + positions * row * FLOAT)


# --- evaluation -------------------------------------------------------------------------------------------------------


def evaluation(setting: Setting) -> Outcome:
    """Users ranked per second, on the test users of the first dataset and on a catalogue of 60,000 items."""
    data = setting.data(setting.datasets[0])
    encoder = EncoderSettings(maxlen=(setting.maxlens or (50,))[0])
    real = workloads.evaluation_load(data.split.cases("test"), data.split.n_items, encoder)
    target = None if data.synthetic else EVALUATION_TARGETS.get(data.name)
    users, n_items = (20, 600) if setting.quick else (500, LARGE_CATALOGUE)
    cases = workloads.random_cases(users, encoder.maxlen, n_items)
    large = workloads.evaluation_load(cases, n_items, encoder)
    large_target = None if setting.quick else LARGE_TARGET
    return Outcome(
        [
            _evaluation_group(setting, data.title, data.synthetic, real, target),
            _evaluation_group(setting, f"{n_items:,} items", True, large, large_target),
        ],
        notes=[EVALUATION_NOTE],
    )


def _evaluation_group(
    setting: Setting, title: str, is_synthetic: bool, load: workloads.EvaluationLoad, target: float | None
) -> Group:
    users = len(load.targets)
    kind, matrix = f"{USUAL}, scored in batches of {SCORED_AT_ONCE}", 3 * users * load.n_items * FLOAT
    group = setting.race(
        title,
        [
            Contender("ranks", partial(contenders.rank_ours, load, False), users),
            Contender("ranks, top lists and raw scores", partial(contenders.rank_ours, load, True), users),
            Contender(USUAL, partial(contenders.rank_naive, load, 1), users, matrix),
            Contender(kind, partial(contenders.rank_naive, load, SCORED_AT_ONCE), users, matrix),
        ],
    )
    group.unit, group.synthetic = "users", is_synthetic
    group.workload = {"users": users, "items": load.n_items, "maxlen": load.encoder.maxlen}
    label = f"evaluation, {title}"
    group.ratios = [
        Ratio(f"{label}: ranks", "ranks", USUAL, target=target),
        Ratio(f"{label}: ranks, against scoring in batches", "ranks", kind),
        Ratio(f"{label}: with top lists", "ranks, top lists and raw scores", USUAL),
        Ratio(f"{label}: added memory", "ranks", USUAL, "added memory"),
    ]
    return group


# --- twins ------------------------------------------------------------------------------------------------------------


def twins(setting: Setting) -> Outcome:
    """Building the index of same-target twins, and drawing from it, a batch at a time."""
    sizes = (200, 1_000, 2_000) if setting.quick else TWIN_SIZES
    largest_scan = 1_000 if setting.quick else LARGEST_SCAN
    groups: list[Group] = []
    for size in sizes:
        final = workloads.final_items(size)
        runners = [Contender("sorted index", partial(contenders.index_ours, final), size)]
        if size <= largest_scan:
            pairs = int(np.square(np.bincount(final), dtype=np.int64).sum())
            runners.append(Contender("list scan", partial(contenders.index_naive, final), size, 16 * pairs))
        group = setting.race(f"index of {size:,} sequences", runners)
        if size > largest_scan:
            scanned = next(g for g in reversed(groups) if g.workload["sequences"] <= largest_scan)
            group.results.append(extrapolate(scanned.results[1], size // scanned.workload["sequences"], 2))
        target = TWIN_TARGET if size == TWIN_TARGET_SIZE else None
        group.ratios.append(Ratio(f"{group.title}: time to build", "sorted index", "list scan", target=target))
        groups.append(group)
        group.unit, group.workload = "sequences", {"sequences": size}
    return Outcome([*groups, *(_draw_group(setting, size) for size in sizes)])


def _draw_group(setting: Setting, size: int) -> Group:
    final = workloads.final_items(size)
    rows = np.random.default_rng(1).integers(size, size=min(DRAWS, size))
    group = setting.race(
        f"draws from {size:,} sequences",
        [
            Contender("sorted index", partial(contenders.draw_ours, final, rows), len(rows)),
            Contender("list scan", partial(contenders.draw_naive, final, rows), len(rows)),
        ],
    )
    group.unit, group.workload = "draws", {"sequences": size, "batch": contenders.DRAWN_AT_ONCE}
    group.ratios = [Ratio(f"{group.title}: time", "sorted index", "list scan")]
    return group


# --- catalogues -------------------------------------------------------------------------------------------------------


def scaling(setting: Setting) -> Outcome:
    """Time per step and memory of CE, SCE and BCE as the catalogue grows; the usual CE beside them."""
    sizes = (100, 200) if setting.quick else CATALOGUES
    rows, maxlen = (4, 8) if setting.quick else (32, 32)
    before: dict[str, tuple[int, Result]] = {}  # of each contender the largest catalogue measured, and how it went
    groups = []
    for n_items in sizes:
        load = _random_load(rows, maxlen, n_items)
        recipes = [workloads.plain_recipe(f"sasrec-{name}", maxlen, rows) for name in ("bce", "ce", "sce")]
        runners = [runner for recipe in recipes for runner in _ours(setting, load, recipe)]
        runners.append(_usual(load, recipes[1], NaiveTask("ce")))
        absent = []
        for i, runner in enumerate(runners):
            if runner.name in before:
                size, result = before[runner.name]
                runners[i], lack = _expected(runner, result, n_items / size)
                if lack:
                    setting.notify(f"{n_items:,} items: {runner.name}: {lack}")
                    absent.append(Result(runner.name, runner.amount, "skipped", note=lack))
        left_out = [result.contender for result in absent]
        group = setting.race(f"{n_items:,} items", [runner for runner in runners if runner.name not in left_out])
        group.results += absent
        group.unit, group.workload = "targets", {"items": n_items, "tokens": rows * maxlen}
        before |= {result.contender: (n_items, result) for result in group.results if result.seconds}
        groups.append(group)
    return Outcome(groups, growth(sizes, groups))


def _expected(runner: Contender, before: Result, times: float) -> tuple[Contender, str]:
    """The contender with the memory that it needs at `times` the size `before`, of which it needs no more than so many
    times what it added then; and that it is left out, where a step would take longer than a contender may run.
    """
    if before.added_memory_bytes is not None:
        runner = replace(runner, needs_bytes=math.ceil(times * before.added_memory_bytes))
    seconds = times * float(np.median(before.seconds))
    if seconds <= SECONDS_EACH:
        return runner, ""
    return runner, f"left out: a step would take about {seconds:.0f} s, {SECONDS_EACH:.0f} s are allowed"


def memory(setting: Setting) -> Outcome:
    """Peak memory of a CE step at 50,000 items, 256 full rows of 50."""
    rows, maxlen, n_items = (4, 8, 100) if setting.quick else (256, 50, MEMORY_CATALOGUE)
    load = _random_load(rows, maxlen, n_items)
    recipe = workloads.plain_recipe("sasrec-ce", maxlen, rows)
    group = setting.race(
        f"CE at {n_items:,} items", [*_ours(setting, load, recipe), _usual(load, recipe, NaiveTask("ce"))]
    )
    group.unit, group.workload = "targets", {"items": n_items, "tokens": rows * maxlen}
    target = None if setting.quick else MEMORY_TARGET
    names = "sasrec-ce", f"sasrec-ce, {USUAL}"
    group.ratios = [
        Ratio(f"{group.title}: memory that training adds", *names, "added memory", target),
        Ratio(f"{group.title}: memory of the whole process", *names, "peak memory", target),
        Ratio(f"{group.title}: speed", *names),
    ]
    return Outcome([group])


def _random_load(rows: int, maxlen: int, n_items: int) -> TrainingLoad:
    sequences = workloads.random_sequences(rows, maxlen + 1, n_items)
    return workloads.training_load(sequences, n_items, maxlen, batch_size=rows, steps=1)


# --- preparation ------------------------------------------------------------------------------------------------------


def preparation(setting: Setting) -> Outcome:
    """Reading, filtering and splitting a file in Gowalla's format, as large as Gowalla's."""
    users, items, interactions = workloads.QUICK_SIZE if setting.quick else GOWALLA_FILE
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "checkins.txt.gz"
        setting.notify(f"writing {interactions:,} synthetic check-ins")
        synthetic.write_gowalla(synthetic.stand_in(users, items, interactions), path)
        runner = Contender("prepare", partial(contenders.prepare_gowalla, path), interactions)
        group = setting.race(f"{interactions:,} check-ins, gzipped", [runner])
    group.unit = "check-ins"
    group.workload = {"users": users, "items": items, "interactions": interactions}
    return Outcome([group])


CASES: dict[str, Callable[[Setting], Outcome]] = {
    "training": training,
    "evaluation": evaluation,
    "twins": twins,
    "scaling": scaling,
    "memory": memory,
    "preparation": preparation,
    "choices": choices,
    "precision": precision,
    "peers": peers,
    "peers-quality": peers_quality,
}
ON_REQUEST = {"preparation", "choices", "precision", "peers", "peers-quality"}
"""Cases that take minutes or need other libraries, and run only when they are named; `--against` names the peers."""
