"""The rules by which a claim is read off the runs: pure functions of a Material, one per form of statement.

A side is written `EXPERIMENT:LABEL`, such as `main:sasrec-ce` or `alpha:0.1`.
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from scipy import stats

from benchmark.paper.printed import BASELINES, table2_row
from benchmark.plan.config import ConfigError, suggestion
from benchmark.report.claims.evidence import (
    Judgement,
    Reading,
    Series,
    combined,
    count,
    judge,
    lead,
    not_run,
    series,
    side_records,
    side_title,
    side_variant,
    vote,
)
from benchmark.report.claims.sweeps import balance, drops, grows, hurts, peaks, ratio, trend
from benchmark.report.material import Material
from benchmark.report.significance import MIN_SEEDS, summarise_seeds
from benchmark.report.tables.notes import p_value
from benchmark.report.tables.parts import number, percent

ROUNDING = 1e-12
"""A deviation below this share of its mean is that of equal numbers."""

# --- who is ahead ---------------------------------------------------------------------------------------------------


def ahead(material: Material, pairs: list[list[str]], metrics: list[str], margin: float = 0.0) -> Judgement:
    """The first side of each pair leads the second in every metric, by more than `margin`, a share of the first."""
    readings = []
    for first, second in pairs:
        for metric in metrics:
            leader = series(material, first, metric)
            if margin:
                leader = combined(f"{leader.title} less {margin:.0%}", [(1 - margin, leader)])
            readings.append(lead(leader, series(material, second, metric), metric))
    return judge(readings)


def against_baselines(
    material: Material,
    metrics: list[str],
    place: str = "ahead",
    better: str = "higher",
    rivals: list[str] | None = None,
    printed: str = "all",
    at_most: float = 0.0,
    seeds_alone: bool = False,
) -> Judgement:
    """BT-SR is `ahead` of the best of its rivals, or `behind` it by no more than `at_most`, a share of that one.

    `better`: which values are. `printed`: only the metrics where Table 2 prints a `lead`, a `star` or BT-SR `behind`.
    `seeds_alone`: users never decide in the place of seeds.
    The best of k rivals is chosen with hindsight, so where it leads its p counts k times; that BT-SR
    is ahead is only confirmed if all rivals were run.
    """
    names = list(BASELINES) if rivals is None else rivals
    readings = []
    for metric in metrics:
        if not material.runs.synthetic and not _is_printed(material.runs.title, metric, printed):
            continue
        readings += _against_best(material, metric, place == "ahead", better == "higher", names, at_most)
    if seeds_alone:
        readings = [replace(one, p=one.p if one.seeds >= MIN_SEEDS else math.nan) for one in readings]
    return judge(readings)


def _is_printed(title: str, metric: str, printed: str) -> bool:
    row = table2_row(title, metric)
    if row is None or printed == "all":
        return True
    return {"lead": row.improve > 0, "star": row.starred, "behind": row.improve < 0}[printed]


def _against_best(
    material: Material, metric: str, is_ahead: bool, higher: bool, names: Sequence[str], at_most: float
) -> list[Reading]:
    found = [series(material, f"main:{name}", metric) for name in names]
    ran = [side for side in found if side.values]
    btsr = material.comparison.btsr if material.comparison else None
    ours = series(material, f"main:{btsr}", metric) if btsr else Series("BT-SR", {}, lambda _: None)
    if not ran or not ours.values:
        missing = [*(["BT-SR"] if not ours.values else []), *(["every baseline"] if not ran else [])]
        return [Reading(f"{metric}: not run: {', '.join(missing)}", ran=False)]
    best = (max if higher else min)(ran, key=lambda side: side.mean)
    all_ran = len(ran) == len(names)
    reading = lead(*((ours, best) if is_ahead == higher else (best, ours)), metric)
    rival_leads = reading.lead < 0 if is_ahead else reading.lead > 0
    p = min(1.0, reading.p * len(ran)) if rival_leads and not math.isnan(reading.p) else reading.p
    text = reading.text
    if p != reading.p and not math.isnan(p):
        text += f" (times {len(ran)}, as the best of as many: {p_value(p)})"
    row = None if material.runs.synthetic or names != list(BASELINES) else table2_row(material.runs.title, metric)
    text += f"; printed {percent(row.improve)}" if row else ""
    text += "" if all_ran else f"; {len(ran)} of {len(names)} baselines were run"
    if is_ahead:
        return [replace(reading, text=text, p=p, confirms=all_ran)]
    bound = combined(f"{best.title} less {at_most:.0%}", [(1 - at_most, best)])
    limits = [lead(ours, bound, metric)] if at_most else []
    return [replace(reading, text=text, p=p, contradicts=all_ran), *limits]


# --- differences, deviations, seconds ------------------------------------------------------------------------------


def loses_less(material: Material, robust: list[str], other: list[str], metric: str) -> Judgement:
    """From the first to the second side, `robust` loses less than `other`: a difference of differences."""
    sides = [[series(material, side, metric) for side in pair] for pair in (robust, other)]
    losses = [
        combined(f"{after.title} minus {before.title}", [(1.0, after), (-1.0, before)]) for before, after in sides
    ]
    return judge([lead(losses[0], losses[1], metric)])


def steadier(material: Material, steady: str, other: str, metric: str) -> Judgement:
    """The first side deviates less over seeds than the second: a two-sided F test of variances, from three seeds on."""
    sides = [series(material, side, metric) for side in (steady, other)]
    if not all(side.values for side in sides):
        return not_run(metric, *sides)
    spreads = [summarise_seeds(np.array(list(side.values.values()))) for side in sides]
    text = f"{metric}: " + ", ".join(
        f"{side.title} {number(s.mean)} ± {number(s.deviation)} ({count(s.n, 'seed')}{_diverged(material, name)})"
        for side, s, name in zip(sides, spreads, (steady, other), strict=True)
    )
    if min(s.n for s in spreads) < MIN_SEEDS:
        return Judgement("inconclusive", (f"{text}; variances are compared from {MIN_SEEDS} seeds on",))
    if any(s.deviation <= ROUNDING * abs(s.mean) for s in spreads):
        return Judgement("inconclusive", (f"{text}; one side does not vary at all",))
    f = (spreads[1].deviation / spreads[0].deviation) ** 2
    tail = stats.f(spreads[1].n - 1, spreads[0].n - 1)
    p = min(1.0, 2 * float(min(tail.sf(f), tail.cdf(f))))
    return judge([Reading(f"{text}; F test of variances, F = {f:.2f}, p {p_value(p)}", math.log(f), p)])


def _diverged(material: Material, side: str) -> str:
    variant = side_variant(material, side)
    number_of = len(variant.not_done.get("diverged", ())) if variant else 0
    return f", {number_of} diverged" if number_of else ""


def slower(material: Material, pairs: list[list[str]], timing: str, at_least: float) -> Judgement:
    """The first side of each pair takes `at_least` so many times as long as the second, on every seed.

    Contradicted if it is faster on every seed of any pair. Only runs on the same hardware are compared.
    """
    found = [_slower(material, first, second, timing, at_least) for first, second in pairs]
    verdicts = [judgement.verdict for judgement in found]
    numbers = tuple(text for judgement in found for text in judgement.numbers)
    if "contradicted" in verdicts:
        return Judgement("contradicted", numbers)
    return Judgement(verdicts[0] if len(set(verdicts)) == 1 else "inconclusive", numbers)


def _slower(material: Material, first: str, second: str, timing: str, at_least: float) -> Judgement:
    titles = f"{side_title(first)} against {side_title(second)}"
    runs = [
        {record.seed: record for record in side_records(material, side) if record.timings.get(timing)}
        for side in (first, second)
    ]
    if not all(runs):
        return Judgement("not run", (f"{timing}: not run: {titles}",))
    same = [
        seed for seed in sorted(runs[0].keys() & runs[1].keys()) if runs[0][seed].hardware == runs[1][seed].hardware
    ]
    factors = [runs[0][seed].timings[timing] / runs[1][seed].timings[timing] for seed in same]
    shown = ", ".join(f"{factor:.2f}" for factor in factors) or "no seed on the same hardware"
    text = f"{timing}: {titles}, by seed {shown} times ({at_least:g} asked for)"
    return vote([factor >= at_least for factor in factors], [factor < 1 for factor in factors], text)


Rule = Callable[..., Judgement]

_ON_SWEEPS = (peaks, balance, trend, ratio, grows, drops, hurts)
_OTHERS = (ahead, against_baselines, loses_less, steadier, slower)
RULES: dict[str, Rule] = {rule.__name__: rule for rule in (*_OTHERS, *_ON_SWEEPS)}
"""Every rule by the name that claims.toml calls it by."""


def apply(rule: str, material: Material, parameters: Mapping[str, Any], where: str) -> Judgement:
    """A rule by its name; ConfigError naming `where` if there is no such rule or its parameters do not fit."""
    check_rule(rule, parameters, where)
    return RULES[rule](material, **parameters)


def check_rule(rule: str, parameters: Mapping[str, Any], where: str) -> None:
    """ConfigError unless the rule exists and takes exactly these parameters."""
    if rule not in RULES:
        raise ConfigError(f"{where}: unknown rule '{rule}'{suggestion(rule, RULES)}")
    known = dict(list(inspect.signature(RULES[rule]).parameters.items())[1:])
    for name in parameters:
        if name not in known:
            raise ConfigError(f"{where}: rule '{rule}' has no parameter '{name}'{suggestion(name, known)}")
    for name, parameter in known.items():
        if parameter.default is inspect.Parameter.empty and name not in parameters:
            raise ConfigError(f"{where}: rule '{rule}' needs the parameter '{name}'")
