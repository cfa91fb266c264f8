"""What an experiment over a setting shows: alpha, lambda, views, noise or weights, one line per variant."""

from __future__ import annotations

from benchmark.plan.experiments import SWEEPS
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.layout import (
    Cell,
    Head,
    TablesAndRows,
    means_table,
    rows_of_means,
    shared_seeds,
)
from benchmark.report.tables.notes import by_title, notes_on_runs
from benchmark.report.tables.numbers import percent
from benchmark.runs.metrics import shown_in

METRICS = shown_in("sweeps")


def sweep_table(name: str, results: Results) -> TablesAndRows | None:
    """Tabulate one of SWEEPS, a section per method; None if no run has finished beyond those of Table 2."""
    groups = results.experiment_beyond_main(name)
    if not groups:
        return None
    sections: dict[str, list[RunGroup]] = {}
    for runs in groups:
        sections.setdefault(runs.method, []).append(runs)

    def change(runs: RunGroup) -> Cell:
        """The change of NDCG@10 from the method's first variant, over the seeds that both have."""
        first = sections[runs.method][0]
        if runs is first:
            return Cell()
        test = results.difference(runs, first, METRIC)
        seeds = shared_seeds(test.n, results.summary(runs, METRIC), results.summary(first, METRIC))
        return Cell(percent(test.improvement), below=seeds)

    table = means_table(
        results,
        name,
        f"Accuracy and coverage on {results.heading} {SWEEPS[name].shown}.",
        list(sections.values()),
        {metric: Head(metric) for metric in METRICS},
        notes_on_runs("sweeps", results, by_title(groups), groups=groups, methods=list(sections)),
        [(Head(METRIC, "change"), change), (Head("runs"), lambda runs: runs.done_of_planned)],
    )
    columns = ("experiment", "variant", "method", "metric", "mean", "deviation", "runs", "runs_asked")
    return [table], list(rows_of_means(results, groups, METRICS, *columns))
