"""Tuning: for every method the same budget of trials on validation, whose choice `--hparams tuned` uses later.

What was chosen is kept nowhere but in the records of the trials, from which it follows.

SASRec (CE) searches dropout and learning rate. SASRec with another objective, and every method without a plain
counterpart, takes over what that found and searches its own settings. BT-SR takes over what SASRec with the same
objective found, so that the two differ in Barlow Twins alone. Where the best trial lies at an edge of its grid, the
search goes on by one step beyond that edge, until the best trial has worse ones on either side.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain, pairwise, product

from baselines.method import Grid
from baselines.registry import METHODS
from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import TRIAL_SEED, Changes
from benchmark.plan.run_spec import RunSpec, run_key
from benchmark.plan.selection import METRIC
from benchmark.store.record import RunRecord

EPOCHS, PATIENCE = 80, 10
"""The most epochs of a trial, and the epochs without improvement after which it ends: the same for all methods."""

FIRST = "sasrec-ce"
"""The method whose dropout and learning rate the others take over."""

Values = Mapping[str, float]
"""Validation NDCG@10 of finished trials, by run key."""


@dataclass(frozen=True)
class Trial:
    """One setting of a method that is tried: `own` is what the method searches, `label` says it in words."""

    label: str
    own: Changes
    spec: RunSpec
    key: str


@dataclass(frozen=True)
class Search:
    """A method's trials so far; `choice` is the best of them, None while one of them is outstanding.

    `inherited`: what it takes over from another method's choice.
    """

    inherited: Changes
    trials: tuple[Trial, ...]
    choice: Trial | None

    @property
    def changes(self) -> Changes:
        """Everything that the choice changes."""
        return (*self.inherited, *(self.choice.own if self.choice else ()))


def trial_values(records: Iterable[RunRecord]) -> Values:
    """What the finished trials among the records gave."""
    return {record.key: trial_value(record) for record in records if record.done and record.is_trial}


def trial_value(record: RunRecord) -> float:
    """What a finished run gave by the metric that tuning chooses by."""
    return float(record.metrics["validation"][METRIC])


def searches(
    configuration: Configuration, facts: DatasetFacts, methods: Iterable[str], values: Values
) -> dict[str, Search]:
    """The search of each method and of those that it takes something over from; it is absent until its turn comes."""
    found: dict[str, Search] = {}
    for method in dict.fromkeys(chain.from_iterable(map(_line, methods))):
        grid, parent = METHODS[method].tuning_grid, found.get(_parent(method) or "")
        if grid and (method == FIRST or (parent and parent.choice)):
            changes = parent.changes if parent else ()
            inherited = tuple((key, value) for key, value in changes if key not in grid)
            found[method] = _search(configuration, facts, method, inherited, values)
    return found


def tuned_changes(
    configuration: Configuration, facts: DatasetFacts | None, methods: Sequence[str], values: Values
) -> dict[str, Changes]:
    """What the trials chose for these methods and for those that they take something over from.

    `configuration`: with equal hyper-parameters, as the trials have it. `facts`: None if the data has not been
    prepared. Raises ConfigError if a method that has something to search lacks a choice.
    """
    found = searches(configuration, facts, methods, values) if facts else {}
    chosen = {method: search.changes for method, search in found.items() if search.choice}
    if missing := [method for method in methods if METHODS[method].tuning_grid and method not in chosen]:
        raise ConfigError(
            f"--hparams tuned: {configuration.dataset} has no complete tuning of {', '.join(missing)} under these "
            f"rules; run --experiments tune with --methods {','.join(missing)} first"
        )
    return chosen


def _parent(method: str) -> str | None:
    """The method whose choice this one takes over; None for the first."""
    return None if method == FIRST else METHODS[method].plain or FIRST


def _line(method: str) -> list[str]:
    """The method after those that it takes something over from."""
    parent = _parent(method)
    return [*(_line(parent) if parent else []), method]


# --- one method's search --------------------------------------------------------------------------------------------


def _search(
    configuration: Configuration, facts: DatasetFacts, method: str, inherited: Changes, values: Values
) -> Search:
    def trial(own: Changes) -> Trial:
        described = ", ".join(f"{key.rpartition('.')[2]} {value:g}" for key, value in own)
        spec = configuration.spec(facts, method, TRIAL_SEED, (*inherited, *own))
        most, patience = min(spec.training.epochs, EPOCHS), min(spec.training.patience, PATIENCE)
        spec = replace(spec, training=replace(spec.training, epochs=most, patience=patience), is_trial=True)
        return Trial(f"{method}: {described}", own, spec, run_key(spec, facts.fingerprint))

    def is_possible(own: Changes) -> bool:
        try:
            trial(own)
        except ConfigError:  # beyond the setting's bounds
            return False
        return True

    grid = METHODS[method].tuning_grid
    asked = [tuple(zip(grid, point, strict=True)) for point in product(*grid.values())]
    while True:
        trials = tuple(map(trial, asked))
        if any(each.key not in values for each in trials):
            return Search(inherited, trials, None)
        best = max(trials, key=lambda each: values[each.key])
        beyond = [own for own in steps_beyond(grid, asked, best.own) if is_possible(own)]
        if not beyond:
            return Search(inherited, trials, best)
        asked += beyond


def steps_beyond(grid: Grid, tried: Sequence[Changes], best: Changes) -> Iterator[Changes]:
    """The best setting, one step further in each direction in which nothing beyond it has been tried."""
    for key, value in best:
        others = {dict(own)[key] for own in tried}
        if len(others) == 1:  # one value has no direction
            continue
        for onwards in (sorted(others), sorted(others, reverse=True)):
            step = _next(grid[key], onwards)
            if value == onwards[-1] and step != value:
                yield tuple((name, step if name == key else kept) for name, kept in best)


def _next(values: Sequence[float], onwards: Sequence[float]) -> float:
    """The value after the last of `onwards`: by equal differences, but not below 0, if the grid's `values` have them or
    hold 0, else by ratio.
    """
    differences = [high - low for low, high in pairwise(values)]
    is_even = min(values) == 0 or (len(differences) > 1 and max(differences) - min(differences) < 1e-9 * max(values))
    last, before = onwards[-1], onwards[-2]
    step = max(last + (last - before), 0) if is_even else last * (last / before)
    return round(step) if all(isinstance(value, int) for value in values) else float(f"{step:.3g}")
