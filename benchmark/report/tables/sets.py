"""Users as sets: matrix factorisation with and without Barlow Twins, next to most popular and EASE."""

from __future__ import annotations

from benchmark.report.query import Results
from benchmark.report.tables.layout import Head, TablesAndRows, contrast, dataset_table, rows_of_means
from benchmark.report.tables.notes import by_title, notes_on_runs

METRICS = ("hr@10", "ndcg@10", "cov@10", "hr@50", "ndcg@50", "cov@50")


def sets_table(results: Results) -> TablesAndRows | None:
    """Tabulate metrics by method, and what Barlow Twins changes; None if no run has finished."""
    planned = results.experiment("sets")
    groups = [runs for runs in planned if runs.done]
    if not groups:
        return None
    plain, twins = results.group("sets", "mf"), results.group("sets", "mf-bt")
    pairs = [(twins, plain)] if twins and plain else []
    heads = [Head(runs.style.title, runs=runs.name) for runs in groups]
    table = dataset_table(
        results,
        "sets",
        f"Users as sets on {results.heading}: two random items of every user are held out.",
        [*heads, *(Head("Barlow Twins", "minus none") for _ in pairs)],
        [[contrast(results, metric, metric, groups, pairs) for metric in METRICS]],
        notes_on_runs("sets", results, by_title(planned)),
    )
    columns = ("variant", "method", "metric", "mean", "deviation", "runs", "runs_asked")
    return [table], list(rows_of_means(results, groups, METRICS, *columns))
