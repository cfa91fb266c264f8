"""What contenders do in their processes, our way and the usual way: set up, then lap after lap."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from baselines.method import FittedMethod, Method
from baselines.registry import METHODS
from baselines.transformer import Transformer
from benchmark.bench import naive
from benchmark.bench.lap_line import Lap
from benchmark.bench.workloads import EvaluationLoad, Recipe, TrainingLoad, random_cases
from benchmark.plan.selection import METRIC
from benchmark.runs.evaluation import evaluate, evaluate_ranks
from benchmark.runs.training import EpochRow, train
from datasets.cases import Cases
from datasets.protocol import Protocol
from datasets.reading import read_interactions
from datasets.registry import DATASETS
from datasets.sequences import TwinIndex
from datasets.split import split

DRAWN_AT_ONCE = 256


def train_ours(load: TrainingLoad, recipe: Recipe, skipped: int, device: torch.device, lap: Lap) -> None:
    """`benchmark.runs.training.train` itself; a lap is an epoch over the load's rows, with one user to validate on. The
    first `skipped` epochs are no laps.
    """

    def on_epoch(row: EpochRow) -> None:
        if row["epoch"] > skipped:
            lap(row["seconds"])

    _train(load, recipe, random_cases(1, 1, load.n_items).to(device), device, on_epoch)


def learn_ours(load: TrainingLoad, recipe: Recipe, validation: EvaluationLoad, device: torch.device, lap: Lap) -> None:
    """The same, with all users to validate on; says how many targets a lap learnt from and the NDCG@10 then."""
    targets = load.targets_of_epoch(recipe.training.batch_size)

    def on_epoch(row: EpochRow) -> None:
        lap(row["seconds"], targets=targets, ndcg=row["validation"][METRIC], loss=row["loss"])

    _train(load, recipe, validation.cases.to(device), device, on_epoch)


def _train(
    load: TrainingLoad, recipe: Recipe, validation: Cases, device: torch.device, on_epoch: Callable[[EpochRow], None]
) -> None:
    method = METHODS[recipe.method].method(recipe.settings)
    train(method, load.to(device), validation, recipe.encoder, recipe.training, seed=0, on_epoch=on_epoch)


def fit_ours(load: TrainingLoad, recipe: Recipe, device: torch.device, lap: Lap) -> None:
    """A lap is one fit to all sequences, of a method that counts."""

    def fit() -> None:
        method: Method = METHODS[recipe.method].method(recipe.settings)
        assert isinstance(method, FittedMethod)
        method.fit(load.to(device))

    _time(fit, device, lap)


def train_naive(load: TrainingLoad, recipe: Recipe, device: torch.device, lap: Lap) -> None:
    """The same laps over the same rows by the rules of `naive`, which must have the recipe's method."""
    task = recipe.usual_task
    assert task is not None
    torch.manual_seed(0)
    encoder = naive.NaiveEncoder(load.n_items, recipe.encoder).to(device).train()
    settings = recipe.training
    optimizer = torch.optim.Adam(encoder.parameters(), settings.learning_rate, settings.betas, fused=True)
    batches = naive.loader(load, load.rows, task, settings.batch_size)

    def epoch() -> None:
        total = torch.zeros((), device=device)
        for batch in batches:
            loss = naive.loss(encoder, {name: part.to(device) for name, part in batch.items()}, task)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)

    _time(epoch, device, lap)


def rank_ours(load: EvaluationLoad, whole: bool, device: torch.device, lap: Lap) -> None:
    """A lap ranks all users: ranks alone, or the `whole` Ranking with top lists and raw scores."""
    torch.manual_seed(0)
    encoder, cases = Transformer(load.n_items, load.encoder).to(device).eval(), load.cases.to(device)
    rank = evaluate if whole else evaluate_ranks
    _time(lambda: rank(encoder.score, cases, load.n_items, load.encoder.maxlen), device, lap)


def rank_naive(load: EvaluationLoad, users_at_once: int, device: torch.device, lap: Lap) -> None:
    """A lap ranks all users by the rules of `naive`; with `users_at_once` above one, faster than those rules."""
    torch.manual_seed(0)
    encoder, cases = naive.NaiveEncoder(load.n_items, load.encoder).to(device).eval(), load.cases
    _time(lambda: naive.ranks(naive.score_matrix(encoder, cases.histories, users_at_once), cases), device, lap)


def index_ours(final: np.ndarray, device: torch.device, lap: Lap) -> None:
    """A lap builds the index of the final items (n,)."""
    items = torch.from_numpy(final).to(device)
    _time(lambda: TwinIndex.build(items), device, lap)


def index_naive(final: np.ndarray, device: torch.device, lap: Lap) -> None:
    """A lap lists every sequence's twins by scanning."""
    _time(lambda: naive.list_twins(final), device, lap)


def draw_ours(final: np.ndarray, rows: np.ndarray, device: torch.device, lap: Lap) -> None:
    """A lap draws a twin for each of the rows (m,), a batch at a time."""
    index = TwinIndex.build(torch.from_numpy(final).to(device))
    batches = torch.from_numpy(rows).to(device).split(DRAWN_AT_ONCE)
    rng = torch.Generator(device).manual_seed(0)
    _time(lambda: [index.draw(batch, rng) for batch in batches], device, lap)


def draw_naive(final: np.ndarray, rows: np.ndarray, device: torch.device, lap: Lap) -> None:
    """The same draws from lists that are there already."""
    lists = {row: naive.scan_twins(final, row) for row in rows.tolist()}
    batches = [rows[first : first + DRAWN_AT_ONCE] for first in range(0, len(rows), DRAWN_AT_ONCE)]
    random = np.random.default_rng(0)
    _time(lambda: [naive.draw_twins(lists, batch, random) for batch in batches], device, lap)


def prepare_gowalla(path: Path, device: torch.device, lap: Lap) -> None:
    """A lap reads a file in Gowalla's format, filters and splits it."""
    dataset = DATASETS["gowalla"]
    protocol = Protocol.of_preset("released", dataset.released_filter)
    _time(lambda: split(read_interactions(path, dataset), protocol), device, lap)


def _time(work: Callable[[], object], device: torch.device, lap: Lap) -> None:
    """Make a lap of `work` for ever; what it returns is dropped before the next one."""
    while True:
        clock = time.perf_counter()
        found = work()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        lap(time.perf_counter() - clock)
        del found
