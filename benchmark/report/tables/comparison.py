"""The numbers of Table 2: means over seeds, who is best, whether BT-SR beats the best baseline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from benchmark.paper.printed import TABLE_2_METRICS, Printed
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results
from benchmark.report.significance import (
    LEVEL,
    Comparison,
    SeedSummary,
    compare,
    holm,
    smallest_detectable_difference,
    standard_error,
)
from benchmark.report.tables.cells import places
from benchmark.report.tables.layout import Place
from benchmark.runs.metrics import is_mean_over_users


@dataclass(frozen=True)
class MetricComparison:
    """One metric: each method over its seeds and its place among the paper's columns, BT-SR `versus` the best baseline,
    `rival`, and the printed row.
    """

    metric: str
    summaries: Mapping[str, SeedSummary]
    places: Mapping[str, Place]
    rival: str | None
    versus: Comparison | None
    printed: Printed | None

    @property
    def star(self) -> bool:
        return self.versus is not None and self.versus.test.star


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
    metrics = tuple(_compare(results, metric) for metric in TABLE_2_METRICS)
    row = next(row for row in metrics if row.metric == METRIC)
    best = sorted(method for method, place in row.places.items() if place == "best")
    measured = [name for name, summary in row.summaries.items() if summary.n]
    method = next(filter(None, [results.btsr, *best, *measured]), "")
    return MainComparison(results, metrics, resolution(results, row, method, row.rival))


def resolution(results: Results, row: MetricComparison, method: str, rival: str | None) -> Resolution | None:
    """Of one metric and two methods; None if no run of the first has its ranks."""
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
    """How many accuracy cells of these tables are tested, starred, and starred still after Holm."""
    rows = [row for comparison in comparisons for row in comparison.metrics if is_mean_over_users(row.metric)]
    tests = [row.versus.test for row in rows if row.versus and not math.isnan(row.versus.test.p)]
    adjusted = holm(np.array([test.p for test in tests]))
    kept = sum(test.star and bool(p < LEVEL) for test, p in zip(tests, adjusted, strict=True))
    return len(tests), sum(test.star for test in tests), kept


def _compare(results: Results, metric: str) -> MetricComparison:
    summaries = {method: results.summary(results.method(method), metric) for method in results.ran}
    ranked = places({method: summaries[method] for method in results.contestants})
    rival = versus = None
    if results.btsr:
        ours = results.values(results.method(results.btsr), metric)
        theirs = [results.values(results.method(method), metric) for method in results.baselines]
        if any(ours.keys() & by_seed.keys() for by_seed in theirs):
            matrix = [[by_seed.get(seed, math.nan) for by_seed in theirs] for seed in ours]
            versus = compare(np.array(list(ours.values())), np.array(matrix))
            rival = results.baselines[versus.best]
    return MetricComparison(metric, summaries, ranked, rival, versus, results.printed(metric))
