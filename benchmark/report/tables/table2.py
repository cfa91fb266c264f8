"""Table 2: BT-SR and its baselines, our numbers with the printed ones below them; and the same for methods at will."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from benchmark.report.methods import STYLES, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import paired_bootstrap
from benchmark.report.tables.cells import decimals_of, mean, p_of
from benchmark.report.tables.comparison import (
    MainComparison,
    MetricComparison,
    compare_methods,
    main_comparison,
    rivals_of,
    starred_after_holm,
)
from benchmark.report.tables.layout import Cell, Head, Made, Row, Stack, Table, for_machines, row_of, stack, table_of
from benchmark.report.tables.notes import left_out_notes, machines_note, masked_note, notes, setting_text
from benchmark.report.tables.numbers import DASH, number, percent
from benchmark.runs.metrics import is_mean_over_users


class Column(NamedTuple):
    """The means of a method, or what it improves on its rival."""

    method: str
    improve: bool = False


def table_2(shown: Sequence[Results]) -> Made | None:
    """A table per dataset, those without a run left out; None if that is all of them.

    Holm's correction takes the tests of all tables as one family.
    """
    family = [main_comparison(results) for results in shown if results.ran]
    rows: list[Mapping[str, object]] = []
    for results, metrics in ((comparison.results, comparison.metrics) for comparison in family):
        methods = (*results.contestants, *results.extras)
        rows += for_machines(results, [_record(row, method, results) for row in metrics for method in methods])
    return ([_table(comparison, family) for comparison in family], rows) if family else None


def table_of_methods(results: Results, methods: Sequence[str], metrics: Sequence[str]) -> Table:
    """These methods and metrics in the form of Table 2, without printed numbers: a star marks who beats its rival."""
    tested = {method: rivals for method in methods if (rivals := rivals_of(method, methods))}
    rows = [compare_methods(results, metric, methods, methods, tested) for metric in metrics]
    lines = [stack(row.metric, [_cells(row, Column(method), results)[:2] for method in methods]) for row in rows]
    compared = {
        method: [title_of(rival) for rival in tested[method]]
        for method in methods
        if any(method in row.versus for row in rows)
    }
    return table_of(
        results,
        "methods",
        f"Methods on {results.heading}.",
        [replace(_head(Column(method), results), mark="") for method in methods],
        [lines],
        [
            *notes("methods", compared={title_of(method): rivals for method, rivals in compared.items()}),
            *left_out_notes({runs.title: replace(runs, missing=()) for runs in map(results.method, methods)}),
        ],
    )


def _table(comparison: MainComparison, family: Sequence[MainComparison]) -> Table:
    """Metrics down, methods across; below our mean its deviation and the printed number."""
    results, rows = comparison.results, comparison.metrics
    others = [method for method in results.extras if method not in results.challengers]
    papers, own, added = list(map(Column, results.contestants)), list[Column](), list(map(Column, others))
    if results.btsr and results.baselines:
        papers.append(Column(results.btsr, improve=True))
    for method in results.challengers:
        own.append(Column(method))
        own += [Column(method, improve=True)] if any(method in row.versus for row in rows) else []
    columns = [*papers, *own, *added]
    bands = (("the paper's columns", papers), ("your own", own), ("in addition", added))
    parts = [(title, len(part)) for title, part in bands if part]
    return table_of(
        results,
        "table2" if len(family) == 1 else "table2-together",
        f"BT-SR against its baselines on {results.heading}, in the form of the paper's Table 2.",
        [_head(column, results) for column in columns],
        (
            *(
                [_stack(row, results, columns) for row in rows if is_mean_over_users(row.metric) is wanted]
                for wanted in (True, False)
            ),
            [_counts(results, columns)],
        ),
        _notes(comparison, family),
        (("", 1), *parts) if len(parts) > 1 else (),
    )


def _head(column: Column, results: Results) -> Head:
    runs = results.method(column.method)
    if column.improve:
        own = column.method != results.btsr
        rivals = rivals_of(column.method, results.ran)
        return Head("Improve", f"on {title_of(rivals[0])}" if own and len(rivals) == 1 else "")
    first, _, second = runs.title.rpartition(" ") if runs.external else runs.title.partition(" ")
    return Head(first, second, "†" if column.method == results.btsr else "", runs.name)


def _stack(row: MetricComparison, results: Results, columns: Sequence[Column]) -> Stack:
    cells = [_cells(row, column, results) for column in columns]
    printed = Row("paper", tuple(paper for *_, paper in cells), "paper")
    return stack(row.metric, [(ours, below) for ours, below, _ in cells], printed)


def _cells(row: MetricComparison, column: Column, results: Results) -> tuple[Cell, str, Cell]:
    """Our number, the text below it, and what the paper prints."""
    method, is_btsr, versus = column.method, column.method == results.btsr, row.versus.get(column.method)
    printed = row.printed if method in results.contestants else None
    if column.improve:
        paper = Cell(percent(printed.improve)) if printed else Cell()
        if versus is None:
            return Cell(DASH), "", paper
        sides = [row.summaries[each] for each in (method, versus.rival)]
        return Cell(percent(versus.test.improvement)), p_of(versus.test, *sides), paper
    paper = (
        Cell(number(printed.values["btsr" if is_btsr else method]), is_btsr and printed.starred) if printed else Cell()
    )
    place, decimals = row.places.get(method, ""), decimals_of(row.metric)
    return *mean(row.summaries[method], place, row.star(method), decimals), paper


def _counts(results: Results, columns: Sequence[Column]) -> Stack:
    groups = [RunGroup("main", "", "") if column.improve else results.method(column.method) for column in columns]
    states = sorted({state for runs in groups for state in runs.not_done})

    def share(runs: RunGroup, state: str) -> str:
        return f"{state} {len(runs.not_done[state])}/{runs.asked}" if state in runs.not_done else ""

    return (
        row_of("runs", [f"{len(runs.done)}/{runs.asked}" if runs.asked else "" for runs in groups]),
        *(row_of("", [share(runs, state) for runs in groups], "below") for state in states),
    )


def _notes(comparison: MainComparison, family: Sequence[MainComparison]) -> Iterable[str]:
    results, rows, users = comparison.results, comparison.metrics, comparison.users
    groups, records, threshold = results.experiment("main"), results.records("main"), results.data.get("threshold")
    ours = [record for record in records if not record.external]
    protocol = records[0].spec["protocol"]
    history = "" if protocol["preset"] in ("leave-one-out", "sets") else f"history {protocol['history']}, "
    return notes(
        "table2",
        results=results,
        is_printed=any(row.printed for row in rows),
        compared=any(results.btsr in row.versus for row in rows),
        starred=starred_after_holm(family),
        rivals={
            title_of(method): [title_of(rival) for rival in rivals_of(method, results.ran)]
            for method in results.challengers
            if any(method in row.versus for row in rows)
        },
        setting=setting_text(results.setting, f" (filter {protocol['filter']}, {history}ties {protocol['ties']})"),
        seeds={record.seed for record in ours} | {seed for runs in groups for seed in runs.missing},
        start=datetime.fromtimestamp(threshold, UTC) if isinstance(threshold, int) else None,
        users=users if users and not math.isnan(users.error) else None,
        test_users=records[0].data["test_users"],
        ours=ours,
        masked=masked_note(results),
        **_over_users(comparison),
        left_out=left_out_notes({runs.title: runs for runs in groups}),
        externals=[(runs.title, runs.records[0]) for runs in groups if runs.external],
        missing=[method for method in STYLES if not results.method(method).records],
        machines=machines_note(ours) if ours else "",
    )


def _over_users(comparison: MainComparison) -> dict[str, object]:
    """BT-SR against its rival, user against user: the mean difference, None if unknown, and the bootstrap if any."""
    results, users = comparison.results, comparison.users
    differences = None
    if users and users.rival:
        pair = results.method(users.method), results.method(users.rival)
        differences = results.user_differences(*pair, users.metric)
    if users is None or differences is None:
        return {"difference": None, "bootstrap": None}
    bootstrap = None if math.isnan(users.detectable) else paired_bootstrap(differences)
    return {"difference": float(differences.mean()), "bootstrap": bootstrap}


def _record(row: MetricComparison, method: str, results: Results) -> dict[str, object]:
    """Means as fractions, Improve in percent."""
    summary, runs, versus = row.summaries[method], results.method(method), row.versus.get(method)
    is_btsr, is_extra = method == results.btsr, method in results.extras
    role = "btsr" if is_btsr else "baseline"
    if is_extra:
        role = "own" if method in results.challengers else "additional"
    printed = None if is_extra else row.printed
    paper = printed if is_btsr else None
    test = versus.test if versus else None
    return {
        "metric": row.metric,
        "method": method,
        "column": runs.title,
        "role": role,
        "runs_done": len(runs.done),
        "runs_asked": runs.asked,
        "mean": summary.mean,
        "deviation": summary.deviation,
        "best": row.places.get(method) == "best",
        "second": row.places.get(method) == "second",
        "best_baseline": versus.rival if versus else None,
        "improve_percent": test.improvement if test else None,
        "pairs": test.n if test else None,
        "p": test.p if test else None,
        "star": test.star if test else None,
        "paper_mean": printed.values.get("btsr" if is_btsr else method) if printed else None,
        "paper_deviation": paper.btsr_deviation if paper else None,
        "paper_star": paper.starred if paper else None,
        "paper_improve_percent": paper.improve if paper else None,
    }
