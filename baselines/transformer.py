"""SASRec's encoder, the default: a causal Transformer over item sequences (Kang & McAuley, ICDM 2018).

Transformer is the variant of the BT-SR paper's released code: queries are normalised, keys and values are not, and the
residual comes from the normalised input. PostNormTransformer is RecBole's variant, whose numbers many papers quote.
Padding costs almost nothing: all T real positions (tokens) of a batch are packed into one (T, D) array, and only
attention puts them back into padded grids.
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
INITIAL_STD = 0.02  # as in BERT
NARROWEST_GRID = 4  # narrower grids would save nothing


class Packing:
    """Converts between the packed tokens of a batch, (T, D), and the padded grids that attention needs.

    Packed tokens follow each other row by row, without padding. A grid is a rectangle (rows, columns). On a CPU rows of
    similar length share a grid; the grids are as wide as the longest row, half of it, a quarter, and so on, so less
    than half of each is padding. On a GPU all rows share one grid, because counting them by length would stall it.

    Example on a CPU: three rows of lengths 2, 7 and 3, padded to width 7, go into grids of width 4 and 7. Rows 0 and 2
    share the grid (2, 4), and row 1 takes the grid (1, 7). End to end the grids have 2 * 4 + 1 * 7 = 15 slots. The
    T = 12 tokens are in slots 0 and 1 (row 0), 8 to 14 (row 1), and 4, 5 and 6 (row 2).
    """

    def __init__(self, batch: Batch) -> None:
        rows, columns = batch.positions  # (T,), (T,)
        self.tokens = batch.items[rows, columns]  # (T,) item indices
        self.distance = (batch.lengths[rows] - 1 - columns).clamp_min_(0)  # (T,) from the row's last item, 0 at padding
        self.last = batch.starts + batch.lengths - 1  # (B,) the index of each row's last token
        if batch.items.is_cuda:
            self._in_one_grid(batch, rows, columns)
        else:
            self._by_length(batch, rows, columns)

    def _in_one_grid(self, batch: Batch, rows: Tensor, columns: Tensor) -> None:
        count, width = batch.items.shape
        self.order = torch.arange(count, device=rows.device)  # (B,) batch rows in the order of the grids' rows
        self.slots = rows * width + columns  # (T,) the slot of each token
        self.grids = [(count, width)]  # (rows, columns) of each grid
        self.lengths = (batch.lengths,)  # row lengths of each grid, (rows,)

    def _by_length(self, batch: Batch, rows: Tensor, columns: Tensor) -> None:
        lengths, widths = batch.lengths, [batch.items.shape[1]]
        while widths[0] > NARROWEST_GRID:
            widths.insert(0, (widths[0] + 1) // 2)  # ascending: ..., a quarter, half, full width
        ladder = torch.tensor(widths)
        rung = torch.searchsorted(ladder, lengths)  # (B,) each row's grid: the narrowest one that fits the row
        self.order = rung.argsort(stable=True)  # (B,) narrow grids first
        width = ladder[rung[self.order]]  # (B,) slots that each row takes, in that order
        # The running sum gives each row's first slot; index_copy_ puts these back into batch order.
        starts = torch.empty_like(width).index_copy_(0, self.order, width.cumsum(0) - width)  # (B,)
        self.slots = starts[rows] + columns  # (T,)
        counts = rung.bincount(minlength=len(widths)).tolist()  # rows per grid
        self.grids = [(count, width) for count, width in zip(counts, widths, strict=True) if count]
        self.lengths = lengths[self.order].split([count for count, _ in self.grids])

    def pad(self, tokens: Tensor) -> list[Tensor]:
        """(T, D) -> grids of (rows, columns, D), zero at padding."""
        sizes = [rows * columns for rows, columns in self.grids]
        if sizes != [len(tokens)]:  # otherwise a single grid without padding, where tokens are already in place
            tokens = tokens.new_zeros(sum(sizes), tokens.shape[1]).index_copy_(0, self.slots, tokens)  # (slots, D)
        parts = tokens.split(sizes)  # each (rows * columns, D)
        return [part.view(*grid, -1) for part, grid in zip(parts, self.grids, strict=True)]  # (rows, columns, D)

    def pack(self, grids: list[Tensor]) -> Tensor:
        """Grids of (rows, columns, D) -> (T, D)."""
        tokens = torch.cat([grid.flatten(0, 1) for grid in grids])  # (slots, D)
        return tokens if len(grids) == 1 and len(tokens) == len(self.slots) else tokens[self.slots]  # (T, D)

    def pad_last(self, z: Tensor) -> list[Tensor]:
        """(B, D), one vector per row -> grids of (rows, 1, D)."""
        return list(z[self.order, None].split([rows for rows, _ in self.grids]))  # (B, 1, D) -> (rows, 1, D)

    def pack_last(self, grids: list[Tensor]) -> Tensor:
        """Grids of (rows, 1, D) -> (B, D)."""
        return torch.cat(grids).squeeze(1)[self.order.argsort()]  # (B, 1, D) -> (B, D), in batch order


class CausalAttention(nn.Module):
    """Multi-head attention of each position to itself and to earlier positions.

    With padding="attended", zeroed items fill a short row up to maxlen and take part in attention, as in the released
    code. The key and value of a zeroed item are the biases b_k and b_v, so one extra key stands for all of them: its
    logit is q b_k / sqrt(d) + log(number of padded places), its value b_v. Dropout therefore drops all of them or none.
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

    def forward(self, query: Tensor, memory: Tensor, packing: Packing, last_only: bool = False) -> Tensor:
        """`memory` (T, D); `query` (T, D), or (B, D) for the last item of each row -> same shape as `query`."""
        weights, biases = self.in_proj_weight.chunk(3), self.in_proj_bias.chunk(3)
        q, k, v = map(F.linear, (query, memory, memory), weights, biases)  # (T or B, D), (T, D), (T, D)
        queries = packing.pad_last(q) if last_only else packing.pad(q)  # (rows, Q, D) for each grid
        keys, values = packing.pad(k), packing.pad(v)  # (rows, L, D) for each grid
        ends = packing.lengths if last_only else [None] * len(packing.grids)
        y = list(map(self._attend, queries, keys, values, packing.lengths, ends))
        return self.out_proj(packing.pack_last(y) if last_only else packing.pack(y))

    def _attend(self, q: Tensor, k: Tensor, v: Tensor, lengths: Tensor, ends: Tensor | None) -> Tensor:
        """`q` (rows, Q, D), `k` and `v` (rows, L, D), `lengths` (rows,) -> (rows, Q, D).

        By default attention is causal. With `ends` (rows,), each query attends to all places before its row's end.
        """
        # Real positions come first, so the causal mask alone hides padding from them and every query has a key.
        places = torch.arange(k.shape[1], device=k.device)
        if self.padding == "attended":  # append the key and value that stand for the zeroed items
            _, b_k, b_v = self.in_proj_bias.to(k.dtype).chunk(3)  # (D,)
            k, v = (torch.cat([x, b.expand(len(x), 1, -1)], 1) for x, b in ((k, b_k), (v, b_v)))  # (rows, L + 1, D)
        # (rows, ., D) -> (rows, heads, ., D / heads)
        q, k, v = (x.unflatten(2, (self.heads, -1)).transpose(1, 2) for x in (q, k, v))
        if q.is_cuda and self.padding == "masked":
            real = None if ends is None else (places < ends[:, None])[:, None, None]  # (rows, 1, 1, L)
            p = self.dropout.p if self.training else 0.0
            y = F.scaled_dot_product_attention(q, k, v, real, p, is_causal=real is None)
        else:  # on short sequences this is faster than the built-in, above all in the backward pass
            # (Q, L) or (rows, 1, 1, L); both broadcast to (rows, heads, Q, L)
            hidden = places > places[:, None] if ends is None else (places >= ends[:, None])[:, None, None]
            mask = q.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)
            if self.padding == "attended":
                padded = (self.maxlen - lengths).to(q.dtype).log()  # (rows,) -inf if there is no padding
                padded = padded[:, None, None, None].expand(-1, 1, q.shape[2], 1)
                mask = torch.cat([mask.expand(len(k), 1, q.shape[2], -1), padded], 3)  # (rows, 1, Q, L + 1)
            logits = (q * q.shape[3] ** -0.5) @ k.mT + mask  # (rows, heads, Q, L), or L + 1 if padding is attended
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

    def forward(self, x: Tensor, packing: Packing, last_only: bool = False) -> Tensor:
        """(T, D) -> (T, D), or (B, D) with `last_only`: the last item of each row, which still attends to all of it."""
        q = self.attention_norm(x[packing.last] if last_only else x)
        x = self.ffn_norm(q + self.attention(q, x, packing, last_only))
        return x + self.ffn(x)


