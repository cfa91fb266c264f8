"""The rules of claims about a sweep of alpha or lambda: where a metric peaks, how it moves along the sweep."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from statistics import fmean

import numpy as np
from scipy import stats

from benchmark.paper.rules import Balance, Drops, Grows, Hurts, Peaks, Ratio, Trend
from benchmark.plan.selection import METRIC
from benchmark.report.claims.judgement import MIN_VOTES, Judgement, Reading, count, judge, vote
from benchmark.report.claims.sides import (
    CLAIM_RESAMPLES,
    Side,
    combined,
    common_seeds,
    lead,
    missing,
    printed_row,
    side,
    user_differences,
    variants,
)
from benchmark.report.query import Results
from benchmark.report.significance import MIN_SEEDS, paired_bootstrap, summarise_seeds
from benchmark.report.tables.numbers import number, p_value, signed


def peaks(results: Results, rule: Peaks) -> Judgement:
    """Whether the best of the variants named leads the best of the others in each metric."""
    labels = rule.among or _labels(results, rule.experiment)
    return judge([_peak(_sides(results, rule.experiment, labels, metric), rule.at, metric) for metric in rule.metrics])


def balance(results: Results, rule: Balance) -> Judgement:
    """The same for the mean of several metrics, each as a share of its own highest mean."""
    labels, named = _labels(results, rule.experiment), " and ".join(rule.metrics)
    sweeps = [_sides(results, rule.experiment, labels, metric) for metric in rule.metrics]
    highest = [max((one.mean for one in sweep.values() if one.values), default=0.0) for sweep in sweeps]
    if not all(highest):
        return Judgement("not run", (f"{rule.experiment}: no run has {named}",))
    joint = {
        label: combined(
            sweeps[0][label].title,
            [(1 / top / len(sweeps), sweep[label]) for top, sweep in zip(highest, sweeps, strict=True)],
        )
        for label in labels
    }
    return judge([_peak(joint, rule.at, f"mean share of the highest {named}")])


def _peak(sweep: Mapping[str, Side], at: Collection[str], metric: str) -> Reading:
    """The variant that leads was chosen with hindsight as the best of its group, so its p counts once for each."""
    inside = [one for label, one in sweep.items() if label in at and one.values]
    outside = [one for label, one in sweep.items() if label not in at and one.values]
    if not inside or not outside:
        wanted = [one.title for one in sweep.values() if not one.values]
        return Reading(f"{metric}: not run: {', '.join(wanted)}", ran=False)
    best, rival = (max(sides, key=lambda one: one.mean) for sides in (inside, outside))
    reading = lead(best, rival, metric)
    reading = reading.as_best_of(len(inside) if reading.lead > 0 else len(outside))
    ran = len(inside) + len(outside)
    text = reading.text + ("" if ran == len(sweep) else f"; {ran} of {len(sweep)} values were run")
    all_inside = len(inside) == sum(label in at for label in sweep)
    return replace(reading, text=text, confirms=ran == len(sweep), contradicts=all_inside)


def trend(results: Results, rule: Trend) -> Judgement:
    """Kendall's tau of each metric's means over seeds along the sweep, exact where no two tie."""
    return judge([_trend(results, rule, metric) for metric in rule.metrics])


def _trend(results: Results, rule: Trend, metric: str) -> Reading:
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


def ratio(results: Results, rule: Ratio) -> Judgement:
    first, last = (side(results, rule.experiment, label, rule.metric) for label in (rule.start, rule.end))
    if gap := missing(rule.metric, first, last):
        return judge([gap])
    seeds = common_seeds(first, last)
    factors = [last.values[s] / first.values[s] if first.values[s] else math.inf for s in seeds]
    shown = ", ".join(f"{factor:.2f}" for factor in factors) or "no seed in common"
    text = (
        f"{rule.metric}: {first.title} {number(first.mean)}, {last.title} {number(last.mean)}; by seed {shown} times "
        f"({rule.at_least:g} required)"
    )
    return vote([factor >= rule.at_least for factor in factors], [factor < rule.below for factor in factors], text)


def grows(results: Results, rule: Grows) -> Judgement:
    first, last = (side(results, rule.experiment, label, rule.metric) for label in (rule.start, rule.end))
    if gap := missing(rule.metric, first, last):
        return judge([gap])
    seeds = common_seeds(first, last)
    text = (
        f"{rule.metric}: {first.title} {number(first.mean)} (below {number(rule.zero)} required), "
        f"{last.title} {number(last.mean)} ({number(rule.at_least)} required)"
    )
    from_zero = [first.values[seed] < rule.zero for seed in seeds]
    far = [last.values[seed] >= rule.at_least for seed in seeds]
    never = not any(from_zero) or not any(far)
    return vote([low and high for low, high in zip(from_zero, far, strict=True)], [never], text)


def drops(results: Results, rule: Drops) -> Judgement:
    """By how much the metric drops, and whether the 95 % interval lies within the bounds.

    Contradicted without any run where Table 2 prints less than the least drop for every method: what is smaller cannot
    lose as much. The interval is one over seeds from three on, over users with two.
    """
    metric, low, high = rule.metric, rule.low, rule.high
    row = printed_row(results, metric)
    if row and (most := max(row.values.values())) < low:
        return Judgement("contradicted", (f"{metric}: Table 2 prints at most {number(most)}, less than {number(low)}",))
    starts = _sides(results, rule.experiment, rule.start, metric).values()
    last = side(results, rule.experiment, rule.end, metric)
    if not any(one.values for one in starts) or not last.values:
        wanted = f"{rule.experiment} {', '.join(rule.start)} or {rule.end}"
        return Judgement("not run", (f"{metric}: not run: {wanted}",))
    first = max((one for one in starts if one.values), key=lambda one: one.mean)
    seeds = common_seeds(first, last)
    losses = [first.values[seed] - last.values[seed] for seed in seeds]
    drop = fmean(losses) if losses else math.nan
    text = f"{metric}: {first.title} {number(first.mean)}, {last.title} {number(last.mean)}, drop {signed(drop)}"
    over, bounds = _interval(first, last, seeds, losses)
    if bounds is None:
        return Judgement("inconclusive", (f"{text}; {over}",))
    text += f", 95% interval {signed(bounds[0])} to {signed(bounds[1])} over {over}"
    text += f"; {number(low)} to {number(high)} required"
    if bounds[1] < low or bounds[0] > high:
        return Judgement("contradicted", (text,))
    return Judgement("confirmed" if bounds[0] > 0 and low <= drop <= high else "inconclusive", (text,))


def _interval(
    first: Side, last: Side, seeds: Sequence[int], losses: Sequence[float]
) -> tuple[str, tuple[float, float] | None]:
    if len(seeds) >= MIN_SEEDS:
        summary = summarise_seeds(np.array(losses))
        return f"{len(seeds)} seeds", summary.interval
    users = user_differences(first, last, seeds) if len(seeds) >= MIN_VOTES else None
    if users is None:
        return f"{count(len(seeds), 'seed')} in common, too few for an interval", None
    drop = paired_bootstrap(users, CLAIM_RESAMPLES)
    return f"users ({len(seeds)} seeds, too few for an interval over seeds)", (drop.low, drop.high)


def hurts(results: Results, rule: Hurts) -> Judgement:
    """Whether a variant is worse than the best of the others; validation NDCG@10 chooses that, so one test is made."""
    labels = [label for label in _labels(results, rule.experiment) if label != rule.label]
    chosen = {label: side(results, rule.experiment, label, METRIC, "validation") for label in labels}
    ran = [label for label in labels if chosen[label].values]
    zero = side(results, rule.experiment, rule.label, rule.metric)
    if not ran or not zero.values:
        wanted = zero.title if ran else f"{rule.experiment} above {rule.label}"
        return Judgement("not run", (f"{rule.metric}: not run: {wanted}",))
    best = max(ran, key=lambda label: chosen[label].mean)
    reading = lead(side(results, rule.experiment, best, rule.metric), zero, rule.metric)
    text = f"{reading.text}; chosen on validation among {len(ran)} of {len(labels)} values"
    return judge([replace(reading, text=text, contradicts=len(ran) == len(labels))])


def _sides(results: Results, experiment: str, labels: Sequence[str], metric: str) -> dict[str, Side]:
    return {label: side(results, experiment, label, metric) for label in labels}


def _labels(results: Results, experiment: str) -> tuple[str, ...]:
    """The variants of a sweep in the plan's order, whether they were run or not."""
    return tuple(variant.label for variant in variants(results.dataset, experiment))
