"""CL4SRec: contrastive learning on cropped, masked and reordered views (Xie et al., ICDE 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from baselines.deferred import Encoder, TrainBatch, regularizers, torch, views
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.settings import Shares, Temperature, Weight


class CL4SRec(TrainedMethod):
    """L_pred + weight * InfoNCE between two differently augmented views of each sequence."""

    version = 1
    grid: ClassVar = {"settings.weight": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)
        weight: Weight = 0.1  # of InfoNCE
        temperature: Temperature = 1.0
        shares: Shares = field(default_factory=Shares)

    settings: Settings

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        settings = self.settings
        states, _ = encoder(batch.inputs, batch.last_only)
        next_item = settings.objective(states, batch, encoder.item_table, rng)
        z_a, z_b = encoder.last_of_each(views.two_random_views(batch.inputs, batch.data, settings.shares, rng))
        contrast = regularizers.info_nce(z_a, z_b, settings.temperature)
        return {"next-item": next_item, "info-nce": settings.weight * contrast}
