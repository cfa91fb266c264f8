"""The plan: which runs the experiments need, in which order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from baselines.registry import METHODS
from benchmark.plan.config import ConfigError, Configuration, names_method, unknown_name, uses_assignment
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import ADDED, Variant, experiments
from benchmark.plan.run_spec import RunSpec, run_key
from benchmark.plan.tuning import Values, searches


@dataclass(frozen=True)
class PlannedRun:
    """A run and what it is for: {experiment: labels of the variants that this run covers}."""

    spec: RunSpec
    key: str
    uses: Mapping[str, tuple[str, ...]]


def choose_methods(words: Iterable[str] | None) -> tuple[str, ...]:
    """Return the methods that `words` name, in registry order, or the default methods if `words` is None.

    A family's name, such as `btsr`, stands for its default methods.
    """
    usual = [method for method, entry in METHODS.items() if entry.by_default]
    chosen = set()
    for word in usual if words is None else words:
        named = [word] if word in METHODS else [method for method in usual if names_method(word, method)]
        if not named:
            raise ConfigError(f"--methods: {unknown_name('method', word, METHODS)}")
        chosen.update(named)
    return tuple(method for method in METHODS if method in chosen)


def methods_of(experiment: str, methods: Sequence[str]) -> tuple[str, ...]:
    """Return the methods that an experiment runs: `methods`, plus the ADDED ones if these are the default methods."""
    return (*methods, *(ADDED.get(experiment, ()) if tuple(methods) == choose_methods(None) else ()))


def has_runs(dataset: str, names: Iterable[str], methods: Sequence[str]) -> bool:
    """Whether any of these experiments runs any of the methods; tuning always does, because it begins with SASRec."""
    known = experiments(dataset)
    return any(
        name == "tune" or any(variant.method in methods_of(name, methods) for variant in known[name].variants)
        for name in names
    )


def plan(
    configuration: Configuration,
    facts: DatasetFacts,
    names: Iterable[str],
    methods: Sequence[str],
    seeds: Sequence[int] | None = None,
    values: Values = MappingProxyType({}),
    windows: Iterable[DatasetFacts] = (),
) -> list[PlannedRun]:
    """List the runs of one dataset, most important first.

    The order is experiment by experiment, and within an experiment all variants with the first seed, then with the
    second, and so on. A run that several variants share appears once.

    `names`: the experiments. `seeds`: replace each experiment's default seeds. `values`: results of finished trials,
    which determine the next ones. `windows`: the dataset under the protocols of the experiment `windows`, as far as
    they are prepared. Raises ConfigError if a `--set` assignment has no effect on any run.
    """
    chosen = set(names)
    unused = dict(configuration.assignments)
    runs: dict[str, tuple[RunSpec, dict[str, tuple[str, ...]]]] = {}  # by key: the spec, and what uses it
    facts_of = {None: facts} | {each.protocol.quantile: each for each in windows}
    for name, experiment in experiments(configuration.dataset).items():
        wanted = methods_of(name, methods)
        for seed, variant in experiment.runs(seeds) if name in chosen else ():
            data = facts_of.get(variant.window)
            if variant.method not in wanted or data is None:
                continue
            asked = configuration.spec(data, variant.method, seed, variant.changes)
            unused = {key: value for key, value in unused.items() if not uses_assignment(asked, key, value)}
            spec = _without_barlow_twins(configuration, data, variant, asked)
            uses = runs.setdefault(run_key(spec, data.fingerprint), (spec, {}))[1]
            uses[name] = (*uses.get(name, ()), variant.label)
    tuning = searches(configuration, facts, methods_of("tune", methods), values) if "tune" in chosen else {}
    for trial in (trial for search in tuning.values() for trial in search.trials):
        unused = {key: value for key, value in unused.items() if not uses_assignment(trial.spec, key, value)}
        runs[trial.key] = trial.spec, {"tune": (trial.label,)}
    if unused:
        raise ConfigError(
            f"--set {next(iter(unused))}: no planned run of {configuration.dataset} uses it; leave it out, "
            "or change --methods or --experiments"
        )
    return [PlannedRun(spec, key, uses) for key, (spec, uses) in runs.items()]


def _without_barlow_twins(
    configuration: Configuration, facts: DatasetFacts, variant: Variant, asked: RunSpec
) -> RunSpec:
    """Replace a run with alpha = 0 by the equivalent run of the plain method, so that it is not done twice."""
    plain = METHODS[variant.method].plain
    if plain is None or asked.settings.alpha != 0:
        return asked
    changes = tuple((key, value) for key, value in variant.changes if not key.startswith("settings."))
    same = configuration.spec(facts, plain, asked.seed, changes)
    is_same = same.settings.objective == asked.settings.objective
    return same if is_same and (same.encoder, same.training) == (asked.encoder, asked.training) else asked
