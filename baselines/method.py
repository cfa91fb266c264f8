"""The base classes of all methods: settings, a version, and either a loss to train on or statistics to count.

This module imports no torch, because planning reads only settings and versions and must start quickly.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from baselines.deferred import Batch, Encoder, TrainBatch, TrainingData, torch, transformer
from baselines.settings import EncoderSettings, Precision, check_bounds

Scorer: TypeAlias = "Callable[[Batch], torch.Tensor]"
"""Takes a batch of B histories and returns a score for every item of the catalogue, (B, V) float."""

Grid: TypeAlias = "Mapping[str, tuple[float, ...]]"
"""Maps each setting to tune, such as `settings.alpha`, to the values to try, in ascending order."""

Terms: TypeAlias = "dict[str, torch.Tensor]"
"""The named terms of a loss. Each is a scalar that already includes its weight; the loss is their sum."""


class Method(ABC):
    """A recommendation method.

    `version` and `encoder_version` are part of the run key: raise them whenever the numbers change. Tuning tries all
    combinations of the values in `grid`. With `known_users_only` the method can score only the users it was trained on.
    """

    version: ClassVar[int]
    encoder_version: ClassVar[int] = 2  # of transformer.py
    grid: ClassVar[Grid] = {}
    known_users_only: ClassVar[bool] = False

    @dataclass(frozen=True)
    class Settings:
        """No settings. A method that has some defines its own `Settings`."""

    def __init__(self, settings: Any = None) -> None:
        self.settings = settings

    def facts(self) -> dict[str, float]:
        """Return facts for the run record, such as the share of sequences without a twin."""
        return {}


class FittedMethod(Method):
    """A method that counts instead of training."""

    @abstractmethod
    def fit(self, data: TrainingData) -> Scorer:
        """Learn from the training sequences and return the scorer."""


class TrainedMethod(Method):
    """A method that trains an encoder by gradient descent.

    The harness runs the training loop, selects the best epoch and scores; the method supplies the loss.
    """

    def build_encoder(self, n_items: int, settings: EncoderSettings, precision: Precision) -> Encoder:
        """Return the encoder to train, by default the Transformer. Any other needs its own `encoder_version`."""
        return transformer.build(n_items, settings, precision)

    def prepare(self, data: TrainingData) -> None:
        """Build indices and statistics. Called once, before the encoder is built."""

    def build(self, width: int) -> torch.nn.Module:
        """Return modules to train along with the encoder, such as a projector; by default there are none."""
        return torch.nn.Module()

    def pretraining_epochs(self, budget: int) -> int:
        """Return how many of the `budget` epochs are pretraining.

        None of them can be selected as the best epoch, and the optimiser is reset after them.
        """
        return 0

    @abstractmethod
    def loss(self, encoder: Encoder, batch: TrainBatch, rng: torch.Generator) -> Terms:
        """Return the loss terms of a batch. Everything random except dropout must be drawn from `rng`."""

    def on_epoch(self, encoder: Encoder, data: TrainingData, epoch: int) -> None:
        """Called after each epoch, before validation; epochs count from 1."""

    def state(self) -> dict[str, torch.Tensor]:
        """Return whatever `on_epoch` changes, so that an interrupted run can resume from a checkpoint."""
        return {}

    def restore(self, state: dict[str, torch.Tensor]) -> None:
        """Restore what `state` returned. Called after `prepare`."""


@dataclass(frozen=True)
class Look:
    """How figures draw a method: matplotlib's names for a colour and a marker."""

    colour: str
    marker: str


@dataclass(frozen=True)
class Entry:
    """One method of the registry: its printed name, its class and its default settings."""

    title: str
    method: type[Any]
    settings: Any
    plain: str | None = None  # the method that remains, bit for bit, when `alpha` is 0
    by_default: bool = True  # whether it runs when the user names no methods
    grid: Grid | None = None  # the tuning grid, if it differs from that of the class
    rival: str | None = None  # what reports compare it with, if neither `plain` nor the best baseline
    look: Look | None = None  # how figures draw it; by default in a way that no other method has

    @property
    def tuning_grid(self) -> Grid:
        return self.method.grid if self.grid is None else self.grid

    def __post_init__(self) -> None:
        check_bounds(self.settings)
