"""What a sweep shows: alpha, lambda, views, noise and weights, one line per variant."""

from __future__ import annotations

import math

from benchmark.plan.experiments import SWEEPS
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import improvement
from benchmark.report.tables.cells import Pair, done_of_asked, means_table, rows_of_means, seeds_of
from benchmark.report.tables.layout import Cell, Head, Made, for_machines
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import percent
from benchmark.runs.metrics import shown_in

METRICS = shown_in("sweeps")


def sweep_table(name: str, results: Results) -> Made | None:
    """The table of one of SWEEPS; None if no run beyond those of Table 2 is done."""
    groups = results.own(name)
    if not groups:
        return None
    sections: dict[str, list[RunGroup]] = {}
    for runs in groups:
        sections.setdefault(runs.method, []).append(runs)
    said = [
        *notes("sweeps", groups=groups, methods=list(sections)),
        *status_notes({runs.title: runs for runs in groups}),
        *closing_notes(results, groups),
    ]
    table = means_table(
        results,
        name,
        f"Accuracy and coverage on {results.heading} {SWEEPS[name].shown}.",
        list(sections.values()),
        {metric: Head(metric) for metric in METRICS},
        said,
        {
            Head(METRIC, "change"): lambda runs: _change(results, runs, sections[runs.method][0]),
            Head("runs"): lambda runs: (done_of_asked(runs), ""),
        },
    )
    columns = ("experiment", "variant", "method", "metric", "mean", "deviation", "runs", "runs_asked")
    return [table], for_machines(results, rows_of_means(results, groups, METRICS, *columns))


def _change(results: Results, runs: RunGroup, first: RunGroup) -> Pair:
    """NDCG@10 in percent of the first variant's, over the seeds that both have."""
    if runs is first:
        return Cell(), ""
    seeds, ours, theirs = results.paired(runs, first, METRIC)
    change = improvement(float(ours.mean()), float(theirs.mean())) if seeds else math.nan
    sides = (results.summary(runs, METRIC), results.summary(first, METRIC))
    return Cell(percent(change)), seeds_of(len(seeds), *sides)
