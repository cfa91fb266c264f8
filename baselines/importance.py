"""Importance scores: how much each item of a sequence contributes to the model's top recommendation (EC4SRec).

Both measures explain the highest score after each training input, without dropout, and sum to one per sequence. They
return (n, L) float32 for n sequences, with the columns of a training batch's inputs and zero at padding.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from baselines.training_data import TrainingData
from baselines.transformer import Packing, Transformer
from datasets.sequences import Batch, windows

TOKENS_AT_ONCE = 2**14
"""The number of positions, including padding, in one forward pass."""


def saliency(encoder: Transformer, data: TrainingData) -> Tensor:
    """Sum the absolute gradient of the top score with respect to each position's input embedding."""

    def explain(batch: Batch) -> Tensor:
        packing = Packing(batch)
        x = encoder.embed(packing).detach().requires_grad_()
        with torch.enable_grad():
            top = (encoder.last_of(x, packing) @ encoder.item_table.T).amax(1).sum()
            (gradient,) = torch.autograd.grad(top, x)
        return gradient.abs().sum(1)

    return _explain_all(encoder, data, explain, power=1)


def occlusion(encoder: Transformer, data: TrainingData) -> Tensor:
    """Return how much the top item's score changes when each position's input embedding is set to zero."""

    def explain(batch: Batch) -> Tensor:
        z = encoder.last(batch)
        top_scores, top_items = (z @ encoder.item_table.T).max(1)
        rows, columns = batch.mask().nonzero(as_tuple=True)  # repeat each row once per position
        packing = Packing(Batch(batch.items[rows], batch.lengths[rows]))
        occluded = packing.last - batch.lengths[rows] + 1 + columns
        x = encoder.embed(packing).index_fill(0, occluded, 0.0)
        scores = (encoder.last_of(x, packing) * encoder.item_table[top_items[rows]]).sum(1)
        return (top_scores[rows] - scores).abs()

    return _explain_all(encoder, data, explain, power=2)


IMPORTANCES: dict[str, Callable[[Transformer, TrainingData], Tensor]] = {"saliency": saliency, "occlusion": occlusion}


def _explain_all(encoder: Transformer, data: TrainingData, explain: Callable[[Batch], Tensor], power: int) -> Tensor:
    """Normalise what `explain` returns for the real positions (T,) of all trainable sequences.

    Its cost grows with the length of a sequence to the given `power`. Batches hold sequences of similar length.
    """
    importance = torch.zeros(len(data.sequences), data.maxlen, device=data.sequences.items.device)
    lengths, order = data.inputs.lengths[data.trainable].clamp_max(data.maxlen).sort(descending=True, stable=True)
    rows, longest, first = data.trainable[order], lengths.tolist(), 0
    was_training = encoder.training
    encoder.eval()
    with torch.no_grad():
        while first < len(rows):
            chunk = rows[first : first + max(1, TOKENS_AT_ONCE // longest[first] ** power)]
            batch = windows(data.inputs, chunk, data.maxlen, data.pad_id, chunk.cpu().numpy())
            values = explain(batch)  # (T,)
            raw = values.new_zeros(batch.items.shape).masked_scatter_(batch.mask(), values)  # (B, L), zero at padding
            total = raw.sum(1, keepdim=True)
            even = batch.mask() / batch.lengths[:, None]  # for rows where no position has any importance
            importance[chunk, : raw.shape[1]] = torch.where(total > 0, raw / total, even)
            first += len(chunk)
    encoder.train(was_training)
    return importance
