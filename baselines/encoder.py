"""The base class of encoders, a GRU, and a table of user vectors. The Transformer is in transformer.py."""

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
    """Turns item sequences into one state per position; scores are dot products with the (tied) item vectors.

    The embedding has V + 2 rows: the items, padding and the mask token. Only the first V are ever scored. Every row of
    a batch must have at least one item.

    With `precision="bf16"` the loss gets its states in bfloat16 during training. Weights, z and scores stay float32.
    """

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__()
        self.n_items, self.settings, self.precision = n_items, settings, precision
        self.items = nn.Embedding(n_items + 2, settings.width)

    def initialise(self) -> None:
        """Initialise every matrix, including embeddings, Xavier-uniformly. Call it at the end of `__init__`."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    @property
    def item_table(self) -> Tensor:
        """(V, D) the vectors of the real items."""
        return self.items.weight[: self.n_items]

    @property
    def uses_bfloat16(self) -> bool:
        return self.training and self.precision == "bf16"

    @abstractmethod
    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return the states of the T real positions, (T, D), and z, the state of each row's last item, (B, D).

        States are in the order of `batch.positions`. Each one depends only on its own item and the items before it.
        """

    def last(self, batch: Batch) -> Tensor:
        """Return only z, (B, D)."""
        return self.encode(batch)[1]

    def forward(self, batch: Batch, last_only: bool = False) -> tuple[Tensor, Tensor]:
        """Like `encode`. With `last_only`, only the last item of each row gets a state, so the states are z too."""
        if last_only:
            states = z = self.last(batch)
        else:
            states, z = self.encode(batch)
        return states.bfloat16() if self.uses_bfloat16 else states, z

    def last_of_each(self, batches: Sequence[Batch]) -> tuple[Tensor, ...]:
        """Return z (B, D) for each of several batches of B rows, such as views of one batch, in a single pass."""
        return self.last(Batch.concatenate(batches, pad_id=self.n_items)).chunk(len(batches))

    def score(self, histories: Batch) -> Tensor:
        """Score the whole catalogue after each history, (B, V)."""
        return self.last(histories) @ self.item_table.T

    def compiled_parts(self) -> Iterable[nn.Module]:
        """Return the modules that `training.compile` compiles."""
        return ()


class GRU(Encoder):
    """The encoder of GRU4Rec (Hidasi et al., ICLR 2016): one recurrent layer per block, as wide as the item vectors.

    Dropout acts on the items and between the layers. The settings `heads`, `padding` and `norm` have no effect.
    """

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__(n_items, settings, precision)
        self.dropout = Dropout(settings.dropout)
        between = settings.dropout if settings.blocks > 1 else 0.0
        self.gru = nn.GRU(settings.width, settings.width, settings.blocks, batch_first=True, dropout=between)
        self.initialise()

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        x = self.dropout(self.items(batch.items) * math.sqrt(self.settings.width))  # (B, L, D)
        states, _ = self.gru(x)  # (B, L, D); padding comes after a row's items, so their states never depend on it
        rows = torch.arange(len(states), device=states.device)
        return states[batch.positions], states[rows, batch.lengths - 1]  # (T, D), (B, D)


class UserTable(Encoder):
    """The user vectors of matrix factorisation (Koren et al., 2009), looked up by the batch's `rows`.

    The items of the batch play no part, and only users seen in training have a vector. The only settings with an
    effect are `width` and `dropout`.
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
        return self.user_vectors(batch.rows)

    def user_vectors(self, users: Tensor) -> Tensor:
        """Return z (B, D) for `users` (B,), with dropout."""
        return self.dropout(self.users(users))


class Dropout(nn.Module):
    """Inverted dropout (Srivastava et al., JMLR 2014): zeroes elements with probability `p` and rescales the rest.

    On a CPU this is five times as fast as torch's dropout, which draws a 53-bit number per element: here one 64-bit
    draw decides four elements with 16 bits each. `p` is rounded to a multiple of 2^-16 and the scale uses the rounded
    value, so the mean is preserved exactly. Draws come from torch's global generator.
    """

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        """Works on any shape; in evaluation mode it returns `x` itself."""
        if not self.training or self.p == 0:
            return x
        if x.is_cuda:
            return F.dropout(x, self.p)
        dropped, count = round(self.p * DROPOUT_LEVELS), x.numel()
        draws = torch.empty(math.ceil(count / 4), dtype=torch.int64).random_(-(2**63), None).view(torch.int16)
        kept = draws[:count].view(x.shape) >= dropped - DROPOUT_LEVELS // 2
        return x * kept.to(x.dtype).mul_(DROPOUT_LEVELS / (DROPOUT_LEVELS - dropped))
