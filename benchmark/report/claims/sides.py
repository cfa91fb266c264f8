"""The two sides of a comparison, each a metric by seed or by window of time, and which of them leads."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from benchmark.paper.printed import BTSR
from benchmark.plan.experiments import Variant, experiments
from benchmark.report.claims.verdicts import NO_INTERVAL, Reading, not_run, seeds_and_users, spelled_out
from benchmark.report.methods import title_of
from benchmark.report.query import COST, Results, RunGroup
from benchmark.report.significance import (
    LEVEL,
    MIN_SEEDS,
    paired_bootstrap,
    paired_t_test,
    smallest_detectable_difference,
    smallest_detectable_over_seeds,
    summarise_seeds,
)
from benchmark.report.tables.numbers import count, number, p_value, share, signed
from benchmark.report.tables.windows import Windows, chosen_btsr, pooled_difference, windows_of
from benchmark.runs.metrics import is_mean_over_users

PerUser = np.ndarray | float | None
"""What each test user contributes to a metric, (N,); a single number if it is not a mean over users; None if lost."""

TARGET_SCORE = "target_score"
"""The mean score of the test targets, computed from the density of these scores that a run keeps."""

MAIN_EXPERIMENTS = ("main", "objectives")
"""Tables 2 and 1, which compare whole methods. Either may hold a method's runs."""

CLAIM_RESAMPLES = 2000
"""Resamples of users for a verdict: p is known to .001, which is enough, and a report stays fast."""


@dataclass(frozen=True)
class Side:
    """A metric of one variant. `values`: by seed, or by window if a `method` is compared in `windows`.

    `users`: returns the users' values averaged over the given seeds. `tested`: the number of test users.
    """

    title: str
    values: Mapping[float, float]
    users: Callable[[Collection[float]], PerUser]
    tested: int = 0
    method: str = ""
    windows: Windows | None = None

    @property
    def mean(self) -> float:
        """The mean over the seeds, or over the test users of all windows."""
        weights = [self.windows.users[window] for window in self.values] if self.windows else None
        return float(np.average(list(self.values.values()), weights=weights)) if self.values else math.nan


def side(results: Results, experiment: str, label: str, metric: str, stage: str = "test") -> Side:
    """A metric of the variant with this label, without values if it was not run. A cost of 0 was not measured."""
    runs = runs_of(results, experiment, label)
    found = _target_scores(results, runs) if metric == TARGET_SCORE else results.values(runs, metric, stage)
    values: dict[float, float] = {seed: value for seed, value in found.items() if value or stage != COST}

    def users(seeds: Collection[float]) -> PerUser:
        if is_mean_over_users(metric):
            return results.users(runs, metric, [int(seed) for seed in seeds])
        chosen = [value for seed, value in values.items() if seed in seeds]
        return float(np.mean(chosen)) if chosen else None

    return Side(_title_in_claims(runs), values, users, runs.done[0].data["test_users"] if runs.done else 0)


def sides_of(
    results: Results, experiment: str, metric: str, labels: Sequence[str] = (), in_windows: bool = True
) -> dict[str, Side]:
    """The sides of these variants of an experiment, by default of all planned ones, whether they were run or not.

    Whole methods are compared in windows of time if all that were run have runs there; see `shared_windows`.
    """
    labels = labels or [variant.label for variant in variants(results.dataset, experiment)]
    if in_windows and (windows := shared_windows(results, experiment, metric, labels)):
        return {label: _side_in_windows(windows, label, metric) for label in labels}
    stage = experiment if experiment == "downstream" else "test"
    return {label: side(results, experiment, label, metric, stage) for label in labels}


def btsr_and_rivals(
    results: Results, rivals: Sequence[str], metric: str, in_windows: bool = True
) -> tuple[Side, list[Side]]:
    """BT-SR with the objective that validation chose, without values if it was not run, and the rivals that were."""
    found = sides_of(results, "main", metric, (*rivals, *BTSR), in_windows)
    windows = found[BTSR[0]].windows
    btsr = chosen_btsr(windows) if windows else results.btsr
    return found[btsr] if btsr else Side("BT-SR", {}, lambda _: None), [found[r] for r in rivals if found[r].values]


