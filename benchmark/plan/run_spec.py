"""The specification of a run: its settings, its key, and the setting that it is reported under."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, is_dataclass, replace
from typing import Annotated, Any, Literal

from annotated_types import Interval

from baselines.objectives import Objective
from baselines.registry import METHODS
from baselines.settings import NEUTRAL, EncoderSettings, Precision, Share
from datasets.protocol import PROTOCOL_VERSION, Protocol

EVALUATION_VERSION = 1  # to be raised when evaluation.py computes other ranks or measurements from the same scores

HPARAMS = ("equal", "released", "tuned")
PROFILES = ("paper", "quick")

MAX_SETTING = 120  # characters in a setting's name, which names a folder

Beta = Annotated[float, Interval(ge=0, le=0.999999)]


@dataclass(frozen=True, order=True)
class RunSetting:
    """The protocol (by its label), hyper-parameters and profile under which runs are reported together."""

    protocol: str = "released"
    hparams: str = "equal"
    profile: str = "paper"

    @property
    def name(self) -> str:
        """The setting as one path component, such as `released-equal-paper`."""
        name = f"{self.protocol}-{self.hparams}-{self.profile}".lower()
        return shortened(re.sub(r"[^a-z0-9._]+", "-", name), MAX_SETTING)


def shortened(name: str, longest: int) -> str:
    """Shorten the name of a folder to `longest` characters. A digest replaces what is cut off."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= longest else f"{name[: longest - len(digest) - 1]}-{digest}"


@dataclass(frozen=True)
class TrainingSettings:
    """How methods that learn by gradient descent are trained."""

    batch_size: Annotated[int, Interval(ge=1, le=1_000_000)] = 256
    epochs: Annotated[int, Interval(ge=1, le=100_000)] = 200
    patience: Annotated[int, Interval(ge=1, le=100_000)] = 15
    learning_rate: Annotated[float, Interval(ge=1e-12, le=10)] = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.98)  # of Adam
    weight_decay: Annotated[float, Interval(ge=0, le=10)] = 0.0
    noise: Share = field(default=0.0, metadata={NEUTRAL: 0.0})
    """The share of input positions that are replaced by random items. Targets are not changed."""
    rows: Literal["user", "prefix"] = field(default="user", metadata={NEUTRAL: "user"})
    """What a row of a batch is: a whole sequence with a loss at every position, or a prefix with a loss at its end."""
    precision: Precision = field(default="fp32", metadata={NEUTRAL: "fp32"})
    """Precision of large matrix products in training, see `Encoder`. Evaluation always uses float32."""
    compile: bool = field(default=False, metadata={NEUTRAL: False})
    """Whether to compile the encoder's blocks with torch.compile. Needs a compiler; does not pay off on a CPU."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How all methods are evaluated."""

    mask_seen: bool = field(default=True, metadata={NEUTRAL: True})
    """Whether items in a user's history are excluded from the ranking. Some published baselines do not exclude them."""
    downstream: bool = field(default=False, metadata={NEUTRAL: False})
    """Whether to evaluate the representation on downstream tasks, after training for the full number of epochs."""


SHARED = {"encoder": EncoderSettings(), "training": TrainingSettings(), "evaluation": EvaluationSettings()}
"""Settings that all methods have, by section."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that specifies a run, except the data itself and the machine."""

    dataset: str
    title: str
    synthetic: bool
    protocol: Protocol
    hparams: str
    profile: str
    encoder: EncoderSettings
    training: TrainingSettings
    method: str
    settings: Any
    seed: int
    evaluation: EvaluationSettings = EvaluationSettings()
    is_trial: bool = False
    """Whether this is a tuning trial. Trials are never tested, so that nothing can be chosen on the test set."""

    @classmethod
    def from_json(cls, stored: Mapping[str, Any]) -> RunSpec:
        """Rebuild the specification from a record's `spec`."""
        names = {name: stored[name] for name in ("dataset", "title", "synthetic", "hparams", "profile", "seed")}
        shared = {section: settings_from_json(usual, stored.get(section)) for section, usual in SHARED.items()}
        method = stored["method"]["name"]
        return cls(
            **names,
            **shared,
            protocol=Protocol(**stored["protocol"]),
            method=method,
            settings=settings_from_json(METHODS[method].settings, stored["method"]["settings"]),
            is_trial=bool(stored.get("trial")),
        )

    def to_json(self) -> dict[str, Any]:
        """Return the `spec` of the run's record."""
        names = {name: getattr(self, name) for name in ("title", "synthetic", "hparams", "profile")}
        return names | self._tables(without_neutral=False)

    def identity(self) -> dict[str, Any]:
        """Return what determines the results, without names and without settings that have no effect."""
        tables = self._tables(without_neutral=True)
        del tables["protocol"]["preset"]
        return tables

    def _tables(self, without_neutral: bool) -> dict[str, Any]:
        evaluation = settings_to_json(self.evaluation, without_neutral=True)
        return {
            "dataset": self.dataset,
            "protocol": self.protocol.to_json(),
            "encoder": settings_to_json(self.encoder, without_neutral),
            "training": settings_to_json(self.training, without_neutral),
            "method": {"name": self.method, "settings": settings_to_json(self.settings, without_neutral)},
            "seed": self.seed,
            **({"evaluation": evaluation} if evaluation else {}),
            **({"trial": True} if self.is_trial else {}),
        }


def settings_to_json(settings: Any, without_neutral: bool = False) -> dict[str, Any]:
    """Convert settings to nested dicts, optionally without those that have their neutral value and thus no effect.

    An objective also gets its name.
    """
    table: dict[str, Any] = {"name": settings.name} if isinstance(settings, Objective) else {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if without_neutral and NEUTRAL in each.metadata and each.metadata[NEUTRAL] == value:
            continue
        if is_dataclass(value):
            value = settings_to_json(value, without_neutral)
        table[each.name] = list(value) if isinstance(value, tuple) else value
    return table


def settings_from_json(default: Any, table: Any) -> Any:
    """Invert `settings_to_json`. A setting that the table lacks gets its neutral value, or else its default."""
    if not isinstance(table, Mapping):
        return default
    values = {}
    for each in fields(default):
        usual = getattr(default, each.name)
        value = table.get(each.name, each.metadata.get(NEUTRAL, usual))
        if is_dataclass(usual):
            value = settings_from_json(usual, value)
        values[each.name] = tuple(value) if isinstance(value, list) else value
    return replace(default, **values)


def versions(spec: RunSpec) -> dict[str, int]:
    """Return the versions of the code behind a run. Raising one of them invalidates earlier runs."""
    method = METHODS[spec.method].method
    return {
        "protocol": PROTOCOL_VERSION,
        "encoder": method.encoder_version,
        "method": method.version,
        "evaluation": EVALUATION_VERSION,
    }


def run_key(spec: RunSpec, fingerprint: str) -> str:
    """Return 16 hex digits that identify a run: runs with equal keys have equal results.

    The device and the names of presets are not part of the key.
    """
    return digest_of({"spec": spec.identity(), "fingerprint": fingerprint, "versions": versions(spec)})


def digest_of(identity: Any) -> str:
    """Return 16 hex digits of the SHA-256 of a JSON value."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
