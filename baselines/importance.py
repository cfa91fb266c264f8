"""How much each item of a sequence matters for the model's first recommendation (EC4SRec).

Both measures explain the highest score after each training input, without dropout, and are normalised to sum one per
sequence: (n, L) float32 for n sequences, columns as in a training batch's inputs, zero at padding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from baselines.training_data import TrainingData
from baselines.transformer import Layout, Transformer
from datasets.sequences import Batch, windows

TOKENS_AT_ONCE = 2**14
"""How many positions, padding included, are computed in one forward pass."""


def saliency(encoder: Transformer, data: TrainingData) -> Tensor:
    """The gradient of the top score by the position's input embedding, absolute values summed over the width."""

    def explain(batch: Batch) -> Tensor:
        layout = Layout(batch)
        x = encoder.embed(layout).detach().requires_grad_()
        with torch.enable_grad():
            top = (encoder.last_of(x, layout) @ encoder.item_table.T).amax(1).sum()
            (gradient,) = torch.autograd.grad(top, x)
        return _to_grid(gradient.abs().sum(1), batch)

    return _of_all(encoder, data, explain, variants=False)


def occlusion(encoder: Transformer, data: TrainingData) -> Tensor:
    """How much the top item's score changes when the position's input embedding is set to zero."""

    def explain(batch: Batch) -> Tensor:
        z = encoder.last(batch)
        top_scores, top_items = (z @ encoder.item_table.T).max(1)
        rows, columns = batch.mask().nonzero(as_tuple=True)  # one variant of its row for every position
        layout = Layout(Batch(batch.items[rows], batch.lengths[rows]))
        occluded = layout.last - batch.lengths[rows] + 1 + columns
        x = encoder.embed(layout).index_fill(0, occluded, 0.0)
        scores = (encoder.last_of(x, layout) * encoder.item_table[top_items[rows]]).sum(1)
        return _to_grid((top_scores[rows] - scores).abs(), batch)

    return _of_all(encoder, data, explain, variants=True)


IMPORTANCES: dict[str, Callable[[Transformer, TrainingData], Tensor]] = {"saliency": saliency, "occlusion": occlusion}


def _to_grid(values: Tensor, batch: Batch) -> Tensor:
    """(T,) of the real positions, row by row -> (B, L), zero at padding."""
    grid = values.new_zeros(batch.items.shape)
    grid[batch.mask()] = values
    return grid


def _of_all(encoder: Transformer, data: TrainingData, explain: Callable[[Batch], Tensor], variants: bool) -> Tensor:
    """`variants`: whether `explain` computes one variant of a sequence for each of its items."""
    importance = torch.zeros(len(data.sequences), data.maxlen, device=data.sequences.items.device)
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        for rows, batch in _batches(data, power=2 if variants else 1):
            raw = explain(batch)
            total = raw.sum(1, keepdim=True)
            even = batch.mask() / batch.lengths[:, None]  # where nothing matters, all positions count alike
            importance[rows, : raw.shape[1]] = torch.where(total > 0, raw / total, even)
    encoder.train(was_training)
    return importance


def _batches(data: TrainingData, power: int) -> Iterator[tuple[Tensor, Batch]]:
    """Batches of sequences of similar length, the longest first, sized so that rows * length ** power fits
    TOKENS_AT_ONCE.
    """
    lengths, order = data.inputs.lengths[data.trainable].clamp_max(data.maxlen).sort(descending=True, stable=True)
    rows, longest, first = data.trainable[order], lengths.tolist(), 0
    while first < len(rows):
        chunk = rows[first : first + max(1, TOKENS_AT_ONCE // longest[first] ** power)]
        yield chunk, windows(data.inputs, chunk, data.maxlen, data.pad_id, chunk.cpu().numpy())
        first += len(chunk)
