"""Downstream tasks: what pretraining with Barlow Twins reaches against a dual encoder, by labels and batch size."""

from __future__ import annotations

from collections.abc import Iterator

from benchmark.plan.experiments import BATCH_SIZES, PRETRAINED
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import PairedTest, improvement
from benchmark.report.tables.cells import Pair, described, p_of, stack, tested
from benchmark.report.tables.layout import Cell, Head, Made, Stack, Table, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, notes, status_notes
from benchmark.report.tables.numbers import number, percent

STAGE = "downstream"
WAYS = {"probe": "a linear probe on frozen representations", "tuned": "fine-tuning"}
SANITY = {"majority": "most frequent class", "bag": "bag of items"}

Question = tuple[str, str, str]
"""Task, way to predict, percent of the labels: the parts of a metric's name."""


def downstream_tables(results: Results) -> Made | None:
    """A table for the probe, one for fine-tuning, a line per task and share of labels; None without a finished run."""
    groups = results.experiment(STAGE)
    if not any(runs.done for runs in groups):
        return None
    metrics = dict.fromkeys(results.frame.loc[results.frame["stage"] == STAGE, "metric"])
    asked = [(task, way, share) for task, way, share in (name.split("/") for name in metrics)]
    tables = [_table(results, way, [each for each in asked if each[1] == way]) for way in WAYS]
    rows = [row for question in asked for runs in groups for row in _rows(results, runs, question)]
    return [table for table in tables if table.sections], for_machines(results, rows)


def change(results: Results, size: int, question: Question) -> tuple[PairedTest, float]:
    """Barlow Twins against the dual encoder at one batch size: the test seed by seed, and the change in percent."""
    metric = "/".join(question)
    twins, dual = (_group(results, method, size) for method in PRETRAINED)
    _, ours, theirs = results.paired(twins, dual, metric, STAGE)
    test = results.difference(twins, dual, metric, STAGE)
    return test, improvement(float(ours.mean()), float(theirs.mean())) if len(ours) else float("nan")


def _group(results: Results, method: str, size: int | None = None) -> RunGroup:
    label = method if size is None else f"{method} {size}"
    return results.group(STAGE, label) or RunGroup(STAGE, label, method)


def _table(results: Results, way: str, asked: list[Question]) -> Table:
    groups = results.experiment(STAGE)
    tasks = dict.fromkeys(task for task, *_ in asked)
    return table_of(
        results,
        f"{STAGE}-{way}",
        f"Downstream tasks on {results.heading} with {WAYS[way]}.",
        [*map(Head, SANITY.values()), *(Head(head) for _ in BATCH_SIZES for head in ("dual", "twins", "change"))],
        [[_line(results, each) for each in asked if each[0] == task] for task in tasks],
        [*notes(STAGE), *closing_notes(results, groups), *status_notes({runs.title: runs for runs in groups})],
        [("", 1 + len(SANITY)), *((f"batch size {size}", 3) for size in BATCH_SIZES)],
    )


def _line(results: Results, question: Question) -> Stack:
    task, _, share = question
    popularity = _group(results, "popularity")
    plain = [results.summary(popularity, f"{task}/{way}/{share}", STAGE) for way in SANITY]
    cells: list[Pair] = [(Cell(number(each.mean)), "") for each in plain]
    for size in BATCH_SIZES:
        twins, dual = (
            results.summary(_group(results, method, size), "/".join(question), STAGE) for method in PRETRAINED
        )
        cells += [(Cell(number(each.mean)), _spread(*each.interval)) for each in (dual, twins)]
        test, percents = change(results, size, question)
        cells.append((Cell(percent(percents), test.star), p_of(test)))
    return stack(f"{task.replace('-', ' ')}, {share} %", cells)


def _spread(low: float, high: float) -> str:
    return f"[{number(low)}, {number(high)}]" if low == low else ""


def _rows(results: Results, runs: RunGroup, question: Question) -> Iterator[dict[str, object]]:
    """One group's answer to a question, for machines; with the test against the dual encoder beside Barlow Twins."""
    task, way, share = question
    summary = results.summary(runs, "/".join(question), STAGE)
    if not summary.n:
        return
    tests = runs.method == PRETRAINED[0] and runs.swept is not None
    test, percents = change(results, int(runs.swept or 0), question) if tests else (None, None)
    yield {
        **{"method": runs.method, "batch_size": runs.swept, "task": task, "way": way, "percent_of_labels": share},
        **described(summary),
        **dict(zip(("low", "high"), summary.interval, strict=True)),
        **tested(test),
        "change_percent": percents,
    }
