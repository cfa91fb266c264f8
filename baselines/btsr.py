"""BT-SR: next-item prediction regularised by Barlow Twins on same-target views (the paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

import torch

from baselines.method import Terms, TrainBatch, TrainedMethod, TrainingData
from baselines.objectives import CrossEntropy, Objective
from baselines.regularizers import barlow_twins
from baselines.sasrec import Encoder


class BTSR(TrainedMethod):
    """L_total = L_pred + alpha * L_BT (Eq. 8); the views of a sequence are itself and its twin, both without their
    final item.
    """

    version = 1

    @dataclass(frozen=True)
    class Settings:
        """`alpha`, `lambd`: the weights of Eq. 8 and 7. `normalise`: the released code's division by D, or Eq. 7's
        plain sum.

        `no_twin`: an anchor whose final item no other sequence shares is its own twin under another dropout mask (the
        released behaviour), or is left out of L_BT.
        """

        objective: Objective = field(default_factory=CrossEntropy)
        alpha: float = 0.2
        lambd: float = 0.05
        normalise: Literal["per-dimension", "sum"] = "per-dimension"
        no_twin: Literal["self", "skip"] = "self"

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def prepare(self, data: TrainingData) -> None:
        """Index the training sequences by their final item."""
        self.twins = data.same_target_index()
        self.twinless_share = float(self.twins.alone(data.trainable).double().mean())

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """L_pred on the anchors; L_BT on their last states and their twins'. With alpha = 0 this is plain SASRec."""
        settings = self.settings
        states, z_a = encoder(batch.inputs)
        next_item = settings.objective(states, batch, encoder.item_table, rng)
        if settings.alpha == 0:
            return {"next-item": next_item}
        z_b = encoder.last(batch.prefixes(self.twins.draw(batch.rows, rng)))
        if settings.no_twin == "skip":
            paired = ~self.twins.alone(batch.rows)
            z_a, z_b = z_a[paired], z_b[paired]
        if len(z_a) == 0:
            return {"next-item": next_item}
        per_dimension = settings.normalise == "per-dimension"
        regularizer = barlow_twins(z_a, z_b, settings.lambd, per_dimension=per_dimension)
        return {"next-item": next_item, "barlow-twins": settings.alpha * regularizer}

    def report(self) -> dict[str, float]:
        """The share of anchors without a twin."""
        return {"twinless_share": self.twinless_share}
