"""SASRec's encoder: a causal Transformer over item sequences (Kang & McAuley, ICDM 2018), the usual one.

The variant is the one that the BT-SR paper's released code uses: normalised queries, raw keys and values, and the
residual taken from the normalised input. PostNormTransformer is the variant of RecBole, whose numbers many papers
quote. Only real positions are computed: sequences are packed into one (T, D) array of T tokens, and laid out in padded
grids for attention alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from baselines.encoder import Dropout, Encoder
from baselines.settings import EncoderSettings, Precision
from datasets.sequences import Batch

NORM_EPS = 1e-8
INITIAL_STD = 0.02  # of BERT's weights
SHORTEST_GRID = 4  # shorter rows are not worth a grid of their own


class Layout:
    """Where the T tokens of a batch lie in the padded grids that attention works on.

    Everything but attention treats tokens one by one and gets them packed, (T, D), row after row, without padding.
    Attention needs rectangles. On a CPU rows of similar length share a grid (rows, columns): the grids are as wide as
    the longest row, half of it, a quarter, ..., so that less than half of each is padding. On a GPU, which would have
    to be waited for to count those rows, there is one grid for all.

    An example on a CPU, three rows of lengths 2, 7, 3, padded to width 7: widths 4 and 7. The grid (2, 4) takes rows 0
    and 2, the grid (1, 7) row 1. Laid end to end the grids have 2 * 4 + 1 * 7 = 15 slots; the T = 12 tokens are in
    slots 0 1 (row 0), 8 to 14 (row 1), 4 5 6 (row 2).
    """

    def __init__(self, batch: Batch) -> None:
        rows, columns = batch.positions  # (T,), (T,) where in the batch each token stands
        self.tokens = batch.items[rows, columns]  # (T,) item indices
        self.distance = (batch.lengths[rows] - 1 - columns).clamp_min_(0)  # (T,) to the row's last item, 0 at padding
        self.last = batch.starts + batch.lengths - 1  # (B,) the token of each row's last item
        if batch.items.is_cuda:
            self._in_one_grid(batch, rows, columns)
        else:
            self._by_length(batch, rows, columns)

    def _in_one_grid(self, batch: Batch, rows: Tensor, columns: Tensor) -> None:
        count, width = batch.items.shape
        self.order = torch.arange(count, device=rows.device)  # (B,) the rows in the order in which the grids hold them
        self.slots = rows * width + columns  # (T,) where the tokens lie when the grids are laid end to end
        self.grids = [(count, width)]  # the shape of each grid, (rows, columns)
        self.lengths = (batch.lengths,)  # of the rows of each grid, (rows,)

    def _by_length(self, batch: Batch, rows: Tensor, columns: Tensor) -> None:
        lengths, widths = batch.lengths, [batch.items.shape[1]]
        while widths[0] > SHORTEST_GRID:
            widths.insert(0, (widths[0] + 1) // 2)  # ascending: ..., a quarter, half, the whole
        ladder = torch.tensor(widths)
        rung = torch.searchsorted(ladder, lengths)  # (B,) each row's grid: the narrowest that the row fits in
        self.order = rung.argsort(stable=True)  # (B,) narrow grids first
        width = ladder[rung[self.order]]  # (B,) how many slots each row takes, in that order
        # A row begins after all slots before it; index_copy_ puts these starts back into the batch's order.
        starts = torch.empty_like(width).index_copy_(0, self.order, width.cumsum(0) - width)  # (B,)
        self.slots = starts[rows] + columns  # (T,)
        counts = rung.bincount(minlength=len(widths)).tolist()  # rows of each grid
        self.grids = [(count, width) for count, width in zip(counts, widths, strict=True) if count]
        self.lengths = lengths[self.order].split([count for count, _ in self.grids])

    def pad(self, tokens: Tensor) -> list[Tensor]:
        """(T, D) -> grids of (rows, columns, D), zero at padding."""
        sizes = [rows * columns for rows, columns in self.grids]
        if sizes != [len(tokens)]:  # else one grid without padding, in which the tokens lie already
            tokens = tokens.new_zeros(sum(sizes), tokens.shape[1]).index_copy_(0, self.slots, tokens)  # (slots, D)
        parts = tokens.split(sizes)  # each (rows * columns, D)
        return [part.view(*grid, -1) for part, grid in zip(parts, self.grids, strict=True)]  # (rows, columns, D)

    def pack(self, grids: list[Tensor]) -> Tensor:
        """Grids of (rows, columns, D) -> (T, D), the real positions row by row."""
        tokens = torch.cat([grid.flatten(0, 1) for grid in grids])  # (slots, D)
        return tokens if len(grids) == 1 and len(tokens) == len(self.slots) else tokens[self.slots]  # (T, D)

    def pad_last(self, z: Tensor) -> list[Tensor]:
        """(B, D), one vector for each row -> grids of (rows, 1, D)."""
        return list(z[self.order, None].split([rows for rows, _ in self.grids]))  # (B, 1, D) -> (rows, 1, D)

    def pack_last(self, grids: list[Tensor]) -> Tensor:
        """Grids of (rows, 1, D) -> (B, D)."""
        return torch.cat(grids).squeeze(1)[self.order.argsort()]  # (B, 1, D) -> (B, D), in the batch's order


class CausalAttention(nn.Module):
    """Multi-head attention of each position to itself and what came before it.

    With `padding` = "attended" a row shorter than maxlen is seen as the released code sees it, with zeroed items before
    it. The key and the value of a zeroed item are the biases b_k and b_v, so all of them together are one more key per
    row: its logit is q b_k / sqrt(d) + log(number of padded places), its value b_v. (Dropout then drops all or none.)
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width = settings.width
        self.heads, self.maxlen, self.padding = settings.heads, settings.maxlen, settings.padding
        self.dropout = Dropout(settings.dropout)
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.zeros_(self.out_proj.bias)

    def forward(self, query: Tensor, memory: Tensor, layout: Layout, last_only: bool = False) -> Tensor:
        """`memory` (T, D), `query` (T, D) or, for the last item of each row, (B, D) -> as `query`."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = map(F.linear, (query, memory, memory), weights, biases)  # (T or B, D), (T, D), (T, D)
        queries = layout.pad_last(q) if last_only else layout.pad(q)  # (rows, Q, D) for each grid
        keys, values = layout.pad(k), layout.pad(v)  # (rows, L, D) for each grid
        ends = layout.lengths if last_only else [None] * len(layout.grids)
        y = list(map(self._attend, queries, keys, values, layout.lengths, ends))
        return self.out_proj(layout.pack_last(y) if last_only else layout.pack(y))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, ends: Tensor | None) -> Tensor:
        """`q` (rows, Q, D), `k`, `v` (rows, L, D), `lengths` (rows,) -> (rows, Q, D). A query attends to its own
        place and those before it or, with `ends` (rows,), to all places before that end, which are the real ones.
        """
        # Real positions come first, so causality alone hides the padding from them, and no row is without a key.
        places = torch.arange(k.shape[1], device=k.device)
        if self.padding == "attended":  # the key and the value of a zeroed item come last
            _, b_k, b_v = self.in_proj_bias.to(k.dtype).chunk(3)  # (D,)
            k, v = (torch.cat([x, b.expand(len(x), 1, -1)], 1) for x, b in ((k, b_k), (v, b_v)))  # (rows, L + 1, D)
        # (rows, ., D) -> (rows, heads, ., D / heads)
        q, k, v = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        if q.is_cuda and self.padding == "masked":
            real = None if ends is None else (places < ends[:, None])[:, None, None]  # (rows, 1, 1, L)
            p = self.dropout.p if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, real, p, is_causal=real is None)
        else:  # on short sequences the formula itself beats the built-in, above all in the backward pass
            # (Q, L), or (rows, 1, 1, L), either of which fits (rows, heads, Q, L)
            hidden = places > places[:, None] if ends is None else (places >= ends[:, None])[:, None, None]
            mask = q.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
            if self.padding == "attended":
                padded = (
                    (self.maxlen - lengths).to(q.dtype).log()
                )  # (rows,) -inf, no key at all, where maxlen is filled
                padded = padded[:, None, None, None].expand(-1, 1, q.shape[2], 1)
                mask = torch.cat([mask.expand(len(k), 1, q.shape[2], -1), padded], 3)  # (rows, 1, Q, L + 1)
            logits = (q * q.shape[3] ** -0.5) @ k.mT + mask  # (rows, heads, Q, L), or L + 1
            y = self.dropout(logits.softmax(3)) @ v  # (rows, heads, Q, D / heads)
        return y.transpose(1, 2).flatten(2)  # (rows, Q, heads, D / heads) -> (rows, Q, D)


class Block(nn.Module):
    """q = LN(x); x = q + MHA(q, x, x); x = LN(x); x = x + FFN(x)."""

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.attention = CausalAttention(settings)
        self.ffn_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = nn.Sequential(
            nn.Linear(width, width), Dropout(dropout), nn.ReLU(), nn.Linear(width, width), Dropout(dropout)
        )

    def forward(self, x: Tensor, layout: Layout, last_only: bool = False) -> Tensor:
        """(T, D) -> (T, D), or (B, D) if only each row's last item is asked for; that one still sees the whole row."""
        q = self.attention_norm(x[layout.last] if last_only else x)
        x = self.ffn_norm(q + self.attention(q, x, layout, last_only))
        return x + self.ffn(x)


