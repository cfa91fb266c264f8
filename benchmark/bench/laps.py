"""The work of the contenders, our way and the usual way: each function sets up, then makes laps without end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from baselines import kernels, transformer
from baselines.btsr import BTSR
from baselines.encoder import Encoder
from baselines.method import FittedMethod, Method
from baselines.objectives import ScalableCrossEntropy
from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch
from benchmark.bench import naive
from benchmark.bench.profile import synchronize
from benchmark.bench.turns import Lap
from benchmark.bench.workloads import TrainingLoad, random_cases
from benchmark.plan.run_spec import RunSpec
from benchmark.plan.selection import METRIC
from benchmark.runs.evaluation import evaluate, evaluate_ranks
from benchmark.runs.training import EpochRow, train
from datasets.cases import Cases
from datasets.sequences import TwinIndex

DRAWN_AT_ONCE, BUCKETS_AT_ONCE = 256, 8


def train_ours(
    load: TrainingLoad, recipe: RunSpec, skipped: int, validation: Cases | None, device: torch.device, lap: Lap
) -> None:
    """Train with `benchmark.runs.training.train` itself; a lap is an epoch over the load's rows.

    A lap reports how many targets it trained on and, if there are `validation` cases, the NDCG@10 on them; without
    them, the loop validates on a single random case. The first `skipped` epochs are not reported as laps.
    """
    method = METHODS[recipe.method].method(recipe.settings)
    targets, cases = load.targets_of_epoch(recipe.training.batch_size), validation or random_cases(1, 1, load.n_items)

    def on_epoch(row: EpochRow) -> None:
        if row["epoch"] > skipped:
            lap(row["seconds"], targets=targets, **({"ndcg": row["validation"][METRIC]} if validation else {}))

    train(method, load.to(device), cases.to(device), recipe.encoder, recipe.training, seed=0, on_epoch=on_epoch)


def fit_ours(load: TrainingLoad, recipe: RunSpec, device: torch.device, lap: Lap) -> None:
    """Fit a method that is not trained; a lap is one fit to all sequences."""

    def fit() -> None:
        method: Method = METHODS[recipe.method].method(recipe.settings)
        assert isinstance(method, FittedMethod)
        method.fit(load.to(device))

    _time(fit, device, lap)


def train_naive(load: TrainingLoad, recipe: RunSpec, device: torch.device, lap: Lap) -> None:
    """Train SASRec (CE) or BT-SR (CE) by the rules of `naive`; a lap is an epoch over the same rows as ours."""
    weights = [recipe.settings.alpha, recipe.settings.lambd] if recipe.method == "btsr-ce" else []
    torch.manual_seed(0)
    encoder = naive.NaiveEncoder(load.n_items, recipe.encoder).to(device).train()
    settings = recipe.training
    optimizer = torch.optim.Adam(encoder.parameters(), settings.learning_rate, settings.betas, fused=True)
    batches = naive.loader(load, load.rows, bool(weights), settings.batch_size)

    def epoch() -> None:
        total = torch.zeros((), device=device)
        for batch in batches:
            loss = naive.loss(encoder, {name: part.to(device) for name, part in batch.items()}, *weights)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)

    _time(epoch, device, lap)


def train_sparse(load: TrainingLoad, recipe: RunSpec, device: torch.device, lap: Lap) -> None:
    """Train BT-SR (SCE) with sparse gradients of the item table; a lap is an epoch.

    The gradient holds, and SparseAdam updates, only the rows that a step touches. This serves catalogues whose table
    fits into memory three times but not nine times.
    """
    torch.manual_seed(0)
    data, rng = load.to(device), torch.Generator(device).manual_seed(0)
    method = BTSR(recipe.settings)
    method.prepare(data)
    encoder = transformer.build(data.n_items, recipe.encoder).to(device).train()
    table, settings = encoder.items.weight, recipe.training
    others = [parameter for parameter in encoder.parameters() if parameter is not table]
    encoder.items.sparse = True
    optimizers = [
        torch.optim.Adam(others, settings.learning_rate, settings.betas, fused=True),
        torch.optim.SparseAdam([table], settings.learning_rate, settings.betas),
    ]

    def epoch() -> None:
        for rows in data.rows.split(settings.batch_size):
            encoder.zero_grad()
            sparse_loss(method, encoder, data.batch(rows), rng).backward()
            for optimizer in optimizers:
                optimizer.step()

    _time(epoch, device, lap)


def sparse_loss(method: BTSR, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Tensor:
    """Compute the loss of BT-SR (SCE), a scalar, without a gradient as large as the item table.

    The states only compete against the items in the buckets, which are looked up like the inputs. Buckets are drawn a
    few at a time, their number rounded up, because each of them scores every item in order to choose its own.
    """
    objective = method.settings.objective
    assert isinstance(objective, ScalableCrossEntropy)
    states, z_a = encoder(batch.inputs)
    some, buckets = replace(objective, buckets=BUCKETS_AT_ONCE), objective.factor * math.sqrt(len(states))
    chosen = [
        some.select(states.detach(), encoder.item_table.detach(), rng)
        for _ in range(math.ceil((objective.buckets or buckets) / BUCKETS_AT_ONCE))
    ]
    x_ids, y_ids = map(torch.cat, zip(*chosen, strict=True))  # (n_b, X), (n_b, Y)
    touched = torch.cat([y_ids.flatten(), batch.next_items]).unique()  # (U,) ascending
    targets, y_places = (torch.searchsorted(touched, ids) for ids in (batch.next_items, y_ids))
    next_item = kernels.bucketed_cross_entropy(states, encoder.items(touched), targets, x_ids, y_places)
    z_b = encoder.last(method.make_view(batch, rng))
    return next_item + method.settings.alpha * method.regularizer(z_a, z_b)


def rank_ours(
    cases: Cases, n_items: int, settings: EncoderSettings, device: torch.device, lap: Lap, whole: bool
) -> None:
    """Rank all users in a lap: only the ranks, or the `whole` Ranking with top lists and raw scores."""
    torch.manual_seed(0)
    encoder, cases = transformer.build(n_items, settings).to(device).eval(), cases.to(device)
    rank = evaluate if whole else evaluate_ranks
    _time(lambda: rank(encoder.score, cases, n_items, settings.maxlen), device, lap)


def rank_naive(
    cases: Cases, n_items: int, settings: EncoderSettings, device: torch.device, lap: Lap, users_at_once: int
) -> None:
    """Rank all users in a lap by the rules of `naive`; more than one of the `users_at_once` goes beyond these rules."""
    torch.manual_seed(0)
    encoder = naive.NaiveEncoder(n_items, settings).to(device).eval()
    _time(lambda: naive.ranks(naive.score_matrix(encoder, cases.histories, users_at_once), cases), device, lap)


def index_ours(final: np.ndarray, device: torch.device, lap: Lap) -> None:
    """Build the twin index of the final items (n,) in a lap."""
    items = torch.from_numpy(final).to(device)
    _time(lambda: TwinIndex.build(items), device, lap)


def index_naive(final: np.ndarray, device: torch.device, lap: Lap) -> None:
    """List every sequence's twins by scanning the final items (n,) in a lap."""
    _time(lambda: naive.list_twins(final), device, lap)


def draw_ours(final: np.ndarray, rows: np.ndarray, device: torch.device, lap: Lap) -> None:
    """Draw a twin for each of the rows (m,) in a lap, one batch at a time."""
    index = TwinIndex.build(torch.from_numpy(final).to(device))
    batches = torch.from_numpy(rows).to(device).split(DRAWN_AT_ONCE)
    rng = torch.Generator(device).manual_seed(0)
    _time(lambda: [index.draw(batch, rng) for batch in batches], device, lap)


def _time(work: Callable[[], object], device: torch.device, lap: Lap) -> None:
    """Make laps of `work` without end. What it returns is freed before the next lap, outside the timing."""
    while True:
        clock = time.perf_counter()
        found = work()
        synchronize(device)
        lap(time.perf_counter() - clock)
        del found
