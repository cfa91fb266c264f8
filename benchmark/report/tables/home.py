"""Our baselines under the protocol and the settings of others, beside the numbers that these print for them."""

from __future__ import annotations

from typing import Any

from benchmark.paper.printed import PublishedRun, published_runs
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.layout import Columns, Head, Made, for_machines, table_by_columns
from benchmark.report.tables.notes import notes_on_runs
from benchmark.report.tables.numbers import DASH, number

MARGINS = (5, 10)
"""Percent of the published value, the narrowest first: the margins that our value is shown to be within."""


def home_table(results: Results) -> Made | None:
    """A section per configuration, metrics down; None without a finished run of the experiment."""
    groups = results.experiment("home")
    if not any(runs.done for runs in groups):
        return None
    published = {run.label: run for run in published_runs(results.dataset)}
    rows = [[_row(results, runs, published[runs.label], m) for m in published[runs.label].values] for runs in groups]
    table = table_by_columns(
        results,
        "home",
        f"Baselines on {results.heading} as configured where their numbers were published.",
        COLUMNS,
        [
            [(f"{runs.title}, {row['metric']}", row, runs) for row in mine]
            for runs, mine in zip(groups, rows, strict=True)
        ],
        notes_on_runs("home", results, groups, published={runs.title: published[runs.label] for runs in groups}),
    )
    return [table], for_machines(results, [row for mine in rows for row in mine])


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


def _within(row: dict[str, Any]) -> str:
    margin = row["within_percent"]
    return DASH if row["runs"] == 0 else f"{margin} %" if margin else "off by more"


COLUMNS: Columns[dict[str, Any]] = (
    (Head("ours"), lambda row: number(row["mean"])),
    (Head("published"), lambda row: number(row["published"])),
    (Head("ratio"), lambda row: number(row["ratio"], 2)),
    (Head("within"), _within),
)
