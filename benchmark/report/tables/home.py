"""Our baselines under the protocol and settings of other publications, next to the numbers published there."""

from __future__ import annotations

from typing import Any

from benchmark.paper.printed import PublishedRun, published_runs
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.layout import Columns, Head, TablesAndRows, table_of_items
from benchmark.report.tables.notes import by_title, notes_on_runs
from benchmark.report.tables.numbers import DASH, number

MARGINS = (5, 10)
"""Margins around the published value, in percent, the narrowest first."""


def home_table(results: Results) -> TablesAndRows | None:
    """Tabulate the metrics of each configuration in a section of its own; None if no run has finished."""
    groups = results.experiment("home")
    if not any(runs.done for runs in groups):
        return None
    published = {run.label: run for run in published_runs(results.dataset)}
    rows = [[_row(results, runs, published[runs.label], m) for m in published[runs.label].values] for runs in groups]
    table = table_of_items(
        results,
        "home",
        f"Baselines on {results.heading} as configured where their numbers were published.",
        COLUMNS,
        [
            [(f"{runs.title}, {row['metric']}", row, runs) for row in mine]
            for runs, mine in zip(groups, rows, strict=True)
        ],
        notes_on_runs(
            "home", results, by_title(groups), published={runs.title: published[runs.label] for runs in groups}
        ),
    )
    return [table], [row for mine in rows for row in mine]


def _row(results: Results, runs: RunGroup, published: PublishedRun, metric: str) -> dict[str, Any]:
    """One metric of one configuration: our mean over the seeds and the published value.

    `within_percent` is the narrowest of MARGINS that holds our mean, or None.
    """
    ours, value = results.summary(runs, metric), published.values[metric]
    percent = round(100 * abs(ours.mean / value - 1), 6)  # so that 0.95 of a value is within 5 %, despite rounding
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
