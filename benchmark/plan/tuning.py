"""Tuning: every method gets the same number of trials on validation. `--hparams tuned` uses the best trial's settings.

The choice is not stored: it is computed from the records of the trials.

SASRec (CE) searches dropout and learning rate. SASRec with other objectives, and methods without a plain counterpart,
inherit these two and search their own settings. BT-SR inherits from SASRec with the same objective, so that the two
differ only in Barlow Twins. If the best trial lies at the edge of its grid, the search continues one step beyond the
edge, until the best trial has worse ones on both sides.
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

EPOCHS, PATIENCE = 80, 10  # upper bounds for a trial, the same for all methods

FIRST = "sasrec-ce"  # all others inherit its dropout and learning rate

Values = Mapping[str, float]  # run key -> validation NDCG@10 of a finished trial


@dataclass(frozen=True)
class Trial:
    """One point of a method's search. `own` holds the values of the searched settings, `label` describes them."""

    label: str
    own: Changes
    spec: RunSpec
    key: str


@dataclass(frozen=True)
class Search:
    """A method's trials so far. `choice` is the best one, or None until all are finished.

    `inherited`: the settings taken over from another method's choice.
    """

    inherited: Changes
    trials: tuple[Trial, ...]
    choice: Trial | None

    @property
    def changes(self) -> Changes:
        """All settings to change for the choice, inherited ones included."""
        return (*self.inherited, *(self.choice.own if self.choice else ()))


def trial_values(records: Iterable[RunRecord]) -> Values:
    return {record.key: trial_value(record) for record in records if record.done and record.is_trial}


def trial_value(record: RunRecord) -> float:
    return float(record.metrics["validation"][METRIC])


def searches(
    configuration: Configuration, facts: DatasetFacts, methods: Iterable[str], values: Values
) -> dict[str, Search]:
    """Return the searches of the methods and of those that they inherit from.

    A method is missing as long as the search that it inherits from is not complete.
    """
    found: dict[str, Search] = {}
    for method in dict.fromkeys(chain.from_iterable(map(_ancestry, methods))):
        grid, parent = METHODS[method].tuning_grid, found.get(_parent(method) or "")
        if grid and (method == FIRST or (parent and parent.choice)):
            changes = parent.changes if parent else ()
            inherited = tuple((key, value) for key, value in changes if key not in grid)
            found[method] = _search(configuration, facts, method, inherited, values)
    return found


def tuned_changes(
    configuration: Configuration, facts: DatasetFacts | None, methods: Sequence[str], values: Values
) -> dict[str, Changes]:
    """Return what tuning chose for the methods and for those that they inherit from.

    `configuration`: the one of the trials, with equal hyper-parameters. `facts`: None if the data is not prepared.
    Raises ConfigError if a method's tuning is not complete.
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
    """Return the method that this one inherits from."""
    return None if method == FIRST else METHODS[method].plain or FIRST


def _ancestry(method: str) -> list[str]:
    """List the methods that this one inherits from, directly or not, and then the method itself."""
    parent = _parent(method)
    return [*(_ancestry(parent) if parent else []), method]


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
        except ConfigError:  # outside of the setting's bounds
            return False
        return True

    grid = METHODS[method].tuning_grid
    points = [tuple(zip(grid, point, strict=True)) for point in product(*grid.values())]
    while True:
        trials = tuple(map(trial, points))
        if any(each.key not in values for each in trials):
            return Search(inherited, trials, None)
        best = max(trials, key=lambda each: values[each.key])
        beyond = [own for own in steps_beyond(grid, points, best.own) if is_possible(own)]
        if not beyond:
            return Search(inherited, trials, best)
        points += beyond


def steps_beyond(grid: Grid, tried: Sequence[Changes], best: Changes) -> Iterator[Changes]:
    """For each value of the best trial that is the lowest or highest one tried, yield the trial one step further."""
    for key, value in best:
        others = {dict(own)[key] for own in tried}
        if len(others) == 1:  # a single value gives no step size
            continue
        for ordered in (sorted(others), sorted(others, reverse=True)):
            step = _extrapolate(grid[key], ordered)
            if value == ordered[-1] and step != value:
                yield tuple((name, step if name == key else kept) for name, kept in best)


def _extrapolate(values: Sequence[float], ordered: Sequence[float]) -> float:
    """Continue `ordered` by one value, with a constant difference (not below 0) or else a constant ratio.

    The difference is used if the grid's original `values` are evenly spaced or include 0.
    """
    differences = [high - low for low, high in pairwise(values)]
    is_even = min(values) == 0 or (len(differences) > 1 and max(differences) - min(differences) < 1e-9 * max(values))
    last, before = ordered[-1], ordered[-2]
    step = max(last + (last - before), 0) if is_even else last * (last / before)
    return round(step) if all(isinstance(value, int) for value in values) else float(f"{step:.3g}")
