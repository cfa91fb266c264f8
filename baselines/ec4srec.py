"""EC4SRec: contrastive views that are guided by which items explain the prediction (Wang et al., CIKM 2022).

There is no complete public implementation; this one follows the paper.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval

from baselines.deferred import (
    Encoder,
    Tensor,
    TrainBatch,
    TrainingData,
    importance,
    regularizers,
    torch,
    transformer,
    views,
)
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.settings import NEUTRAL, Share, Temperature, Weight


class EC4SRec(TrainedMethod):
    """L_pred + positive * InfoNCE(two positive views) + negative * L_neg + retrieval * InfoNCE(z, retrieved view).

    Positive views crop, mask or reorder the least important items; negative views do so with the most important ones.
    The retrieved view is a same-target twin that shares important items. Until the importances are first computed, the
    loss is L_pred alone.
    """

    version = 1
    grid: ClassVar = {"settings.scale": (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)
        importance: Literal["saliency", "occlusion"] = "saliency"
        refresh_after: tuple[Annotated[int, Interval(ge=0, le=100_000)], ...] = (5, 15)  # epochs
        positive: Weight = 0.1
        negative: Weight = 0.05
        retrieval: Weight = 0.1
        scale: Weight = field(default=1.0, metadata={NEUTRAL: 1.0})  # multiplies all three weights
        positive_share: Share = 0.3  # of a sequence's items are changed by a positive view
        negative_share: Share = 0.7  # of a sequence's items are changed by a negative view
        temperature: Temperature = 1.0

    settings: Settings
    importance: Tensor | None = None  # (n, L) of the input positions of all training sequences

    def prepare(self, data: TrainingData) -> None:
        self.twins = views.TwinPool.build(data)

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        if epoch in self.settings.refresh_after:
            assert isinstance(encoder, transformer.Transformer)  # the importances are those of its embedded items
            self.importance = importance.IMPORTANCES[self.settings.importance](encoder, data)

    def state(self) -> dict[str, Tensor]:
        return {} if self.importance is None else {"importance": self.importance}

    def restore(self, state: dict[str, Tensor]) -> None:
        self.importance = state.get("importance")

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        settings, inputs, data = self.settings, batch.inputs, batch.data
        states, z = encoder(inputs, batch.last_only)
        terms = {"next-item": settings.objective(states, batch, encoder.item_table, rng)}
        if self.importance is None:
            return terms
        explained = self.importance[batch.rows, : inputs.items.shape[1]]  # (B, L)
        least = views.least_important(inputs, explained, settings.positive_share)
        most = views.most_important(inputs, explained, settings.negative_share)
        first, operator = views.guided_view(inputs, data, least, rng)
        second, _ = views.guided_view(inputs, data, least, rng, avoid=operator)
        negative, _ = views.guided_view(inputs, data, most, rng)
        retrieved = views.draw_by_overlap(self.twins, batch, explained, rng)
        z_a, z_b, z_negative, z_retrieved = encoder.last_of_each([first, second, negative, retrieved])
        tau, z_positive = settings.temperature, torch.cat([z_a, z_b])
        scale = settings.scale
        terms["positive"] = scale * settings.positive * regularizers.info_nce(z_a, z_b, tau)
        terms["negative"] = scale * settings.negative * regularizers.attract_negatives(z_negative, z_positive, tau)
        terms["retrieval"] = scale * settings.retrieval * regularizers.info_nce(z, z_retrieved, tau)
        return terms

    def facts(self) -> dict[str, float]:
        return {"twinless_share": self.twins.twinless_share}
