"""Configuration: TOML and `--set` in, one frozen RunSpec per run out; an unknown key or an impossible value is an
error.

Layers, each over the one before: the methods' own defaults; the tables of the hyper-parameters (`equal` or `released`)
in `configs/shared.toml` and in the dataset's file; the profile's tables likewise; `--set`; what tuning chose. Within a
table, what concerns one method comes after what concerns all.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass, replace
from math import inf
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from baselines.objectives import Objective
from baselines.registry import METHODS
from baselines.settings import EncoderSettings, Precision
from datasets.protocol import Protocol

HPARAMS = ("equal", "released", "tuned")
PROFILES = ("paper", "quick")
CONFIGS = Path(__file__).parent / "configs"


MAX_ASSIGNMENT = 200
"""Characters of one `--set`, which becomes a part of names."""

LARGEST_WHOLE = 2**53
"""Up to here every whole number is a float."""

SECTIONS = ("encoder", "training", "settings")
"""What a change of a run's configuration begins with; `settings` are the method's own."""


class ConfigError(Exception):
    """A wrong argument or configuration; the message is one line: what is wrong, where, and what to do."""


NEUTRAL = "neutral"
"""In a field's metadata: the value at which the setting does nothing. It is left out of the run key then, so that a
setting can be added without voiding the runs that were made before it."""


MAX_SETTING = 120
"""Characters of a setting's name, which becomes that of a folder."""


@dataclass(frozen=True, order=True)
class RunSetting:
    """Under which rules runs were made: the protocol's label in data.json, the hyper-parameters, the profile."""

    protocol: str = "released"
    hparams: str = "equal"
    profile: str = "paper"

    @property
    def name(self) -> str:
        """All three as one path component, such as `released-equal-paper`."""
        name = re.sub(r"[^a-z0-9._]+", "-", f"{self.protocol}-{self.hparams}-{self.profile}".lower())
        if len(name) <= MAX_SETTING:
            return name
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        return f"{name[: MAX_SETTING - len(digest) - 1]}-{digest}"


@dataclass(frozen=True)
class TrainingSettings:
    """How every gradient-trained method is trained."""

    batch_size: int = 256
    epochs: int = 200
    patience: int = 15
    learning_rate: float = 1e-3
    betas: tuple[float, float] = (0.9, 0.98)
    weight_decay: float = 0.0
    noise: float = field(default=0.0, metadata={NEUTRAL: 0.0})
    """The share of input positions that are replaced by random items; targets stay as they are."""
    precision: Precision = field(default="fp32", metadata={NEUTRAL: "fp32"})
    """Of the large products in training, as in `Encoder`; validation and test are computed in float32."""
    compile: bool = field(default=False, metadata={NEUTRAL: False})
    """Whether torch.compile translates the encoder's blocks; needs a compiler, and on a CPU it only costs time."""


RANGES: dict[str, tuple[float, float]] = {
    "width": (1, 4096),
    "blocks": (1, 64),
    "heads": (1, 64),
    "dropout": (0, 0.99),
    "maxlen": (1, 10_000),
    "batch_size": (1, 1_000_000),
    "epochs": (1, 100_000),
    "patience": (1, 100_000),
    "learning_rate": (1e-12, 10),
    "betas": (0, 0.999999),
    "weight_decay": (0, 10),
    "noise": (0, 1),
    "alpha": (0, 1e6),
    "lambd": (0, 1e6),
    "projector_layers": (0, 16),
    "projector_width": (1, 8192),
    "weight": (0, 1e6),
    "temperature": (1e-6, 1e6),
    "crop": (0, 1),
    "mask": (0, 1),
    "reorder": (0, 1),
    "substitute": (0, 1),
    "refresh_after": (0, 100_000),
    "positive": (0, 1e6),
    "negative": (0, 1e6),
    "retrieval": (0, 1e6),
    "positive_share": (0, 1),
    "negative_share": (0, 1),
    "pretraining": (0, 1),
    "negatives": (1, 100_000),
    "buckets": (0, 1_000_000),
    "size_x": (0, 1_000_000),
    "size_y": (1, 1_000_000),
    "quantile": (0.01, 0.999999),
    "min_events": (3, 1000),
}
"""Inclusive bounds of every number that can be set, by its name."""


@dataclass(frozen=True)
class RunSpec:
    """All that a run is, apart from the data itself and the machine."""

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

    def to_json(self) -> dict[str, Any]:
        """The record's `spec`."""
        return {
            "dataset": self.dataset,
            "title": self.title,
            "synthetic": self.synthetic,
            "protocol": asdict(self.protocol),
            "hparams": self.hparams,
            "profile": self.profile,
            "encoder": settings_to_json(self.encoder),
            "training": settings_to_json(self.training),
            "method": {"name": self.method, "settings": settings_to_json(self.settings)},
            "seed": self.seed,
        }

    def identity(self) -> dict[str, Any]:
        """What of it decides the numbers: no mere names, and no setting that does nothing."""
        protocol = asdict(self.protocol)
        del protocol["preset"]
        return {
            "dataset": self.dataset,
            "protocol": protocol,
            "encoder": settings_to_json(self.encoder, without_neutral=True),
            "training": settings_to_json(self.training, without_neutral=True),
            "method": {"name": self.method, "settings": settings_to_json(self.settings, without_neutral=True)},
            "seed": self.seed,
        }


