"""DuoRec: the same sequence under another dropout mask against a same-target twin (Qiu et al., WSDM 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from baselines.method import Terms, TrainBatch, TrainedMethod, TrainingData
from baselines.objectives import CrossEntropy, Objective
from baselines.regularizers import info_nce
from baselines.sasrec import Encoder
from baselines.views import TwinPool
from datasets.sequences import Batch


class DuoRec(TrainedMethod):
    """L_pred + weight * InfoNCE(unsupervised view, supervised view)."""

    version = 1

    @dataclass(frozen=True)
    class Settings:
        """`mode`: `us_x` contrasts the dropout view with the twin, `us` the sequence with its dropout view, `su` the
        sequence with its twin. `twin_pool`: as in `TwinPool.build`.
        """

        objective: Objective = field(default_factory=CrossEntropy)
        weight: float = 0.1
        temperature: float = 1.0
        mode: Literal["us_x", "us", "su"] = "us_x"
        twin_pool: Literal["final", "prefix"] = "final"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def prepare(self, data: TrainingData) -> None:
        """Index the training sequences by their next item."""
        self.twins = TwinPool.build(data, self.settings.twin_pool)

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """Where no twin exists, the sequence under yet another dropout mask stands in for it."""
        settings = self.settings
        states, z = encoder(batch.inputs)
        next_item = settings.objective(states, batch, encoder.item_table, rng)
        if settings.mode == "us_x":
            both = Batch.concatenate([batch.inputs, self.twins.draw(batch.rows, rng)], batch.data.pad_id)
            z_a, z_b = encoder.last(both).chunk(2)
        else:
            z_a, z_b = z, encoder.last(batch.inputs if settings.mode == "us" else self.twins.draw(batch.rows, rng))
        return {"next-item": next_item, "info-nce": settings.weight * info_nce(z_a, z_b, settings.temperature)}

    def report(self) -> dict[str, float]:
        """The share of anchors without a twin."""
        return {"twinless_share": self.twins.twinless_share}
