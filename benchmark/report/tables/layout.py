"""A table as rows of cells, before it is LaTeX or Markdown."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar

from benchmark.report.query import Results, RunGroup

Place = Literal["", "best", "second"]
Kind = Literal["value", "below", "paper"]


class Command(str):
    """What is to be typed; Markdown shows it as code."""


@dataclass(frozen=True)
class Cell:
    """One number as printed; `place`: whether it is the best or the second best of those it is compared with."""

    text: str = ""
    star: bool = False
    place: Place = ""


@dataclass(frozen=True)
class Row:
    """One printed line; `kind`: our value, what stands in small type below it, or the number that the paper prints.

    `runs`: the name of the RunGroup that it shows, if it is one.
    """

    label: str
    cells: tuple[Cell, ...]
    kind: Kind = "value"
    runs: str = ""


@dataclass(frozen=True)
class Head:
    """A column's head in two lines; `mark` refers to a note. `runs` as of a Row; `printed`: what the paper prints."""

    first: str
    second: str = ""
    mark: str = ""
    runs: str = ""
    printed: bool = False


Stack = tuple[Row, ...]
"""The rows that belong together: a value and what stands below it."""

Pair = tuple[Cell, str]
"""A cell and the text below it."""

Thing = TypeVar("Thing")
Columns = Sequence[tuple[Head, Callable[[Thing], str | Pair]]]
"""What a table says of each thing that it has a line for: its columns' heads, and what they show of it."""

Line = tuple[str, Thing, RunGroup | None]
"""A label, the thing that the line is about, and the runs that its numbers come from."""

Made = tuple[Sequence["Table"], Sequence[Mapping[str, object]]]
"""Tables as printed, and the same for machines as rows of a CSV file."""


@dataclass(frozen=True)
class Table:
    """Rules part the `sections`; `bands` (title, columns) stand above the heads, all columns together.

    `name` is used in labels and consists of letters, digits, dots and hyphens; all other text may hold any
    character.
    """

    name: str
    caption: str
    heads: tuple[Head, ...]
    sections: tuple[tuple[Stack, ...], ...]
    notes: tuple[str, ...] = ()
    bands: tuple[tuple[str, int], ...] = ()


def table_of(
    results: Results,
    name: str,
    caption: str,
    heads: Sequence[Head],
    sections: Sequence[Sequence[Stack]],
    notes: Iterable[str],
    bands: Sequence[tuple[str, int]] = (),
) -> Table:
    """A table of one dataset: its name in the label and above the rows' labels, marked wherever data was generated.

    Sections without rows are left out.
    """
    return Table(
        name=latex_label(results.dataset, name),
        caption=warning(results.synthetic) + caption,
        heads=(Head(results.title, "SYNTHETIC" if results.synthetic else ""), *heads),
        sections=tuple(tuple(section) for section in sections if section),
        notes=tuple(notes),
        bands=tuple(bands),
    )


def table_by_columns(
    results: Results,
    name: str,
    caption: str,
    columns: Columns[Thing],
    sections: Sequence[Sequence[Line[Thing]]],
    notes: Iterable[str],
) -> Table:
    """A table of one dataset with a line for each thing, which consists of what the columns show of it."""

    def line(label: str, thing: Thing, runs: RunGroup | None) -> Stack:
        shown = [show(thing) for _, show in columns]
        return stack(label, [(Cell(each), "") if isinstance(each, str) else each for each in shown], runs=runs)

    lines = [[line(*each) for each in section] for section in sections]
    return table_of(results, name, caption, [head for head, _ in columns], lines, notes)


def stack(label: str, pairs: Sequence[Pair], *more: Row, runs: RunGroup | None = None) -> Stack:
    """A row of cells, what stands below them, and `more` rows; those without any text are left out."""
    first = Row(label, tuple(cell for cell, _ in pairs), runs=runs.name if runs else "")
    rows = (first, row_of("", [text for _, text in pairs], "below"), *more)
    return tuple(row for row in rows if any(cell.text for cell in row.cells))


def row_of(label: str, texts: Sequence[str], kind: Kind = "value", runs: RunGroup | None = None) -> Row:
    """A row of plain texts."""
    return Row(label, tuple(map(Cell, texts)), kind, runs.name if runs else "")


def latex_label(*words: str) -> str:
    return re.sub("[^a-z0-9.]+", "-", "-".join(words))


def warning(synthetic: bool) -> str:
    """The words with which the caption of generated data begins."""
    return "SYNTHETIC DATA, which says nothing about any real dataset. " if synthetic else ""


def for_machines(results: Results, rows: Iterable[Mapping[str, object]]) -> list[Mapping[str, object]]:
    """These rows, each after the columns that say which dataset and setting it is about."""
    return [results.identity | dict(row) for row in rows]
