"""What the paper claims, as data: claims.toml read and checked."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from baselines.registry import METHODS
from benchmark.plan.config import ConfigError, names_method, suggestion
from benchmark.plan.experiments import NAMES, experiments
from datasets.registry import DATASETS

CLAIMS_FILE = Path(__file__).parent / "claims.toml"
PAPER_DATASETS = tuple(name for name, dataset in DATASETS.items() if not dataset.is_synthetic)

SWEPT, PLAIN = "{swept}", "{plain}"
"""In methods and parameters: the method whose settings a dataset's sweeps vary, and the same without Barlow Twins."""

_TEXTS = ("id", "quote", "place", "rule")
_LISTS = ("datasets", "experiments", "methods")
_OPTIONAL: dict[str, Any] = {"reading": "", "with": {}}


@dataclass(frozen=True)
class Claim:
    """One checkable statement: `quote` from `place`, on `datasets`; `reading` says how we understand it.

    `experiments` and `methods` are what has to be run, `rule` with `parameters` is how the runs are read
    (`benchmark.report.claims.rules`).
    """

    id: str
    quote: str
    place: str
    datasets: tuple[str, ...]
    experiments: tuple[str, ...]
    methods: tuple[str, ...]
    rule: str
    parameters: Mapping[str, Any]
    reading: str

    def parameters_on(self, dataset: str) -> dict[str, Any]:
        """The parameters with the names of the dataset's own methods filled in."""
        return {name: _filled(value, dataset) for name, value in self.parameters.items()}


@cache
def swept_method(dataset: str) -> str:
    """The BT-SR whose alpha and lambda are varied on a dataset."""
    return experiments(dataset)["alpha"].variants[0].method


@cache
def claims() -> tuple[Claim, ...]:
    """All claims in the order of the file."""
    return read_claims(CLAIMS_FILE)


def find_claim(name: str) -> Claim:
    """The claim of that id; ConfigError with a suggestion if there is none."""
    known = {claim.id: claim for claim in claims()}
    if name not in known:
        raise ConfigError(f"--claim: unknown claim '{name:.60}'{suggestion(name, known)}")
    return known[name]


def read_claims(path: Path) -> tuple[Claim, ...]:
    """Read and check a file of claims; ConfigError names the claim and the field that is wrong."""
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path.name}: cannot be read as TOML: {error}; restore the committed file") from None
    if set(document) != {"claim"} or not all(isinstance(table, dict) for table in document["claim"]):
        raise ConfigError(f"{path.name}: expected [[claim]] tables and nothing else")
    found = tuple(_claim(table, f"{path.name}, claim {i + 1}") for i, table in enumerate(document["claim"]))
    ids = [claim.id for claim in found]
    for name in ids:
        if ids.count(name) > 1:
            raise ConfigError(f"{path.name}: two claims have the id '{name}'")
    return found


def _claim(table: Mapping[str, Any], where: str) -> Claim:
    where = f"{where} ('{table['id']}')" if isinstance(table.get("id"), str) else where
    known = (*_TEXTS, *_LISTS, *_OPTIONAL)
    for key in table:
        if key not in known:
            raise ConfigError(f"{where}: unknown key '{key}'{suggestion(key, known)}")
    values = _OPTIONAL | dict(table)
    for key in (*_TEXTS, *_LISTS):
        if key not in values:
            raise ConfigError(f"{where}: '{key}' is missing")
    for key in (*_TEXTS, "reading"):
        if not isinstance(values[key], str):
            raise ConfigError(f"{where}: '{key}' must be a text")
    for key in _LISTS:
        if not isinstance(values[key], list) or not values[key] or not all(isinstance(v, str) for v in values[key]):
            raise ConfigError(f"{where}: '{key}' must be a list of names")
    if not isinstance(values["with"], dict):
        raise ConfigError(f"{where}: 'with' must be a table of the rule's parameters")
    for key, allowed in (("datasets", PAPER_DATASETS), ("experiments", NAMES)):
        for name in values[key]:
            if name not in allowed:
                raise ConfigError(f"{where}: unknown name '{name}' in '{key}'{suggestion(name, allowed)}")
    return Claim(
        **{key: values[key] for key in (*_TEXTS, "reading")},
        datasets=tuple(values["datasets"]),
        experiments=tuple(values["experiments"]),
        methods=tuple(_methods(values["methods"], values["datasets"], where)),
        parameters=values["with"],
    )


def _methods(words: Iterable[str], datasets: Iterable[str], where: str) -> Iterable[str]:
    """Methods and families, those of the sweeps by name."""
    names = [_filled(word, dataset) for word in words for dataset in datasets]
    for name in dict.fromkeys(names):
        if not any(names_method(name, method) for method in METHODS):
            raise ConfigError(f"{where}: unknown method '{name}'{suggestion(name, METHODS)}")
        yield name


def _filled(value: Any, dataset: str) -> Any:
    if isinstance(value, list):
        return [_filled(each, dataset) for each in value]
    if not isinstance(value, str):
        return value
    swept = swept_method(dataset)
    return value.replace(SWEPT, swept).replace(PLAIN, METHODS[swept].plain or swept)
