"""A table of users in place of an encoder: matrix factorisation (Koren et al., 2009)."""

from __future__ import annotations

from torch import Tensor, nn

from baselines.dropout import Dropout
from baselines.encoder import Encoder
from baselines.settings import EncoderSettings, Precision
from datasets.sequences import Batch


class UserTable(Encoder):
    """Each user's vector, whatever the items of the batch are: it knows the users it was trained on alone, by `rows`.

    Of the settings only `width` and `dropout` concern it.
    """

    def __init__(self, n_users: int, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__(n_items, settings, precision)
        self.users = nn.Embedding(n_users, settings.width)
        self.dropout = Dropout(settings.dropout)
        self.initialise()

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        z = self.last(batch)
        return z[batch.positions[0]], z

    def last(self, batch: Batch) -> Tensor:
        assert batch.rows is not None
        return self.of(batch.rows)

    def of(self, users: Tensor) -> Tensor:
        """z (B, D) of users (B,)."""
        return self.dropout(self.users(users))
