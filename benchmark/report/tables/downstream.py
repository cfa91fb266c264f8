"""Downstream tasks: what pretraining with Barlow Twins reaches against a dual encoder, by labels and batch size."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.plan.experiments import BATCH_SIZES, PRETRAINED
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import PairedTest, SeedSummary
from benchmark.report.tables.cells import described, p_of, tested
from benchmark.report.tables.layout import Cell, Head, Made, Pair, Stack, for_machines, stack, table_of
from benchmark.report.tables.notes import notes_on_runs
from benchmark.report.tables.numbers import number, percent

STAGE = "downstream"
WAYS = {"probe": "a linear probe on frozen representations", "tuned": "fine-tuning"}
SANITY = {"majority": "most frequent class", "bag": "bag of items"}


def downstream_tables(results: Results) -> Made | None:
    """A table for the probe, one for fine-tuning, a line per task and share of labels; None without a finished run."""
    groups = results.experiment(STAGE)
    if not any(runs.done for runs in groups):
        return None
    metrics = dict.fromkeys(results.frame.loc[results.frame["stage"] == STAGE, "metric"])  # such as genre/probe/10
    tasks = dict.fromkeys(metric.partition("/")[0] for metric in metrics)
    tables = [
        table_of(
            results,
            f"{STAGE}-{way}",
            f"Downstream tasks on {results.heading} with {shown}.",
            [*map(Head, SANITY.values()), *(Head(head) for _ in BATCH_SIZES for head in ("dual", "twins", "change"))],
            [[_line(results, metric) for metric in metrics if metric.startswith(f"{task}/{way}/")] for task in tasks],
            notes_on_runs(STAGE, results, groups),
            [("", 1 + len(SANITY)), *((f"batch size {size}", 3) for size in BATCH_SIZES)],
        )
        for way, shown in WAYS.items()
    ]
    rows = [row for metric in metrics for runs in groups for row in _rows(results, runs, metric)]
    return [table for table in tables if table.sections], for_machines(results, rows)


def _test(results: Results, size: int, metric: str) -> PairedTest:
    """Barlow Twins against the dual encoder at one batch size, seed by seed."""
    twins, dual = (_group(results, f"{method} {size}") for method in PRETRAINED)
    return results.difference(twins, dual, metric, STAGE)


def _group(results: Results, label: str) -> RunGroup:
    return results.group(STAGE, label) or RunGroup(STAGE, label, label)


def _line(results: Results, metric: str) -> Stack:
    task, _, share = metric.split("/")

    def value(label: str, metric: str) -> SeedSummary:
        return results.summary(_group(results, label), metric, STAGE)

    cells: list[Pair] = [(Cell(number(value("popularity", f"{task}/{way}/{share}").mean)), "") for way in SANITY]
    for size in BATCH_SIZES:
        for method in reversed(PRETRAINED):
            summary = value(f"{method} {size}", metric)
            low, high = map(number, summary.interval)
            cells.append((Cell(number(summary.mean)), f"[{low}, {high}]" if summary.n > 1 else ""))
        test = _test(results, size, metric)
        cells.append((Cell(percent(test.improvement), test.star), p_of(test)))
    return stack(f"{task.replace('-', ' ')}, {share} %", cells)


def _rows(results: Results, runs: RunGroup, metric: str) -> Iterator[dict[str, object]]:
    """What one group reached, for machines; with the test against the dual encoder beside Barlow Twins."""
    task, way, share = metric.split("/")
    summary = results.summary(runs, metric, STAGE)
    if not summary.n:
        return
    is_tested = runs.method == PRETRAINED[0] and runs.swept is not None
    test = _test(results, int(runs.swept or 0), metric) if is_tested else None
    yield {
        **{"method": runs.method, "batch_size": runs.swept, "task": task, "way": way, "percent_of_labels": share},
        **described(summary),
        **dict(zip(("low", "high"), summary.interval, strict=True)),
        **tested(test),
        "change_percent": test.improvement if test else None,
    }
