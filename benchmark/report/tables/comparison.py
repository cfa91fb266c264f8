"""The numbers of Table 2: means over seeds, who is best, and whether a method beats its rival."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from baselines.registry import METHODS
from benchmark.paper.printed import BASELINES, BTSR, TABLE_2_METRICS, Printed
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, Versus
from benchmark.report.significance import LEVEL, SeedSummary, holm, smallest_detectable_difference, standard_error
from benchmark.report.tables.layout import Place, places
from benchmark.runs.metrics import is_mean_over_users


@dataclass(frozen=True)
class MetricComparison:
    """One metric by method: means over seeds, places among the compared methods, tests against rivals, printed row."""

    metric: str
    summaries: Mapping[str, SeedSummary]
    places: Mapping[str, Place]
    versus: Mapping[str, Versus]
    printed: Printed | None

    def star(self, method: str) -> bool:
        return method in self.versus and self.versus[method].test.star


@dataclass(frozen=True)
class Resolution:
    """How small a difference in one accuracy metric the test users can reveal, with both methods averaged over seeds.

    `error`: the sampling error of the mean of `method` over users. `detectable`: the smallest true difference between
    `method` and `rival` that a paired test over these users finds with 80 % power. `difference`: the one we measured.
    `printed_lead`: BT-SR's lead over the best baseline in the paper. NaN or None where unknown.
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
    """Table 2 in numbers. `users` is about NDCG@10 of BT-SR and its rival, and None if no run has its ranks."""

    results: Results
    metrics: tuple[MetricComparison, ...]
    users: Resolution | None


def main_comparison(results: Results) -> MainComparison:
    """Compare the methods of Table 2: BT-SR with the paper's baselines, own methods with their rivals."""
    placed = (*results.paper_methods, *results.own_methods)
    tested = {method: rivals_of(method, results.ran) for method in (results.btsr, *results.own_methods) if method}
    metrics = tuple(compare_methods(results, metric, results.ran, placed, tested) for metric in TABLE_2_METRICS)
    row = next(row for row in metrics if row.metric == METRIC)
    best = sorted(method for method in results.paper_methods if row.places[method] == "best")
    measured = [name for name, summary in row.summaries.items() if summary.n]
    method = next(filter(None, [results.btsr, *best, *measured]), "")
    rival = row.versus[method].rival.method if method == results.btsr and method in row.versus else None
    return MainComparison(results, metrics, resolution(results, row, method, rival))


def rivals_of(method: str, among: Sequence[str]) -> tuple[str, ...]:
    """Return the methods whose best is a method's rival: the one that its registry entry names, if there is one.

    For BT-SR, and where none is named, these are the paper's baselines. The baselines themselves have no rivals, and
    neither have external recommendations, which are a single run.
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
    """Compare methods in one metric. Only those `placed` can be best; `tested` names the rivals to test against."""
    summaries = {method: results.summary(results.method(method), metric) for method in methods}
    ranked = places({method: summaries[method].mean for method in placed}, metric)
    tests = {
        method: results.against_best(results.method(method), map(results.method, rivals), metric)
        for method, rivals in tested.items()
    }
    versus = {method: test for method, test in tests.items() if test}
    return MetricComparison(metric, summaries, ranked, versus, results.printed(metric))


def resolution(results: Results, row: MetricComparison, method: str, rival: str | None) -> Resolution | None:
    """What the test users can reveal about two methods in one metric; None if no run of `method` has its ranks."""
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
    """Count BT-SR's accuracy cells in these tables: how many are tested, starred, and still starred after Holm."""
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
