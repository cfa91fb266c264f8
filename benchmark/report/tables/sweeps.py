"""What a sweep shows: alpha, lambda, views, noise and weights, one line per variant."""

from __future__ import annotations

from benchmark.plan.experiments import SWEEPS
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.cells import done_of_asked, means_table, rows_of_means, seeds_of
from benchmark.report.tables.layout import Cell, Head, Made, Pair, for_machines
from benchmark.report.tables.notes import notes_on_runs
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

    def change(runs: RunGroup) -> Pair:
        """NDCG@10 in percent of the first variant's, over the seeds that both have."""
        first = sections[runs.method][0]
        if runs is first:
            return Cell(), ""
        test = results.difference(runs, first, METRIC)
        sides = (results.summary(runs, METRIC), results.summary(first, METRIC))
        return Cell(percent(test.improvement)), seeds_of(test.n, *sides)

    table = means_table(
        results,
        name,
        f"Accuracy and coverage on {results.heading} {SWEEPS[name].shown}.",
        list(sections.values()),
        {metric: Head(metric) for metric in METRICS},
        notes_on_runs("sweeps", results, groups, groups=groups, methods=list(sections)),
        [(Head(METRIC, "change"), change), (Head("runs"), done_of_asked)],
    )
    columns = ("experiment", "variant", "method", "metric", "mean", "deviation", "runs", "runs_asked")
    return [table], for_machines(results, rows_of_means(results, groups, METRICS, *columns))