class PostNormBlock(nn.Module):
    """x = LN(x + MHA(x, x, x)); x = LN(x + FFN(x)), where FFN has GELU and four times the width inside.

    This is the layer of BERT (Devlin et al., NAACL 2019), which RecBole's SASRec uses.
    """

    def __init__(self, settings: EncoderSettings) -> None:
        super().__init__()
        width, dropout = settings.width, settings.dropout
        self.attention = CausalAttention(settings)
        self.dropout = Dropout(dropout)
        self.attention_norm = nn.LayerNorm(width, eps=NORM_EPS)
        self.ffn = nn.Sequential(nn.Linear(width, 4 * width), nn.GELU(), nn.Linear(4 * width, width), Dropout(dropout))
        self.ffn_norm = nn.LayerNorm(width, eps=NORM_EPS)

    def forward(self, x: Tensor, packing: Packing, last_only: bool = False) -> Tensor:
        q = x[packing.last] if last_only else x
        x = self.attention_norm(q + self.dropout(self.attention(q, x, packing, last_only)))
        return self.ffn_norm(x + self.ffn(x))


class Transformer(Encoder):
    """The encoder of the paper's released code. Positions count from the right: the last item has position L - 1.

    On a GPU, bf16 also applies to the linear maps and to attention; on a CPU these are too small to gain from it.
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
        packing = Packing(batch)
        with self._autocast():
            x = self.embed(packing)
            for block in self.blocks:
                x = block(x, packing)
            states = self.finish(x)
        return states, states[packing.last]

    def last(self, batch: Batch) -> Tensor:
        """Return z, (B, D). Cheaper than `encode`, because the last block only computes the last positions."""
        packing = Packing(batch)
        with self._autocast():
            return self.last_of(self.embed(packing), packing)

    def compiled_parts(self) -> Iterable[nn.Module]:
        return self.blocks

    def _autocast(self) -> torch.autocast:
        return torch.autocast("cuda", torch.bfloat16, enabled=self.uses_bfloat16 and self.items.weight.is_cuda)

    def embed(self, packing: Packing) -> Tensor:
        """Return the input of the blocks, (T, D): items plus positions."""
        items = self.items(packing.tokens) * math.sqrt(self.settings.width)
        return self.dropout(items + self.positions(self.settings.maxlen - 1 - packing.distance))

    def last_of(self, x: Tensor, packing: Packing) -> Tensor:
        """Compute z (B, D) from the input of the blocks, `x` (T, D)."""
        *blocks, final = self.blocks
        for block in blocks:
            x = block(x, packing)
        return self.finish(final(x, packing, last_only=True))

    def finish(self, x: Tensor) -> Tensor:
        """Turn the output of the last block into states of the same shape."""
        return self.norm(x)


class PostNormTransformer(Transformer):
    """RecBole's variant of SASRec, except that RecBole counts positions from the left.

    It uses PostNormBlock, normalises the input instead of the output, does not scale item vectors, and is initialised
    like BERT.
    """

    block = PostNormBlock

    def initialise(self) -> None:
        """Draw every matrix, including embeddings, from N(0, 0.02^2) and set every bias to zero."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.normal_(parameter, std=INITIAL_STD)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def embed(self, packing: Packing) -> Tensor:
        items = self.items(packing.tokens)
        return self.dropout(self.norm(items + self.positions(self.settings.maxlen - 1 - packing.distance)))

    def finish(self, x: Tensor) -> Tensor:
        return x


def build(n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> Transformer:
    """Return the Transformer variant that `settings.norm` selects."""
    variant = PostNormTransformer if settings.norm == "post" else Transformer
    return variant(n_items, settings, precision)
