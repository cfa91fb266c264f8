"""What the runs say on one comparison of a claim: a metric of two sides, seed against seed or user against user."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np
from scipy import stats

from benchmark.report.comparison import LoadArrays
from benchmark.report.material import Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.significance import (
    LEVEL,
    MIN_SEEDS,
    POWER,
    holm,
    paired_bootstrap,
    paired_t_test,
    smallest_detectable_difference,
)
from benchmark.report.tables.notes import p_value
from benchmark.report.tables.parts import number, signed
from benchmark.runs.metrics import GAINS, per_user
from benchmark.store.record import RunRecord

Verdict = Literal["confirmed", "contradicted", "inconclusive", "not run"]

TARGET_SCORE = "target_score"
"""Mean score of the test targets, from the density that a run keeps of them."""

RESAMPLES = 2000
"""Of users: p is then known to .001, which a verdict at .05 needs not, and a report stays fast."""

MIN_VOTES = 2
"""Seeds that must agree where a threshold is read off each seed instead of testing a difference."""

Users = np.ndarray | float | None
"""(N,) what each test user contributes to a metric; one number where it is not a mean over users; None if lost."""


@dataclass(frozen=True)
class Series:
    """A metric of one method or variant: `values` by seed; `users` of given seeds, averaged over them."""

    title: str
    values: Mapping[int, float]
    users: Callable[[Sequence[int]], Users]

    @property
    def mean(self) -> float:
        """Over all its seeds; NaN without any."""
        return math.fsum(self.values.values()) / len(self.values) if self.values else math.nan


@dataclass(frozen=True)
class Reading:
    """One comparison in the claim's direction: `lead` > 0 speaks for it, `p` two-sided, NaN if undecidable.

    `ran`: whether both sides have runs; `seeds`: how many both have. `confirms`, `contradicts`: whether what was
    run suffices for it.
    """

    text: str
    lead: float = math.nan
    p: float = math.nan
    ran: bool = True
    seeds: int = 0
    confirms: bool = True
    contradicts: bool = True


@dataclass(frozen=True)
class Judgement:
    """A verdict and the numbers it rests on, one text per comparison."""

    verdict: Verdict
    numbers: tuple[str, ...]


def judge(readings: Sequence[Reading]) -> Judgement:
    """Of a claim that holds where every reading does.

    Confirmed: each leads with p < .05. Contradicted: one lies behind with p < .05 after Holm's correction over all.
    """
    numbers = tuple(reading.text for reading in readings)
    if not any(reading.ran for reading in readings):
        return Judgement("not run", numbers)
    adjusted = holm(np.array([reading.p for reading in readings]))
    if any(r.contradicts and r.lead < 0 and p < LEVEL for r, p in zip(readings, adjusted, strict=True)):
        return Judgement("contradicted", numbers)
    if all(reading.confirms and reading.lead > 0 and reading.p < LEVEL for reading in readings):
        return Judgement("confirmed", numbers)
    return Judgement("inconclusive", numbers)


# --- the runs of a side ---------------------------------------------------------------------------------------------


def series(material: Material, side: str, metric: str, stage: str = "test") -> Series:
    """A metric of one side, `EXPERIMENT:LABEL`, such as `main:sasrec-ce` or `alpha:0.1`; without values if not run."""
    records = side_records(material, side)
    found = {record.seed: _value(record, metric, stage, material.load) for record in records}
    values = {seed: value for seed, value in found.items() if value is not None}
    return Series(side_title(side), values, partial(_users, records, metric, material.load))


def side_records(material: Material, side: str) -> Sequence[RunRecord]:
    """The finished runs of a side. Methods as they are may have been run for Table 2 or for Table 1."""
    experiment, _, label = side.partition(":")
    if experiment not in ("main", "objectives"):
        variant = side_variant(material, side)
        return variant.done if variant else ()
    if material.runs.done(label):
        return material.runs.done(label)
    variants = [side_variant(material, f"{name}:{label}") for name in ("main", "objectives")]
    return next((variant.done for variant in variants if variant and variant.done), ())


def side_variant(material: Material, side: str) -> VariantRuns | None:
    """The variant that a side names, if it was asked for."""
    experiment, _, label = side.partition(":")
    runs = material.experiments.get(experiment)
    return runs.variant(label) if runs else None


def side_title(side: str) -> str:
    """A side in words."""
    experiment, _, label = side.partition(":")
    method, _, share = label.partition(" ")
    if experiment == "noise":
        return f"{look(method).title} with {float(share):.0%} noise"
    if experiment in ("alpha", "lambda", "regimes") and label[0].isdigit():
        return f"{'alpha' if experiment == 'regimes' else experiment} {label}"
    return f"view {label}" if experiment == "views" else look(label).title


def combined(title: str, parts: Sequence[tuple[float, Series]]) -> Series:
    """A weighted sum of series over the seeds that all of them have."""
    seeds = set.intersection(*(set(part.values) for _, part in parts))
    values = {seed: math.fsum(weight * part.values[seed] for weight, part in parts) for seed in sorted(seeds)}

    def users(of: Sequence[int]) -> Users:
        shares = [(weight, part.users(of)) for weight, part in parts]
        present = [weight * share for weight, share in shares if share is not None]
        lengths = {len(share) for share in present if isinstance(share, np.ndarray)}
        return sum(present) if len(present) == len(parts) and len(lengths) <= 1 else None

    return Series(title, values, users)


def _value(record: RunRecord, metric: str, stage: str, load: LoadArrays) -> float | None:
    if metric != TARGET_SCORE:
        return record.metrics.get(stage, {}).get(metric)
    arrays = load(record) or {}
    if "score_grid" not in arrays or "target_density" not in arrays:
        return None
    grid, density = arrays["score_grid"], arrays["target_density"]
    mass = float(np.trapezoid(density, grid))
    return float(np.trapezoid(grid * density, grid)) / mass if mass > 0 else None


def _users(records: Sequence[RunRecord], metric: str, load: LoadArrays, seeds: Sequence[int]) -> Users:
    name, _, bucket = metric.partition("/bucket")
    chosen = [record for record in records if record.seed in seeds]
    if name.partition("@")[0] not in GAINS:
        values = [value for record in chosen if (value := _value(record, metric, "test", load)) is not None]
        return math.fsum(values) / len(values) if values else None
    ranks = []
    for arrays in map(load, chosen):
        if arrays is None or "ranks" not in arrays or (bucket and "target_buckets" not in arrays):
            return None
        ranks.append(arrays["ranks"][arrays["target_buckets"] == int(bucket) - 1] if bucket else arrays["ranks"])
    same = ranks and len({len(each) for each in ranks}) == 1 and len(ranks[0]) > 1
    return per_user(name, np.stack(ranks)).mean(0) if same else None


# --- comparing ------------------------------------------------------------------------------------------------------


def lead(leader: Series, trailer: Series, metric: str) -> Reading:
    """Whether one side is ahead of another: a paired t-test over the seeds that both have, from three on.

    Two seeds decide nothing about seeds. Where they agree in sign, the paired bootstrap over users of the
    seed-averaged metric is read instead; a single seed never decides.
    """
    absent = [side.title for side in (leader, trailer) if not side.values]
    if absent:
        return Reading(f"{metric}: not run: {', '.join(absent)}", ran=False)
    seeds = sorted(leader.values.keys() & trailer.values.keys())
    if not seeds:
        return Reading(f"{metric}: {leader.title} and {trailer.title} have no seed in common")
    ours, theirs = (np.array([side.values[seed] for seed in seeds]) for side in (leader, trailer))
    difference = float((ours - theirs).mean())
    text = (
        f"{metric}: {leader.title} {number(float(ours.mean()))}, {trailer.title} {number(float(theirs.mean()))}, "
        f"difference {signed(difference)}; "
    )
    users = _user_differences(leader, trailer, seeds)
    if len(seeds) >= MIN_SEEDS:
        p = paired_t_test(ours, theirs).p
        text += f"paired t-test over {len(seeds)} seeds, p {p_value(p)}"
        return Reading(
            text + (_detectable(ours - theirs, users) if p >= LEVEL else ""), difference, p, seeds=len(seeds)
        )
    text += f"{count(len(seeds), 'seed')}, too few for a test over seeds"
    if users is None:
        return Reading(text, difference, seeds=len(seeds))
    view = paired_bootstrap(users, RESAMPLES)
    agree = len(seeds) > 1 and (bool((ours > theirs).all()) or bool((ours < theirs).all()))
    text += f"; bootstrap over {len(users)} users, p {p_value(view.p)}"
    text += "" if agree or len(seeds) < 2 else ", but the seeds disagree"
    p = view.p if agree else math.nan
    return Reading(text + ("" if p < LEVEL else _detectable(np.zeros(0), users)), difference, p, seeds=len(seeds))


def count(n: int, thing: str) -> str:
    """`1 seed`, `2 seeds`."""
    return f"{n} {thing}{'' if n == 1 else 's'}"


def user_interval(leader: Series, trailer: Series, seeds: Sequence[int]) -> tuple[float, float] | None:
    """95 % interval of the difference under resampling of users; None where users do not tell."""
    users = _user_differences(leader, trailer, seeds)
    view = None if users is None else paired_bootstrap(users, RESAMPLES)
    return (view.low, view.high) if view else None


def _user_differences(leader: Series, trailer: Series, seeds: Sequence[int]) -> np.ndarray | None:
    ours, theirs = leader.users(seeds), trailer.users(seeds)
    if isinstance(ours, np.ndarray) and isinstance(theirs, np.ndarray) and ours.shape == theirs.shape:
        return ours - theirs
    return None


def _detectable(seeds: np.ndarray, users: np.ndarray | None) -> str:
    """The smallest true difference that would be seen at 80 % power, over these (R,) seeds and these (N,) users."""
    known = []
    if len(seeds) >= MIN_SEEDS:
        reach = sum(stats.t.ppf(q, len(seeds) - 1) for q in (1 - LEVEL / 2, POWER))
        known.append(f"{number(reach * float(seeds.std(ddof=1)) / math.sqrt(len(seeds)))} over {len(seeds)} seeds")
    if users is not None:
        known.append(f"{number(smallest_detectable_difference(users))} over {len(users)} users")
    return f"; detectable: {', '.join(known)}" if known else ""


def vote(holds: Sequence[bool], fails: Sequence[bool], text: str) -> Judgement:
    """Confirmed if the claim holds on every seed, contradicted if it fails on every one; from two seeds on."""
    text = f"{text}; {count(len(holds), 'seed')}"
    if len(holds) < MIN_VOTES:
        return Judgement("inconclusive", (f"{text}, decided from {MIN_VOTES} on",))
    verdict: Verdict = "confirmed" if all(holds) else "contradicted" if all(fails) else "inconclusive"
    return Judgement(verdict, (text,))


def not_run(metric: str, *sides: Series) -> Judgement:
    """Of sides that cannot be compared: without runs, or without a seed in common."""
    absent = [side.title for side in sides if not side.values]
    if absent:
        return Judgement("not run", (f"{metric}: not run: {', '.join(absent)}",))
    return Judgement("inconclusive", (f"{metric}: {' and '.join(side.title for side in sides)} share no seed",))
