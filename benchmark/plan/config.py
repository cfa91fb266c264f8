"""Configuration: turns TOML files and `--set` options into one RunSpec per run. Unknown keys and bad values are errors.

Later layers override earlier ones: the methods' defaults; the hyper-parameters (`equal` or `released`) in
`configs/shared.toml` and in the dataset's file; the profile in the same two files; `--set`; what tuning chose. Within a
table, settings of one method override settings of all methods.
"""

from __future__ import annotations

import difflib
import hashlib
import re
import textwrap
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass, replace
from functools import cache
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, Literal, get_args, get_origin, get_type_hints

from annotated_types import Interval
from pydantic import ConfigDict, TypeAdapter, ValidationError

from baselines.method import FittedMethod
from baselines.registry import METHODS
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.run_spec import SHARED, RunSpec
from datasets.protocol import Protocol

CONFIGS = Path(__file__).parent / "configs"

MAX_ASSIGNMENT = 200  # characters of one --set, which becomes part of a folder's name
MAX_LISTED = 400  # characters of known names in an error message

TRIAL = ("run.trial", True)
"""The `--set` assignment that turns every run into a tuning trial. It is how a single trial can be repeated."""


class ConfigError(Exception):
    """A wrong argument or configuration. The message is one line: what is wrong, where, and what to do about it."""


class Configuration:
    """Everything that the configuration files and the command line say about the runs of one dataset.

    With `hparams` "tuned", the equal hyper-parameters are overridden by `tuned`: for each method, the (key, value)
    pairs that tuning chose. `--set` assignments become part of the profile's name, so such runs are reported
    separately.
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
        paths = [path for path in (CONFIGS / "shared.toml", CONFIGS / f"{dataset}.toml") if path.exists()]
        documents = {path.name: _read_toml(path) for path in paths}
        self.layers: list[tuple[str, Mapping[str, Any]]] = [
            (f"{name} [{table}]", document[table])
            for table in ("equal" if hparams == "tuned" else hparams, profile)
            for name, document in documents.items()
            if table in document
        ]
        self.assignments = [_parse_assignment(text) for text in assignments]
        for key, value in self.assignments:
            _check(key, value)
        self.profile = "-".join(
            [profile, *(_folder_name(text) for text in assignments if not text.startswith("protocol."))]
        )

    def protocol(self, protocol: Protocol) -> Protocol:
        """Apply the `--set protocol.KEY=VALUE` assignments to a protocol."""
        for key, value in self.assignments:
            section, _, rest = key.partition(".")
            if section == "protocol":
                protocol = assign(protocol, rest, value, f"--set {key}")
        return protocol

    def spec(self, facts: DatasetFacts, method: str, seed: int, changes: Iterable[tuple[str, Any]] = ()) -> RunSpec:
        """Return the spec of one run. `changes`, such as ("settings.alpha", 0.1), override everything else."""
        parts: dict[str, Any] = {**SHARED, "settings": METHODS[method].settings}
        for where, section, key, value in self._statements(method):
            parts[section] = assign(parts[section], key, value, where)
        tuned = ((f"--hparams tuned: {path}", path, value) for path, value in self.tuned.get(method, ()))
        for where, path, value in (*tuned, *((path, path, value) for path, value in changes)):
            section, _, key = path.partition(".")
            parts[section] = assign(parts[section], key, value, where)
        kind = METHODS[method].method
        if issubclass(kind, FittedMethod) or kind.known_users_only:  # they are not trained on rows of a batch
            parts["training"] = replace(parts["training"], rows="user")
        encoder = parts["encoder"]
        if encoder.width % encoder.heads:
            raise ConfigError(
                f"encoder.width = {encoder.width} is not a multiple of encoder.heads = {encoder.heads}; "
                f"change one of them, with --set or in shared.toml or {self.dataset}.toml"
            )
        if encoder.norm == "post" and encoder.padding == "attended":
            raise ConfigError(
                "encoder.padding = attended is for encoder.norm = query, the released code's; use --set "
                "encoder.padding=masked with encoder.norm=post"
            )
        return RunSpec(
            dataset=self.dataset,
            title=facts.title,
            synthetic=facts.synthetic,
            protocol=facts.protocol,
            hparams=self.hparams,
            profile=self.profile,
            method=method,
            seed=seed,
            is_trial=TRIAL in self.assignments,
            **parts,
        )

    def _statements(self, method: str) -> Iterable[tuple[str, str, str, Any]]:
        """Yield (source, section, key, value) of every setting that applies to a method, in order of precedence."""
        for where, layer in self.layers:
            unknown = set(layer) - {"encoder", "training", "methods"}
            if unknown:
                raise ConfigError(f"{where}: unknown table '{min(unknown)}'; use encoder, training or methods.NAME")
            for section in ("encoder", "training"):
                for key, value in layer.get(section, {}).items():
                    yield f"{where} {section}.{key}", section, key, value
            for name, tables in layer.get("methods", {}).items():
                if not any(names_method(name, known) for known in METHODS):
                    raise ConfigError(f"{where}: {unknown_name('method', name, METHODS)}")
                for section, table in tables.items() if names_method(name, method) else ():
                    for key, value in table.items():
                        yield f"{where} methods.{name}.{section}.{key}", section, key, value
        for key, value in self.assignments:
            target, _, rest = key.partition(".")
            if target in SHARED:
                yield f"--set {key}", target, rest, value
            elif names_method(target, method):
                yield f"--set {key}", "settings", rest, value


def names_method(word: str, method: str) -> bool:
    """Whether `word` is the method's name or that of its family: `btsr` stands for btsr-bce, btsr-ce and btsr-sce."""
    return method == word or method.startswith(f"{word}-")


