"""The two sides of a comparison: a metric of the runs of a variant, by seed and by user, and which side leads."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from statistics import fmean

import numpy as np

from benchmark.plan.experiments import Variant, experiments
from benchmark.report.claims.judgement import Reading
from benchmark.report.query import PerUser, Results, RunGroup, per_user_difference
from benchmark.report.significance import (
    LEVEL,
    MIN_SEEDS,
    paired_bootstrap,
    paired_t_test,
    smallest_detectable_difference,
    smallest_detectable_over_seeds,
)
from benchmark.report.tables.numbers import count, number, p_value, signed
from benchmark.runs.metrics import is_mean_over_users

TARGET_SCORE = "target_score"
"""The mean score of the test targets, from the density that a run keeps of them."""

METHODS_AS_THEY_ARE = ("main", "objectives")
"""The experiments of Tables 2 and 1: a method may have been run for either."""

CLAIM_RESAMPLES = 2000
"""Of users: p is then known to .001, which suffices for a verdict at .05, and a report stays fast."""


@dataclass(frozen=True)
class Side:
    """A metric of one variant: `values` by seed; `users` of given seeds, averaged over them."""

    title: str
    values: Mapping[int, float]
    users: Callable[[Collection[int]], PerUser]

    @property
    def mean(self) -> float:
        return fmean(self.values.values()) if self.values else math.nan


def side(results: Results, experiment: str, label: str, metric: str, stage: str = "test") -> Side:
    """A metric of the variant with this label; without values if it was not run."""
    runs = runs_of(results, experiment, label)
    values = _target_scores(results, runs) if metric == TARGET_SCORE else results.values(runs, metric, stage)

    def users(seeds: Collection[int]) -> PerUser:
        if is_mean_over_users(metric):
            return results.users(runs, metric, seeds)
        chosen = [value for seed, value in values.items() if seed in seeds]
        return fmean(chosen) if chosen else None

    return Side(title_of(runs), values, users)


def runs_of(results: Results, experiment: str, label: str) -> RunGroup:
    names = METHODS_AS_THEY_ARE if experiment in METHODS_AS_THEY_ARE else (experiment,)
    groups = [group for name in names if (group := results.group(name, label))]
    planned = [
        RunGroup(experiment, label, variant.method, variant.value)
        for variant in variants(results.dataset, experiment)
        if variant.label == label
    ]
    return (*(group for group in groups if group.done), *groups, *planned)[0]


@cache
def variants(dataset: str, experiment: str) -> tuple[Variant, ...]:
    """The variants that the plan has of an experiment, whether they were run or not."""
    return experiments(dataset)[experiment].variants


def title_of(runs: RunGroup) -> str:
    match runs.experiment:
        case "noise":
            return f"{runs.style.title} with {runs.swept:.0%} noise"
        case "views":
            return f"view {runs.label}"
        case _:
            return runs.title


def combined(title: str, parts: Sequence[tuple[float, Side]]) -> Side:
    """A weighted sum of sides over the seeds that all of them have."""
    values = {
        seed: math.fsum(w * part.values[seed] for w, part in parts)
        for seed in common_seeds(*(part for _, part in parts))
    }

    def users(of: Collection[int]) -> PerUser:
        shares = [part.users(of) for _, part in parts]
        known = [share for share in shares if share is not None]
        lengths = {len(share) for share in known if isinstance(share, np.ndarray)}
        if len(known) < len(parts) or len(lengths) > 1:
            return None
        return sum(weight * share for (weight, _), share in zip(parts, known, strict=True))

    return Side(title, values, users)


def over(seeds: Collection[int], one: Side) -> Side:
    """The same side, as if these seeds alone had been run."""
    return replace(one, values={seed: value for seed, value in one.values.items() if seed in seeds})


def best_against(rivals: Sequence[Side], other: Side, lower: bool = False) -> Side:
    """The rival with the highest mean, or the lowest, over the seeds that it shares with `other`.

    A comparison of the two then rests on the runs by which the rival was chosen. One that shares none is the last.
    """

    def rank(rival: Side) -> tuple[bool, float]:
        shared = over(other.values, rival)
        return bool(shared.values), -shared.mean if lower else shared.mean

    return max(rivals, key=rank)


def missing(metric: str, *sides: Side) -> Reading | None:
    """A reading that names the sides without runs; None if all have some."""
    absent = [one.title for one in sides if not one.values]
    return Reading(f"{metric}: not run: {', '.join(absent)}", ran=False) if absent else None


def common_seeds(*sides: Side) -> list[int]:
    return sorted(set.intersection(*(set(one.values) for one in sides)))


def by_seed(first: Side, second: Side) -> tuple[np.ndarray, np.ndarray]:
    """The values of both on the seeds that both have, (S,) each."""
    seeds = common_seeds(first, second)
    return np.array([first.values[seed] for seed in seeds]), np.array([second.values[seed] for seed in seeds])


def lead(leader: Side, trailer: Side, metric: str) -> Reading:
    """Whether one side is ahead of another: a paired t-test over the seeds that both have, from three on.

    Two seeds decide nothing about seeds. Where they agree in sign, the paired bootstrap over users of the
    seed-averaged metric is read instead; a single seed never decides.
    """
    if gap := missing(metric, leader, trailer):
        return gap
    seeds = common_seeds(leader, trailer)
    if not seeds:
        return Reading(f"{metric}: {leader.title} and {trailer.title} have no seed in common")
    ours, theirs = by_seed(leader, trailer)
    difference, users = float((ours - theirs).mean()), user_differences(leader, trailer, seeds)
    text = (
        f"{metric}: {leader.title} {number(float(ours.mean()))}, {trailer.title} {number(float(theirs.mean()))}, "
        f"difference {signed(difference)}; "
    )
    if len(seeds) >= MIN_SEEDS:
        p = paired_t_test(ours, theirs).p
        said = "none, for the difference is the same on all of them" if math.isnan(p) else p_value(p)
        text += f"paired t-test over {len(seeds)} seeds, p {said}"
        text += _detectable(ours - theirs, users) if p >= LEVEL else ""
        return Reading(text, difference, p, seeds=len(seeds))
    text += f"{count(len(seeds), 'seed')}, too few for a test over seeds"
    if users is None:
        return Reading(text, difference, seeds=len(seeds))
    over_users = paired_bootstrap(users, CLAIM_RESAMPLES)
    agree = len(seeds) > 1 and abs(int(np.sign(ours - theirs).sum())) == len(seeds)
    text += f"; bootstrap over {len(users)} users, p {p_value(over_users.p)}"
    text += "" if agree or len(seeds) < 2 else ", but the seeds disagree"
    p = over_users.p if agree else math.nan
    return Reading(text + ("" if p < LEVEL else _detectable(None, users)), difference, p, seeds=len(seeds))


def user_differences(leader: Side, trailer: Side, seeds: Collection[int]) -> np.ndarray | None:
    """(N,) leader minus trailer per test user, each averaged over the seeds; None where users do not tell."""
    return per_user_difference(leader.users(seeds), trailer.users(seeds))


def _detectable(seeds: np.ndarray | None, users: np.ndarray | None) -> str:
    """The smallest true difference that would be seen with 80 % power, over these (S,) seeds and these (N,) users."""
    known = [] if seeds is None else [f"{number(smallest_detectable_over_seeds(seeds))} over {len(seeds)} seeds"]
    if users is not None and not math.isnan(over_users := smallest_detectable_difference(users)):
        known.append(f"{number(over_users)} over {len(users)} users")
    return f"; detectable: {', '.join(known)}" if known else ""


def _target_scores(results: Results, runs: RunGroup) -> dict[int, float]:
    """The mean of the density of the targets' scores by seed, of the runs that keep it."""
    means = {}
    for record in runs.done:
        arrays = results.load(record) or {}
        if "score_grid" in arrays and "target_density" in arrays:
            grid, density = arrays["score_grid"], arrays["target_density"]
            mass = float(np.trapezoid(density, grid))
            if mass > 0:
                means[record.seed] = float(np.trapezoid(grid * density, grid)) / mass
    return means
