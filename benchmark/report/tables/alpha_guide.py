"""A guide to alpha: what each value of the sweep costs in accuracy on validation and brings in coverage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import sparse

from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import LEVEL, PairedBootstrap, paired_bootstrap
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import DASH, number, signed
from benchmark.runs.summary import user_means
from benchmark.store.npz import Arrays

COVERAGE, CUTOFF = "cov@10", 10

GOALS: Mapping[str, float] = {"accuracy first": 0.0, "balanced": 0.02, "coverage first": 0.10}
"""By goal, the share of the best alpha's validation NDCG@10 that may be given up for the highest coverage."""

RESAMPLES = 500


@dataclass(frozen=True)
class Effect:
    """A difference to alpha 0 and its 95 % interval over users."""

    difference: float
    low: float
    high: float

    @property
    def is_clear(self) -> bool:
        return not self.low <= 0 <= self.high

    def __str__(self) -> str:
        return f"{signed(self.difference)} [{signed(self.low)}, {signed(self.high)}]"


@dataclass(frozen=True)
class Value:
    """A value of alpha: its means over the seeds that alpha 0 has too, and what they differ by."""

    runs: RunGroup
    seeds: tuple[int, ...]
    accuracy: float
    coverage: float
    accuracy_effect: Effect | None
    coverage_effect: Effect | None


def alpha_guide(results: Results) -> Made | None:
    """A row per alpha with what it costs and brings against alpha 0, and the goals that it serves; None unless the
    sweep has alpha 0 and another value, with arrays.
    """
    groups = results.own("alpha")
    zero = next((runs for runs in groups if runs.swept == 0), None)
    if zero is None:
        return None
    values = [value for runs in groups if (value := _value(results, runs, zero))]
    if len(values) < 2:
        return None
    goals = {goal: take(goal, values) for goal in GOALS}
    lines = []
    for value in values:
        serves = ", ".join(goal for goal, taken in goals.items() if taken is value) or DASH
        texts = [number(value.accuracy), _text(value.accuracy_effect)]
        texts += [number(value.coverage), _text(value.coverage_effect), serves, str(len(value.seeds))]
        lines.append((row_of(value.runs.title, texts, runs=value.runs),))
    table = table_of(
        results,
        "alpha-guide",
        f"Which alpha to take on {results.heading}: accuracy on validation and coverage, and what they differ by from "
        "those of alpha 0.",
        [
            *(Head("validation", METRIC), Head("costs", "or brings")),
            *(Head(COVERAGE), Head("costs", "or brings"), Head("take it for"), Head("seeds")),
        ],
        [lines],
        [
            *notes("alpha-guide", goals=GOALS, taken=goals, values=values, clear=clear_effects(values)),
            *closing_notes(results, groups),
            *status_notes({runs.title: runs for runs in groups}),
        ],
    )
    return [table], for_machines(results, [_record(value, goals) for value in values])


def take(goal: str, values: Sequence[Value]) -> Value:
    """The value with the highest coverage among those that give up no more accuracy than the goal allows."""
    enough = (1 - GOALS[goal]) * max(value.accuracy for value in values)
    return max((value for value in values if value.accuracy >= enough), key=lambda value: value.coverage)


def clear_effects(values: Sequence[Value]) -> dict[str, list[str]]:
    """The values of alpha at which a difference to alpha 0 is clear of zero, by what differs."""
    return {
        "accuracy": [v.runs.title for v in values if v.accuracy_effect and v.accuracy_effect.is_clear],
        "coverage": [v.runs.title for v in values if v.coverage_effect and v.coverage_effect.is_clear],
    }


