"""What every encoder of item sequences offers, and the two small ones; transformer.py holds the usual one."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.settings import EncoderSettings, Precision
from datasets.sequences import Batch

DROPOUT_LEVELS = 2**16


class Encoder(nn.Module, ABC):
    """Item sequences in, one state per position out; scores are dot products with the (tied) item table.

    The table has V + 2 rows: the items, padding and the mask token. Only the first V ever compete as answers. No row
    of a batch may be empty.

    `precision`: "bf16" hands the states to the loss in bfloat16 while training. Weights, z and scores are float32.
    """

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__()
        self.n_items, self.settings, self.precision = n_items, settings, precision
        self.items = nn.Embedding(n_items + 2, settings.width)

    def initialise(self) -> None:
        """Xavier-uniform for every matrix, embeddings included; called when all of them are there."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    @property
    def item_table(self) -> Tensor:
        """(V, D) the vectors of the real items."""
        return self.items.weight[: self.n_items]

    @property
    def is_coarse(self) -> bool:
        """Whether the states are wanted in bfloat16."""
        return self.training and self.precision == "bf16"

    @abstractmethod
    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The states of the T real positions, (T, D), in the order of `batch.positions`, and z (B, D), those of each
        row's last item. A state depends on its own item and those before it alone.
        """

    def last(self, batch: Batch) -> Tensor:
        """z (B, D) alone."""
        return self.encode(batch)[1]

    def forward(self, batch: Batch, last_only: bool = False) -> tuple[Tensor, Tensor]:
        """As `encode`; with `last_only` the states are those of the last items as well."""
        if last_only:
            states = z = self.last(batch)
        else:
            states, z = self.encode(batch)
        return states.bfloat16() if self.is_coarse else states, z

    def last_of_each(self, batches: Sequence[Batch]) -> tuple[Tensor, ...]:
        """z (B, D) of each of several batches of B rows, such as the views of one, in a single pass."""
        return self.last(Batch.concatenate(batches, pad_id=self.n_items)).chunk(len(batches))

    def score(self, histories: Batch) -> Tensor:
        """Scores of the whole catalogue after each history, (B, V)."""
        return self.last(histories) @ self.item_table.T

    def compiled_parts(self) -> Iterable[nn.Module]:
        """The parts that `training.compile` translates."""
        return ()


class GRU(Encoder):
    """GRU4Rec's (Hidasi et al., ICLR 2016): one recurrent layer per block, as wide as the item vectors; dropout on the
    items and between the layers. The settings `heads`, `padding` and `norm` do not concern it.
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


class UserTable(Encoder):
    """Matrix factorisation's (Koren et al., 2009): each user's vector, whatever the items of the batch are. It knows
    only the users it was trained on, by the batch's `rows`. Of the settings only `width` and `dropout` concern it.
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


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al., JMLR 2014): zero with probability `p`, else scaled so as to keep the mean.

    On a CPU a 64-bit draw decides four elements, each by 16 of its bits: `p` is rounded to a multiple of 2^-16 and the
    scale follows the rounded value, so the mean is kept exactly. torch's own draws one 53-bit number per element and
    takes five times as long. Draws come from torch's global generator.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """The input, any shape, unchanged in evaluation mode."""
        if not self.training or self.p == 0:
            return x
        if x.is_cuda:
            return F.dropout(x, self.p)
        dropped, count = round(self.p * DROPOUT_LEVELS), x.numel()
        draws = torch.empty(math.ceil(count / 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = draws[:count].view(x.shape) >= dropped - DROPOUT_LEVELS // 2
        return x * kept.to(x.dtype).mul_(DROPOUT_LEVELS / (DROPOUT_LEVELS - dropped))
