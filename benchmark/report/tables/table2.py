"""Table 2: BT-SR and its baselines with the paper's numbers below ours, and the same table for chosen methods."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

from benchmark.report.methods import STYLES, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import paired_bootstrap
from benchmark.report.tables.comparison import (
    MainComparison,
    MetricComparison,
    compare_methods,
    main_comparison,
    rivals_of,
    starred_after_holm,
)
from benchmark.report.tables.layout import (
    Cell,
    Head,
    Stack,
    Table,
    TablesAndRows,
    below_row,
    dataset_table,
    mean_cell,
    p_of,
    stack,
    table_of_items,
)
from benchmark.report.tables.notes import by_title, left_out_notes, machines_note, masked_note, notes, setting_text
from benchmark.report.tables.numbers import DASH, count, number, percent
from benchmark.runs.metrics import is_mean_over_users

Column = tuple[Head, Callable[[MetricComparison], Cell]]


def table_2(shown: Sequence[Results]) -> TablesAndRows | None:
    """Build a table per dataset, whose tests are one family for Holm's correction; None if no dataset has a run."""
    family = [main_comparison(results) for results in shown if results.ran]
    rows = [
        results.identity | _csv_row(row, method, results)
        for results, metrics in ((comparison.results, comparison.metrics) for comparison in family)
        for row in metrics
        for method in (*results.paper_methods, *results.other_methods)
    ]
    return ([_table(comparison, family) for comparison in family], rows) if family else None


def table_of_methods(results: Results, methods: Sequence[str], metrics: Sequence[str]) -> Table:
    """Build a table of these methods and metrics without the paper's numbers; a star marks who beats its rival."""
    tested = {method: rivals for method in methods if (rivals := rivals_of(method, methods))}
    rows = [compare_methods(results, metric, methods, methods, tested) for metric in metrics]
    compared = {
        title_of(method): [title_of(rival) for rival in tested[method]]
        for method in methods
        if any(method in row.versus for row in rows)
    }
    groups = [replace(results.method(method), missing=()) for method in methods]
    seeds = _seeds(groups)
    return table_of_items(
        results,
        "methods",
        f"Methods on {results.heading}, means over {seeds}.",
        [(replace(head, mark=""), show) for head, show in (_mean_column(results, method) for method in methods)],
        [[(row.metric, replace(row, printed=None), None) for row in rows]],
        [*notes("methods", seeds=seeds, compared=compared), *left_out_notes(by_title(groups))],
    )


def _seeds(groups: Sequence[RunGroup]) -> str:
    """Say over how many seeds the means are: `5 seeds`, or `seeds (SASRec (CE) 5, BT-SR (CE) 3)` if they differ."""
    counts = {runs.title: len(runs.done) for runs in groups}
    if len(set(counts.values())) == 1:
        return count(len(groups[0].done), "seed")
    return f"seeds ({', '.join(f'{title} {n}' for title, n in counts.items())})"


def _table(comparison: MainComparison, family: Sequence[MainComparison]) -> Table:
    """Metrics down, methods across; below each mean of ours stand its deviation and the paper's number."""
    results, rows = comparison.results, comparison.metrics
    papers, own = [_mean_column(results, method) for method in results.paper_methods], list[Column]()
    if results.btsr and results.baselines:
        papers.append(_improve_column(results, results.btsr))
    for method in results.own_methods:
        own.append(_mean_column(results, method))
        own += [_improve_column(results, method)] if any(method in row.versus for row in rows) else []
    added = [_mean_column(results, method) for method in results.other_methods if method not in results.own_methods]
    columns = [*papers, *own, *added]
    bands = (("the paper's columns", papers), ("your own", own), ("in addition", added))
    parts = [(title, len(part)) for title, part in bands if part]
    accuracy, coverage = (
        [
            stack(row.metric, [show(row) for _, show in columns])
            for row in rows
            if is_mean_over_users(row.metric) is wanted
        ]
        for wanted in (True, False)
    )
    return dataset_table(
        results,
        "table2" if len(family) == 1 else "table2-together",
        f"BT-SR against its baselines on {results.heading}, in the form of the paper's Table 2.",
        [head for head, _ in columns],
        (accuracy, coverage, [_counts(results, columns)]),
        _notes(comparison, family),
        (("", 1), *parts) if len(parts) > 1 else (),
    )


