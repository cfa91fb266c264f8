"""Every method of Table 2 beyond its accuracy: by popularity of the items (the numbers behind Figure 1), and by what it
recommends.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.cells import means_table, rows_of_means
from benchmark.report.tables.layout import Cell, Head, Made, Table, for_machines
from benchmark.report.tables.notes import closing_notes, notes
from benchmark.runs.metrics import METRICS, definition, shown_in
from datasets.protocol import N_BUCKETS

ACCURACY = {"hr@1": "hr@1/bucket{}", "hr@10": "hr@10/bucket{}", "ndcg@10": "ndcg@10/bucket{}"}
COVERAGE = {"cov@10 by user": "cov@10/bucket{}/users", "cov@10 by item": "cov@10/bucket{}/items"}
"""What heads three columns, and the metric of a bucket from 1 on."""

COLUMNS = ("metric", "method", "mean", "deviation", "runs")


def bucket_tables(results: Results) -> Made | None:
    """Two tables, methods down and buckets across; None if no run has such a metric."""
    accuracy, coverage = (
        {pattern.format(b): Head(band, f"bucket {b}") for band, pattern in bands.items() for b in _BUCKETS}
        for bands in (ACCURACY, COVERAGE)
    )
    groups = _groups(results, [*accuracy, *coverage])
    if not groups:
        return None
    said = [*notes("buckets", members=_members(results)), *closing_notes(results, groups)]
    reading = notes("buckets", members=None)
    tables = [
        _table(results, groups, "buckets", "Accuracy by popularity of the target", accuracy, said),
        _table(results, groups, "bucket-coverage", "Coverage by popularity", coverage, reading),
    ]
    return tables, for_machines(results, rows_of_means(results, groups, [*accuracy, *coverage], *COLUMNS))


def diversity_table(results: Results) -> Made | None:
    """What every method recommends: coverage, concentration, popularity, novelty; None if no run has the last three."""
    metrics = shown_in("lists")
    groups = _groups(results, [metric for metric in metrics if not (known := definition(metric)) or not known.paper])
    if not groups:
        return None
    heads = {metric: Head(METRICS[metric.partition("@")[0]].title, metric) for metric in metrics}
    said = [*notes("diversity"), *closing_notes(results, groups)]
    table = _table(results, groups, "diversity", "What is recommended", heads, said)
    return [table], for_machines(results, rows_of_means(results, groups, metrics, *COLUMNS))


_BUCKETS = range(1, N_BUCKETS + 1)


def _groups(results: Results, metrics: Sequence[str]) -> list[RunGroup]:
    """The methods that have any of these metrics."""
    every = [results.method(method) for method in (*results.contestants, *results.extras)]
    return [runs for runs in every if any(results.values(runs, metric) for metric in metrics)]


def _table(
    results: Results, groups: list[RunGroup], name: str, what: str, heads: dict[str, Head], said: list[str]
) -> Table:
    """The paper's columns above, the others below."""
    papers = [[runs for runs in groups if (runs.method in results.contestants) is wanted] for wanted in (True, False)]
    more = {Head("runs"): lambda runs: (Cell(str(len(runs.done))), "")}
    return means_table(results, name, f"{what} on {results.heading}.", papers, heads, said, more)


def _members(results: Results) -> list[int]:
    """How many test users have their target in each bucket, from the first run whose arrays are there."""
    for runs in results.experiment("main"):
        for arrays in results.arrays(runs, "ranks", "target_buckets"):
            members = np.bincount(arrays["target_buckets"].astype(np.int64), minlength=N_BUCKETS)
            draws = len(np.atleast_2d(arrays["ranks"]))
            return [int(n) for n in np.rint(members / draws)]  # on average over tie draws
    return []
