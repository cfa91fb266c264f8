"""What the paper consists of, as a list of runs: which experiment, method, setting and seed."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass

from baselines.registry import METHODS
from benchmark.config import ConfigError, Configuration, RunSpec, names_method, suggestion
from benchmark.preparation import Prepared
from benchmark.run import run_key
from benchmark.store import Store
from datasets.split import Protocol

DEFAULT_SEEDS = (0, 1, 2, 3, 4)


@dataclass(frozen=True)
class Experiment:
    """One question of the paper: what it shows and which methods it needs."""

    title: str
    methods: tuple[str, ...]


EXPERIMENTS: dict[str, Experiment] = {
    "main": Experiment("Table 2: BT-SR against its baselines", tuple(METHODS)),
    "objectives": Experiment(
        "Table 1: the three objectives with and without Barlow Twins",
        tuple(name for name in METHODS if name.startswith(("sasrec-", "btsr-"))),
    ),
}


@dataclass(frozen=True)
class Known:
    """What a plan has to know of a dataset; a store that has been prepared before knows it without the data."""

    title: str
    synthetic: bool
    protocol: Protocol
    fingerprint: str

    @classmethod
    def of(cls, prepared: Prepared, protocol: Protocol) -> Known:
        """From the data at hand."""
        return cls(prepared.title, prepared.synthetic, protocol, prepared.fingerprint)

    @classmethod
    def stored(cls, store: Store, dataset: str, protocol: Protocol) -> Known | None:
        """From data.json; None if the dataset has not been prepared under this protocol."""
        data = store.data(dataset) or {"protocols": {}}
        for entry in data["protocols"].values():
            if entry.get("protocol") == asdict(protocol) and "fingerprint" in entry:
                return cls(data["title"], data["synthetic"], protocol, entry["fingerprint"])
        return None


@dataclass(frozen=True)
class PlannedRun:
    """A run and the experiments that use it."""

    spec: RunSpec
    key: str
    experiments: tuple[str, ...]


def choose_methods(words: Iterable[str] | None) -> tuple[str, ...]:
    """The methods that the words name, in registry order; without words, all that are run by default.

    A family's name (`btsr`) stands for those of its methods that are run by default.
    """
    usual = [method for method, entry in METHODS.items() if entry.by_default]
    if words is None:
        return tuple(usual)
    chosen = set()
    for word in words:
        named = [word] if word in METHODS else [method for method in usual if names_method(word, method)]
        if not named:
            raise ConfigError(f"--methods: unknown method '{word}'{suggestion(word, METHODS)}")
        chosen.update(named)
    return tuple(method for method in METHODS if method in chosen)


def plan(
    configuration: Configuration,
    known: Known,
    experiments: Iterable[str],
    methods: Iterable[str],
    seeds: Iterable[int],
) -> list[PlannedRun]:
    """The runs of one dataset, most important first: every method's first seed, then every method's second, ...

    A run that two experiments share appears once.
    """
    wanted = tuple(methods)
    uses: dict[str, list[str]] = {}
    specs: dict[str, RunSpec] = {}
    for seed in seeds:
        for name in experiments:
            for method in EXPERIMENTS[name].methods:
                if method not in wanted:
                    continue
                spec = configuration.spec(known.title, known.synthetic, known.protocol, method, seed)
                key = run_key(spec, known.fingerprint)
                specs[key] = spec
                uses.setdefault(key, []).append(name)
    return [PlannedRun(spec, key, tuple(uses[key])) for key, spec in specs.items()]
