"""What a sweep shows: alpha, lambda, views, noise and weights, one line per variant."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmark.plan.selection import METRIC
from benchmark.report.methods import title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import improvement
from benchmark.report.tables.cells import Pair, columns_of_means, described, done_of_asked, seeds_of, stack
from benchmark.report.tables.layout import Cell, Head, Made, Stack, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, status_notes
from benchmark.report.tables.numbers import percent
from benchmark.runs.metrics import shown_in

METRICS = shown_in("sweeps")

SWEEPS = {
    "alpha": "with other values of alpha, the weight of Barlow Twins",
    "lambda": "with other values of lambda, the weight of the off-diagonal terms",
    "views": "with other second views, and with a projector instead of L2 normalisation",
    "noise": "with random items in place of a share of the training inputs",
    "weights": "with other weights of what is added to the next-item loss, as shares of the usual ones",
}
"""The experiments shown this way, and what varies in them."""


def sweep_table(name: str, results: Results) -> Made | None:
    """The table of one of SWEEPS; None if no run beyond those of Table 2 is done."""
    groups = results.own(name)
    if not groups:
        return None
    methods = dict.fromkeys(runs.method for runs in groups)
    sections = [[runs for runs in groups if runs.method == method] for method in methods]
    means = columns_of_means(results, groups, METRICS)

    def line(runs: RunGroup, first: RunGroup) -> Stack:
        pairs = [*means[runs.label], _change(results, runs, first), (done_of_asked(runs), "")]
        return stack(runs.title, pairs, runs=runs)

    table = table_of(
        results,
        name,
        f"Accuracy and coverage on {results.heading} {SWEEPS[name]}.",
        [*map(Head, METRICS), Head(METRIC, "change"), Head("runs")],
        [[line(runs, section[0]) for runs in section] for section in sections],
        [*_notes(groups, methods), *closing_notes(results, groups)],
    )
    records = [
        {
            "experiment": name,
            "variant": runs.label,
            "method": runs.method,
            "metric": metric,
            **described(results.summary(runs, metric)),
            "runs_asked": runs.asked,
        }
        for runs in groups
        for metric in METRICS
    ]
    return [table], for_machines(results, records)


def _change(results: Results, runs: RunGroup, first: RunGroup) -> Pair:
    """NDCG@10 in percent of the first variant's, over the seeds that both have."""
    if runs is first:
        return Cell(), ""
    seeds, ours, theirs = results.paired(runs, first, METRIC)
    change = improvement(float(ours.mean()), float(theirs.mean())) if seeds else math.nan
    sides = (results.summary(runs, METRIC), results.summary(first, METRIC))
    return Cell(percent(change)), seeds_of(len(seeds), *sides)


def _notes(groups: Sequence[RunGroup], methods: Iterable[str]) -> Iterable[str]:
    yield (
        f"Runs of {', '.join(map(title_of, methods))}. Means over seeds, ± sample standard deviation; the best of a "
        "column is bold. The change is that of mean NDCG@10 relative to the first line of the section, over the seeds "
        "that both have, without a test."
    )
    for runs in groups:
        if others := {record.method for record in runs.done} - {runs.method}:
            names = ", ".join(map(title_of, sorted(others)))
            yield f"{runs.style.title} at {runs.title} is {names}; the runs shown are those of {names}."
    yield from status_notes({runs.title: runs for runs in groups})
