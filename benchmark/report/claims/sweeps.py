"""The rules of claims about a sweep of alpha or lambda: where a metric peaks, how it moves along the sweep."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache
from statistics import fmean

import numpy as np
from scipy import stats

from benchmark.paper.printed import table2_row
from benchmark.plan.experiments import experiments
from benchmark.plan.selection import METRIC
from benchmark.report.claims.evidence import (
    MIN_VOTES,
    Judgement,
    Reading,
    Series,
    combined,
    count,
    judge,
    lead,
    not_run,
    series,
    user_interval,
    vote,
)
from benchmark.report.material import Material
from benchmark.report.significance import MIN_SEEDS, summarise_seeds
from benchmark.report.tables.notes import p_value
from benchmark.report.tables.parts import number, signed


def peaks(
    material: Material, experiment: str, at: list[str], metrics: list[str], among: list[str] | None = None
) -> Judgement:
    """The highest value of each metric lies at one of these labels: the best of them leads the best of the others."""
    return judge([_peak(dict(_sweep(material, experiment, metric, among)), at, metric) for metric in metrics])


def balance(material: Material, experiment: str, at: list[str], metrics: list[str]) -> Judgement:
    """The highest mean of these metrics, each as a share of its own highest mean, lies at one of these labels."""
    sweeps = {metric: dict(_sweep(material, experiment, metric, None)) for metric in metrics}
    highest = {
        metric: max((s.mean for s in sweep.values() if s.values), default=0.0) for metric, sweep in sweeps.items()
    }
    if not all(highest.values()):
        return Judgement("not run", (f"{experiment}: no run has {' and '.join(metrics)}",))
    joint = {
        label: combined(one.title, [(1 / highest[metric] / len(metrics), sweeps[metric][label]) for metric in metrics])
        for label, one in sweeps[metrics[0]].items()
    }
    return judge([_peak(joint, at, f"mean share of the highest {' and '.join(metrics)}")])


def _peak(sweep: Mapping[str, Series], at: Sequence[str], metric: str) -> Reading:
    """The side whose best leads was chosen with hindsight among as many as it has, and its p counts as many times."""
    inside = [side for label, side in sweep.items() if label in at and side.values]
    outside = [side for label, side in sweep.items() if label not in at and side.values]
    if not inside or not outside:
        wanted = [side.title for side in sweep.values() if not side.values]
        return Reading(f"{metric}: not run: {', '.join(wanted)}", ran=False)
    best, rival = (max(sides, key=lambda side: side.mean) for sides in (inside, outside))
    reading = lead(best, rival, metric)
    chances = len(inside) if reading.lead > 0 else len(outside)
    text, p = reading.text, min(1.0, reading.p * chances) if not math.isnan(reading.p) else reading.p
    if p != reading.p and not math.isnan(p):
        text += f" (times {chances}, as the best of as many: {p_value(p)})"
    ran = len(inside) + len(outside)
    text += "" if ran == len(sweep) else f"; {ran} of {len(sweep)} values were run"
    all_inside = len(inside) == sum(label in at for label in sweep)
    return replace(reading, text=text, p=p, confirms=ran == len(sweep), contradicts=all_inside)


def trend(material: Material, experiment: str, metrics: list[str], rises: bool) -> Judgement:
    """Each metric rises, or falls, along the sweep: Kendall's tau of its means over seeds, exact where no two tie."""
    return judge([_trend(_sweep(material, experiment, metric, None), metric, rises) for metric in metrics])


def _trend(sweep: Sequence[tuple[str, Series]], metric: str, rises: bool) -> Reading:
    points = [(float(label), side) for label, side in sweep if side.values]
    if len(points) < 2:
        return Reading(f"{metric}: {count(len(points), 'value')} of {len(sweep)} run", ran=False)
    seeds = min(len(side.values) for _, side in points)
    found = stats.kendalltau([x for x, _ in points], [side.mean for _, side in points])
    tau, p = float(found.statistic), float(found.pvalue)
    means = ", ".join(f"{number(side.mean)} at {x:g}" for x, side in points)
    text = f"{metric}: {means} (means of {count(seeds, 'seed')} or more)"
    if math.isnan(tau):
        return Reading(f"{text}; all the same")
    text += f"; Kendall's tau {tau:+.2f} over {len(points)} of {len(sweep)} values, p {p_value(p)}"
    if seeds < MIN_VOTES:
        return Reading(f"{text}; decided from {MIN_VOTES} seeds on", tau if rises else -tau)
    return Reading(text, tau if rises else -tau, p)


def ratio(
    material: Material, experiment: str, start: str, end: str, metric: str, at_least: float, below: float
) -> Judgement:
    """The metric at `end` is `at_least` so many times that at `start`, on every seed; contradicted if all are below."""
    first, last = (series(material, f"{experiment}:{label}", metric) for label in (start, end))
    seeds = sorted(first.values.keys() & last.values.keys())
    if not seeds:
        return not_run(metric, first, last)
    factors = [last.values[s] / first.values[s] if first.values[s] else math.inf for s in seeds]
    text = (
        f"{metric}: {first.title} {number(first.mean)}, {last.title} {number(last.mean)}; by seed "
        f"{', '.join(f'{factor:.2f}' for factor in factors)} times ({at_least:g} asked for)"
    )
    return vote([factor >= at_least for factor in factors], [factor < below for factor in factors], text)


