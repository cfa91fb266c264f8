"""Small encoders and batches as plain lists, for the tests of the methods."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from baselines.transformer import Transformer
from datasets.sequences import Batch

MakeData = Callable[..., TrainingData]


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def small_encoder(data: TrainingData, dropout: float = 0.0, width: int = 8) -> Transformer:
    torch.manual_seed(0)
    return Transformer(data.n_items, EncoderSettings(width=width, dropout=dropout, maxlen=data.maxlen)).train()


def batch_of(rows: list[list[int]], pad_id: int) -> Batch:
    """Pad the rows to the longest."""
    lengths = [len(row) for row in rows]
    items = [row + [pad_id] * (max(lengths) - len(row)) for row in rows]
    return Batch(torch.tensor(items), torch.tensor(lengths))


def rows_of(batch: Batch) -> list[list[int]]:
    """Return the items of each row without padding."""
    return [row[:n] for row, n in zip(batch.items.tolist(), batch.lengths.tolist(), strict=True)]


def one_by_one(encoder: Transformer, batch: Batch) -> Tensor:
    """Compute z (B, D) row by row, each without padding and through the whole encoder."""
    return torch.cat([encoder(Batch(torch.tensor([row]), torch.tensor([len(row)])))[1] for row in rows_of(batch)])
