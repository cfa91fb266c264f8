"""A table as lines of cells, before it is LaTeX or Markdown."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

MINUS, DASH = "\u2212", "\u2013"


@dataclass(frozen=True)
class Cell:
    """One number as printed; `place`: whether it is the best or the second best of its line."""

    text: str = ""
    star: bool = False
    place: Literal["", "best", "second"] = ""


@dataclass(frozen=True)
class Line:
    """One printed line; `kind`: our value, what stands in small type below it, or the figure that the paper prints."""

    label: str
    cells: tuple[Cell, ...]
    kind: Literal["value", "below", "paper"] = "value"


@dataclass(frozen=True)
class Head:
    """A column's head in two lines; `mark` refers to a note."""

    first: str
    second: str = ""
    mark: str = ""


Group = tuple[Line, ...]
"""The lines that belong together: a value and what stands below it."""


@dataclass(frozen=True)
class Table:
    """`bands` (title, columns) stand above the heads, all columns together; rules part the `sections`.

    `name` is used in labels and consists of letters, digits and hyphens; all other text may hold any
    character.
    """

    name: str
    caption: str
    bands: tuple[tuple[str, int], ...]
    heads: tuple[Head, ...]
    sections: tuple[tuple[Group, ...], ...]
    notes: tuple[str, ...]
