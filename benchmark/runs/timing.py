"""Estimate how long an epoch takes on this machine by timing a few batches."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, fields, replace

import torch
from torch import Tensor

from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.plan.run_spec import RunSpec
from benchmark.runs.evaluation import evaluate_ranks
from benchmark.runs.run import training_data
from benchmark.runs.training import EpochRow, Trained, train
from datasets.cases import Cases
from datasets.split import Split

LOGITS_AT_ONCE = 50_000_000  # scores in the larger of the two timed batches, so that it takes a second or less
CASES = 64  # validation cases to time


@dataclass(frozen=True, eq=False)
class _FewRows(TrainingData):
    """The whole training data, so that indices and statistics are real, but only `rows` (n,) are trained on."""

    rows: Tensor = field(kw_only=True)

    @property
    def trainable(self) -> Tensor:
        return self.rows


def seconds_per_epoch(spec: RunSpec, split: Split, device: torch.device) -> float:
    """Estimate the seconds that an epoch of a trained method takes, including validation.

    Timing two small batches of different size gives the cost per batch and per target.
    """
    torch.set_num_threads(1)  # as in runs
    data = training_data(spec, split.train, split.n_items, torch.device("cpu"))
    rows = data.trainable[torch.randperm(len(data.trainable), generator=torch.Generator().manual_seed(0))]
    batch_size = min(spec.training.batch_size, len(rows))
    large = min(batch_size, max(8, LOGITS_AT_ONCE // (split.n_items * spec.encoder.maxlen)))
    small = max(2, large // 4)
    targets = (data.sequences.lengths[rows] - 1).clamp_max(data.maxlen).cumsum(0)  # [n - 1]: in the first n rows
    validation = split.cases("validation")
    cases = _first(validation, CASES).to(device)
    (_, of_small), (trained, of_large) = (_train(spec, data, rows[:n], cases, device) for n in (small, large))
    of_target = max(0.0, of_large - of_small) / max(1, int(targets[large - 1] - targets[small - 1]))
    of_batch = max(0.0, of_large - of_target * int(targets[large - 1]))
    clock = time.perf_counter()
    evaluate_ranks(trained.encoder.score, cases, split.n_items, spec.encoder.maxlen)
    of_case = (time.perf_counter() - clock) / len(cases.targets)
    return len(rows) // batch_size * of_batch + int(targets[-1]) * of_target + len(validation.targets) * of_case


def _first(cases: Cases, n: int) -> Cases:
    some = torch.arange(min(len(cases.targets), n))
    return Cases(cases.histories.select(some), cases.targets[some])


def _train(
    spec: RunSpec, data: TrainingData, rows: Tensor, cases: Cases, device: torch.device
) -> tuple[Trained, float]:
    """Train on one batch of these rows. Returns the model and the seconds per batch after a warm-up."""
    settings = spec.settings
    if hasattr(settings, "refresh_after"):  # EC4SRec uses its views only after this epoch
        settings = replace(settings, refresh_after=(1,))
    few = _FewRows(**{each.name: getattr(data, each.name) for each in fields(data)}, rows=rows).to(device)
    seconds = list[float]()

    def on_epoch(row: EpochRow) -> None:
        seconds.append(row["seconds"])

    training = replace(spec.training, batch_size=len(rows), epochs=3, compile=False)
    trained = train(METHODS[spec.method].method(settings), few, _first(cases, 1), spec.encoder, training, 0, on_epoch)
    return trained, min(seconds[1:])
