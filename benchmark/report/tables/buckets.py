"""Every method of Table 2 beyond its accuracy: by popularity of the items, which are the numbers behind Figure 1, and
by what it recommends.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.report.query import Results
from benchmark.report.tables.layout import Head, Table, TablesAndRows, means_table, rows_of_means
from benchmark.report.tables.notes import notes, setting_notes
from benchmark.runs.metrics import METRICS, definition, shown_in
from datasets.protocol import N_BUCKETS

ACCURACY = {"hr@1": "hr@1/bucket{}", "hr@10": "hr@10/bucket{}", "ndcg@10": "ndcg@10/bucket{}"}
COVERAGE = {"cov@10 by user": "cov@10/bucket{}/users", "cov@10 by item": "cov@10/bucket{}/items"}
"""The head of three columns, and the metric of each bucket, which are numbered from 1."""


def bucket_tables(results: Results) -> TablesAndRows | None:
    """Tabulate accuracy and coverage by popularity bucket, one table each; None if no run has such a metric."""
    accuracy, coverage = (
        {
            pattern.format(bucket): Head(band, f"bucket {bucket}")
            for band, pattern in bands.items()
            for bucket in range(1, N_BUCKETS + 1)
        }
        for bands in (ACCURACY, COVERAGE)
    )
    members = notes("buckets", members=_members(results))
    return _by_method(
        results,
        [*accuracy, *coverage],
        ("buckets", "Accuracy by popularity of the target", accuracy, members),
        ("bucket-coverage", "Coverage by popularity", coverage, notes("buckets", members=None)),
    )


def diversity_table(results: Results) -> TablesAndRows | None:
    """Tabulate coverage, concentration, popularity and novelty of the lists; None if only coverage was measured."""
    metrics = shown_in("lists")
    beyond = [metric for metric in metrics if not (known := definition(metric)) or not known.paper]
    heads = {metric: Head(METRICS[metric.partition("@")[0]].title, metric) for metric in metrics}
    return _by_method(results, beyond, ("diversity", "What is recommended", heads, notes("diversity")))


def _by_method(
    results: Results, needed: Sequence[str], *described: tuple[str, str, Mapping[str, Head], list[str]]
) -> TablesAndRows | None:
    """Build a table for each (name, caption, metrics with heads, notes); None if no method has any `needed` metric."""
    every = map(results.method, (*results.paper_methods, *results.other_methods))
    groups = [runs for runs in every if any(results.values(runs, metric) for metric in needed)]
    if not groups:
        return None
    sections = [
        [runs for runs in groups if (runs.method in results.paper_methods) is wanted] for wanted in (True, False)
    ]
    tables = list[Table]()
    for name, what, heads, own_notes in described:
        closing = [] if tables else setting_notes(results, groups)
        caption, count = f"{what} on {results.heading}.", (Head("runs"), lambda runs: str(len(runs.done)))
        tables.append(means_table(results, name, caption, sections, heads, [*own_notes, *closing], [count]))
    metrics = [metric for _, _, heads, _ in described for metric in heads]
    columns = ("metric", "method", "mean", "deviation", "runs")
    return tables, list(rows_of_means(results, groups, metrics, *columns))


def _members(results: Results) -> list[int]:
    """How many test users have their target in each bucket, from the first run with arrays."""
    for runs in results.experiment("main"):
        for arrays in results.arrays(runs, "target_buckets"):
            buckets = arrays["target_buckets"].astype(np.int64)
            members = np.bincount(buckets.ravel(), minlength=N_BUCKETS) * len(buckets) / buckets.size
            return [int(n) for n in np.rint(members)]  # the mean over tie draws
    return []
