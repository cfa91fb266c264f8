"""Our baselines under the protocol and the settings of others, beside the numbers that these print for them."""

from __future__ import annotations

from typing import Any

from benchmark.paper.printed import PublishedRun, published_runs
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, Stack, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import DASH, number

MARGINS = (5, 10)
"""Percent of the published value, the narrowest first: the margins that our value is shown to be within."""


def home_table(results: Results) -> Made | None:
    """A section per configuration, metrics down; None without a finished run of the experiment."""
    groups = results.experiment("home")
    if not any(runs.done for runs in groups):
        return None
    published = {run.label: run for run in published_runs(results.dataset)}
    rows = [_row(results, runs, published[runs.label], m) for runs in groups for m in published[runs.label].values]
    lines = [[_line(runs, row) for row in rows if row["variant"] == runs.label] for runs in groups]
    table = table_of(
        results,
        "home",
        f"Baselines on {results.heading} as configured where their numbers were published.",
        [Head("ours"), Head("published"), Head("ratio"), Head("within")],
        lines,
        [
            *notes("home", published={runs.title: published[runs.label] for runs in groups}),
            *closing_notes(results, groups),
            *status_notes({runs.title: runs for runs in groups}),
        ],
    )
    return [table], for_machines(results, rows)


def _row(results: Results, runs: RunGroup, published: PublishedRun, metric: str) -> dict[str, Any]:
    """One metric of one configuration: ours over the seeds, and as published.

    `within_percent`: the narrowest of MARGINS that ours is within; None if it is within none.
    """
    ours, value = results.summary(runs, metric), published.values[metric]
    percent = round(100 * abs(ours.mean / value - 1), 6)  # 0.95 of a value is within 5 %, whatever its last bit
    return {
        "variant": runs.label,
        "method": runs.method,
        "metric": metric,
        "mean": ours.mean,
        "runs": ours.n,
        "published": value,
        "ratio": ours.mean / value,
        "within_percent": next((margin for margin in MARGINS if percent <= margin), None),
        "source": published.source,
    }


def _line(runs: RunGroup, row: dict[str, Any]) -> Stack:
    margin = row["within_percent"]
    within = DASH if row["runs"] == 0 else f"{margin} %" if margin else f"not {MARGINS[-1]} %"
    texts = [number(row["mean"]), number(row["published"]), number(row["ratio"], 2), within]
    return (row_of(f"{runs.title}, {row['metric']}", texts, runs=runs),)
