"""The cases: which contenders are compared, on what, and which ratios are wanted."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from baselines.settings import EncoderSettings
from benchmark.bench import laps, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group, growth
from benchmark.bench.peers.peers import peers, peers_quality
from benchmark.bench.training import USUAL, ours, training, usual
from benchmark.bench.turns import Contender
from benchmark.bench.workloads import TrainingLoad
from datasets.cases import Cases

LARGE_CATALOGUE, SCORED_AT_ONCE = 60_000, 256
TWIN_SIZES, DRAWS = (10_000, 100_000, 1_000_000, 10_000_000), 2_560
CATALOGUES = (10_000, 100_000, 1_000_000, 10_000_000)
MEMORY_CATALOGUE = 50_000


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