def _value(results: Results, runs: RunGroup, zero: RunGroup) -> Value | None:
    """None unless both have runs of a same seed with arrays."""
    ours, theirs = _arrays(results, runs), _arrays(results, zero)
    seeds = tuple(sorted(ours.keys() & theirs.keys()))
    if not seeds:
        return None
    mine, base = [ours[seed] for seed in seeds], [theirs[seed] for seed in seeds]
    accuracy, usual = _accuracies(mine), _accuracies(base)
    n_items = int(runs.done[0].data["items"])
    coverage = float(np.mean([_coverages(each, n_items, None) for each in mine]))
    if runs is zero:
        return Value(runs, seeds, float(accuracy.mean()), coverage, None, None)
    of_users = paired_bootstrap(accuracy - usual)
    return Value(
        runs,
        seeds,
        float(accuracy.mean()),
        coverage,
        _effect(of_users),
        _coverage_effect(mine, base, n_items, len(accuracy)),
    )


def _arrays(results: Results, runs: RunGroup) -> dict[int, Arrays]:
    loaded = {record.seed: results.load(record) for record in runs.done}
    return {seed: each for seed, each in loaded.items() if each and {"validation_ranks", "top_items"} <= each.keys()}


def _accuracies(runs: Sequence[Arrays]) -> np.ndarray:
    """What each user contributes to validation NDCG@10, averaged over the runs: (N,)."""
    return np.mean([user_means(METRIC, {"ranks": each["validation_ranks"]}) for each in runs], axis=0)


def _effect(found: PairedBootstrap) -> Effect:
    return Effect(found.difference, found.low, found.high)


def _coverage_effect(mine: Sequence[Arrays], base: Sequence[Arrays], n_items: int, n_users: int) -> Effect:
    """The difference in coverage, averaged over the seeds, and its interval over resampled users.

    Fewer distinct users show fewer items, so that resampled coverages are too low. Their differences are centred at the
    observed one, and their spread alone is used.
    """
    random = np.random.default_rng(0)
    weights = random.multinomial(n_users, np.full(n_users, 1 / n_users), size=RESAMPLES).T  # (N, R) times drawn
    pairs = list(zip(mine, base, strict=True))
    observed, resampled = (
        np.mean([_coverages(ours, n_items, each) - _coverages(theirs, n_items, each) for ours, theirs in pairs], axis=0)
        for each in (None, weights)
    )
    low, high = np.quantile(resampled - resampled.mean(), [LEVEL / 2, 1 - LEVEL / 2]) + observed
    return Effect(float(observed), float(low), float(high))


def _coverages(arrays: Arrays, n_items: int, weights: np.ndarray | None) -> np.ndarray:
    """Coverage@10 of all users' lists, a scalar; or with `weights` (N, R) of R samples of users, (R,). Of tie draws the
    mean.
    """
    n_users = np.atleast_2d(arrays["ranks"]).shape[1]
    lists = arrays["top_items"][:, :CUTOFF].reshape(-1, n_users, CUTOFF)  # (K, N, 10)
    found = []
    for draw in lists:
        users, items = np.repeat(np.arange(n_users), CUTOFF), draw.ravel().astype(np.int64)
        real = items < n_items  # a short list is filled up
        shape = (n_items, n_users)
        shown = sparse.csr_matrix((np.ones(int(real.sum())), (items[real], users[real])), shape=shape)
        times = shown @ (np.ones((n_users, 1)) if weights is None else weights)  # (V, R)
        found.append((times > 0).mean(0))
    mean = np.mean(found, axis=0)
    return mean[0] if weights is None else mean


def _text(effect: Effect | None) -> str:
    return str(effect) if effect else DASH


def _record(value: Value, goals: Mapping[str, Value]) -> dict[str, object]:
    row: dict[str, object] = {"alpha": value.runs.swept, "validation": value.accuracy, "coverage": value.coverage}
    for name, effect in (("validation", value.accuracy_effect), ("coverage", value.coverage_effect)):
        for part in ("difference", "low", "high"):
            row[f"{name}_{part}"] = getattr(effect, part) if effect else None
    return row | {"take_for": ", ".join(goal for goal, taken in goals.items() if taken is value)}
