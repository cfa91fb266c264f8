"""Two-stage Barlow Twins: pretrain on augmented views, then fine-tune on prediction (after Green et al., 2025).

The BT-SR paper calls this pipeline slower and worse than joint training; here both have the same encoder, data and
total number of epochs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

from baselines.deferred import regularizers, torch, views
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.settings import Share, Shares, Weight

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.encoder import Encoder
    from baselines.training_data import TrainBatch, TrainingData


class TwoStage(TrainedMethod):
    """L_BT of two random views alone for the first epochs, L_pred alone for the rest."""

    version = 1
    grid: ClassVar = {"settings.pretraining": (0.05, 0.1, 0.2, 0.4), "settings.lambd": (0.05, 0.2)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)
        pretraining: Share = 0.1  # of the epochs, rounded up, is spent on L_BT
        lambd: Weight = 0.05  # as in BT-SR
        shares: Shares = field(default_factory=Shares)

    settings: Settings
    epochs_left = 0  # of pretraining

    def pretraining_epochs(self, budget: int) -> int:
        """A share of all epochs, leaving at least one to fine-tune."""
        self.epochs_left = min(math.ceil(self.settings.pretraining * budget), budget - 1)
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
