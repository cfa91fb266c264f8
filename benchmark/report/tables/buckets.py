"""Accuracy and coverage by item popularity, for every method of Table 2: the numbers behind Figure 1."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from benchmark.report.comparison import MainComparison
from benchmark.report.material import Material
from benchmark.report.rows import RunSet
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.report.tables.layout import Cell, Group, Head, Line, Table
from benchmark.report.tables.parts import (
    best_mean,
    caption,
    closing_notes,
    corner,
    deviation_cell,
    group,
    identity,
    is_best,
    mean_cell,
    table_name,
)
from benchmark.runs.metrics import BUCKETS

ACCURACY = {"hr@1": "hr@1/bucket{}", "hr@10": "hr@10/bucket{}", "ndcg@10": "ndcg@10/bucket{}"}
COVERAGE = {"cov@10 by user": "cov@10/bucket{}/users", "cov@10 by item": "cov@10/bucket{}/items"}
"""What heads three columns, and the metric of a bucket from 1 on."""

Summaries = Mapping[tuple[str, str], SeedSummary]
"""By method and metric."""


def bucket_tables(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """Two tables, methods down and buckets across; None if no run has such a metric."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs, metrics = comparison.runs, _metrics(ACCURACY | COVERAGE)
    every = (*comparison.contestants, *comparison.extras)
    summaries = {(method, metric): _summary(runs, method, metric) for method in every for metric in metrics}
    shown = [method for method in every if any(summaries[method, metric].n for metric in metrics)]
    if not shown:
        return None
    reading = "Mean over seeds, ± sample standard deviation; bold: best of a column. Bucket 1 holds the most popular"
    reading += " items, and each bucket about a third of the training interactions."
    records = [record for method in shown for record in runs.done(method)]
    accuracy = [f"{reading} {_accuracy_note(material)}", *closing_notes(runs, records)]
    coverage = [
        f"{reading} By user (the paper's released code): items of any bucket shown to the users whose target lies in "
        "the bucket; by item: items of the bucket shown to anyone; both over the whole catalogue."
    ]
    tables = [
        _table(comparison, shown, summaries, "buckets", ACCURACY, accuracy),
        _table(comparison, shown, summaries, "bucket-coverage", COVERAGE, coverage),
    ]
    return tables, pd.DataFrame(
        [
            identity(runs) | {"metric": metric, "method": method, "mean": s.mean, "deviation": s.deviation, "runs": s.n}
            for (method, metric), s in summaries.items()
            if method in shown
        ]
    )


def _metrics(bands: Mapping[str, str]) -> list[str]:
    return [pattern.format(bucket) for pattern in bands.values() for bucket in range(1, BUCKETS + 1)]


def _summary(runs: RunSet, method: str, metric: str) -> SeedSummary:
    found = [record.metrics["test"].get(metric, np.nan) for record in runs.done(method)]
    return summarise_seeds(np.array(found, dtype=float))


def _table(
    comparison: MainComparison,
    methods: Sequence[str],
    summaries: Summaries,
    name: str,
    bands: Mapping[str, str],
    notes: Sequence[str],
) -> Table:
    runs, metrics = comparison.runs, _metrics(bands)
    best = [best_mean([summaries[method, metric] for method in methods]) for metric in metrics]

    def lines(method: str) -> Group:
        mine = [summaries[method, metric] for metric in metrics]
        cells = [mean_cell(summary, is_best(summary, top)) for summary, top in zip(mine, best, strict=True)]
        return group(
            Line(runs.look(method).title, (*cells, Cell(str(len(runs.done(method)))))),
            Line("", (*map(deviation_cell, mine), Cell()), "below"),
        )

    paper = tuple(lines(method) for method in methods if method in comparison.contestants)
    beside = tuple(lines(method) for method in methods if method not in comparison.contestants)
    what = "Accuracy by popularity of the target" if bands is ACCURACY else "Coverage by popularity"
    return Table(
        name=table_name(runs, name),
        caption=caption(runs, f"{what} on {runs.heading}."),
        bands=(),
        heads=(
            corner(runs),
            *(Head(band, f"bucket {b}") for band in bands for b in range(1, BUCKETS + 1)),
            Head("runs"),
        ),
        sections=tuple(section for section in (paper, beside) if section),
        notes=tuple(notes),
    )


def _accuracy_note(material: Material) -> str:
    """What a bucket's accuracy is over, and over how many users where a run's arrays are there."""
    text = "A bucket's accuracy is over the test users whose target lies in it"
    for record in material.runs.records:
        arrays = material.load(record) if record.done else None
        if arrays is not None and "target_buckets" in arrays:
            members = np.bincount(arrays["target_buckets"].astype(np.int64), minlength=BUCKETS)
            return f"{text}: {', '.join(str(n) for n in members[:-1])} and {members[-1]} of {members.sum()} users."
    return f"{text}."
