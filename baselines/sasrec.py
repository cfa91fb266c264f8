"""SASRec: next-item prediction with a causal Transformer (Kang & McAuley, ICDM 2018); see transformer.py."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

from baselines.deferred import Encoder, TrainBatch, torch
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective


class SASRec(TrainedMethod):
    """Predict the next item at every position, with the objective chosen in the settings."""

    version = 1
    grid: ClassVar = {"encoder.dropout": (0.1, 0.3, 0.5, 0.7), "training.learning_rate": (0.0005, 0.001)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)

    settings: Settings

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        states, _ = encoder(batch.inputs, batch.last_only)
        return {"next-item": self.settings.objective(states, batch, encoder.item_table, rng)}
