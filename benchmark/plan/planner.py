"""From experiments to runs: which are needed, in which order, and what uses them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from baselines.registry import METHODS
from benchmark.plan.config import ConfigError, Configuration, names_method, suggestion, uses_assignment
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import ADDED, Variant, experiments
from benchmark.plan.run_spec import RunSpec, run_key
from benchmark.plan.tuning import Values, searches


@dataclass(frozen=True)
class PlannedRun:
    """A run and what uses it: for each experiment the labels of its variants that this run is."""

    spec: RunSpec
    key: str
    uses: Mapping[str, tuple[str, ...]]


def choose_methods(words: Iterable[str] | None) -> tuple[str, ...]:
    """The methods that the words name, in registry order; without words, all that are run by default.

    A family's name (`btsr`) stands for those of its methods that are run by default.
    """
    usual = [method for method, entry in METHODS.items() if entry.by_default]
    chosen = set()
    for word in usual if words is None else words:
        named = [word] if word in METHODS else [method for method in usual if names_method(word, method)]
        if not named:
            raise ConfigError(f"--methods: unknown method '{word:.60}'{suggestion(word, METHODS)}")
        chosen.update(named)
    return tuple(method for method in METHODS if method in chosen)


def methods_of(experiment: str, methods: Sequence[str]) -> tuple[str, ...]:
    """The methods with which an experiment is run: some have methods ADDED to the whole of the usual ones."""
    return (*methods, *(ADDED.get(experiment, ()) if tuple(methods) == choose_methods(None) else ()))


def plan(
    configuration: Configuration,
    facts: DatasetFacts,
    names: Iterable[str],
    methods: Sequence[str],
    seeds: Sequence[int] | None = None,
    values: Values = MappingProxyType({}),
    windows: Iterable[DatasetFacts] = (),
) -> list[PlannedRun]:
    """The runs of one dataset, most important first: experiment by experiment, each with every variant's first seed,
    then every variant's second, ...

    `names`: of experiments. `seeds` stand for those that each experiment usually has. `values`: of finished trials,
    which decide what is left to try. `windows`: the dataset under the protocols of the experiment `windows`, as far as
    they have been prepared. A run that two variants share appears once. Raises ConfigError if there is an assignment of
    the configuration that no run uses.
    """
    chosen = set(names)
    unused = dict(configuration.assignments)
    uses: dict[str, dict[str, tuple[str, ...]]] = {}
    specs: dict[str, RunSpec] = {}
    under = {None: facts} | {each.protocol.quantile: each for each in windows}
    for name, experiment in experiments(configuration.dataset).items():
        wanted = methods_of(name, methods)
        for seed, variant in experiment.runs(seeds) if name in chosen else ():
            data = under.get(variant.window)
            if variant.method not in wanted or data is None:
                continue
            asked = configuration.spec(data, variant.method, seed, variant.changes)
            unused = {name: value for name, value in unused.items() if not uses_assignment(asked, name, value)}
            spec = _as_plain(configuration, data, variant, asked)
            key = run_key(spec, data.fingerprint)
            specs[f"{key}-{seed}"] = spec
            mine = uses.setdefault(f"{key}-{seed}", {})
            mine[name] = (*mine.get(name, ()), variant.label)
    tuning = searches(configuration, facts, methods_of("tune", methods), values) if "tune" in chosen else {}
    for trial in (trial for search in tuning.values() for trial in search.trials):
        unused = {name: value for name, value in unused.items() if not uses_assignment(trial.spec, name, value)}
        run = f"{trial.key}-{trial.spec.seed}"
        specs[run], uses[run] = trial.spec, {"tune": (trial.label,)}
    for name in unused:
        raise ConfigError(
            f"--set {name}: no planned run of {configuration.dataset} uses it; leave it out, "
            "or change --methods or --experiments"
        )
    return [PlannedRun(spec, run.rpartition("-")[0], uses[run]) for run, spec in specs.items()]


def _as_plain(configuration: Configuration, facts: DatasetFacts, variant: Variant, asked: RunSpec) -> RunSpec:
    """The run that gives a variant's numbers: of the plain method if alpha is 0, so that none is made twice."""
    plain = METHODS[variant.method].plain
    if plain is None or asked.settings.alpha != 0:
        return asked
    changes = tuple((key, value) for key, value in variant.changes if not key.startswith("settings."))
    same = configuration.spec(facts, plain, asked.seed, changes)
    is_same = same.settings.objective == asked.settings.objective
    return same if is_same and (same.encoder, same.training) == (asked.encoder, asked.training) else asked
