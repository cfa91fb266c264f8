"""An encoder without order: the state of a position is the mean of the item vectors up to it.

Copy it to baselines/mean_encoder.py, and add to baselines/registry.py the import

    from baselines.mean_encoder import MeanRec

and below `METHODS: dict[str, Entry] = {`

    "mean": Entry("Mean of items", MeanRec, MeanRec.Settings(), by_default=False),
"""

from __future__ import annotations

import torch
from torch import Tensor

from baselines.encoder import Encoder
from baselines.sasrec import SASRec
from baselines.settings import EncoderSettings, Precision
from datasets.sequences import Batch


class Mean(Encoder):
    """An encoder whose only parameters are the item vectors."""

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__(n_items, settings, precision)
        self.initialise()

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = self.items(batch.items)  # (B, L, D), real items first
        rows, columns = (torch.arange(n, device=x.device) for n in batch.items.shape)
        states = x.cumsum(1) / (columns + 1)[:, None]  # (B, L, D)
        return states[batch.positions], states[rows, batch.lengths - 1]  # (T, D), (B, D)


class MeanRec(SASRec):
    """Next-item prediction with this encoder."""

    version = 1
    encoder_version = 1  # raise it whenever the numbers of Mean change

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> Encoder:
        return Mean(n_items, settings, precision)
