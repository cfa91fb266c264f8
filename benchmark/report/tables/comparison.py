"""The numbers of Table 2: means over seeds, who is best, whether a method beats the one that it is compared with."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from baselines.registry import METHODS
from benchmark.paper.printed import BASELINES, BTSR, TABLE_2_METRICS, Printed
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results
from benchmark.report.significance import (
    LEVEL,
    PairedTest,
    SeedSummary,
    holm,
    smallest_detectable_difference,
    standard_error,
)
from benchmark.report.tables.cells import places
from benchmark.report.tables.layout import Place
from benchmark.runs.metrics import is_mean_over_users


class Versus(NamedTuple):
    """A method's rival, and the test of the two."""

    rival: str
    test: PairedTest


@dataclass(frozen=True)
class MetricComparison:
    """One metric: each method over its seeds, the place of those that take part, those that are tested against their
    rivals, and the printed row.
    """

    metric: str
    summaries: Mapping[str, SeedSummary]
    places: Mapping[str, Place]
    versus: Mapping[str, Versus]
    printed: Printed | None

    def star(self, method: str) -> bool:
        return method in self.versus and self.versus[method].test.star


@dataclass(frozen=True)
class Resolution:
    """What the test users can tell of one accuracy metric, averaged over seeds.

    `error`: the sampling error of `method`'s mean over users. `detectable`: the smallest true difference between
    `method` and `rival` that a paired test over these users finds with 80 % power. `difference`: ours between the two.
    `printed_lead`: BT-SR's over the paper's best baseline, as printed. NaN or None where unknown.
    """

    metric: str
    method: str
    error: float
    rival: str | None
    detectable: float
    difference: float
    printed_lead: float


@dataclass(frozen=True)
class MainComparison:
    """Table 2 in numbers; `users` is about NDCG@10 of BT-SR and its rival, None if no run has its ranks."""

    results: Results
    metrics: tuple[MetricComparison, ...]
    users: Resolution | None


def main_comparison(results: Results) -> MainComparison:
    """BT-SR is tested against the paper's baselines, one's own methods against their rivals."""
    placed = (*results.contestants, *results.challengers)
    tested = {method: rivals_of(method, results.ran) for method in (results.btsr, *results.challengers) if method}
    metrics = tuple(compare_methods(results, metric, results.ran, placed, tested) for metric in TABLE_2_METRICS)
    row = next(row for row in metrics if row.metric == METRIC)
    best = sorted(method for method in results.contestants if row.places[method] == "best")
    measured = [name for name, summary in row.summaries.items() if summary.n]
    method = next(filter(None, [results.btsr, *best, *measured]), "")
    rival = row.versus[method].rival if method == results.btsr and method in row.versus else None
    return MainComparison(results, metrics, resolution(results, row, method, rival))


def rivals_of(method: str, among: Sequence[str]) -> tuple[str, ...]:
    """The methods among which the rival of one is sought: its entry's rival; for BT-SR, or without one, the paper's
    baselines.

    None for these baselines themselves and for recommendations made elsewhere, which have one run.
    """
    if method in BASELINES or method not in METHODS:
        return ()
    entry = METHODS[method]
    named = entry.rival or entry.plain
    if named and named in among and method not in BTSR:
        return (named,)
    return tuple(name for name in among if name in BASELINES)


def compare_methods(
    results: Results, metric: str, methods: Sequence[str], placed: Sequence[str], tested: Mapping[str, Sequence[str]]
) -> MetricComparison:
    """One metric of these methods; `placed`: those of which one is the best; `tested`: the possible rivals of each, of
    which it is compared with the best.
    """
    summaries = {method: results.summary(results.method(method), metric) for method in methods}
    ranked = places({method: summaries[method].mean for method in placed}, metric)
    versus = {}
    for method, rivals in tested.items():
        if best := results.against_best(results.method(method), map(results.method, rivals), metric):
            versus[method] = Versus(best[0].method, best[1])
    return MetricComparison(metric, summaries, ranked, versus, results.printed(metric))


def resolution(results: Results, row: MetricComparison, method: str, rival: str | None) -> Resolution | None:
    """What the users can tell of one metric and two methods; None if no run of the first method has its ranks."""
    runs = results.method(method)
    gains = results.users(runs, row.metric)
    if gains is None:
        return None
    detectable = difference = math.nan
    if rival:
        differences = results.user_differences(runs, results.method(rival), row.metric)
        detectable = math.nan if differences is None else smallest_detectable_difference(differences)
        difference = results.difference(runs, results.method(rival), row.metric).difference
    lead = row.printed.btsr - row.printed.best if row.printed else math.nan
    return Resolution(row.metric, method, standard_error(gains), rival, detectable, difference, lead)


def starred_after_holm(comparisons: Sequence[MainComparison]) -> tuple[int, int, int]:
    """How many accuracy cells of BT-SR in these tables are tested, starred, and starred still after Holm."""
    versus = [
        row.versus.get(str(comparison.results.btsr))
        for comparison in comparisons
        for row in comparison.metrics
        if is_mean_over_users(row.metric)
    ]
    tests = [each.test for each in versus if each and not math.isnan(each.test.p)]
    adjusted = holm(np.array([test.p for test in tests]))
    kept = sum(test.star and bool(p < LEVEL) for test, p in zip(tests, adjusted, strict=True))
    return len(tests), sum(test.star for test in tests), kept
