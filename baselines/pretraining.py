"""Pretraining after Green et al. (2025), either before next-item prediction or on its own for downstream tasks.

We only have the abstract of that paper. docs/methods.md says how we filled in the rest.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import ClassVar

from baselines.deferred import Encoder, F, Tensor, TrainBatch, TrainingData, regularizers, torch, views
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.settings import Share, Shares, Temperature, Weight


class TwoStage(TrainedMethod):
    """L_BT of two random views in the first epochs, then L_pred.

    The BT-SR paper calls this slower and worse than joint training. Here both get the same encoder, data and number of
    epochs.
    """

    version = 1
    grid: ClassVar = {"settings.pretraining": (0.05, 0.1, 0.2, 0.4), "settings.lambd": (0.05, 0.2)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)
        pretraining: Share = 0.1  # the share of epochs spent on L_BT, rounded up
        lambd: Weight = 0.05  # as in BT-SR
        shares: Shares = field(default_factory=Shares)

    settings: Settings
    epochs_left = 0  # of pretraining

    def pretraining_epochs(self, budget: int) -> int:
        self.epochs_left = min(math.ceil(self.settings.pretraining * budget), budget - 1)  # leave one to fine-tune
        return self.epochs_left

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        self.epochs_left = max(self.epochs_left - 1, 0)

    def state(self) -> dict[str, Tensor]:
        return {"epochs_left": torch.tensor(self.epochs_left)}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.epochs_left = int(state["epochs_left"])

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        settings = self.settings
        if self.epochs_left == 0:
            states, _ = encoder(batch.inputs, batch.last_only)
            return {"next-item": settings.objective(states, batch, encoder.item_table, rng)}
        z_a, z_b = encoder.last_of_each(views.two_random_views(batch.inputs, batch.data, settings.shares, rng))
        return {"barlow-twins": regularizers.barlow_twins(z_a, z_b, settings.lambd)}


class RandomViews(TrainedMethod):
    """L_BT of two random views of each sequence (crop, mask or reorder, as in CL4SRec), without prediction."""

    version = 1

    @dataclass(frozen=True)
    class Settings:
        lambd: Weight = 0.05  # as in BT-SR
        shares: Shares = field(default_factory=Shares)

    settings: Settings

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        z_a, z_b = encoder.last_of_each(views.two_random_views(batch.inputs, batch.data, self.settings.shares, rng))
        return {"barlow-twins": regularizers.barlow_twins(z_a, z_b, self.settings.lambd)}


class DualEncoder(TrainedMethod):
    """A dual encoder (Yi et al., RecSys 2019) with a softmax over the targets of the batch.

    One tower is z, the state of the sequence; the other is a linear layer on the item vectors. Logits are corrected by
    logQ, the log frequency of each item as a target.
    """

    version = 1

    @dataclass(frozen=True)
    class Settings:
        temperature: Temperature = 1.0

    settings: Settings

    def build(self, width: int) -> torch.nn.Module:
        self.tower = torch.nn.Linear(width, width)
        return self.tower

    def prepare(self, data: TrainingData) -> None:
        self.targets = data.sequences.final_items()  # (n,)
        counts = self.targets[data.trainable].bincount(minlength=data.n_items).clamp_min(1)
        self.log_q = (counts / counts.sum()).log()  # (V,)

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        targets = self.targets[batch.rows]  # (B,)
        logits = encoder.last(batch.inputs) @ self.tower(encoder.item_table[targets]).T  # (B, B)
        logits = logits / self.settings.temperature - self.log_q[targets]
        same = targets[:, None] == targets  # rows with the same target are not negatives
        own = torch.arange(len(targets), device=targets.device)
        return {"in-batch": F.cross_entropy(logits.masked_fill(same.fill_diagonal_(False), -torch.inf), own)}
