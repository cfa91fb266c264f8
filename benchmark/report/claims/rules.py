"""How each form of claim is read off the runs: pure functions of Results, named like the forms in `paper/rules.py`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from benchmark.paper import rules as forms
from benchmark.paper.printed import BASELINES, BTSR, Printed
from benchmark.report.claims.judgement import Judgement, Reading, judge, vote
from benchmark.report.claims.sides import Side, best_against, combined, lead, missing, runs_of, side, title_of, variants
from benchmark.report.claims.sweeps import balance, drops, grows, hurts, peaks, ratio, trend
from benchmark.report.query import Results
from benchmark.report.significance import MIN_SEEDS, summarise_seeds, variance_ratio_test
from benchmark.report.tables.numbers import count, number, p_value, percent

ROUNDING = 1e-12
"""A deviation below this share of its mean is that of equal numbers."""


def ahead(results: Results, rule: forms.Ahead) -> Judgement:
    readings = []
    for first, second in rule.pairs:
        for metric in rule.metrics:
            leader = side(results, rule.experiment, first, metric)
            if rule.margin:
                leader = combined(f"{leader.title} less {rule.margin:.0%}", [(1 - rule.margin, leader)])
            readings.append(lead(leader, side(results, rule.experiment, second, metric), metric))
    return judge(readings)


def against_baselines(results: Results, rule: forms.AgainstBaselines) -> Judgement:
    """Whether BT-SR, on the objective that validation chose, is ahead of the best of its rivals, or behind it.

    The best of k rivals is chosen with hindsight, so where it leads its p counts k times; that BT-SR is ahead is only
    confirmed if all rivals were run.
    """
    metrics = [metric for metric in rule.metrics if _is_printed(results.printed(metric), rule)]
    readings = [reading for metric in metrics for reading in _against_best(results, rule, metric)]
    if rule.seeds_alone:
        readings = [replace(one, p=one.p if one.seeds >= MIN_SEEDS else math.nan) for one in readings]
    return judge(readings)


def _is_printed(row: Printed | None, rule: forms.AgainstBaselines) -> bool:
    if row is None or rule.printed == "all":
        return True
    return {"lead": row.improve > 0, "star": row.starred, "behind": row.improve < 0}[rule.printed]


def _against_best(results: Results, rule: forms.AgainstBaselines, metric: str) -> list[Reading]:
    ran = [one for name in rule.rivals if (one := side(results, "main", name, metric)).values]
    ours = side(results, "main", results.btsr, metric) if results.btsr else Side("BT-SR", {}, lambda _: None)
    if not ran or not ours.values:
        absent = [*(["BT-SR"] if not ours.values else []), *(["every baseline"] if not ran else [])]
        return [Reading(f"{metric}: not run: {', '.join(absent)}", ran=False)]
    is_ahead, higher = rule.place == "ahead", rule.better == "higher"
    best = best_against(ran, ours, lower=not higher)
    reading = lead(*((ours, best) if is_ahead == higher else (best, ours)), metric)
    rival_leads = reading.lead < 0 if is_ahead else reading.lead > 0
    reading = reading.as_best_of(len(ran) if rival_leads else 1)
    printed = results.printed(metric) if rule.rivals == BASELINES else None
    all_ran = len(ran) == len(rule.rivals)
    text = reading.text + (f"; printed {percent(printed.improve)}" if printed else "")
    text += "" if all_ran else f"; {len(ran)} of {len(rule.rivals)} baselines were run"
    if is_ahead:
        return [replace(reading, text=text, confirms=all_ran)]
    bound = combined(f"{best.title} less {rule.at_most:.0%}", [(1 - rule.at_most, best)])
    limits = [lead(ours, bound, metric)] if rule.at_most else []
    return [replace(reading, text=text, contradicts=all_ran), *limits]


def loses_less(results: Results, rule: forms.LosesLess) -> Judgement:
    """Whether noise costs BT-SR less than the same objective without it: a difference of differences."""
    found = {
        (variant.value, variant.method in BTSR): side(results, rule.experiment, variant.label, rule.metric)
        for variant in variants(results.dataset, rule.experiment)
    }
    changes = []
    for is_btsr in (True, False):
        before, after = found[0.0, is_btsr], found[rule.noise, is_btsr]
        changes.append(combined(f"{after.title} minus {before.title}", [(1.0, after), (-1.0, before)]))
    return judge([lead(changes[0], changes[1], rule.metric)])


def steadier(results: Results, rule: forms.Steadier) -> Judgement:
    """Whether one variant deviates less over seeds than another: a two-sided F test, from three seeds on."""
    labels = (rule.steady, rule.other)
    sides = [side(results, rule.experiment, label, rule.metric) for label in labels]
    if gap := missing(rule.metric, *sides):
        return judge([gap])
    seeds = [np.array(list(one.values.values())) for one in sides]
    spreads = [summarise_seeds(values) for values in seeds]
    diverged = [len(runs_of(results, rule.experiment, label).not_done.get("diverged", ())) for label in labels]
    text = f"{rule.metric}: " + ", ".join(
        f"{one.title} {number(s.mean)} ± {number(s.deviation)} ({count(s.n, 'seed')}{f', {n} diverged' if n else ''})"
        for one, s, n in zip(sides, spreads, diverged, strict=True)
    )
    if min(s.n for s in spreads) < MIN_SEEDS:
        return Judgement("inconclusive", (f"{text}; variances are compared from {MIN_SEEDS} seeds on",))
    if any(s.deviation <= ROUNDING * abs(s.mean) for s in spreads):
        return Judgement("inconclusive", (f"{text}; one side does not vary at all",))
    f, p = variance_ratio_test(*seeds)
    return judge([Reading(f"{text}; F test of variances, F = {f:.2f}, p {p_value(p)}", math.log(f), p)])


def slower(results: Results, rule: forms.Slower) -> Judgement:
    found = [_slower(results, rule, first, second) for first, second in rule.pairs]
    verdicts = {judgement.verdict for judgement in found}
    numbers = tuple(text for judgement in found for text in judgement.numbers)
    if "contradicted" in verdicts:
        return Judgement("contradicted", numbers)
    return Judgement(verdicts.pop() if len(verdicts) == 1 else "inconclusive", numbers)


def _slower(results: Results, rule: forms.Slower, first: str, second: str) -> Judgement:
    """Only runs on the same hardware are compared."""
    sides = [runs_of(results, rule.experiment, label) for label in (first, second)]
    titles = " against ".join(map(title_of, sides))
    ours, theirs = ({run.seed: run for run in runs.done if run.timings.get(rule.timing)} for runs in sides)
    if not ours or not theirs:
        return Judgement("not run", (f"{rule.timing}: not run: {titles}",))
    same = [seed for seed in sorted(ours.keys() & theirs.keys()) if ours[seed].hardware == theirs[seed].hardware]
    factors = [ours[seed].timings[rule.timing] / theirs[seed].timings[rule.timing] for seed in same]
    shown = ", ".join(f"{factor:.2f}" for factor in factors) or "no seed on the same hardware"
    text = f"{rule.timing}: {titles}, by seed {shown} times ({rule.at_least:g} required)"
    return vote([factor >= rule.at_least for factor in factors], [factor < 1 for factor in factors], text)


RULES: dict[type[forms.Rule], Callable[[Results, Any], Judgement]] = {
    forms.Ahead: ahead,
    forms.AgainstBaselines: against_baselines,
    forms.LosesLess: loses_less,
    forms.Steadier: steadier,
    forms.Slower: slower,
    forms.Peaks: peaks,
    forms.Balance: balance,
    forms.Trend: trend,
    forms.Ratio: ratio,
    forms.Grows: grows,
    forms.Drops: drops,
    forms.Hurts: hurts,
}
"""How each form of claim is read off the runs."""
