"""Two-stage Barlow Twins: pretrain on augmented views, then fine-tune on prediction (after Green et al., 2025).

The BT-SR paper calls this pipeline slower and worse than joint training; here both have the same encoder, data and
total number of epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor

from baselines.method import Terms, TrainBatch, TrainedMethod, TrainingData
from baselines.objectives import CrossEntropy, Objective
from baselines.regularizers import barlow_twins
from baselines.sasrec import Encoder
from baselines.views import Shares, two_random_views
from datasets.sequences import Batch


class TwoStage(TrainedMethod):
    """L_BT of two random views alone for the first epochs, L_pred alone for the rest."""

    version = 1

    @dataclass(frozen=True)
    class Settings:
        """`pretraining`: the share of the epoch budget that is spent on L_BT, rounded up; `lambd`: as in BT-SR."""

        objective: Objective = field(default_factory=CrossEntropy)
        pretraining: float = 0.1
        lambd: float = 0.05
        shares: Shares = field(default_factory=Shares)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.epochs_left = 0

    def pretraining_epochs(self, budget: int) -> int:
        """A share of all epochs, leaving at least one to fine-tune."""
        self.epochs_left = min(math.ceil(self.settings.pretraining * budget), budget - 1)
        return self.epochs_left

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        """Count the pretraining epochs down."""
        self.epochs_left = max(self.epochs_left - 1, 0)

    def state(self) -> dict[str, Tensor]:
        """How many pretraining epochs are left."""
        return {"epochs_left": torch.tensor(self.epochs_left)}

    def restore(self, state: dict[str, Tensor]) -> None:
        """As many as were left."""
        self.epochs_left = int(state["epochs_left"])

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """Of the stage that the epoch belongs to."""
        settings, data = self.settings, batch.data
        if self.epochs_left == 0:
            states, _ = encoder(batch.inputs)
            return {"next-item": settings.objective(states, batch, encoder.item_table, rng)}
        views = two_random_views(batch.inputs, data, settings.shares, rng)
        z_a, z_b = encoder.last(Batch.concatenate(views, data.pad_id)).chunk(2)
        return {"barlow-twins": barlow_twins(z_a, z_b, settings.lambd)}