def uses_assignment(spec: RunSpec, key: str, value: Any) -> bool:
    """Whether `--set key=value` took effect in this run. For example, an experiment may have overridden it."""
    section, _, rest = key.partition(".")
    if section == "protocol" or (key, value) == TRIAL:
        return True
    if section not in SHARED and not names_method(section, spec.method):
        return False
    settings = getattr(spec, section) if section in SHARED else spec.settings
    return bool(assign(settings, rest, value, key) == settings)


def assign(settings: Any, key: str, value: Any, where: str) -> Any:
    """Return a copy of `settings` with one value changed; raise ConfigError if the key or the value is not allowed.

    `key` is dotted for nested tables. `where` tells the user where the assignment comes from.
    """
    name, _, rest = key.partition(".")
    known = [field.name for field in fields(settings)]
    if name not in known:
        raise ConfigError(f"{where}: {unknown_name('key', name, known)}")
    current = getattr(settings, name)
    if is_dataclass(current):
        if not rest and not isinstance(value, Mapping):
            keys = ", ".join(f"{name}.{each.name}" for each in fields(current)) or "it has none"
            raise ConfigError(f"{where}: '{name}' is a table; set one of its keys: {keys}")
        for inner, inner_value in ({rest: value} if rest else value).items():
            current = assign(current, inner, inner_value, where)
        return replace(settings, **{name: current})
    if rest:
        raise ConfigError(f"{where}: '{name}' has no key '{rest}' below it; set {name} itself")
    adapter, allowed = _validator(settings.__class__, name)
    try:
        checked = adapter.validate_python(tuple(value) if isinstance(value, list) else value)
        return replace(settings, **{name: checked})
    except ValidationError:
        raise ConfigError(f"{where}: {value!r:.60} is not allowed; use {allowed}") from None
    except ValueError as error:  # raised by the settings class itself
        raise ConfigError(f"{where}: {error}") from None


@cache
def _validator(settings: type, name: str) -> tuple[TypeAdapter[Any], str]:
    """Return a validator for one field and a description of the values that it allows."""
    kind = get_type_hints(settings, include_extras=True)[name]
    return TypeAdapter(kind, config=ConfigDict(strict=True, allow_inf_nan=False)), _described(kind)


def unknown_name(kind: str, name: str, known: Iterable[str]) -> str:
    """Return an error message about an unknown name of this kind, such as a method."""
    return f"unknown {kind} {name!r:.60}{suggestion(name, known)}"


def suggestion(word: str, known: Iterable[str]) -> str:
    """Return the end of an error message: the known word closest to `word`, or a list of known words."""
    names = sorted(known)
    near = difflib.get_close_matches(word, names, n=1)
    if not names:
        return "; there is nothing to set here"
    listed = textwrap.shorten(", ".join(names), MAX_LISTED, placeholder=" ...")
    return f"; did you mean '{near[0]}'?" if near else f"; known: {listed}"


def _folder_name(assignment: str) -> str:
    """Turn an assignment into part of a folder's name. If characters are lost, a digest keeps the name unique."""
    text = assignment.lower().replace("=", "-", 1)
    slug = re.sub(r"[^a-z0-9._]+", "-", text).strip("-")
    return slug if slug == text else f"{slug}-{hashlib.sha256(text.encode()).hexdigest()[:6]}"


def _described(kind: Any) -> str:
    """Describe in words the values that a type allows."""
    if get_origin(kind) is Annotated:
        base, *metadata = get_args(kind)
        bounds = [f" from {each.ge:g} to {each.le:g}" for each in metadata if isinstance(each, Interval)]
        return "".join([_described(base), *bounds])
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(map(str, get_args(kind)))
    if get_origin(kind) is tuple:
        first, *rest = get_args(kind)
        count = "numbers" if rest == [...] else f"{len(rest) + 1} numbers"
        return f"{count} in brackets, each {_described(first)}"
    return {int: "a whole number", float: "a number", bool: "true or false", str: "a word"}.get(kind, str(kind))


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError, OSError) as error:  # ValueError: not TOML, not UTF-8, or too long a number
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
    """Try an assignment on every method that it applies to, so that mistakes are reported before data is read."""
    target, _, rest = key.partition(".")
    if (key, value) == TRIAL:
        return
    methods = {method: METHODS[method].settings for method in METHODS if names_method(target, method)}
    sections: dict[str, Any] = {"protocol": Protocol(), **SHARED}
    if not methods and target not in sections:
        known = [*sections, *METHODS]
        raise ConfigError(f"--set {key}: {unknown_name('section', target, known)}")
    if key == "protocol.preset":
        raise ConfigError("--set protocol.preset: a preset also determines other rules; choose it with --protocol")
    refused: dict[str, ConfigError] = {}
    tried = {target: sections[target]} if target in sections else methods
    for name, settings in tried.items():
        try:
            assign(settings, rest, value, f"--set {key}")
        except ConfigError as error:
            refused[name] = error
    if refused and len(refused) < len(tried):
        able = [name for name in tried if name not in refused]
        raise ConfigError(
            f"--set {key}: only {', '.join(able)} can have this setting, not {', '.join(refused)}; "
            f"name the method, as in --set {able[0]}.{rest}={value!s:.40}"
        )
    methods_by_reason: dict[str, list[str]] = {}
    for name, refusal in refused.items():
        methods_by_reason.setdefault(str(refusal), []).append(name)
    if len(methods_by_reason) > 1:
        each = (f"{', '.join(names)}: {reason.partition(': ')[2]}" for reason, names in methods_by_reason.items())
        raise ConfigError(f"--set {key}: no method of this family has that; {'; '.join(each)}")
    for reason in methods_by_reason:  # the only one
        raise ConfigError(reason)
