"""What a method is: frozen settings, a version, and either a loss to train on or statistics to fit.

Imports no torch, so that a plan, which reads settings and versions alone, needs none.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from baselines.deferred import Batch, Encoder, TrainBatch, TrainingData, torch, transformer
from baselines.settings import EncoderSettings, Precision, check_bounds

Scorer: TypeAlias = "Callable[[Batch], torch.Tensor]"
"""Histories, a Batch of B rows, in; scores of the whole catalogue, (B, V) float, out."""

Grid: TypeAlias = "Mapping[str, tuple[float, ...]]"
"""For each setting that tuning searches, such as `settings.alpha`, the values that it tries, ascending."""

Terms: TypeAlias = "dict[str, torch.Tensor]"
"""Named scalar loss terms, each already multiplied by its weight; the loss is their sum."""


class Method(ABC):
    """A way to recommend. `version` and `encoder_version` are part of the run key: raise them whenever the numbers
    change. `grid`: what tuning searches, in all combinations of its values. `knows_users`: whether it can score the
    users alone that it was trained on, so that a row is a user.
    """

    version: ClassVar[int]
    encoder_version: ClassVar[int] = 2  # of transformer.py
    grid: ClassVar[Grid] = {}
    knows_users: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Settings:
        """Nothing to set; a method with settings has a class of its own here."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    def report(self) -> dict[str, float]:
        """Facts about the last fit that belong in the run record, such as the share of anchors without a twin."""
        return {}


class FittedMethod(Method):
    """A method that counts instead of training."""

    @abstractmethod
    def fit(self, data: TrainingData) -> Scorer:
        """Learn from the training sequences; return the scorer."""


class TrainedMethod(Method):
    """A method that trains an encoder by gradient; the harness has the loop, the model selection and the scoring."""

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> Encoder:
        """The encoder that is trained, by default the Transformer. Another one has an `encoder_version` of its own."""
        return transformer.build(n_items, settings, precision)

    def prepare(self, data: TrainingData) -> None:
        """Build indices and statistics before the first epoch."""

    def build(self, width: int) -> torch.nn.Module:
        """What the method trains in addition to the encoder, such as a projector; nothing by default."""
        return torch.nn.Module()

    def pretraining_epochs(self, budget: int) -> int:
        """How many of the `budget` epochs pretrain: none of them can be the selected one, and the optimiser starts
        anew after them.
        """
        return 0

    @abstractmethod
    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """The terms whose sum is minimised on this batch; all draws but dropout come from `rng`."""

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        """Called after each epoch, counted from 1, before validation."""

    def state(self) -> dict[str, torch.Tensor]:
        """What `on_epoch` has changed, so that a run that was cut short can be continued; `restore` takes it back."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Go back to what `state` returned; called after `prepare`."""


@dataclass(frozen=True)
class Look:
    """How figures draw a method: a colour and a marker, as matplotlib names them."""

    colour: str
    marker: str


@dataclass(frozen=True)
class Entry:
    """One line of the registry: how the method is called in print, its class, its default settings, whose numbers all
    have bounds.

    `plain`: the method that is left, bit for bit, when this one's `alpha` is 0. `by_default`: whether it is run when no
    method is named. `grid`: what tuning searches, if that is not the `grid` of the class. `rival`: the method that a
    report compares it with, if that is neither `plain` nor the best baseline. `look`: how figures draw it; without one
    it gets a look that no other method has.
    """

    title: str
    method: type[Any]
    settings: Any
    plain: str | None = None
    by_default: bool = True
    grid: Grid | None = None
    rival: str | None = None
    look: Look | None = None

    @property
    def searched(self) -> Grid:
        grid: Grid = self.method.grid if self.grid is None else self.grid
        return grid

    def __post_init__(self) -> None:
        check_bounds(self.settings)