def settings_to_json(settings: Any, without_neutral: bool = False) -> dict[str, Any]:
    """Settings as nested tables; an objective also gives its name. `without_neutral`: as in the run key."""
    table: dict[str, Any] = {"name": settings.name} if isinstance(settings, Objective) else {}
    for each in fields(settings):
        value = getattr(settings, each.name)
        if without_neutral and NEUTRAL in each.metadata and each.metadata[NEUTRAL] == value:
            continue
        if is_dataclass(value):
            value = settings_to_json(value, without_neutral)
        table[each.name] = list(value) if isinstance(value, tuple) else value
    return table


class Configuration:
    """Everything that the files and the command line say about the runs of one dataset.

    `hparams` "tuned" are the equal ones changed by `tuned`: for each method the (key, value) pairs that tuning chose.
    What is set by hand becomes part of the profile's name, so that such runs are reported apart.
    """

    def __init__(
        self,
        dataset: str,
        hparams: str,
        profile: str,
        assignments: Sequence[str] = (),
        tuned: Mapping[str, Iterable[tuple[str, Any]]] = MappingProxyType({}),
    ) -> None:
        self.dataset, self.hparams, self.tuned = dataset, hparams, tuned
        self.layers: list[tuple[str, Mapping[str, Any]]] = []
        paths = [path for path in (CONFIGS / "shared.toml", CONFIGS / f"{dataset}.toml") if path.exists()]
        documents = {path.name: _read_toml(path) for path in paths}
        for table in ("equal" if hparams == "tuned" else hparams, profile):
            for name, document in documents.items():
                if table in document:
                    self.layers.append((f"{name} [{table}]", document[table]))
        self.assignments = [_parse_assignment(text) for text in assignments]
        for key, value in self.assignments:
            _check(key, value)
        self.profile = "-".join([profile, *(_slug(text) for text in assignments if not text.startswith("protocol."))])

    def protocol(self, protocol: Protocol) -> Protocol:
        """The protocol with what `--set protocol.KEY=VALUE` says."""
        for key, value in self.assignments:
            section, _, rest = key.partition(".")
            if section == "protocol":
                protocol = assign(protocol, rest, value, f"--set {key}")
        return protocol

    def spec(
        self,
        title: str,
        synthetic: bool,
        protocol: Protocol,
        method: str,
        seed: int,
        changes: Iterable[tuple[str, Any]] = (),
    ) -> RunSpec:
        """The run of one method and seed; `changes`, such as ("settings.alpha", 0.1), come after everything else."""
        parts: dict[str, Any] = {
            "encoder": EncoderSettings(),
            "training": TrainingSettings(),
            "settings": METHODS[method].settings,
        }
        for where, section, key, value in self._statements(method):
            parts[section] = assign(parts[section], key, value, where)
        tuned = ((f"--hparams tuned: {path}", path, value) for path, value in self.tuned.get(method, ()))
        for where, path, value in (*tuned, *((path, path, value) for path, value in changes)):
            section, _, key = path.partition(".")
            parts[section] = assign(parts[section], key, value, where)
        encoder = parts["encoder"]
        if encoder.width % encoder.heads:
            raise ConfigError(
                f"encoder.width = {encoder.width} is not a multiple of encoder.heads = {encoder.heads}; "
                f"change one of them, with --set or in shared.toml or {self.dataset}.toml"
            )
        return RunSpec(
            dataset=self.dataset,
            title=title,
            synthetic=synthetic,
            protocol=protocol,
            hparams=self.hparams,
            profile=self.profile,
            method=method,
            seed=seed,
            **parts,
        )

    def _statements(self, method: str) -> Iterable[tuple[str, str, str, Any]]:
        """(where, section, key, value) for one method, weakest first."""
        for where, layer in self.layers:
            unknown = set(layer) - {"encoder", "training", "methods"}
            if unknown:
                raise ConfigError(f"{where}: unknown table '{min(unknown)}'; use encoder, training or methods.NAME")
            for section in ("encoder", "training"):
                for key, value in layer.get(section, {}).items():
                    yield f"{where} {section}.{key}", section, key, value
            for name, tables in layer.get("methods", {}).items():
                if not any(names_method(name, known) for known in METHODS):
                    raise ConfigError(f"{where}: unknown method '{name}'{suggestion(name, METHODS)}")
                for section, table in tables.items() if names_method(name, method) else ():
                    for key, value in table.items():
                        yield f"{where} methods.{name}.{section}.{key}", section, key, value
        for key, value in self.assignments:
            target, _, rest = key.partition(".")
            if target in ("encoder", "training"):
                yield f"--set {key}", target, rest, value
            elif names_method(target, method):
                yield f"--set {key}", "settings", rest, value