class PostNormBlock(nn.Module):
    """x = LN(x + MHA(x, x, x)); x = LN(x + FFN(x)), with GELU and four times the width inside FFN: the layer of BERT
    (Devlin et al., NAACL 2019), which RecBole's SASRec consists of.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention = CausalAttention(settings)
        self.dropout = Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), Dropout(dropout))
        self.ffn_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: Tensor, layout: Layout, last_only: bool = False) -> Tensor:
        """As `Block.forward`."""
        q = x[layout.last] if last_only else x
        x = self.attention_norm(q + self.dropout(self.attention(q, x, layout, last_only)))
        return self.ffn_norm(x + self.ffn(x))


class Transformer(Encoder):
    """Positions are counted from the right: the last item always has position L - 1. On a GPU bf16 computes the linear
    maps and the attention in it too; on a CPU these are too small to gain.
    """

    block: ClassVar[type[Block | PostNormBlock]] = Block

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__(n_items, settings, precision)
        self.positions = nn.Embedding(settings.maxlen, settings.width)
        self.dropout = Dropout(settings.dropout)
        self.blocks = nn.ModuleList(self.block(settings) for _ in range(settings.blocks))
        self.norm = nn.LayerNorm(settings.width, eps=NORM_EPS)
        self.initialise()

    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        layout = Layout(batch)
        with self._autocast():
            x = self.embed(layout)
            for block in self.blocks:
                x = block(x, layout)
            states = self.finish(x)
        return states, states[layout.last]

    def last(self, batch: Batch) -> Tensor:
        """The same numbers for less, since the last block need not finish the other positions."""
        layout = Layout(batch)
        with self._autocast():
            return self.last_of(self.embed(layout), layout)

    def compiled_parts(self) -> Iterable[nn.Module]:
        return self.blocks

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cuda", torch.bfloat16, enabled=self.is_coarse and self.items.weight.is_cuda)

    def embed(self, layout: Layout) -> Tensor:
        """The blocks' input, (T, D): items and positions."""
        items = self.items(layout.tokens) * math.sqrt(self.settings.width)
        return self.dropout(items + self.positions(self.settings.maxlen - 1 - layout.distance))

    def last_of(self, x: Tensor, layout: Layout) -> Tensor:
        """z (B, D) from the blocks' input (T, D)."""
        *blocks, final = self.blocks
        for block in blocks:
            x = block(x, layout)
        return self.finish(final(x, layout, last_only=True))

    def finish(self, x: Tensor) -> Tensor:
        """States from the last block's output, of the same shape."""
        return self.norm(x)


class PostNormTransformer(Transformer):
    """RecBole's variant of SASRec: PostNormBlock, a normalised input instead of a normalised output, item vectors that
    are not scaled, and BERT's initialisation. RecBole counts positions from the left instead.
    """

    block = PostNormBlock

    def initialise(self) -> None:
        """N(0, 0.02^2) for every matrix, embeddings included, and zero for every bias."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=INITIAL_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def embed(self, layout: Layout) -> Tensor:
        items = self.items(layout.tokens)
        return self.dropout(self.norm(items + self.positions(self.settings.maxlen - 1 - layout.distance)))

    def finish(self, x: Tensor) -> Tensor:
        return x


def build(n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> Transformer:
    """The Transformer with the layers that `settings.norm` names."""
    variant = PostNormTransformer if settings.norm == "post" else Transformer
    return variant(n_items, settings, precision)