def _mean_column(results: Results, method: str) -> Column:
    runs, is_btsr = results.method(method), method == results.btsr
    first, _, second = runs.title.rpartition(" ") if runs.external else runs.title.partition(" ")

    def show(row: MetricComparison) -> Cell:
        cell = mean_cell(row.summaries[method], row.metric, row.places.get(method, ""), row.star(method))
        if row.printed is None or method not in results.paper_methods:
            return cell
        printed = row.printed.values["btsr" if is_btsr else method]
        return replace(cell, paper=Cell(number(printed), is_btsr and row.printed.starred))

    return Head(first, second, "†" if is_btsr else "", runs.name), show


def _improve_column(results: Results, method: str) -> Column:
    """What a method improves on its rival; the paper prints it for BT-SR."""
    is_btsr, rivals = method == results.btsr, rivals_of(method, results.ran)

    def show(row: MetricComparison) -> Cell:
        paper = Cell(percent(row.printed.improve)) if row.printed and is_btsr else None
        if method not in row.versus:
            return Cell(DASH, paper=paper)
        rival, test = row.versus[method]
        p = p_of(test, row.summaries[method], row.summaries[rival.method])
        return Cell(percent(test.improvement), below=p, paper=paper)

    return Head("Improve", f"on {title_of(rivals[0])}" if not is_btsr and len(rivals) == 1 else ""), show


def _counts(results: Results, columns: Sequence[Column]) -> Stack:
    """How many runs of each method are done, and how many have another status."""
    named = {runs.name: runs for runs in results.experiment("main")}
    groups = [named.get(head.runs) for head, _ in columns]  # None for Improve
    states = sorted({state for runs in groups if runs for state in runs.not_done})

    def share(runs: RunGroup | None, state: str) -> str:
        return f"{state} {len(runs.not_done[state])}/{runs.n_planned}" if runs and state in runs.not_done else ""

    return stack(
        "runs",
        [runs.done_of_planned if runs else "" for runs in groups],
        *(below_row("", [share(runs, state) for runs in groups]) for state in states),
    )


def _notes(comparison: MainComparison, family: Sequence[MainComparison]) -> list[str]:
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
            for method in results.own_methods
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
        left_out=left_out_notes(by_title(groups)),
        externals=[(runs.title, runs.records[0]) for runs in groups if runs.external],
        missing=[method for method in STYLES if not results.method(method).records],
        machines=machines_note(ours) if ours else "",
    )


def _over_users(comparison: MainComparison) -> dict[str, object]:
    """BT-SR against its rival, user by user: the mean difference and its bootstrap, None where unknown."""
    results, users = comparison.results, comparison.users
    differences = None
    if users and users.rival:
        pair = results.method(users.method), results.method(users.rival)
        differences = results.user_differences(*pair, users.metric)
    if users is None or differences is None:
        return {"difference": None, "bootstrap": None}
    bootstrap = None if math.isnan(users.detectable) else paired_bootstrap(differences)
    return {"difference": float(differences.mean()), "bootstrap": bootstrap}


def _csv_row(row: MetricComparison, method: str, results: Results) -> dict[str, object]:
    """One metric of one method for machines: means as fractions, Improve in percent."""
    summary, runs, versus = row.summaries[method], results.method(method), row.versus.get(method)
    is_btsr, is_extra = method == results.btsr, method in results.other_methods
    role = "btsr" if is_btsr else "baseline"
    if is_extra:
        role = "own" if method in results.own_methods else "additional"
    printed = None if is_extra else row.printed
    paper = printed if is_btsr else None
    test = versus.test if versus else None
    return {
        "metric": row.metric,
        "method": method,
        "column": runs.title,
        "role": role,
        "runs_done": len(runs.done),
        "runs_asked": runs.n_planned,
        "mean": summary.mean,
        "deviation": summary.deviation,
        "best": row.places.get(method) == "best",
        "second": row.places.get(method) == "second",
        "best_baseline": versus.rival.method if versus else None,
        "improve_percent": test.improvement if test else None,
        "pairs": test.n if test else None,
        "p": test.p if test else None,
        "star": test.star if test else None,
        "paper_mean": printed.values.get("btsr" if is_btsr else method) if printed else None,
        "paper_deviation": paper.btsr_deviation if paper else None,
        "paper_star": paper.starred if paper else None,
        "paper_improve_percent": paper.improve if paper else None,
    }
