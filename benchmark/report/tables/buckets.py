"""Accuracy and coverage by item popularity, for every method of Table 2: the numbers behind Figure 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.cells import columns_of_means, described, stack
from benchmark.report.tables.layout import Cell, Head, Made, Stack, Table, for_machines, table_of
from benchmark.report.tables.notes import closing_notes
from datasets.protocol import N_BUCKETS

ACCURACY = {"hr@1": "hr@1/bucket{}", "hr@10": "hr@10/bucket{}", "ndcg@10": "ndcg@10/bucket{}"}
COVERAGE = {"cov@10 by user": "cov@10/bucket{}/users", "cov@10 by item": "cov@10/bucket{}/items"}
"""What heads three columns, and the metric of a bucket from 1 on."""


def bucket_tables(results: Results) -> Made | None:
    """Two tables, methods down and buckets across; None if no run has such a metric."""
    metrics = _metrics(ACCURACY | COVERAGE)
    every = [results.method(method) for method in (*results.contestants, *results.extras)]
    groups = [runs for runs in every if any(results.values(runs, metric) for metric in metrics)]
    if not groups:
        return None
    reading = "Means over seeds, ± sample standard deviation; the best of a column is bold. Bucket 1 holds the most"
    reading += " popular items, and each bucket about a third of the training interactions."
    accuracy = [f"{reading} {_accuracy_note(results)}", *closing_notes(results, groups)]
    coverage = [
        f"{reading} Coverage by user, as in the paper's released code, counts the items of any bucket that are shown "
        "to the users whose target lies in the bucket; coverage by item counts the items of the bucket that are shown "
        "to any user. Both are shares of the whole catalogue."
    ]
    tables = [
        _table(results, groups, "buckets", "Accuracy by popularity of the target", ACCURACY, accuracy),
        _table(results, groups, "bucket-coverage", "Coverage by popularity", COVERAGE, coverage),
    ]
    records = [
        {"metric": metric, "method": runs.method, **described(results.summary(runs, metric))}
        for runs in groups
        for metric in metrics
    ]
    return tables, for_machines(results, records)


def _metrics(bands: Mapping[str, str]) -> list[str]:
    return [pattern.format(bucket) for pattern in bands.values() for bucket in range(1, N_BUCKETS + 1)]


def _table(
    results: Results, groups: Sequence[RunGroup], name: str, what: str, bands: Mapping[str, str], notes: Sequence[str]
) -> Table:
    means = columns_of_means(results, groups, _metrics(bands))

    def lines(papers: bool) -> list[Stack]:
        return [
            stack(runs.title, [*means[runs.label], (Cell(str(len(runs.done))), "")], runs=runs)
            for runs in groups
            if (runs.method in results.contestants) is papers
        ]

    heads = [*(Head(band, f"bucket {b}") for band in bands for b in range(1, N_BUCKETS + 1)), Head("runs")]
    return table_of(results, name, f"{what} on {results.heading}.", heads, (lines(True), lines(False)), notes)


def _accuracy_note(results: Results) -> str:
    """What a bucket's accuracy is over, and over how many users where a run's arrays are there."""
    text = "A bucket's accuracy is over the test users whose target lies in it"
    for runs in results.experiment("main"):
        for arrays in results.arrays(runs, "ranks", "target_buckets"):
            members = np.bincount(arrays["target_buckets"].astype(np.int64), minlength=N_BUCKETS)
            members = np.rint(members / len(np.atleast_2d(arrays["ranks"]))).astype(int)  # on average over tie draws
            return f"{text}: {', '.join(str(n) for n in members[:-1])} and {members[-1]} of {members.sum()} users."
    return f"{text}."