def shared_windows(results: Results, experiment: str, metric: str, labels: Collection[str]) -> Windows | None:
    """The windows in which these methods can be compared user by user.

    None if the metric is not a mean over users, or if there are too few windows for a test, if one lacks a method that
    was run, or if the numbers of its users are unknown.
    """
    if experiment not in MAIN_EXPERIMENTS or not is_mean_over_users(metric) or "/" in metric:
        return None
    in_windows = {group.method for group in results.experiment("windows") if group.done}
    ran = [label for label in labels if label in in_windows or runs_of(results, experiment, label).done]
    found = windows_of(results, ran) if ran and in_windows else None
    if found is None or len(found.groups) < MIN_SEEDS:
        return None
    known = all(len(results.user_numbers.get(window, ())) == users for window, users in found.users.items())
    return found if known else None


def _side_in_windows(windows: Windows, method: str, metric: str) -> Side:
    values = {w: windows.mean(method, metric, w) for w in windows.groups} if method in windows.methods else {}
    return Side(title_of(method), values, lambda _: None, windows.n_tested, method, windows)


def runs_of(results: Results, experiment: str, label: str) -> RunGroup:
    """The runs of a planned variant, in whichever of the MAIN_EXPERIMENTS they are; empty if it was not run."""
    names = MAIN_EXPERIMENTS if experiment in MAIN_EXPERIMENTS else (experiment,)
    groups = [group for name in names if (group := results.group(name, label))]
    planned = [
        RunGroup(experiment, label, variant.method, variant.value)
        for variant in variants(results.dataset, experiment)
        if variant.label == label
    ]
    return (*(group for group in groups if group.done), *groups, *planned)[0]


@cache
def variants(dataset: str, experiment: str) -> tuple[Variant, ...]:
    """The planned variants of an experiment, whether they were run or not."""
    return experiments(dataset)[experiment].variants


def _title_in_claims(runs: RunGroup) -> str:
    if runs.experiment == "noise":
        return f"{runs.style.title} with {share(runs.swept or 0)} noise"
    return f"view {runs.label}" if runs.experiment == "views" else runs.title


def _target_scores(results: Results, runs: RunGroup) -> dict[int, float]:
    """The mean of the density of the targets' scores, by seed, for the runs that keep one."""
    means = {}
    for record in runs.done:
        arrays = results.load(record) or {}
        if "score_grid" in arrays and "target_density" in arrays:
            grid, density = arrays["score_grid"], arrays["target_density"]
            mass = float(np.trapezoid(density, grid))
            if mass > 0:
                means[record.seed] = float(np.trapezoid(grid * density, grid)) / mass
    return means


def combined(title: str, parts: Sequence[tuple[float, Side]]) -> Side:
    """A weighted sum of sides over the seeds that all of them have; not for sides in windows."""
    values = {
        seed: math.fsum(w * part.values[seed] for w, part in parts)
        for seed in common_seeds(*(part for _, part in parts))
    }

    def users(seeds: Collection[float]) -> PerUser:
        found = [part.users(seeds) for _, part in parts]
        known = [values for values in found if values is not None]
        lengths = {len(values) for values in known if isinstance(values, np.ndarray)}
        if len(known) < len(parts) or len(lengths) > 1:
            return None
        return sum(weight * values for (weight, _), values in zip(parts, known, strict=True))

    return Side(title, values, users, max(part.tested for _, part in parts))


def on_seeds(seeds: Collection[float], one: Side) -> Side:
    """The same side as if only these seeds had been run."""
    return replace(one, values={seed: value for seed, value in one.values.items() if seed in seeds})


def best_against(rivals: Sequence[Side], other: Side, lower: bool = False) -> Side:
    """The rival with the highest (or lowest) mean on the seeds it shares with `other`, on which the two are compared.

    Rivals that share no seed come last.
    """

    def rank(rival: Side) -> tuple[bool, float]:
        shared = on_seeds(other.values, rival)
        return bool(shared.values), -shared.mean if lower else shared.mean

    return max(rivals, key=rank)


def missing(metric: str, *sides: Side) -> Reading | None:
    """A reading that names the sides without runs; None if all have some."""
    absent = [one.title for one in sides if not one.values]
    return not_run(metric, *absent) if absent else None


def common_seeds(*sides: Side) -> list[float]:
    """The seeds, or the windows, that all sides have."""
    return sorted(set.intersection(*(set(one.values) for one in sides)))


def by_seed(first: Side, second: Side) -> tuple[np.ndarray, np.ndarray]:
    """The values of both sides on the seeds that they share, (S,) each."""
    seeds = common_seeds(first, second)
    return np.array([first.values[seed] for seed in seeds]), np.array([second.values[seed] for seed in seeds])


