"""SASRec: a causal Transformer over item sequences (Kang & McAuley, ICDM 2018), the backbone of every neural method
here.

The variant is the one that the BT-SR paper's released code uses: normalised queries, raw keys and values, and the
residual taken from the normalised input. Only real positions are computed: sequences are packed into one (T, D) array
of T tokens, and laid out as (B, L, D) for attention alone.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.dropout import Dropout
from baselines.method import Terms, TrainBatch, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from datasets.sequences import Batch

ENCODER_VERSION = 1
"""Part of the run key: raised whenever the encoder's numbers change."""

NORM_EPS = 1e-8


@dataclass(frozen=True)
class EncoderSettings:
    """Sizes of the encoder; the defaults are the reproduction's shared ones (d = 64, 2 blocks, 1 head, maxlen 50)."""

    width: int = 64
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.3
    maxlen: int = 50


class Layout:
    """Where the T real positions of a batch lie in its (B, L) grid."""

    def __init__(self, batch: Batch) -> None:
        self.rows, self.columns = batch.items.shape
        mask = batch.mask()
        self.slots = torch.nonzero(mask.flatten()).squeeze(1)  # (T,)
        self.full = len(self.slots) == self.rows * self.columns
        self.last = batch.lengths.cumsum(0) - 1  # (B,) the token of each row's last item
        distance = batch.lengths[:, None] - 1 - torch.arange(self.columns, device=mask.device)  # 0 at the last item
        self.distance = distance.flatten()[self.slots]  # (T,)

    def pad(self, tokens: Tensor) -> Tensor:
        """(T, D) -> (B, L, D), zero at padding."""
        if not self.full:
            grid = tokens.new_zeros(self.rows * self.columns, tokens.shape[1])
            tokens = grid.index_copy(0, self.slots, tokens)
        return tokens.view(self.rows, self.columns, -1)

    def pack(self, grid: Tensor) -> Tensor:
        """(B, L, D) -> (T, D), the real positions row by row."""
        tokens = grid.reshape(self.rows * self.columns, -1)
        return tokens if self.full else tokens.index_select(0, self.slots)


class CausalAttention(nn.Module):
    """Multi-head attention of each position to itself and what came before it."""

    def __init__(self, width: int, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads, self.dropout = heads, dropout
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, memory: Tensor, layout: Layout) -> Tensor:
        """`query`, `memory` (T, D) -> (T, D)."""
        width = query.shape[1]
        w_query, w_memory = self.in_proj_weight.split([width, 2 * width])
        b_query, b_memory = self.in_proj_bias.split([width, 2 * width])
        q = self._split_heads(layout.pad(F.linear(query, w_query, b_query)))
        k, v = map(self._split_heads, layout.pad(F.linear(memory, w_memory, b_memory)).split(width, dim=2))
        # Real positions come first in every row, so causality alone hides the padding and no row is without a key.
        y = F.scaled_dot_product_attention(q, k, v, is_causal=True, dropout_p=self.dropout if self.training else 0.0)
        return self.out_proj(layout.pack(y.transpose(1, 2)))

    def _split_heads(self, grid: Tensor) -> Tensor:
        rows, columns, width = grid.shape
        return grid.view(rows, columns, self.heads, width // self.heads).transpose(1, 2)  # (B, heads, L, D / heads)


class Block(nn.Module):
    """q = LN(x); x = q + MHA(q, x, x); x = LN(x); x = x + FFN(x)."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.attention = CausalAttention(width, settings.heads, dropout)
        self.ffn_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = nn.Sequential(
            nn.Linear(width, width), Dropout(dropout), nn.ReLU(), nn.Linear(width, width), Dropout(dropout)
        )

    def forward(self, x: Tensor, layout: Layout) -> Tensor:
        """(T, D) -> (T, D)."""
        q = self.attention_norm(x)
        x = self.ffn_norm(q + self.attention(q, x, layout))
        return x + self.ffn(x)


class Encoder(nn.Module):
    """Item sequences in, one state per position out; scores are dot products with the (tied) item table.

    The table has V + 2 rows: the items, padding and the mask token. Only the first V ever compete as answers.
    Positions are counted from the right: the last item always has position L - 1.
    """

    def __init__(self, n_items: int, settings: EncoderSettings) -> None:
        super().__init__()
        self.n_items, self.settings = n_items, settings
        self.items = nn.Embedding(n_items + 2, settings.width)
        self.positions = nn.Embedding(settings.maxlen, settings.width)
        self.dropout = Dropout(settings.dropout)
        self.blocks = nn.ModuleList(Block(settings) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(settings.width, eps=NORM_EPS)
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    @property
    def item_table(self) -> Tensor:
        """(V, D) the vectors of the real items."""
        return self.items.weight[: self.n_items]

    def forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The states of all T real positions, (T, D), row by row, and of each row's last item, z (B, D).

        Every row must hold at least one item.
        """
        layout = Layout(batch)
        tokens = batch.items.flatten()[layout.slots]
        x = self.items(tokens) * math.sqrt(self.settings.width)
        x = self.dropout(x + self.positions(self.settings.maxlen - 1 - layout.distance))
        for block in self.blocks:
            x = block(x, layout)
        states = self.norm(x)
        return states, states[layout.last]

    def score(self, histories: Batch) -> Tensor:
        """Scores of the whole catalogue after each history, (B, V)."""
        _, z = self(histories)
        return z @ self.item_table.T


class SASRec(TrainedMethod):
    """Next-item prediction alone, at every position, with the objective of the settings."""

    version = 1

    @dataclass(frozen=True)
    class Settings:
        """What is compared on: nothing but the objective."""

        objective: Objective = field(default_factory=CrossEntropy)

    def __init__(self, settings: Settings) -> None:
        self.settings = settings

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """L_pred."""
        states, _ = encoder(batch.inputs)
        return {"next-item": self.settings.objective(states, batch, encoder.item_table, rng)}
