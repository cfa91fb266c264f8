"""GRU4Rec's encoder: gated recurrent units over item sequences (Hidasi et al., ICLR 2016)."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from baselines.dropout import Dropout
from baselines.encoder import Encoder
from baselines.settings import EncoderSettings, Precision
from datasets.sequences import Batch


class GRU(Encoder):
    """One recurrent layer per block, as wide as the item vectors; dropout on the items and between the layers. The
    settings `heads` and `padding` do not concern it.
    """

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__(n_items, settings, precision)
        self.dropout = Dropout(settings.dropout)
        between = settings.dropout if settings.blocks > 1 else 0.0
        self.gru = nn.GRU(settings.width, settings.width, settings.blocks, batch_first=True, dropout=between)
        self.initialise()

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = self.dropout(self.items(batch.items) * math.sqrt(self.settings.width))  # (B, L, D)
        states, _ = self.gru(x)  # (B, L, D); a row's items come first, so no state of theirs depends on padding
        rows = torch.arange(len(states), device=states.device)
        return states[batch.positions], states[rows, batch.lengths - 1]  # (T, D), (B, D)
