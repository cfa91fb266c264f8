"""Pretraining alone, whose representations are judged on downstream tasks (after Green et al., 2025).

Of that paper only the abstract is public here; what it leaves open is decided in docs/methods.md.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from baselines.deferred import F, regularizers, torch, views
from baselines.method import Terms, TrainedMethod
from baselines.settings import Shares, Temperature, Weight

if TYPE_CHECKING:
    from torch import nn

    from baselines.encoder import Encoder
    from baselines.training_data import TrainBatch, TrainingData


class RandomViews(TrainedMethod):
    """L_BT of two random views of each sequence: crop, mask, reorder, as in CL4SRec."""

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
    """A tower of sequences, z, against a tower of items, their vectors through one linear layer: softmax over the
    targets of the batch, corrected for how often each item is one (logQ; Yi et al., RecSys 2019).
    """

    version = 1

    @dataclass(frozen=True)
    class Settings:
        temperature: Temperature = 1.0

    settings: Settings

    def build(self, width: int) -> nn.Module:
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
        same = targets[:, None] == targets  # another row with the same target is no negative
        own = torch.arange(len(targets), device=targets.device)
        return {"in-batch": F.cross_entropy(logits.masked_fill(same.fill_diagonal_(False), -torch.inf), own)}
