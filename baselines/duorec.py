"""DuoRec: the same sequence under another dropout mask against a same-target twin (Qiu et al., WSDM 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar, Literal

from baselines.deferred import Encoder, TrainBatch, TrainingData, regularizers, torch, views
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.settings import Temperature, Weight


class DuoRec(TrainedMethod):
    """L_pred + weight * InfoNCE between an unsupervised view (dropout) and a supervised one (a twin).

    A sequence without a twin is contrasted with itself under yet another dropout mask.
    """

    version = 1
    grid: ClassVar = {"settings.weight": (0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)
        weight: Weight = 0.1  # of InfoNCE
        temperature: Temperature = 1.0
        # As in the published code: "us_x" contrasts the dropout view with the twin, "un" the sequence with its dropout
        # view, "su" the sequence with its twin, and "us" is the sum of "un" and "su".
        mode: Literal["us_x", "un", "su", "us"] = "us_x"
        # See TwinPool.build. The published code trains on one row per prefix, so its twins come from all prefixes.
        twin_pool: Literal["final", "prefix"] = "final"

    settings: Settings

    def prepare(self, data: TrainingData) -> None:
        self.twins = views.TwinPool.build(data, self.settings.twin_pool)

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        settings = self.settings
        states, z = encoder(batch.inputs, batch.last_only)
        next_item = settings.objective(states, batch, encoder.item_table, rng)
        compared = [] if settings.mode == "su" else [batch.inputs]
        compared += [] if settings.mode == "un" else [self.twins.draw(batch.rows, rng)]
        encoded = encoder.last_of_each(compared)
        pairs = [encoded] if settings.mode == "us_x" else [(z, view) for view in encoded]
        contrast = torch.stack([regularizers.info_nce(z_a, z_b, settings.temperature) for z_a, z_b in pairs]).sum()
        return {"next-item": next_item, "info-nce": settings.weight * contrast}

    def facts(self) -> dict[str, float]:
        return {"twinless_share": self.twins.twinless_share}
