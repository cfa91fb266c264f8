"""Table 2: BT-SR and its baselines, our numbers beside the printed ones."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.report.comparison import MainComparison, MetricRow
from benchmark.report.material import Material
from benchmark.report.rows import RunSet
from benchmark.report.tables.layout import DASH, Cell, Group, Head, Line, Table
from benchmark.report.tables.notes import p_value, table2_notes
from benchmark.report.tables.parts import caption, corner, deviation_cell, group, identity, number, percent, table_name
from benchmark.store.record import EXTERNAL

IMPROVE = "improve"
"""The one column that is not a method's."""


def table2(comparison: MainComparison, family: Sequence[MainComparison]) -> Table:
    """Table 2 of one dataset: metrics down, methods across; below our mean its deviation and the printed figure.

    `family`: the comparisons shown together with this one, whose tests Holm's correction takes as one family.
    """
    runs, columns = comparison.runs, _columns(comparison)
    beside = len(comparison.extras)
    text = f"BT-SR against its baselines on {runs.heading}, in the form of the paper's Table 2."
    bands = (("", 1), ("the paper's columns", len(columns) - beside), ("in addition", beside))
    groups = {row.metric: _metric_group(row, comparison, columns) for row in comparison.metrics}
    return Table(
        name=table_name(runs, "table2"),
        caption=caption(runs, text),
        bands=bands if 0 < beside < len(columns) else (),
        heads=(corner(runs), *(_head(column, comparison) for column in columns)),
        sections=(
            tuple(group for metric, group in groups.items() if not metric.startswith("cov@")),
            tuple(group for metric, group in groups.items() if metric.startswith("cov@")),
            (_count_group(runs, columns),),
        ),
        notes=tuple(table2_notes(comparison, family)),
    )


def table2_of(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """Table 2 of one dataset; None if nothing of it has run."""
    comparison = material.comparison
    return ([table2(comparison, [comparison])], table2_frame([comparison])) if comparison else None


def table2_frame(comparisons: Sequence[MainComparison]) -> pd.DataFrame:
    """Table 2 for machines: one row per dataset, metric and method; means as fractions, Improve in percent."""
    return pd.DataFrame(
        [
            _record(comparison, row, method)
            for comparison in comparisons
            for row in comparison.metrics
            for method in (*comparison.contestants, *comparison.extras)
        ]
    )


def _record(comparison: MainComparison, row: MetricRow, method: str) -> dict[str, object]:
    runs, summary, printed = comparison.runs, row.summaries[method], row.printed
    is_btsr = method == comparison.btsr
    versus, name = row.versus if is_btsr else None, "btsr" if is_btsr else method
    extra = method in comparison.extras
    return identity(runs) | {
        "metric": row.metric,
        "method": method,
        "column": runs.look(method).title,
        "role": "beside" if extra else "btsr" if is_btsr else "baseline",
        "runs_done": len(runs.done(method)),
        "runs_asked": runs.asked(method),
        "mean": summary.mean,
        "deviation": summary.deviation,
        "best": method in row.best,
        "second": method in row.second,
        "best_baseline": row.rival if is_btsr else None,
        "improve_percent": versus.improvement if versus else None,
        "pairs": versus.test.n if versus else None,
        "p": versus.test.p if versus else None,
        "star": versus.star if versus else None,
        "paper_mean": printed.values.get(name) if printed and not extra else None,
        "paper_deviation": printed.btsr_deviation if printed and is_btsr else None,
        "paper_star": printed.starred if printed and is_btsr else None,
        "paper_improve_percent": printed.improve if printed and is_btsr else None,
    }


def _columns(comparison: MainComparison) -> tuple[str, ...]:
    improve = (IMPROVE,) if comparison.btsr and comparison.baselines else ()
    return (*comparison.contestants, *improve, *comparison.extras)


def _head(column: str, comparison: MainComparison) -> Head:
    if column == IMPROVE:
        return Head("Improve")
    title = comparison.runs.look(column).title
    first, _, second = title.rpartition(" ") if column.startswith(EXTERNAL) else title.partition(" ")
    return Head(first, second, "†" if column == comparison.btsr else "")


def _metric_group(row: MetricRow, comparison: MainComparison, columns: Sequence[str]) -> Group:
    lines = (
        Line(row.metric, tuple(_value(row, column, comparison) for column in columns)),
        Line("", tuple(_below(row, column) for column in columns), "below"),
        Line("paper", tuple(_printed(row, column, comparison) for column in columns), "paper"),
    )
    return group(*lines)


def _value(row: MetricRow, column: str, comparison: MainComparison) -> Cell:
    if column == IMPROVE:
        return Cell(percent(row.versus.improvement) if row.versus else DASH)
    summary = row.summaries[column]
    star = column == comparison.btsr and row.star
    return Cell(number(summary.mean), star, row.place(column))


def _below(row: MetricRow, column: str) -> Cell:
    if column == IMPROVE:
        return Cell(f"p {p_value(row.versus.test.p)}" if row.versus and row.versus.test.n > 1 else "")
    return deviation_cell(row.summaries[column])


def _printed(row: MetricRow, column: str, comparison: MainComparison) -> Cell:
    if row.printed is None or column in comparison.extras:
        return Cell()
    if column == IMPROVE:
        return Cell(percent(row.printed.improve))
    name = "btsr" if column == comparison.btsr else column
    return Cell(number(row.printed.values[name]), name == "btsr" and row.printed.starred)


def _count_group(runs: RunSet, columns: Sequence[str]) -> Group:
    states = sorted({state for column in columns for state in runs.not_done(column)})
    counts = [f"{len(runs.done(column))}/{runs.asked(column)}" if column != IMPROVE else "" for column in columns]
    lines = [Line("runs", tuple(Cell(count) for count in counts))]
    for state in states:
        seeds = [len(runs.not_done(column).get(state, ())) for column in columns]
        shares = [f"{state} {n}/{runs.asked(column)}" if n else "" for n, column in zip(seeds, columns, strict=True)]
        lines.append(Line("", tuple(Cell(share) for share in shares), "below"))
    return tuple(lines)
