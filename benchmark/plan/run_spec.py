"""What a run is: its settings, the specification made of them, its key, and the setting under which it is reported."""

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

EVALUATION_VERSION = 1
"""Raise it whenever benchmark/runs/evaluation.py gives other ranks or raw measurements for the same scores."""

HPARAMS = ("equal", "released", "tuned")
PROFILES = ("paper", "quick")

MAX_SETTING = 120
"""The most characters of a setting's name, which becomes that of a folder."""

Beta = Annotated[float, Interval(ge=0, le=0.999999)]


@dataclass(frozen=True, order=True)
class RunSetting:
    """Under which rules runs were made: the protocol's label in data.json, the hyper-parameters, the profile."""

    protocol: str = "released"
    hparams: str = "equal"
    profile: str = "paper"

    @property
    def name(self) -> str:
        """All three as one path component, such as `released-equal-paper`."""
        name = f"{self.protocol}-{self.hparams}-{self.profile}".lower()
        return shortened(re.sub(r"[^a-z0-9._]+", "-", name), MAX_SETTING)


def shortened(name: str, longest: int) -> str:
    """The name of a folder in at most `longest` characters; a digest stands for what is cut off."""
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return name if len(name) <= longest else f"{name[: longest - len(digest) - 1]}-{digest}"


@dataclass(frozen=True)
class TrainingSettings:
    """How every gradient-trained method is trained."""

    batch_size: Annotated[int, Interval(ge=1, le=1_000_000)] = 256
    epochs: Annotated[int, Interval(ge=1, le=100_000)] = 200
    patience: Annotated[int, Interval(ge=1, le=100_000)] = 15
    learning_rate: Annotated[float, Interval(ge=1e-12, le=10)] = 1e-3
    betas: tuple[Beta, Beta] = (0.9, 0.98)  # of Adam
    weight_decay: Annotated[float, Interval(ge=0, le=10)] = 0.0
    noise: Share = field(default=0.0, metadata={NEUTRAL: 0.0})
    """The share of input positions that are replaced by random items; targets stay as they are."""
    rows: Literal["user", "prefix"] = field(default="user", metadata={NEUTRAL: "user"})
    """A row of a batch is a user's whole sequence, with a loss at every position, or a prefix, with one at its end."""
    precision: Precision = field(default="fp32", metadata={NEUTRAL: "fp32"})
    """The precision of large products in training, as in `Encoder`; validation and test are computed in float32."""
    compile: bool = field(default=False, metadata={NEUTRAL: False})
    """Whether torch.compile translates the encoder's blocks; needs a compiler, and on a CPU it only costs time."""


@dataclass(frozen=True)
class EvaluationSettings:
    """How every method is ranked."""

    mask_seen: bool = field(default=True, metadata={NEUTRAL: True})
    """Whether a user's own items are left out of the ranking; the published code of several baselines keeps them."""
    downstream: bool = field(default=False, metadata={NEUTRAL: False})
    """Whether a pretrained representation is judged on downstream tasks; it is trained for all of the epochs then."""


SHARED = {"encoder": EncoderSettings(), "training": TrainingSettings(), "evaluation": EvaluationSettings()}
"""The sections whose settings all methods have, and their defaults."""


@dataclass(frozen=True)
class RunSpec:
    """Everything that specifies a run, apart from the data itself and the machine."""

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
    """Whether this is one of the trials of tuning, which are never tested, so that nothing can be chosen on test."""

    @classmethod
    def of_json(cls, kept: Mapping[str, Any]) -> RunSpec:
        """The specification that a record has kept as its `spec`."""
        about = {each: kept[each] for each in ("dataset", "title", "synthetic", "hparams", "profile", "seed")}
        shared = {section: restored_settings(usual, kept.get(section)) for section, usual in SHARED.items()}
        name = kept["method"]["name"]
        return cls(
            **about,
            **shared,
            protocol=Protocol(**kept["protocol"]),
            method=name,
            settings=restored_settings(METHODS[name].settings, kept["method"]["settings"]),
            is_trial=bool(kept.get("trial")),
        )

    def to_json(self) -> dict[str, Any]:
        """The record's `spec`."""
        names = {name: getattr(self, name) for name in ("title", "synthetic", "hparams", "profile")}
        return names | self._tables(without_neutral=False)

    def identity(self) -> dict[str, Any]:
        """The part of it that decides the numbers: neither mere names nor settings that have no effect."""
        tables = self._tables(without_neutral=True)
        del tables["protocol"]["preset"]
        return tables

    def _tables(self, without_neutral: bool) -> dict[str, Any]:
        encoder, training, settings = (
            settings_to_json(each, without_neutral) for each in (self.encoder, self.training, self.settings)
        )
        evaluation = settings_to_json(self.evaluation, without_neutral=True)
        return {
            "dataset": self.dataset,
            "protocol": self.protocol.to_json(),
            "encoder": encoder,
            "training": training,
            "method": {"name": self.method, "settings": settings},
            "seed": self.seed,
            **({"evaluation": evaluation} if evaluation else {}),
            **({"trial": True} if self.is_trial else {}),
        }


def settings_to_json(settings: Any, without_neutral: bool = False) -> dict[str, Any]:
    """Settings as nested tables, an objective with its name; `without_neutral` leaves out those without effect."""
    table: dict[str, Any] = {"name": settings.name} if isinstance(settings, Objective) else {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if without_neutral and NEUTRAL in each.metadata and each.metadata[NEUTRAL] == value:
            continue
        if is_dataclass(value):
            value = settings_to_json(value, without_neutral)
        table[each.name] = list(value) if isinstance(value, tuple) else value
    return table


def restored_settings(settings: Any, table: Any) -> Any:
    """The inverse of `settings_to_json`: `settings` with the values of a record's `table`. What it lacks is neutral,
    or else stays as it is.
    """
    if not isinstance(table, Mapping):
        return settings
    values = {}
    for each in fields(settings):
        usual = getattr(settings, each.name)
        value = table.get(each.name, each.metadata.get(NEUTRAL, usual))
        if is_dataclass(usual):
            value = restored_settings(usual, value)
        values[each.name] = tuple(value) if isinstance(value, list) else value
    return replace(settings, **values)


def versions(spec: RunSpec) -> dict[str, int]:
    """The versions whose rise makes earlier runs of this spec void."""
    method = METHODS[spec.method].method
    return {
        "protocol": PROTOCOL_VERSION,
        "encoder": method.encoder_version,
        "method": method.version,
        "evaluation": EVALUATION_VERSION,
    }


def run_key(spec: RunSpec, fingerprint: str) -> str:
    """16 hex digits of everything that decides the numbers, so that equal keys mean equal results: neither the device
    nor the mere names of presets.
    """
    return digest_of({"spec": spec.identity(), "fingerprint": fingerprint, "versions": versions(spec)})


def digest_of(identity: Any) -> str:
    """16 hex digits that stand for a value in the types that JSON has."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