def names_method(word: str, method: str) -> bool:
    """Whether `word` names `method`, itself or as one of a family: `btsr` names btsr-bce, btsr-ce and btsr-sce."""
    return method == word or method.startswith(f"{word}-")


def assign(settings: Any, key: str, value: Any, where: str) -> Any:
    """`settings` with `key` (dotted for nested tables) set to `value`; ConfigError naming `where` if it cannot be."""
    name, _, rest = key.partition(".")
    known = [field.name for field in fields(settings)]
    if name not in known:
        raise ConfigError(f"{where}: unknown key '{name}'{suggestion(name, known)}")
    current = getattr(settings, name)
    if is_dataclass(current):
        if not rest and not isinstance(value, Mapping):
            raise ConfigError(f"{where}: '{name}' is a table; set one of its keys: {_keys(current, name)}")
        for inner, inner_value in {rest: value}.items() if rest else dict(value).items():
            current = assign(current, inner, inner_value, where)
        return replace(settings, **{name: current})
    if rest:
        raise ConfigError(f"{where}: '{name}' has no key '{rest}' below it; set {name} itself")
    converted = _convert(value, get_type_hints(type(settings))[name], name, where)
    try:
        return replace(settings, **{name: converted})
    except ValueError as error:
        raise ConfigError(f"{where}: {error}") from None


def _keys(table: Any, name: str) -> str:
    return ", ".join(f"{name}.{field.name}" for field in fields(table)) or "it has none"


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of an error line: the nearest known word, or all of them."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    return f"; did you mean '{near[0]}'?" if near else f"; known: {', '.join(names)}"


def _convert(value: Any, kind: Any, name: str, where: str) -> Any:
    if get_origin(kind) is Literal:
        if value not in get_args(kind):
            raise ConfigError(
                f"{where}: {value!r:.60} is not allowed; use one of {', '.join(map(str, get_args(kind)))}"
            )
        return value
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        any_number = rest == [...]
        if not isinstance(value, list | tuple) or not (any_number or len(value) == len(rest) + 1):
            count = "numbers" if any_number else f"{len(rest) + 1} numbers"
            raise ConfigError(f"{where}: expected {count} in brackets, got {value!r:.60}")
        return tuple(_convert(part, first, name, where) for part in value)
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) <= LARGEST_WHOLE else inf if value > 0 else -inf
    if type(value) is not kind:
        raise ConfigError(f"{where}: expected {_describe(kind)}, got {value!r:.60}")
    low, high = RANGES.get(name, (float("-inf"), float("inf")))
    if kind in (int, float) and not low <= value <= high:  # also refuses NaN
        raise ConfigError(f"{where}: {value!r:.60} is out of range; use {low:g} to {high:g}")
    return value


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9._]+", "-", text.lower()).strip("-")


def _describe(kind: Any) -> str:
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(kind, str(kind))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:  # ValueError: of TOML, of UTF-8, of a number too long
        raise ConfigError(
            f"{path}: cannot be read as TOML: {error}; correct it or restore the committed file"
        ) from None


def _parse_assignment(text: str) -> tuple[str, Any]:
    key, separator, value = text.partition("=")
    if not text.isprintable() or len(text) > MAX_ASSIGNMENT:
        raise ConfigError(f"--set {text!r:.80}: expected one line of at most {MAX_ASSIGNMENT} printable characters")
    if not separator or "." not in key or not value:
        raise ConfigError(f"--set {text}: expected SECTION.KEY=VALUE, for example --set training.epochs=50")
    try:
        return key.strip(), tomllib.loads(f"value = {value}")["value"]
    except (ValueError, RecursionError):
        return key.strip(), value.strip()


def _check(key: str, value: Any) -> None:
    """Try an assignment on everything that it speaks of, so that a mistake shows before any data is read."""
    target, _, rest = key.partition(".")
    methods = [METHODS[method].settings for method in METHODS if names_method(target, method)]
    sections: dict[str, list[Any]] = {
        "protocol": [Protocol()],
        "encoder": [EncoderSettings()],
        "training": [TrainingSettings()],
    }
    if not methods and target not in sections:
        known = [*sections, *METHODS]
        raise ConfigError(f"--set {key}: unknown section '{target}'{suggestion(target, known)}")
    if key == "protocol.preset":
        raise ConfigError("--set protocol.preset: a preset is more than its name; use --protocol")
    for settings in sections.get(target, methods):
        assign(settings, rest, value, f"--set {key}")
