"""Downstream tasks: pretraining with Barlow Twins against a dual encoder, by share of labels and batch size."""

from __future__ import annotations

from benchmark.plan.experiments import BATCH_SIZES, PRETRAINED
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import PairedTest, SeedSummary
from benchmark.report.tables.layout import (
    Cell,
    Head,
    Stack,
    TablesAndRows,
    columns_of_test,
    dataset_table,
    p_of,
    stack,
)
from benchmark.report.tables.notes import by_title, notes_on_runs
from benchmark.report.tables.numbers import number, percent

STAGE = "downstream"
WAYS = {"probe": "a linear probe on frozen representations", "tuned": "fine-tuning"}
SANITY = {"majority": "most frequent class", "bag": "bag of items"}


def downstream_tables(results: Results) -> TablesAndRows | None:
    """Tabulate linear probes and fine-tuning, with a line per task and share of labels; None if no run has finished."""
    groups = results.experiment(STAGE)
    if not any(runs.done for runs in groups):
        return None
    metrics = dict.fromkeys(results.frame.loc[results.frame["stage"] == STAGE, "metric"])  # such as genre/probe/10
    tasks = dict.fromkeys(metric.partition("/")[0] for metric in metrics)
    tables = [
        dataset_table(
            results,
            f"{STAGE}-{way}",
            f"Downstream tasks on {results.heading} with {shown}.",
            [*map(Head, SANITY.values()), *(Head(head) for _ in BATCH_SIZES for head in ("dual", "twins", "change"))],
            [[_line(results, metric) for metric in metrics if metric.startswith(f"{task}/{way}/")] for task in tasks],
            notes_on_runs(STAGE, results, by_title(groups)),
            [("", 1 + len(SANITY)), *((f"batch size {size}", 3) for size in BATCH_SIZES)],
        )
        for way, shown in WAYS.items()
    ]
    measured = [(runs, metric) for metric in metrics for runs in groups if results.values(runs, metric, STAGE)]
    rows = [_row(results, runs, metric) for runs, metric in measured]
    return [table for table in tables if table.sections], rows


def _test(results: Results, size: int, metric: str) -> PairedTest:
    """Test Barlow Twins against the dual encoder at one batch size, seed by seed."""
    twins, dual = (_group(results, f"{method} {size}") for method in PRETRAINED)
    return results.difference(twins, dual, metric, STAGE)


def _group(results: Results, label: str) -> RunGroup:
    return results.group(STAGE, label) or RunGroup(STAGE, label, label)


def _line(results: Results, metric: str) -> Stack:
    task, _, share = metric.split("/")

    def value(label: str, metric: str) -> SeedSummary:
        return results.summary(_group(results, label), metric, STAGE)

    cells = [Cell(number(value("popularity", f"{task}/{way}/{share}").mean)) for way in SANITY]
    for size in BATCH_SIZES:
        for method in reversed(PRETRAINED):
            summary = value(f"{method} {size}", metric)
            low, high = map(number, summary.interval)
            cells.append(Cell(number(summary.mean), below=f"[{low}, {high}]" if summary.n > 1 else ""))
        test = _test(results, size, metric)
        cells.append(Cell(percent(test.improvement), test.star, below=p_of(test)))
    return stack(f"{task.replace('-', ' ')}, {share} %", cells)


def _row(results: Results, runs: RunGroup, metric: str) -> dict[str, object]:
    """One group's result for machines; for Barlow Twins with the test against the dual encoder."""
    task, way, share = metric.split("/")
    summary = results.summary(runs, metric, STAGE)
    is_tested = runs.method == PRETRAINED[0] and runs.swept is not None
    test = _test(results, int(runs.swept or 0), metric) if is_tested else None
    return {
        **{"method": runs.method, "batch_size": runs.swept, "task": task, "way": way, "percent_of_labels": share},
        **summary.columns,
        **dict(zip(("low", "high"), summary.interval, strict=True)),
        **columns_of_test(test),
        "change_percent": test.improvement if test else None,
    }
