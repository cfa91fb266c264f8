"""How the runs decide each form of claim: pure functions of Results, named after the forms in `paper/claim.py`."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from benchmark.paper import claim as forms
from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.selection import METRIC
from benchmark.report.claims.sides import (
    Side,
    best_against,
    btsr_and_rivals,
    by_seed,
    combined,
    common_seeds,
    lead,
    missing,
    on_seeds,
    runs_of,
    side,
    sides_of,
    variants,
)
from benchmark.report.claims.verdicts import MIN_VOTES, PAPER_ITSELF, Reading, not_run, seeds_and_users, vote
from benchmark.report.query import COST, Results
from benchmark.report.significance import MIN_SEEDS, summarise_seeds, variance_ratio_test
from benchmark.report.tables.numbers import count, number, p_value, share, signed

ROUNDING = 1e-12
"""A deviation below this share of the mean counts as zero."""


def ahead(results: Results, rule: forms.Ahead) -> Iterator[Reading]:
    for first, second in rule.pairs:
        for metric in rule.metrics:
            both = sides_of(results, rule.experiment, metric, (first, second), in_windows=not rule.margin)
            leader = both[first]
            if rule.margin:
                leader = combined(f"{leader.title} less {share(rule.margin)}", [(1 - rule.margin, leader)])
            yield lead(leader, both[second], metric)


def against_baselines(results: Results, rule: forms.AgainstBaselines) -> Iterator[Reading]:
    """Whether BT-SR, with the objective that validation chose, is ahead of or behind the best of its rivals.

    The best of k rivals is picked with hindsight, so a p in its favour is multiplied by k. A lead of BT-SR is confirmed
    only if all rivals were run.
    """
    is_ahead, higher = rule.place == "ahead", rule.better == "higher"
    for metric in rule.metrics:
        row = results.printed(metric)
        cell = {"lead": row.improve > 0, "star": row.starred, "behind": row.improve < 0} if row else {}
        if not cell.get(rule.printed, True):
            continue
        ours, ran = btsr_and_rivals(results, rule.rivals, metric, in_windows=not (rule.seeds_alone or rule.at_most))
        if not ran or not ours.values:
            yield not_run(metric, *([] if ours.values else ["BT-SR"]), *([] if ran else ["every baseline"]))
            continue
        best = best_against(ran, ours, lower=not higher)
        reading = lead(*((ours, best) if is_ahead == higher else (best, ours)), metric)
        rival_leads = reading.lead < 0 if is_ahead else reading.lead > 0
        reading = reading.as_best_of(len(ran) if rival_leads else 1)
        all_ran = len(ran) == len(rule.rivals)
        text = reading.text + (f"; printed {signed(row.improve, 1)} %" if row and rule.rivals == BASELINES else "")
        text += "" if all_ran else f"; {len(ran)} of {len(rule.rivals)} baselines were run"
        p = math.nan if rule.seeds_alone and reading.seeds < MIN_SEEDS else reading.p
        yield replace(reading, text=text, p=p, confirms=all_ran or not is_ahead, contradicts=all_ran or is_ahead)
        if rule.at_most and not is_ahead:
            yield lead(ours, combined(f"{best.title} less {share(rule.at_most)}", [(1 - rule.at_most, best)]), metric)


def loses_less(results: Results, rule: forms.LosesLess) -> list[Reading]:
    """Whether noise costs BT-SR less than the same objective without Barlow Twins: a difference of differences."""
    found = {
        (variant.value, variant.method in BTSR): side(results, rule.experiment, variant.label, rule.metric)
        for variant in variants(results.dataset, rule.experiment)
    }
    changes = []
    for is_btsr in (True, False):
        before, after = found[0.0, is_btsr], found[rule.noise, is_btsr]
        changes.append(combined(f"{after.title} minus {before.title}", [(1.0, after), (-1.0, before)]))
    return [lead(changes[0], changes[1], rule.metric)]


def steadier(results: Results, rule: forms.Steadier) -> list[Reading]:
    """Whether one variant varies less over seeds than another, by a two-sided F test of at least three seeds each."""
    labels = (rule.steady, rule.other)
    two = [side(results, rule.experiment, label, rule.metric) for label in labels]
    if gap := missing(rule.metric, *two):
        return [gap]
    seeds = [np.array(list(one.values.values())) for one in two]
    spreads = [summarise_seeds(values) for values in seeds]
    diverged = [len(runs_of(results, rule.experiment, label).not_done.get("diverged", ())) for label in labels]
    text = f"{rule.metric}: " + ", ".join(
        f"{one.title} {number(s.mean)} ± {number(s.deviation)} ({count(s.n, 'seed')}{f', {n} diverged' if n else ''})"
        for one, s, n in zip(two, spreads, diverged, strict=True)
    )
    fewest, f, p = min(s.n for s in spreads), 1.0, math.nan
    if fewest < MIN_SEEDS:
        text += f"; variances are compared from {MIN_SEEDS} seeds on"
    elif any(s.deviation <= ROUNDING * abs(s.mean) for s in spreads):
        text += "; one side does not vary at all"
    else:
        f, p = variance_ratio_test(*seeds)
        text += f"; F test of variances, F = {f:.2f}, p {p_value(p)}"
    return [Reading(text, math.log(f), p, evidence=seeds_and_users(fewest, two[0].tested))]


def ratio(results: Results, rule: forms.Ratio) -> Iterator[Reading]:
    stage = COST if rule.of_cost else "test"
    for pair in rule.pairs:
        high, low = (side(results, rule.experiment, label, rule.metric, stage) for label in pair)
        if gap := missing(rule.metric, low, high):
            yield gap
            continue
        seeds, none = common_seeds(high, low), "no seed in common"
        means = f"{low.title} {number(low.mean)}, {high.title} {number(high.mean)}; "
        if rule.of_cost:
            means, none = f"{high.title} against {low.title}, ", "no seed on the same hardware"
            runs = [runs_of(results, rule.experiment, label).done for label in pair]
            first, second = ({run.seed: run.hardware for run in each} for each in runs)
            seeds = [seed for seed in seeds if first[int(seed)] == second[int(seed)]]
        factors = [high.values[seed] / low.values[seed] if low.values[seed] else math.inf for seed in seeds]
        shown = ", ".join(f"{factor:.2f}" for factor in factors) or none
        text = f"{rule.metric}: {means}by seed {shown} times ({rule.at_least:g} required)"
        holds, fails = [factor >= rule.at_least for factor in factors], [factor < rule.below for factor in factors]
        yield vote(holds, fails, text, 0 if rule.of_cost else high.tested)


# --- along a sweep --------------------------------------------------------------------------------------------------


def peaks(results: Results, rule: forms.Peaks) -> list[Reading]:
    """Whether the best of the named variants leads the best of the others: in each metric, or jointly.

    Jointly means in the mean over metrics, each taken as a share of its own highest mean.
    """
    sweeps = {metric: sides_of(results, rule.experiment, metric, rule.among) for metric in rule.metrics}
    if not rule.jointly:
        return [_peak(sweep, rule.at, metric) for metric, sweep in sweeps.items()]
    named, found = " and ".join(sweeps), list(sweeps.values())
    highest = [max((one.mean for one in sweep.values() if one.values), default=0.0) for sweep in found]
    if not all(highest):
        return [Reading(f"{rule.experiment}: no run has {named}", ran=False)]
    joint = {
        label: combined(one.title, [(1 / top / len(found), s[label]) for top, s in zip(highest, found, strict=True)])
        for label, one in found[0].items()
    }
    return [_peak(joint, rule.at, f"mean share of the highest {named}")]


def _peak(sweep: Mapping[str, Side], at: Collection[str], metric: str) -> Reading:
    """Test the best of the variants `at` against the best of the others, on the seeds that all variants share.

    The leading variant was picked with hindsight as the best of its group, so p is multiplied by the group's size.
    """
    ran = {label: one for label, one in sweep.items() if one.values}
    shared = common_seeds(*ran.values()) if ran else []
    inside = [on_seeds(shared, one) for label, one in ran.items() if label in at]
    outside = [on_seeds(shared, one) for label, one in ran.items() if label not in at]
    if not inside or not outside:
        return not_run(metric, *(one.title for one in sweep.values() if not one.values))
    if not shared:
        return Reading(f"{metric}: the {len(ran)} values that were run have no seed in common")
    best, rival = (max(group, key=lambda one: one.mean) for group in (inside, outside))
    reading = lead(best, rival, metric)
    reading = reading.as_best_of(len(inside) if reading.lead > 0 else len(outside))
    text = reading.text + ("" if len(ran) == len(sweep) else f"; {len(ran)} of {len(sweep)} values were run")
    all_inside = len(inside) == sum(label in at for label in sweep)
    return replace(reading, text=text, confirms=len(ran) == len(sweep), contradicts=all_inside)


def trend(results: Results, rule: forms.Trend) -> Iterator[Reading]:
    """Kendall's tau of each metric's means over seeds along the sweep; its p is exact if there are no ties."""
    sweep = variants(results.dataset, rule.experiment)
    for metric in rule.metrics:
        found = sides_of(results, rule.experiment, metric)
        points = [(variant.value, found[variant.label]) for variant in sweep if found[variant.label].values]
        if len(points) < 2:
            yield Reading(f"{metric}: {count(len(points), 'value')} of {len(sweep)} run", ran=False)
            continue
        seeds = min(len(one.values) for _, one in points)
        tested = stats.kendalltau([x for x, _ in points], [one.mean for _, one in points])
        tau, p = float(tested.statistic), float(tested.pvalue)
        means = ", ".join(f"{number(one.mean)} at {x:g}" for x, one in points)
        text = f"{metric}: {means} (means of {count(seeds, 'seed')} or more)"
        if math.isnan(tau):
            text += "; all the same"
        else:
            text += f"; Kendall's tau {signed(tau, 2)} over {len(points)} of {len(sweep)} values, p {p_value(p)}"
        if seeds < MIN_VOTES and not math.isnan(tau):
            text, p = f"{text}; one seed is too few to decide", math.nan
        evidence = seeds_and_users(seeds, points[0][1].tested)
        yield Reading(text, tau if rule.rises else -tau, p, evidence=evidence)


def grows(results: Results, rule: forms.Grows) -> list[Reading]:
    first, last = (side(results, rule.experiment, label, rule.metric) for label in (rule.start, rule.end))
    if gap := missing(rule.metric, first, last):
        return [gap]
    text = (
        f"{rule.metric}: {first.title} {number(first.mean)} (below {number(rule.zero)} required), "
        f"{last.title} {number(last.mean)} ({number(rule.at_least)} required)"
    )
    before, after = by_seed(first, last)
    from_zero, far = before < rule.zero, after >= rule.at_least
    return [vote([*(from_zero & far)], [not from_zero.any() or not far.any()], text, first.tested)]


def drops(results: Results, rule: forms.Drops) -> list[Reading]:
    """Whether the metric drops significantly and by an amount within the bounds.

    Contradicted if the 95 % interval of the drop lies outside the bounds. It is also contradicted, without any run, if
    Table 2 prints less than the smallest claimed drop for every method, because no value can drop by more than itself.
    """
    metric, low, high = rule.metric, rule.low, rule.high
    row = results.printed(metric)
    if row and (most := max(row.values.values())) < low:
        text = f"{metric}: Table 2 prints at most {number(most)}, less than {number(low)}"
        return [Reading(text, -1.0, 0.0, evidence=PAPER_ITSELF)]
    starts = [one for one in sides_of(results, rule.experiment, metric, rule.start).values() if one.values]
    last = side(results, rule.experiment, rule.end, metric)
    if not starts or not last.values:
        return [not_run(metric, f"{rule.experiment} {', '.join(rule.start)} or {rule.end}")]
    reading = lead(best_against(starts, last), last, metric)
    least, most = reading.interval
    if math.isnan(least):
        return [replace(reading, text=f"{reading.text}; too few for an interval", p=math.nan)]
    text = f"{reading.text}; 95 % interval {signed(least)} to {signed(most)}, {number(low)} to {number(high)} required"
    verdict = -1.0 if most < low or least > high else float(least > 0 and low <= reading.lead <= high)
    return [replace(reading, text=text, lead=verdict, p=0.0 if verdict else math.nan)]


def hurts(results: Results, rule: forms.Hurts) -> list[Reading]:
    """Whether a variant is worse than the best of the others, picked by validation NDCG@10, so there is one test."""
    zero = side(results, rule.experiment, rule.label, rule.metric)
    others = [variant.label for variant in variants(results.dataset, rule.experiment) if variant.label != rule.label]
    on_validation = {label: side(results, rule.experiment, label, METRIC, "validation") for label in others}
    ran = [label for label, one in on_validation.items() if one.values]
    if not ran or not zero.values:
        return [not_run(rule.metric, zero.title if ran else f"{rule.experiment} above {rule.label}")]
    best = max(ran, key=lambda label: on_validation[label].mean)
    reading = lead(side(results, rule.experiment, best, rule.metric), zero, rule.metric)
    text = f"{reading.text}; chosen on validation among {len(ran)} of {len(others)} values"
    return [replace(reading, text=text, contradicts=len(ran) == len(others))]


RULES: dict[type[forms.Rule], Callable[[Results, Any], Iterable[Reading]]] = {
    forms.Ahead: ahead,
    forms.AgainstBaselines: against_baselines,
    forms.LosesLess: loses_less,
    forms.Steadier: steadier,
    forms.Ratio: ratio,
    forms.Peaks: peaks,
    forms.Trend: trend,
    forms.Grows: grows,
    forms.Drops: drops,
    forms.Hurts: hurts,
}
"""The function that decides each form of claim."""
