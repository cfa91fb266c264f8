"""BT-SR: next-item prediction regularised by Barlow Twins on same-target views (the paper, section 3)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, ClassVar, Literal

from annotated_types import Interval

from baselines.deferred import Batch, Encoder, Tensor, TrainBatch, TrainingData, regularizers, torch, views
from baselines.method import Terms, TrainedMethod
from baselines.objectives import CrossEntropy, Objective
from baselines.settings import Shares, Weight


class BTSR(TrainedMethod):
    """L_total = L_pred + alpha * L_BT (Eq. 8).

    L_BT compares each sequence with its twin, another sequence with the same final item, both without that item.
    """

    version = 1
    grid: ClassVar = {"settings.alpha": (0.01, 0.05, 0.2, 0.4), "settings.lambd": (0.05, 0.2)}

    @dataclass(frozen=True)
    class Settings:
        objective: Objective = field(default_factory=CrossEntropy)
        alpha: Weight = 0.2  # of L_BT in the total (Eq. 8)
        lambd: Weight = 0.05  # of the redundancy term in L_BT (Eq. 7)
        # "per-dimension" divides L_BT by D, as in the released code; "sum" does not, as in Eq. 7.
        normalise: Literal["per-dimension", "sum"] = "per-dimension"
        # A sequence without a twin is compared with itself under another dropout mask, as in the released code, or is
        # left out of L_BT.
        no_twin: Literal["self", "skip"] = "self"
        twin_pool: Literal["final", "prefix"] = "final"  # see TwinPool.build; the paper uses "final"
        # What a sequence is compared with: its twin, or itself after an augmentation or under another dropout mask.
        view: Literal["twin", "mask", "crop", "reorder", "substitute", "dropout"] = "twin"
        shares: Shares = field(default_factory=Shares)  # how much the augmentations change
        projector_layers: Annotated[int, Interval(ge=0, le=16)] = 0  # if positive, replaces the L2 normalisation
        projector_width: Annotated[int, Interval(ge=1, le=8192)] = 64

    settings: Settings

    def build(self, width: int) -> torch.nn.Module:
        """Build the projector (Zbontar et al., ICML 2021): linear maps with batch normalisation and ReLU in between."""
        settings, nn = self.settings, torch.nn
        widths = [width] + [settings.projector_width] * settings.projector_layers
        layers: list[torch.nn.Module] = []
        for i in range(settings.projector_layers):
            layers += [nn.BatchNorm1d(widths[i]), nn.ReLU()] if i else []
            layers.append(nn.Linear(widths[i], widths[i + 1]))
        self.projector = nn.Sequential(*layers)
        return self.projector

    def prepare(self, data: TrainingData) -> None:
        self.twins = views.TwinPool.build(data, self.settings.twin_pool)
        if self.settings.view == "substitute":
            self.nearest = views.nearest_items(data)

    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        settings = self.settings
        states, z_a = encoder(batch.inputs, batch.last_only)
        terms = {"next-item": settings.objective(states, batch, encoder.item_table, rng)}
        if settings.alpha == 0:  # plain SASRec
            return terms
        z_b = encoder.last(self.make_view(batch, rng))
        if settings.view == "twin" and settings.no_twin == "skip":
            paired = self.twins.with_twin(batch)
            z_a, z_b = z_a[paired], z_b[paired]
        if len(z_a) > 1:  # a single pair has no correlation
            terms["barlow-twins"] = settings.alpha * self.regularizer(z_a, z_b)
        return terms

    def make_view(self, batch: TrainBatch, rng: torch.Generator) -> Batch:
        inputs, data, shares = batch.inputs, batch.data, self.settings.shares
        match self.settings.view:
            case "twin":
                return self.twins.draw(batch.rows, rng)
            case "mask":
                return views.mask(inputs, views.scattered(inputs, shares.mask, rng), data.mask_id)
            case "crop":
                return views.crop(inputs, shares.crop, data.pad_id, rng)
            case "reorder":
                return views.reorder(inputs, shares.reorder, rng)
            case "substitute":
                return views.substitute(inputs, views.scattered(inputs, shares.substitute, rng), self.nearest)
            case "dropout":
                return inputs

    def regularizer(self, z_a: Tensor, z_b: Tensor) -> Tensor:
        """Return L_BT of the two views, computed on L2-normalised rows or on the projector's output."""
        settings = self.settings
        projected = settings.projector_layers > 0
        if projected:
            z_a, z_b = self.projector(z_a), self.projector(z_b)
        per_dimension = settings.normalise == "per-dimension"
        return regularizers.barlow_twins(z_a, z_b, settings.lambd, l2=not projected, per_dimension=per_dimension)

    def facts(self) -> dict[str, float]:
        return {"twinless_share": self.twins.twinless_share}
