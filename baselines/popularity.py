"""Most popular: the sanity baseline that every personalised method must beat."""

from __future__ import annotations

from typing import TYPE_CHECKING

from baselines.deferred import torch
from baselines.method import FittedMethod, Scorer

if TYPE_CHECKING:
    from torch import Tensor

    from baselines.training_data import TrainingData
    from datasets.sequences import Batch


class Popularity(FittedMethod):
    """Scores an item by its number of training interactions, the same for everyone."""

    version = 1

    def fit(self, data: TrainingData) -> Scorer:
        counts = torch.bincount(data.sequences.items, minlength=data.n_items).float()

        def score(histories: Batch) -> Tensor:
            return counts.expand(len(histories.lengths), -1)

        return score