def lead(leader: Side, trailer: Side, metric: str) -> Reading:
    """Read whether one side is ahead of the other.

    If both have windows of time, these decide. Otherwise it takes a paired t-test over the shared seeds, of which there
    must be three. Two seeds that agree in sign are read by a paired bootstrap over users of the seed-averaged metric. A
    single seed never decides.
    """
    if gap := missing(metric, leader, trailer):
        return gap
    if leader.windows:
        return _lead_in_windows(leader.windows, leader, trailer, metric)
    seeds = common_seeds(leader, trailer)
    if not seeds:
        return Reading(f"{metric}: {leader.title} and {trailer.title} have no seed in common")
    ours, theirs = by_seed(leader, trailer)
    test, users = paired_t_test(ours, theirs), user_differences(leader, trailer, seeds)
    text = (
        f"{metric}: {leader.title} {number(test.candidate)}, {trailer.title} {number(test.baseline)}, "
        f"difference {signed(test.difference)}; "
    )
    found = Reading(text, test.difference, seeds=test.n, evidence=seeds_and_users(test.n, leader.tested))
    if test.n >= MIN_SEEDS:
        p_text = "none, for the difference is the same on all of them" if math.isnan(test.p) else p_value(test.p)
        text += f"paired t-test over {test.n} seeds, p {p_text}"
        text += _detectable(ours - theirs, users) if test.p >= LEVEL else ""
        return replace(found, text=text, p=test.p, interval=summarise_seeds(ours - theirs).interval)
    text += f"{count(test.n, 'seed')}, too few for a test over seeds"
    if users is None:
        return replace(found, text=text)
    over_users = paired_bootstrap(users, CLAIM_RESAMPLES)
    agree = test.n > 1 and abs(int(np.sign(ours - theirs).sum())) == test.n
    text += f"; bootstrap over {count(len(users), 'user')}, p {p_value(over_users.p)}"
    text += "" if agree or test.n < 2 else ", but the seeds disagree"
    interval = (over_users.low, over_users.high) if test.n > 1 else NO_INTERVAL
    p = over_users.p if agree else math.nan
    return replace(found, text=text + ("" if p < LEVEL else _detectable(None, users)), p=p, interval=interval)


def _lead_in_windows(windows: Windows, leader: Side, trailer: Side, metric: str) -> Reading:
    """Read a lead in windows of time, where the larger p of two tests counts.

    The bootstrap over users takes the model of each window as given. The t-test over windows sees different models but
    knows little about users. Both must tell the two sides apart.
    """
    names = f"{metric}: {leader.title} minus {trailer.title}"
    pooled = pooled_difference(windows, leader.method, trailer.method, metric)
    if pooled is None:
        return Reading(f"{names}: the users' ranks are lost")
    users, of_windows = pooled.over_users, pooled.over_windows
    evidence = f"pooled over {spelled_out(len(windows.groups), 'window')}, {leader.tested:,} users"
    text = (
        f"{names} {signed(users.difference)}, 95 % interval {signed(users.low)} to {signed(users.high)}; {evidence}, "
    )
    found = Reading(text, users.difference, interval=(users.low, users.high), evidence=evidence)
    if math.isnan(of_windows.p):
        return replace(found, text=f"{text}the same in every window")
    p = max(users.p, of_windows.p)
    text += f"p {p_value(users.p)}; paired t-test over windows, p {p_value(of_windows.p)}"
    return replace(found, text=text + (f"; detectable: {number(pooled.detectable)}" if p >= LEVEL else ""), p=p)


def user_differences(leader: Side, trailer: Side, seeds: Collection[float]) -> np.ndarray | None:
    """Leader minus trailer per test user, (N,), each averaged over the seeds; None without comparable user values."""
    ours, theirs = leader.users(seeds), trailer.users(seeds)
    alike = isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray) and ours.shape == theirs.shape
    return np.asarray(ours) - np.asarray(theirs) if alike else None


def _detectable(seeds: np.ndarray | None, users: np.ndarray | None) -> str:
    """The smallest true difference found with 80 % power over the differences of seeds (S,) and of users (N,)."""
    known = [] if seeds is None else [f"{number(smallest_detectable_over_seeds(seeds))} over {len(seeds)} seeds"]
    if users is not None and not math.isnan(over_users := smallest_detectable_difference(users)):
        known.append(f"{number(over_users)} over {count(len(users), 'user')}")
    return f"; detectable: {', '.join(known)}" if known else ""
