"""The one training loop, for every gradient-trained method."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.method import Terms, TrainedMethod, TrainingData
from baselines.sasrec import Encoder, EncoderSettings
from benchmark.config import TrainingSettings
from benchmark.evaluation import NonFiniteScores, evaluate_ranks
from benchmark.metrics import hit_rate, ndcg
from benchmark.selection import METRIC
from datasets.split import Cases

WARM_UP_EPOCHS = 30
"""No run is ended by its patience before. On ML-1M, BCE stays at the level of most-popular for some 20 epochs of 20
steps before it begins to learn; to stop it there would be to compare with a baseline that was never trained."""

EpochRow = dict[str, Any]


class Diverged(Exception):
    """A loss or a score stopped being finite."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The encoder of the best validation epoch and how it came about."""

    encoder: Encoder
    epochs: list[EpochRow]
    selected_epoch: int


def train(
    method: TrainedMethod,
    data: TrainingData,
    validation: Cases,
    encoder_settings: EncoderSettings,
    settings: TrainingSettings,
    seed: int,
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
) -> Trained:
    """Train until the validation metric has not risen for `patience` epochs, but at least WARM_UP_EPOCHS; keep the best
    epoch.

    `data` and the encoder live on the device of `data`. The seed decides initialisation and dropout (the global
    generators), batch order, and what the method draws. Raises Diverged after the epoch has been given to `on_epoch`.
    """
    device = data.sequences.items.device
    init_seed, order_seed, method_seed = np.random.SeedSequence(seed).generate_state(3).tolist()
    torch.manual_seed(init_seed)
    order = torch.Generator().manual_seed(order_seed)
    rng = torch.Generator(device).manual_seed(method_seed)

    encoder = Encoder(data.n_items, encoder_settings).to(device)
    parameters = [*encoder.parameters(), *method.build(encoder_settings.width).to(device).parameters()]
    method.prepare(data)
    pretraining = method.pretraining_epochs(settings.epochs)
    best = Best(pretraining)
    epochs: list[EpochRow] = []
    while len(epochs) < settings.epochs and not best.is_old(len(epochs), settings.patience):
        if len(epochs) in (0, pretraining):
            optimizer = _adam(parameters, settings)
        started = time.perf_counter()
        terms = _train_epoch(method, encoder, optimizer, data, settings.batch_size, order, rng)
        method.on_epoch(encoder, data, len(epochs) + 1)
        loss, metrics, reason = sum(terms.values()), {}, ""
        if math.isfinite(loss):
            try:
                metrics = _validate(encoder, validation, data)
            except NonFiniteScores as error:
                reason = str(error)
        else:
            reason = f"the loss is {loss}"
        seconds = round(time.perf_counter() - started, 4)
        epochs.append(
            {"epoch": len(epochs) + 1, "seconds": seconds, "loss": loss, "terms": terms, "validation": metrics}
        )
        on_epoch(epochs[-1])
        if reason:
            raise Diverged(f"{reason} in epoch {len(epochs)}")
        best.offer(metrics[METRIC], len(epochs), encoder)
    encoder.load_state_dict(best.state)
    return Trained(encoder.eval(), epochs, best.epoch)


def _adam(parameters: list[torch.nn.Parameter], settings: TrainingSettings) -> torch.optim.Optimizer:
    return torch.optim.Adam(
        parameters, settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=True
    )


class Best:
    """The best epoch after `pretraining` and a copy of its weights."""

    def __init__(self, pretraining: int) -> None:
        self.pretraining = pretraining
        self.value, self.epoch = -math.inf, 0
        self.state: dict[str, Tensor] = {}

    def is_old(self, epoch: int, patience: int) -> bool:
        """Whether training is over: nothing better for `patience` epochs, once the warm-up is."""
        return epoch >= self.pretraining + WARM_UP_EPOCHS and epoch - self.epoch >= patience

    def offer(self, value: float, epoch: int, encoder: Encoder) -> None:
        """Keep this epoch if it is strictly better."""
        if epoch > self.pretraining and value > self.value:
            self.value, self.epoch = value, epoch
            self.state = {name: tensor.clone() for name, tensor in encoder.state_dict().items()}


def _train_epoch(
    method: TrainedMethod,
    encoder: Encoder,
    optimizer: torch.optim.Optimizer,
    data: TrainingData,
    batch_size: int,
    order: torch.Generator,
    rng: torch.Generator,
) -> dict[str, float]:
    """One pass; returns the mean of each loss term. The loss is read back once, at the end."""
    encoder.train()
    totals: Terms = {}
    steps = 0
    for rows in _batches(data.trainable, batch_size, order):
        terms = method.loss(encoder, data.batch(rows), rng)
        optimizer.zero_grad()
        torch.stack(list(terms.values())).sum().backward()
        optimizer.step()
        for name, term in terms.items():
            totals[name] = totals.get(name, 0.0) + term.detach()
        steps += 1
    return {name: float(total) / steps for name, total in totals.items()}


def _batches(rows: Tensor, batch_size: int, order: torch.Generator) -> Iterator[Tensor]:
    """The rows in random order, in batches; the last incomplete one is dropped unless it is the only one."""
    shuffled = rows[torch.randperm(len(rows), generator=order).to(rows.device)]
    complete = max(len(shuffled) // batch_size, 1)
    yield from shuffled.split(batch_size)[:complete]


def _validate(encoder: Encoder, validation: Cases, data: TrainingData) -> dict[str, float]:
    encoder.eval()
    ranks = evaluate_ranks(encoder.score, validation, data.n_items, data.maxlen)
    return {"ndcg@10": ndcg(ranks, 10), "hr@10": hit_rate(ranks, 10)}
