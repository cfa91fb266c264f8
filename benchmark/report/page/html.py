"""Tables as HTML that a script can sort: one row per stack of rows, which stand below each other in its cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup, escape

from benchmark.report.tables.layout import Cell, Row, Stack, Table
from benchmark.report.tables.numbers import MINUS
from benchmark.report.templates import environment

Link = Callable[[str], str | None]
"""Where the runs of a RunGroup stand, by its name; None if they are not on the page."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")
_PLACES = {"best": "best of its line", "second": "second best of its line"}


def to_html(table: Table, identity: str, link: Link = lambda _: None, origin: str | None = None) -> Markup:
    """The table below its caption, with its notes folded.

    `identity`: its id on the page. A number of ours links to the runs of its row, its column or its table, and to
    `origin` where none of them names any.
    """
    template = _ENVIRONMENT.get_template("table.html.jinja")
    return Markup(template.render(table=table, identity=identity, link=link, origin=origin))


def sort_value(text: str) -> str:
    """The number with which a text begins, as a script can read it; empty if it begins with none."""
    match = _NUMBER.match(text.replace(MINUS, "-"))
    return match[0] if match else ""


def _cells(stack: Stack, table: Table, link: Link, origin: str | None) -> list[Markup]:
    """All cells of one row but its label."""
    cells = []
    for column, head in enumerate(table.heads[1:]):
        named = (name for name in (stack[0].runs, head.runs, table.runs) if name)
        target = None if head.printed else next(filter(None, map(link, named)), origin)
        lines = (_line(row, _cell(row.cells[column], None if row.kind == "paper" else target)) for row in stack)
        value = sort_value(stack[0].cells[column].text)
        cells.append(Markup('<td data-value="{}">{}</td>').format(value, Markup().join(lines)))
    return cells


def _label(stack: Stack) -> Markup:
    return Markup().join(_line(row, escape(row.label)) for row in stack)


def _line(row: Row, content: Markup) -> Markup:
    """One line of a cell; an empty one keeps its height, so that the lines of a row stay level."""
    return Markup('<span class="{}">{}</span>').format(row.kind, content or Markup("&nbsp;"))


def _cell(cell: Cell, target: str | None) -> Markup:
    content = escape(cell.text)
    if cell.place:
        name = "strong" if cell.place == "best" else "u"
        content = Markup('<{0} title="{1}">{2}</{0}>').format(Markup(name), _PLACES[cell.place], content)
    if target and any(character.isdigit() for character in cell.text):
        content = Markup('<a href="{}">{}</a>').format(target, content)
    return content + Markup('<span class="star">*</span>') if cell.star else content


_ENVIRONMENT = environment(Path(__file__).parent, {"cells": _cells, "label": _label}, autoescape=True)
