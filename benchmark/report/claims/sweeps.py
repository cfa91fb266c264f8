"""The rules of claims about a sweep of alpha or lambda: where a metric peaks, how it moves along the sweep."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

import numpy as np
from scipy import stats

from benchmark.paper import rules as forms
from benchmark.plan.selection import METRIC
from benchmark.report.claims.judgement import MIN_VOTES, Judgement, Reading, judge, vote
from benchmark.report.claims.sides import (
    CLAIM_RESAMPLES,
    Side,
    best_against,
    by_seed,
    combined,
    common_seeds,
    lead,
    missing,
    over,
    side,
    user_differences,
    variants,
)
from benchmark.report.query import Results
from benchmark.report.significance import MIN_SEEDS, paired_bootstrap, summarise_seeds
from benchmark.report.tables.numbers import count, number, p_value, signed


def peaks(results: Results, rule: forms.Peaks) -> Judgement:
    """Whether the best of the variants named leads the best of the others in each metric."""
    sweeps = [(_sides(results, rule.experiment, metric, rule.among), metric) for metric in rule.metrics]
    return judge([_peak(sweep, rule.at, metric) for sweep, metric in sweeps])


def balance(results: Results, rule: forms.Balance) -> Judgement:
    """The same for the mean of several metrics, each as a share of its own highest mean."""
    named = " and ".join(rule.metrics)
    sweeps = [_sides(results, rule.experiment, metric) for metric in rule.metrics]
    highest = [max((one.mean for one in sweep.values() if one.values), default=0.0) for sweep in sweeps]
    if not all(highest):
        return Judgement("not run", (f"{rule.experiment}: no run has {named}",))
    joint = {
        label: combined(one.title, [(1 / top / len(sweeps), s[label]) for top, s in zip(highest, sweeps, strict=True)])
        for label, one in sweeps[0].items()
    }
    return judge([_peak(joint, rule.at, f"mean share of the highest {named}")])


def _peak(sweep: Mapping[str, Side], at: Collection[str], metric: str) -> Reading:
    """The best of either group, and the test of the two, rest on the seeds that all variants share.

    The variant that leads was chosen with hindsight as the best of its group, so its p counts once for each.
    """
    ran = {label: one for label, one in sweep.items() if one.values}
    shared = common_seeds(*ran.values()) if ran else []
    inside = [over(shared, one) for label, one in ran.items() if label in at]
    outside = [over(shared, one) for label, one in ran.items() if label not in at]
    if not inside or not outside:
        return Reading(
            f"{metric}: not run: {', '.join(one.title for one in sweep.values() if not one.values)}", ran=False
        )
    if not shared:
        return Reading(f"{metric}: the {len(ran)} values that were run have no seed in common")
    best, rival = (max(sides, key=lambda one: one.mean) for sides in (inside, outside))
    reading = lead(best, rival, metric)
    reading = reading.as_best_of(len(inside) if reading.lead > 0 else len(outside))
    text = reading.text + ("" if len(ran) == len(sweep) else f"; {len(ran)} of {len(sweep)} values were run")
    all_inside = len(inside) == sum(label in at for label in sweep)
    return replace(reading, text=text, confirms=len(ran) == len(sweep), contradicts=all_inside)


def trend(results: Results, rule: forms.Trend) -> Judgement:
    """Kendall's tau of each metric's means over seeds along the sweep, exact where no two tie."""
    return judge([_trend(results, rule, metric) for metric in rule.metrics])


def _trend(results: Results, rule: forms.Trend, metric: str) -> Reading:
    sweep = variants(results.dataset, rule.experiment)
    sides = [(variant.value, side(results, rule.experiment, variant.label, metric)) for variant in sweep]
    points = [(x, one) for x, one in sides if one.values]
    if len(points) < 2:
        return Reading(f"{metric}: {count(len(points), 'value')} of {len(sweep)} run", ran=False)
    seeds = min(len(one.values) for _, one in points)
    found = stats.kendalltau([x for x, _ in points], [one.mean for _, one in points])
    tau, p = float(found.statistic), float(found.pvalue)
    means = ", ".join(f"{number(one.mean)} at {x:g}" for x, one in points)
    text = f"{metric}: {means} (means of {count(seeds, 'seed')} or more)"
    if math.isnan(tau):
        return Reading(f"{text}; all the same")
    text += f"; Kendall's tau {tau:+.2f} over {len(points)} of {len(sweep)} values, p {p_value(p)}"
    if seeds < MIN_VOTES:
        text, p = f"{text}; one seed is too few to decide", math.nan
    return Reading(text, tau if rule.rises else -tau, p)


def ratio(results: Results, rule: forms.Ratio) -> Judgement:
    first, last = (side(results, rule.experiment, label, rule.metric) for label in (rule.start, rule.end))
    if gap := missing(rule.metric, first, last):
        return judge([gap])
    factors = [after / before if before else math.inf for before, after in zip(*by_seed(first, last), strict=True)]
    shown = ", ".join(f"{factor:.2f}" for factor in factors) or "no seed in common"
    text = (
        f"{rule.metric}: {first.title} {number(first.mean)}, {last.title} {number(last.mean)}; by seed {shown} times "
        f"({rule.at_least:g} required)"
    )
    return vote([factor >= rule.at_least for factor in factors], [factor < rule.below for factor in factors], text)


def grows(results: Results, rule: forms.Grows) -> Judgement:
    first, last = (side(results, rule.experiment, label, rule.metric) for label in (rule.start, rule.end))
    if gap := missing(rule.metric, first, last):
        return judge([gap])
    text = (
        f"{rule.metric}: {first.title} {number(first.mean)} (below {number(rule.zero)} required), "
        f"{last.title} {number(last.mean)} ({number(rule.at_least)} required)"
    )
    before, after = by_seed(first, last)
    from_zero, far = before < rule.zero, after >= rule.at_least
    return vote([*(from_zero & far)], [not from_zero.any() or not far.any()], text)


def drops(results: Results, rule: forms.Drops) -> Judgement:
    """By how much the metric drops, and whether the 95 % interval lies within the bounds.

    Contradicted without any run where Table 2 prints less than the least drop for every method: what is smaller cannot
    lose as much. The interval is one over seeds from three on, over users with two.
    """
    metric, low, high = rule.metric, rule.low, rule.high
    row = results.printed(metric)
    if row and (most := max(row.values.values())) < low:
        return Judgement("contradicted", (f"{metric}: Table 2 prints at most {number(most)}, less than {number(low)}",))
    starts = [one for one in _sides(results, rule.experiment, metric, rule.start).values() if one.values]
    last = side(results, rule.experiment, rule.end, metric)
    if not starts or not last.values:
        wanted = f"{rule.experiment} {', '.join(rule.start)} or {rule.end}"
        return Judgement("not run", (f"{metric}: not run: {wanted}",))
    first = best_against(starts, last)
    before, after = by_seed(first, last)
    drop = float(np.mean(before - after)) if len(before) else math.nan
    text = f"{metric}: {first.title} {number(first.mean)}, {last.title} {number(last.mean)}, drop {signed(drop)}"
    whose, bounds = _interval(first, last)
    if bounds is None:
        return Judgement("inconclusive", (f"{text}; {whose}",))
    text += f", 95% interval {signed(bounds[0])} to {signed(bounds[1])} over {whose}"
    text += f"; {number(low)} to {number(high)} required"
    if bounds[1] < low or bounds[0] > high:
        return Judgement("contradicted", (text,))
    return Judgement("confirmed" if bounds[0] > 0 and low <= drop <= high else "inconclusive", (text,))


def _interval(first: Side, last: Side) -> tuple[str, tuple[float, float] | None]:
    """What the interval of first minus last is over, and its ends."""
    seeds, (before, after) = common_seeds(first, last), by_seed(first, last)
    if len(seeds) >= MIN_SEEDS:
        return f"{len(seeds)} seeds", summarise_seeds(before - after).interval
    users = user_differences(first, last, seeds) if len(seeds) >= MIN_VOTES else None
    if users is None:
        return f"{count(len(seeds), 'seed')} in common, too few for an interval", None
    drop = paired_bootstrap(users, CLAIM_RESAMPLES)
    return f"users ({len(seeds)} seeds, too few for an interval over seeds)", (drop.low, drop.high)


def hurts(results: Results, rule: forms.Hurts) -> Judgement:
    """Whether a variant is worse than the best of the others; validation NDCG@10 chooses that, so one test is made."""
    zero = side(results, rule.experiment, rule.label, rule.metric)
    others = [variant.label for variant in variants(results.dataset, rule.experiment) if variant.label != rule.label]
    on_validation = {label: side(results, rule.experiment, label, METRIC, "validation") for label in others}
    ran = [label for label, one in on_validation.items() if one.values]
    if not ran or not zero.values:
        wanted = zero.title if ran else f"{rule.experiment} above {rule.label}"
        return Judgement("not run", (f"{rule.metric}: not run: {wanted}",))
    best = max(ran, key=lambda label: on_validation[label].mean)
    reading = lead(side(results, rule.experiment, best, rule.metric), zero, rule.metric)
    text = f"{reading.text}; chosen on validation among {len(ran)} of {len(others)} values"
    return judge([replace(reading, text=text, contradicts=len(ran) == len(others))])


def _sides(results: Results, experiment: str, metric: str, labels: Sequence[str] = ()) -> dict[str, Side]:
    """Of these variants of a sweep, or of all that are planned, whether they were run or not."""
    every = [variant.label for variant in variants(results.dataset, experiment)]
    return {label: side(results, experiment, label, metric) for label in labels or every}