def grows(
    material: Material, experiment: str, start: str, end: str, metric: str, zero: float, at_least: float
) -> Judgement:
    """The metric is below `zero` at `start` and `at_least` so much at `end`, on every seed."""
    first, last = (series(material, f"{experiment}:{label}", metric) for label in (start, end))
    seeds = sorted(first.values.keys() & last.values.keys())
    if not seeds:
        return not_run(metric, first, last)
    values = [(first.values[seed], last.values[seed]) for seed in seeds]
    text = (
        f"{metric}: {first.title} {number(first.mean)} (below {number(zero)} asked for), "
        f"{last.title} {number(last.mean)} ({number(at_least)} asked for)"
    )
    holds = [low < zero and high >= at_least for low, high in values]
    always = [[low >= zero for low, _ in values], [high < at_least for _, high in values]]
    return vote(holds, next((fails for fails in always if all(fails)), [False]), text)


def drops(
    material: Material, experiment: str, start: list[str], end: str, metric: str, low: float, high: float
) -> Judgement:
    """From the best of `start` to `end` the metric drops by `low` to `high`.

    Contradicted without any run where Table 2 prints less than `low` for every method: what is smaller cannot lose as
    much. Otherwise by the 95 % interval of the drop: over seeds from three on, over users with two.
    """
    row = None if material.runs.synthetic else table2_row(material.runs.title, metric)
    if row and max(row.values.values()) < low:
        most = max(row.values.values())
        return Judgement("contradicted", (f"{metric}: Table 2 prints at most {number(most)}, less than {number(low)}",))
    firsts = [side for label in start if (side := series(material, f"{experiment}:{label}", metric)).values]
    last = series(material, f"{experiment}:{end}", metric)
    if not firsts or not last.values:
        return Judgement("not run", (f"{metric}: not run: {experiment} {', '.join(start)} or {end}",))
    first = max(firsts, key=lambda side: side.mean)
    seeds = sorted(first.values.keys() & last.values.keys())
    losses = [first.values[seed] - last.values[seed] for seed in seeds]
    drop = fmean(losses) if losses else math.nan
    text = f"{metric}: {first.title} {number(first.mean)}, {last.title} {number(last.mean)}, drop {signed(drop)}"
    over, bounds = _interval(first, last, seeds, losses)
    if bounds is None:
        return Judgement("inconclusive", (f"{text}; {over}",))
    text += f", 95% interval {signed(bounds[0])} to {signed(bounds[1])} over {over}"
    text += f"; {number(low)} to {number(high)} asked for"
    if bounds[1] < low or bounds[0] > high:
        return Judgement("contradicted", (text,))
    return Judgement("confirmed" if bounds[0] > 0 and low <= drop <= high else "inconclusive", (text,))


def _interval(
    first: Series, last: Series, seeds: Sequence[int], losses: Sequence[float]
) -> tuple[str, tuple[float, float] | None]:
    if len(seeds) >= MIN_SEEDS:
        summary = summarise_seeds(np.array(losses))
        return f"{len(seeds)} seeds", (summary.low, summary.high)
    bounds = user_interval(first, last, seeds) if len(seeds) >= MIN_VOTES else None
    if bounds is None:
        return f"{count(len(seeds), 'seed')} in common, too few for an interval", None
    return f"users ({len(seeds)} seeds, too few for an interval over seeds)", bounds


def hurts(material: Material, experiment: str, label: str, metric: str) -> Judgement:
    """This value is worse than the best of the others; validation NDCG@10 chooses that, so one test is made."""
    labels = [name for name in _labels(material, experiment, None) if name != label]
    chosen = [(series(material, f"{experiment}:{name}", METRIC, "validation"), name) for name in labels]
    ran = [(side.mean, name) for side, name in chosen if side.values]
    zero = series(material, f"{experiment}:{label}", metric)
    if not ran or not zero.values:
        return Judgement("not run", (f"{metric}: not run: {zero.title if ran else f'{experiment} above {label}'}",))
    best = max(ran, key=lambda pair: pair[0])[1]
    reading = lead(series(material, f"{experiment}:{best}", metric), zero, metric)
    text = f"{reading.text}; chosen on validation among {len(ran)} of {len(labels)} values"
    return judge([replace(reading, text=text, contradicts=len(ran) == len(labels))])


def _sweep(material: Material, experiment: str, metric: str, among: Sequence[str] | None) -> list[tuple[str, Series]]:
    labels = _labels(material, experiment, among)
    return [(label, series(material, f"{experiment}:{label}", metric)) for label in labels]


def _labels(material: Material, experiment: str, among: Sequence[str] | None) -> list[str]:
    return list(_all_labels(material.runs.dataset, experiment) if among is None else among)


@cache
def _all_labels(dataset: str, experiment: str) -> tuple[str, ...]:
    return tuple(variant.label for variant in experiments(dataset)[experiment].variants)
