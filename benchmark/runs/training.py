"""The one training loop, for every gradient-trained method."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from statistics import fmean
from typing import Any

import numpy as np
import torch
from torch import Tensor

from baselines.counting import Popularity
from baselines.encoder import Encoder
from baselines.method import Scorer, Terms, TrainedMethod
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from benchmark.plan.config import ConfigError
from benchmark.plan.run_spec import TrainingSettings
from benchmark.plan.selection import METRIC
from benchmark.runs.checkpoint import Checkpoint, State
from benchmark.runs.environment import seconds_since
from benchmark.runs.evaluation import NonFiniteScores, evaluate_ranks
from benchmark.runs.metrics import hit_rate, ndcg
from datasets.cases import Cases

WARM_UP_EPOCHS, PLATEAU = 30, 2.0
"""Patience ends no run before WARM_UP_EPOCHS, nor while the run was, on average over the last `patience` epochs,
less than PLATEAU times as good as most-popular on validation (half way from there to perfection, where that is less).
On ML-1M, BCE stays at the level of most-popular for some 20 epochs of 20 steps, with Barlow Twins for more than 40; to
stop it there would be to compare with a model that was never trained."""

EpochRow = dict[str, Any]


class Diverged(Exception):
    """A loss or a score stopped being finite."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The encoder of the best validation epoch and how it came about; `continued`: how often after having been cut
    short, `seconds_before`: spent until the last time.
    """

    encoder: Encoder
    epochs: list[EpochRow]
    selected_epoch: int
    seconds_before: float
    continued: int


def train(
    method: TrainedMethod,
    data: TrainingData,
    validation: Cases | int,
    encoder_settings: EncoderSettings,
    settings: TrainingSettings,
    seed: int,
    on_epoch: Callable[[EpochRow], None] = lambda row: None,
    checkpoint: Checkpoint | None = None,
) -> Trained:
    """Train until the validation metric has not risen for `patience` epochs, counted as WARM_UP_EPOCHS says; keep the
    best epoch. Or, where `validation` is a number, train for that many epochs and keep the last.

    `data` and the encoder live on the device of `data`. The seed decides initialisation and dropout (the global
    generators), batch order, and what the method draws. With a `checkpoint` that holds a state, training continues from
    there, on a CPU with the same bits as if it had never stopped; `on_epoch` gets the earlier epochs first. Raises
    Diverged after the epoch has been given to `on_epoch`.
    """
    run = _begin(lambda: _InFlight(method, data, validation, encoder_settings, settings, seed), checkpoint)
    for row in run.epochs:
        on_epoch(row)
    while not run.is_over():
        reason = run.epoch()
        on_epoch(run.epochs[-1])
        if reason:
            raise Diverged(f"{reason} in epoch {len(run.epochs)}")
        if checkpoint:
            checkpoint.offer(run.state)
    run.encoder.load_state_dict(run.best["state"])
    return Trained(run.encoder.eval(), run.epochs, run.best["epoch"], run.seconds_before, run.continued)


def check_compiler(device: torch.device) -> None:
    """Raises ConfigError unless torch.compile works on this device: it calls a C++ compiler, on a GPU Triton."""
    try:
        torch.compile(lambda x: x + 1, dynamic=True)(torch.zeros(2, device=device))
    except Exception as error:  # whatever lies between torch and a compiler
        needed = "Triton" if device.type == "cuda" else "a C++ compiler"
        raise ConfigError(
            f"training.compile: torch.compile does not work here ({type(error).__name__}); "
            f"install {needed}, or leave the setting out"
        ) from None


def _begin(anew: Callable[[], _InFlight], checkpoint: Checkpoint | None) -> _InFlight:
    """The run as the checkpoint has it; from the start if it has none, or one that does not fit."""
    run = anew()
    state = checkpoint.load() if checkpoint else None
    if state is None:
        return run
    try:
        run.restore(state)
    except (KeyError, ValueError, TypeError, AttributeError, RuntimeError):
        return anew()
    return run


class _InFlight:
    """A training run between two epochs: everything that the next one depends on."""

    def __init__(
        self,
        method: TrainedMethod,
        data: TrainingData,
        validation: Cases | int,
        encoder_settings: EncoderSettings,
        settings: TrainingSettings,
        seed: int,
    ) -> None:
        self.method, self.data, self.validation, self.settings = method, data, validation, settings
        self.device = data.sequences.items.device
        init_seed, order_seed, method_seed = np.random.SeedSequence(seed).generate_state(3).tolist()
        torch.manual_seed(init_seed)
        self.order = torch.Generator().manual_seed(order_seed)
        self.rng = torch.Generator(self.device).manual_seed(method_seed)
        method.prepare(data)
        self.encoder = method.build_encoder(data.n_items, encoder_settings, settings.precision).to(self.device)
        if settings.compile:
            for part in self.encoder.compiled_parts():
                part.compile(dynamic=True)
        self.beside = method.build(encoder_settings.width).to(self.device)
        self.pretraining = method.pretraining_epochs(settings.epochs)
        self.optimizer = self._adam()
        if not isinstance(validation, int):
            popularity = _validate(Popularity(Popularity.Settings()).fit(data), validation, data)
            self.plateau = min(PLATEAU * popularity[METRIC], (popularity[METRIC] + 1) / 2)
        self.best: State = {"value": -math.inf, "epoch": 0, "state": {}}
        self.epochs: list[EpochRow] = []
        self.started, self.seconds_before, self.continued = time.perf_counter(), 0.0, 0

    def is_over(self) -> bool:
        """Whether all epochs are used up or patience has run out."""
        done, patience = len(self.epochs), self.settings.patience
        if isinstance(self.validation, int):
            return done == self.validation
        if done >= self.settings.epochs:
            return True
        if done < self.pretraining + WARM_UP_EPOCHS or done - self.best["epoch"] < patience:
            return False
        return fmean(row["validation"][METRIC] for row in self.epochs[-patience:]) > self.plateau

    def epoch(self) -> str:
        """Train for one epoch and validate; returns why the run has diverged, nothing if it has not."""
        started, number = time.perf_counter(), len(self.epochs) + 1
        if number == self.pretraining + 1:
            self.optimizer = self._adam()
        terms = self._train()
        self.method.on_epoch(self.encoder, self.data, number)
        loss, metrics, reason = sum(terms.values()), {}, ""
        if not math.isfinite(loss):
            reason = f"the loss is {loss}"
        elif isinstance(self.validation, int):
            self._offer(number, number)
        else:
            try:
                metrics = _validate(self.encoder.eval().score, self.validation, self.data)
                self._offer(metrics[METRIC], number)
            except NonFiniteScores as error:
                reason = str(error)
        seconds = round(seconds_since(started), 4)
        self.epochs.append({"epoch": number, "seconds": seconds, "loss": loss, "terms": terms, "validation": metrics})
        return reason

    def _offer(self, value: float, epoch: int) -> None:
        """Keep the weights of this epoch if it is strictly better than all since pretraining ended."""
        if epoch > self.pretraining and value > self.best["value"]:
            weights = {name: tensor.clone() for name, tensor in self.encoder.state_dict().items()}
            self.best = {"value": value, "epoch": epoch, "state": weights}

    def state(self) -> State:
        """All of it, for a checkpoint."""
        return {
            "encoder": self.encoder.state_dict(),
            "beside": self.beside.state_dict(),
            "method": self.method.state(),
            "optimizer": self.optimizer.state_dict(),
            "best": self.best,
            "epochs": self.epochs,
            "order": self.order.get_state(),
            "rng": self.rng.get_state(),
            "torch": torch.get_rng_state(),
            "cuda": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "seconds": self.seconds_before + seconds_since(self.started),
            "continued": self.continued,
        }

    def restore(self, state: State) -> None:
        """Go on from there."""
        self.encoder.load_state_dict(state["encoder"])
        self.beside.load_state_dict(state["beside"])
        self.optimizer.load_state_dict(state["optimizer"])
        weights = {name: tensor.to(self.device) for name, tensor in state["best"]["state"].items()}
        self.best = {"value": state["best"]["value"], "epoch": state["best"]["epoch"], "state": weights}
        self.epochs = state["epochs"]
        self.order.set_state(state["order"])
        self.rng.set_state(state["rng"])
        torch.set_rng_state(state["torch"])
        if state["cuda"] is not None and self.device.type == "cuda":
            torch.cuda.set_rng_state(state["cuda"], self.device)
        self.seconds_before, self.continued = state["seconds"], state["continued"] + 1
        self.method.restore({name: tensor.to(self.device) for name, tensor in state["method"].items()})

    def _adam(self) -> torch.optim.Optimizer:
        settings, parameters = self.settings, [*self.encoder.parameters(), *self.beside.parameters()]
        return torch.optim.Adam(
            parameters, settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=True
        )

    def _train(self) -> dict[str, float]:
        """One pass; returns the mean of each loss term. The loss is read back once, at the end."""
        self.encoder.train()
        totals: Terms = {}
        steps = 0
        for rows, host_rows in _batches(self.data.trainable, self.settings.batch_size, self.order):
            terms = self.method.loss(self.encoder, self.data.batch(rows, host_rows), self.rng)
            self.optimizer.zero_grad()
            torch.stack(list(terms.values())).sum().backward()
            self.optimizer.step()
            for name, term in terms.items():
                totals[name] = totals.get(name, 0.0) + term.detach()
            steps += 1
        return {name: float(total) / steps for name, total in totals.items()}


def _batches(rows: Tensor, batch_size: int, order: torch.Generator) -> Iterator[tuple[Tensor, np.ndarray]]:
    """The rows in random order, in batches, each also in host memory, so that a GPU is waited for once an epoch and not
    at every step; the last incomplete batch is dropped unless it is the only one.
    """
    shuffled = rows[torch.randperm(len(rows), generator=order).to(rows.device)]
    on_host = shuffled.cpu()
    complete = max(len(shuffled) // batch_size, 1)
    for batch, same in list(zip(shuffled.split(batch_size), on_host.split(batch_size), strict=True))[:complete]:
        yield batch, same.numpy()


def _validate(score: Scorer, validation: Cases, data: TrainingData) -> dict[str, float]:
    ranks = validation.per_user(evaluate_ranks(score, validation, data.n_items, data.maxlen))
    return {"ndcg@10": ndcg(ranks, 10), "hr@10": hit_rate(ranks, 10)}
