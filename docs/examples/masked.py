"""Masked-item training (after BERT4Rec, Sun et al., CIKM 2019) on SASRec's causal encoder.

Copy it to baselines/masked.py, and add to baselines/registry.py the import

    from baselines.masked import Masked

and below `METHODS: dict[str, Entry] = {`

    "masked": Entry("SASRec (masked items)", Masked, Masked.Settings(), by_default=False),
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

import torch
import torch.nn.functional as F
from annotated_types import Interval

from baselines import views
from baselines.encoder import Encoder
from baselines.method import Terms, TrainedMethod
from baselines.settings import EncoderSettings, Precision
from baselines.training_data import TrainBatch
from baselines.transformer import Transformer
from datasets.sequences import Batch


class MaskedTransformer(Transformer):
    """A Transformer that scores by appending a mask token to the history and predicting the item behind it."""

    def score(self, histories: Batch) -> torch.Tensor:
        items, lengths, longest = histories.items, histories.lengths, self.settings.maxlen
        is_full = lengths == longest  # such a row loses its oldest item to the mask
        items = F.pad(torch.where(is_full[:, None], items.roll(-1, 1), items), (0, 1), value=self.n_items)
        lengths = lengths + ~is_full  # (B,)
        items = items.scatter(1, lengths[:, None] - 1, self.n_items + 1)  # (B, L + 1)
        return super().score(Batch(items[:, :longest], lengths))


class Masked(TrainedMethod):
    """Predict hidden items: a random share of each row, and always the last item."""

    version = 1
    encoder_version = 10 * TrainedMethod.encoder_version + 1  # it also rises with the Transformer's
    grid: ClassVar = {"settings.share": (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)}

    @dataclass(frozen=True)
    class Settings:
        share: Annotated[float, Interval(ge=0, le=1)] = 0.2

    settings: Settings

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> Encoder:
        return MaskedTransformer(n_items, settings, precision)

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        inputs = batch.inputs
        columns = torch.arange(inputs.items.shape[1], device=inputs.items.device)  # (L,)
        hidden = views.scattered(inputs, self.settings.share, rng) | (columns == inputs.lengths[:, None] - 1)  # (B, L)
        states, _ = encoder(views.mask(inputs, hidden, batch.data.mask_id))  # (T, D)
        logits = states[hidden[inputs.positions]] @ encoder.item_table.T  # (hidden items, V)
        return {"masked-item": F.cross_entropy(logits.float(), inputs.items[hidden])}
