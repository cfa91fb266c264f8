"""What contenders do in their processes, our way and the usual way: set up, then lap after lap."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from baselines.encoder import Encoder
from baselines.method import FittedMethod, Method
from baselines.registry import METHODS
from benchmark.bench import naive
from benchmark.bench.lap_line import Lap
from benchmark.bench.workloads import EvaluationLoad, Recipe, TrainingLoad, random_cases
from benchmark.plan.selection import METRIC
from benchmark.runs.evaluation import evaluate, evaluate_ranks
from benchmark.runs.training import EpochRow, train
from datasets.protocol import Protocol
from datasets.reading import read_interactions
from datasets.registry import DATASETS
from datasets.sequences import TwinIndex
from datasets.split import Cases, split

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
        lap(row["seconds"], targets=targets, ndcg=row["validation"][METRIC])

    _train(load, recipe, validation.cases(device), device, on_epoch)


def _train(
    load: TrainingLoad, recipe: Recipe, validation: Cases, device: torch.device, on_epoch: Callable[[EpochRow], None]
) -> None:
    method = METHODS[recipe.method].method(recipe.settings)
    train(method, load.data(device), validation, recipe.encoder, recipe.training, seed=0, on_epoch=on_epoch)


def fit_ours(load: TrainingLoad, recipe: Recipe, device: torch.device, lap: Lap) -> None:
    """A lap is one fit to all sequences, of a method that counts."""
    while True:
        data = load.data(device)
        method: Method = METHODS[recipe.method].method(recipe.settings)
        assert isinstance(method, FittedMethod)
        clock = time.perf_counter()
        method.fit(data)
        _wait_for(device)
        lap(time.perf_counter() - clock)


def train_naive(load: TrainingLoad, recipe: Recipe, task: naive.NaiveTask, device: torch.device, lap: Lap) -> None:
    """The same laps over the same rows by the rules of `naive`."""
    torch.manual_seed(0)
    data = load.data(torch.device("cpu"))
    encoder = naive.NaiveEncoder(load.n_items, recipe.encoder).to(device).train()
    settings = recipe.training
    optimizer = torch.optim.Adam(encoder.parameters(), settings.learning_rate, settings.betas, fused=True)
    batches = naive.loader(data, data.trainable, task, settings.batch_size)
    while True:
        clock = time.perf_counter()
        total = torch.zeros((), device=device)
        for batch in batches:
            loss = naive.loss(encoder, {name: part.to(device) for name, part in batch.items()}, task)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            total += loss.detach()
        float(total)
        lap(time.perf_counter() - clock)


def rank_ours(load: EvaluationLoad, whole: bool, device: torch.device, lap: Lap) -> None:
    """A lap ranks all users: ranks alone, or the `whole` Ranking with top lists and raw scores."""
    torch.manual_seed(0)
    encoder = Encoder(load.n_items, load.encoder).to(device).eval()
    cases = load.cases(device)
    while True:
        clock = time.perf_counter()
        (evaluate if whole else evaluate_ranks)(encoder.score, cases, load.n_items, load.encoder.maxlen)
        lap(time.perf_counter() - clock)


def rank_naive(load: EvaluationLoad, users_at_once: int, device: torch.device, lap: Lap) -> None:
    """A lap ranks all users by the rules of `naive`; with `users_at_once` above one, faster than those rules."""
    torch.manual_seed(0)
    encoder = naive.NaiveEncoder(load.n_items, load.encoder).to(device).eval()
    cases = load.cases(torch.device("cpu"))
    while True:
        clock = time.perf_counter()
        naive.ranks(naive.score_matrix(encoder, cases.histories, users_at_once), cases)
        lap(time.perf_counter() - clock)


def index_ours(final: np.ndarray, device: torch.device, lap: Lap) -> None:
    """A lap builds the index of the final items (n,)."""
    items = torch.from_numpy(final).to(device)
    while True:
        clock = time.perf_counter()
        index = TwinIndex.build(items)
        _wait_for(device)
        lap(time.perf_counter() - clock)
        del index


def index_naive(final: np.ndarray, device: torch.device, lap: Lap) -> None:
    """A lap lists every sequence's twins by scanning."""
    while True:
        clock = time.perf_counter()
        lists = naive.list_twins(final)
        lap(time.perf_counter() - clock)
        del lists


def draw_ours(final: np.ndarray, rows: np.ndarray, device: torch.device, lap: Lap) -> None:
    """A lap draws a twin for each of the rows (m,), a batch at a time."""
    index = TwinIndex.build(torch.from_numpy(final).to(device))
    batches = torch.from_numpy(rows).to(device).split(DRAWN_AT_ONCE)
    rng = torch.Generator(device).manual_seed(0)
    while True:
        clock = time.perf_counter()
        for batch in batches:
            index.draw(batch, rng)
        _wait_for(device)
        lap(time.perf_counter() - clock)


def draw_naive(final: np.ndarray, rows: np.ndarray, device: torch.device, lap: Lap) -> None:
    """The same draws from lists that are there already."""
    lists = {row: naive.scan_twins(final, row) for row in rows.tolist()}
    batches = [rows[first : first + DRAWN_AT_ONCE] for first in range(0, len(rows), DRAWN_AT_ONCE)]
    random = np.random.default_rng(0)
    while True:
        clock = time.perf_counter()
        for batch in batches:
            naive.draw_twins(lists, batch, random)
        lap(time.perf_counter() - clock)


def prepare_gowalla(path: Path, device: torch.device, lap: Lap) -> None:
    """A lap reads a file in Gowalla's format, filters and splits it."""
    dataset = DATASETS["gowalla"]
    protocol = Protocol.of_preset("released", dataset.released_filter)
    while True:
        clock = time.perf_counter()
        split(read_interactions(path, dataset), protocol)
        lap(time.perf_counter() - clock)


def _wait_for(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
