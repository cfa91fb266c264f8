"""CL4SRec: contrastive learning on cropped, masked and reordered views (Xie et al., ICDE 2022)."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch

from baselines.method import Terms, TrainBatch, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.regularizers import info_nce
from baselines.sasrec import Encoder
from baselines.views import Shares, two_random_views
from datasets.sequences import Batch


class CL4SRec(TrainedMethod):
    """L_pred + weight * InfoNCE(two different random views of each sequence)."""

    version = 1

    @dataclass(frozen=True)
    class Settings:
        """`weight` and `temperature` of InfoNCE; `shares` of the items that crop keeps and mask and reorder touch."""

        objective: Objective = field(default_factory=CrossEntropy)
        weight: float = 0.1
        temperature: float = 1.0
        shares: Shares = field(default_factory=Shares)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """Both views in one pass that computes their last position alone."""
        settings, data = self.settings, batch.data
        states, _ = encoder(batch.inputs)
        next_item = settings.objective(states, batch, encoder.item_table, rng)
        views = two_random_views(batch.inputs, data, settings.shares, rng)
        z_a, z_b = encoder.last(Batch.concatenate(views, data.pad_id)).chunk(2)
        return {"next-item": next_item, "info-nce": settings.weight * info_nce(z_a, z_b, settings.temperature)}
