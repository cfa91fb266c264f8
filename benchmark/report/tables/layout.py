"""Tables before they become LaTeX, Markdown or HTML: rows of cells, and the functions that build them from runs."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, TypeVar

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import PairedTest, SeedSummary
from benchmark.report.tables.numbers import DECIMALS, count, number, p_value, signed
from benchmark.runs.metrics import definition, is_higher_better

Place = Literal["", "best", "second"]
Kind = Literal["value", "below", "paper"]


class Command(str):
    """A shell command, which Markdown shows as code."""


@dataclass(frozen=True)
class Cell:
    """One number as printed, with what stands below it: a small text, and the number that the paper prints.

    `place`: its rank among the numbers it is compared with.
    """

    text: str = ""
    star: bool = False
    place: Place = ""
    below: str = ""
    paper: Cell | None = None


@dataclass(frozen=True)
class Row:
    """One printed line. `kind`: our value, small text below it, or the paper's number.

    `runs`: the name of the RunGroup whose numbers the row shows, if it shows only one.
    """

    label: str
    cells: tuple[Cell, ...]
    kind: Kind = "value"
    runs: str = ""


@dataclass(frozen=True)
class Head:
    """The head of a column, in two lines. `mark` refers to a note, `runs` is as in a Row.

    `printed`: whether the column shows numbers that the paper prints.
    """

    first: str
    second: str = ""
    mark: str = ""
    runs: str = ""
    printed: bool = False


Stack = tuple[Row, ...]
"""Rows that belong together: a value and what stands below it."""

Item = TypeVar("Item")
Columns = Sequence[tuple[Head, Callable[[Item], str | Cell]]]
"""The columns of a table with one line per item: the head of each, and what it shows of an item."""


@dataclass(frozen=True)
class Table:
    """A table. Horizontal rules separate the `sections`; `bands` (title, number of columns) stand above all heads.

    `name` is used in labels and consists of letters, digits, dots and hyphens. All other text may hold any character.
    """

    name: str
    caption: str
    heads: tuple[Head, ...]
    sections: tuple[tuple[Stack, ...], ...]
    notes: tuple[str, ...] = ()
    bands: tuple[tuple[str, int], ...] = ()


TablesAndRows = tuple[Sequence[Table], Sequence[Mapping[str, object]]]
"""Tables for readers, and the rows of a CSV file, which the report extends by `Results.identity`."""


def dataset_table(
    results: Results,
    name: str,
    caption: str,
    heads: Sequence[Head],
    sections: Sequence[Sequence[Stack]],
    notes: Iterable[str],
    bands: Sequence[tuple[str, int]] = (),
) -> Table:
    """Build a table about one dataset, whose title heads the row labels. Sections without rows are dropped."""
    return Table(
        name=latex_label(results.dataset, name),
        caption=synthetic_warning(results.synthetic) + caption,
        heads=(Head(results.title, "SYNTHETIC" if results.synthetic else ""), *heads),
        sections=tuple(tuple(section) for section in sections if section),
        notes=tuple(notes),
        bands=tuple(bands),
    )


def table_of_items(
    results: Results,
    name: str,
    caption: str,
    columns: Columns[Item],
    sections: Sequence[Sequence[tuple[str, Item, RunGroup | None]]],
    notes: Iterable[str],
    bands: Sequence[tuple[str, int]] = (),
) -> Table:
    """Build a table about one dataset with one line per item: its label, the item, and the runs behind its numbers."""
    lines = [
        [stack(label, [show(item) for _, show in columns], runs=runs) for label, item, runs in section]
        for section in sections
    ]
    return dataset_table(results, name, caption, [head for head, _ in columns], lines, notes, bands)


def stack(label: str, cells: Sequence[str | Cell], *more: Row, runs: RunGroup | None = None) -> Stack:
    """Build a row of cells, the rows of what stands below them and `more` rows, leaving out those without any text."""
    full = tuple(Cell(cell) if isinstance(cell, str) else cell for cell in cells)
    below = Row("", tuple(Cell(cell.below) for cell in full), "below")
    paper = Row("paper", tuple(cell.paper or Cell() for cell in full), "paper")
    rows = (Row(label, full, runs=runs.name if runs else ""), below, paper, *more)
    return tuple(row for row in rows if any(cell.text for cell in row.cells))


def below_row(label: str, texts: Iterable[str]) -> Row:
    return Row(label, tuple(map(Cell, texts)), "below")


def latex_label(*words: str) -> str:
    return re.sub("[^a-z0-9.]+", "-", "-".join(words))


def synthetic_warning(synthetic: bool) -> str:
    """The words that begin every caption about generated data."""
    return "SYNTHETIC DATA, which says nothing about any real dataset. " if synthetic else ""


# --- means over seeds and their differences ---------------------------------------------------------------------------


def mean_cell(summary: SeedSummary, metric: str, place: Place = "", star: bool = False) -> Cell:
    """The mean over seeds, with the sample standard deviation below it if there are at least two runs."""
    decimals = decimals_of(metric)
    below = f"±{number(summary.deviation, decimals)}" if summary.n > 1 else ""
    return Cell(number(summary.mean, decimals), star, place, below)


def mean_cells(results: Results, groups: Iterable[RunGroup], metric: str) -> dict[str, Cell]:
    """The cells of these groups by label, with the best mean in bold."""
    summaries = {runs.label: results.summary(runs, metric) for runs in groups}
    best = only_best({label: summary.mean for label, summary in summaries.items()}, metric)
    return {label: mean_cell(summary, metric, best[label]) for label, summary in summaries.items()}


def means_table(
    results: Results,
    name: str,
    caption: str,
    sections: Sequence[Sequence[RunGroup]],
    metrics: Mapping[str, Head],
    notes: Iterable[str],
    more: Columns[RunGroup],
) -> Table:
    """Build a table with one line per group: a column per metric with the best mean in bold, then `more` columns."""

    def column(metric: str) -> Callable[[RunGroup], Cell]:
        cells = mean_cells(results, [runs for section in sections for runs in section], metric)
        return lambda runs: cells[runs.label]

    columns = [*((head, column(metric)) for metric, head in metrics.items()), *more]
    lines = [[(runs.title, runs, runs) for runs in section] for section in sections]
    return table_of_items(results, name, caption, columns, lines, notes)


def rows_of_means(
    results: Results, groups: Iterable[RunGroup], metrics: Sequence[str], *columns: str
) -> Iterator[dict[str, object]]:
    """Yield the same means for machines: one row per group and metric, with the named columns."""
    for runs in groups:
        for metric in metrics:
            about = {"experiment": runs.experiment, "variant": runs.label, "method": runs.method, "metric": metric}
            row = about | results.summary(runs, metric).columns | {"runs_asked": runs.n_planned}
            yield {column: row[column] for column in columns}


def contrast(
    results: Results,
    label: str,
    metric: str,
    groups: Sequence[RunGroup],
    pairs: Sequence[tuple[RunGroup, RunGroup]],
    printed: Mapping[str, float] = MappingProxyType({}),
    seeds_below: bool = True,
) -> Stack:
    """Build a line with the means of the groups, the best in bold, then first minus second of each pair with its p.

    `printed`: the paper's numbers by label. `seeds_below`: whether to count the seeds behind a p if a side has more.
    """
    cells = list(mean_cells(results, groups, metric).values())
    for first, second in pairs:
        test = results.difference(first, second, metric)
        sides = [results.summary(runs, metric) for runs in (first, second)] if seeds_below else []
        cells.append(Cell(signed(test.difference, decimals_of(metric)), test.star, below=p_of(test, *sides)))
    if printed:
        values = {runs.label: printed.get(runs.label, math.nan) for runs in groups}
        differences = [values[first.label] - values[second.label] for first, second in pairs]
        texts = [*map(number, values.values()), *map(signed, differences)]
        cells = [replace(cell, paper=Cell(text)) for cell, text in zip(cells, texts, strict=True)]
    return stack(label, cells)


def p_of(test: PairedTest, *sides: SeedSummary) -> str:
    """The p of a test as `p = 0.012`, then its number of seeds if one of the sides has more."""
    p = "" if math.isnan(test.p) else f"p {p_value(test.p)}"
    return ", ".join(filter(None, [p, shared_seeds(test.n, *sides)]))


def shared_seeds(n: int, *sides: SeedSummary) -> str:
    """`3 seeds` if a comparison rests on fewer seeds than one of its sides has, otherwise nothing."""
    return count(n, "seed") if 0 < n < max((side.n for side in sides), default=0) else ""


def columns_of_test(test: PairedTest | None) -> dict[str, object]:
    """A test for machines; the columns stay empty if there is none."""
    if test is None:
        return dict.fromkeys(("difference", "pairs", "p", "star"))
    return {"difference": test.difference, "pairs": test.n, "p": test.p, "star": test.star}


def decimals_of(metric: str) -> int:
    known = definition(metric)
    return known.decimals if known else DECIMALS


def places(means: Mapping[str, float], metric: str) -> dict[str, Place]:
    """Which of the means, rounded as printed, are best and second best. Ties share a place, NaN has none."""
    printed = {key: round(mean, decimals_of(metric)) for key, mean in means.items() if not math.isnan(mean)}
    ranked = sorted(set(printed.values()), reverse=is_higher_better(metric))
    best: dict[float, Place] = dict(zip(ranked, ("best", "second"), strict=False))
    return {key: best.get(printed[key], "") if key in printed else "" for key in means}


def only_best(means: Mapping[str, float], metric: str) -> dict[str, Place]:
    """Like `places` but without the second best, and without any place if all means are equal."""
    ranked = places(means, metric)
    distinct = "second" in ranked.values()
    return {key: "best" if place == "best" and distinct else "" for key, place in ranked.items()}
