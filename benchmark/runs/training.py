"""The training loop that all methods trained by gradient descent share."""

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
"""Early stopping waits for WARM_UP_EPOCHS, and until the mean validation metric of the last `patience` epochs exceeds
PLATEAU times that of most-popular (or the midpoint between most-popular and 1, if that is lower). The reason is that on
ML-1M, BCE stays at the level of most-popular for some 20 epochs, and with Barlow Twins for more than 40. A run that
stopped there would have learned nothing."""

EpochRow = dict[str, Any]


class Diverged(Exception):
    """A loss or score is not finite."""


@dataclass(frozen=True, eq=False)
class Trained:
    """The encoder of the best epoch.

    `continued`: how often the run was resumed. `seconds_before`: time spent before it was last resumed.
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
    """Train with early stopping and return the best epoch's encoder, on the device of `data`.

    Training stops when the validation metric has not improved for `patience` epochs, with the exceptions that
    WARM_UP_EPOCHS explains. If `validation` is a number, train for that many epochs and return the last encoder.

    The seed determines initialisation and dropout (global generators), the batch order, and the method's own draws. If
    `checkpoint` has a state, training resumes from it; on a CPU the result is the same to the bit as without an
    interruption. `on_epoch` is called for the earlier epochs, too. Raises Diverged, after a last call of `on_epoch`.
    """
    run = _start_or_resume(lambda: _TrainingRun(method, data, validation, encoder_settings, settings, seed), checkpoint)
    for row in run.epochs:
        on_epoch(row)
    while not run.is_over():
        reason = run.epoch()
        on_epoch(run.epochs[-1])
        if reason:
            raise Diverged(f"{reason} in epoch {len(run.epochs)}")
        if checkpoint:
            checkpoint.save_if_due(run.state)
    run.encoder.load_state_dict(run.best["state"])
    return Trained(run.encoder.eval(), run.epochs, run.best["epoch"], run.seconds_before, run.continued)


def check_compiler(device: torch.device) -> None:
    """Raise ConfigError unless torch.compile works on this device. It needs a C++ compiler, or Triton on a GPU."""
    try:
        torch.compile(lambda x: x + 1, dynamic=True)(torch.zeros(2, device=device))
    except Exception as error:  # compilers can raise almost anything
        needed = "Triton" if device.type == "cuda" else "a C++ compiler"
        raise ConfigError(
            f"training.compile: torch.compile does not work here ({type(error).__name__}); "
            f"install {needed}, or leave the setting out"
        ) from None


def _start_or_resume(start: Callable[[], _TrainingRun], checkpoint: Checkpoint | None) -> _TrainingRun:
    """Resume from the checkpoint if its state fits, otherwise start from the beginning."""
    run = start()
    state = checkpoint.load() if checkpoint else None
    if state is not None:
        try:
            run.restore(state)
        except (KeyError, ValueError, TypeError, AttributeError, RuntimeError):
            return start()  # again, because part of the state may have been restored
    return run


class _TrainingRun:
    """The state of a training run between two epochs: everything that the next epoch depends on."""

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
        self.extra = method.build(encoder_settings.width).to(self.device)  # the method's own parameters
        self.pretraining = method.pretraining_epochs(settings.epochs)
        self.optimizer = self._adam()
        if not isinstance(validation, int):
            popularity = _validate(Popularity(Popularity.Settings()).fit(data), validation, data)
            self.plateau = min(PLATEAU * popularity[METRIC], (popularity[METRIC] + 1) / 2)
        self.best: State = {"value": -math.inf, "epoch": 0, "state": {}}
        self.epochs: list[EpochRow] = []
        self.started, self.seconds_before, self.continued = time.perf_counter(), 0.0, 0

    def is_over(self) -> bool:
        done, patience = len(self.epochs), self.settings.patience
        if isinstance(self.validation, int):
            return done == self.validation
        if done >= self.settings.epochs:
            return True
        if done < self.pretraining + WARM_UP_EPOCHS or done - self.best["epoch"] < patience:
            return False
        return fmean(row["validation"][METRIC] for row in self.epochs[-patience:]) > self.plateau

    def epoch(self) -> str:
        """Train for one epoch and validate. Returns why the run has diverged, or "" if it has not."""
        started, number = time.perf_counter(), len(self.epochs) + 1
        if number == self.pretraining + 1:
            self.optimizer = self._adam()
        terms = self._train()
        self.method.on_epoch(self.encoder, self.data, number)
        loss, metrics, reason = sum(terms.values()), {}, ""
        if not math.isfinite(loss):
            reason = f"the loss is {loss}"
        elif isinstance(self.validation, int):
            self._keep_if_best(number, number)
        else:
            try:
                metrics = _validate(self.encoder.eval().score, self.validation, self.data)
                self._keep_if_best(metrics[METRIC], number)
            except NonFiniteScores as error:
                reason = str(error)
        seconds = round(seconds_since(started), 4)
        self.epochs.append({"epoch": number, "seconds": seconds, "loss": loss, "terms": terms, "validation": metrics})
        return reason

    def _keep_if_best(self, value: float, epoch: int) -> None:
        """Copy the weights if this epoch is strictly better than all others since pretraining."""
        if epoch > self.pretraining and value > self.best["value"]:
            weights = {name: tensor.clone() for name, tensor in self.encoder.state_dict().items()}
            self.best = {"value": value, "epoch": epoch, "state": weights}

    def state(self) -> State:
        """Return the state for a checkpoint."""
        return {
            "encoder": self.encoder.state_dict(),
            "beside": self.extra.state_dict(),
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
        """Invert `state`. Raises an exception of some kind if the state does not fit."""
        self.encoder.load_state_dict(state["encoder"])
        self.extra.load_state_dict(state["beside"])
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
        settings, parameters = self.settings, [*self.encoder.parameters(), *self.extra.parameters()]
        return torch.optim.Adam(
            parameters, settings.learning_rate, settings.betas, weight_decay=settings.weight_decay, fused=True
        )

    def _train(self) -> dict[str, float]:
        """Train for one epoch and return the mean of each loss term, copied from the device only at the end."""
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
    """Yield shuffled batches of rows, both on the device and in host memory.

    An incomplete last batch is dropped unless it is the only one. All rows are copied to the host at once, so that a
    GPU is synchronised once per epoch and not at every step.
    """
    shuffled = rows[torch.randperm(len(rows), generator=order).to(rows.device)]
    on_host = shuffled.cpu()
    complete = max(len(shuffled) // batch_size, 1)
    for batch, same in list(zip(shuffled.split(batch_size), on_host.split(batch_size), strict=True))[:complete]:
        yield batch, same.numpy()


def _validate(score: Scorer, validation: Cases, data: TrainingData) -> dict[str, float]:
    ranks = validation.per_user(evaluate_ranks(score, validation, data.n_items, data.maxlen))
    return {"ndcg@10": ndcg(ranks, 10), "hr@10": hit_rate(ranks, 10)}
