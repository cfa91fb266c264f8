"""Tables as HTML that a script can sort: one row per group of lines, which stand below each other in its cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import jinja2
from markupsafe import Markup, escape

from benchmark.report.tables.layout import MINUS, Cell, Group, Line, Table

Link = Callable[[str], str | None]
"""Where a column's head or a line's label leads, by its text; None if nowhere."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


def to_html(table: Table, identity: str, link: Link = lambda _: None, origin: str | None = None) -> Markup:
    """The table below its caption, its notes folded away.

    `identity`: its id on the page. A number of ours is a link to where its line's label or its column's head leads,
    and otherwise to `origin`.
    """
    template = _ENVIRONMENT.get_template("table.html.jinja")
    return Markup(template.render(table=table, identity=identity, link=link, origin=origin))


def environment() -> jinja2.Environment:
    """Where the page's templates are rendered; whatever they print is escaped unless it is Markup."""
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        undefined=jinja2.StrictUndefined,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )


def sort_value(text: str) -> str:
    """The number with which a text begins, as a script can read it; empty if it begins with none."""
    match = _NUMBER.match(text.replace(MINUS, "-"))
    return match[0] if match else ""


def _cells(group: Group, table: Table, link: Link, origin: str | None) -> list[Markup]:
    """Of one row, all but its label."""
    own, cells = link(group[0].label), []
    for column, head in enumerate(table.heads[1:]):
        words = f"{head.first} {head.second}".strip()
        target = None if _is_printed(words) else own or link(words) or origin
        lines = (_part(line, _cell(line.cells[column], None if line.kind == "paper" else target)) for line in group)
        value = sort_value(group[0].cells[column].text)
        cells.append(Markup('<td data-value="{}">{}</td>').format(value, Markup().join(lines)))
    return cells


def _is_printed(head: str) -> bool:
    """Whether a column holds what the paper prints."""
    return "paper" in head and "ours" not in head


def _label(group: Group) -> Markup:
    return Markup().join(_part(line, escape(line.label)) for line in group)


def _part(line: Line, content: Markup) -> Markup:
    """One line of a cell; an empty one keeps its height, so that a row's lines stay level."""
    return Markup('<span class="{}">{}</span>').format(line.kind, content or Markup("&nbsp;"))


def _cell(cell: Cell, target: str | None) -> Markup:
    content = escape(cell.text)
    if cell.place:
        name = "strong" if cell.place == "best" else "u"
        content = Markup('<{0} title="{1}">{2}</{0}>').format(Markup(name), _PLACES[cell.place], content)
    if target and any(character.isdigit() for character in cell.text):
        content = Markup('<a href="{}">{}</a>').format(target, content)
    return content + Markup('<span class="star">*</span>') if cell.star else content


_PLACES = {"best": "best of its line", "second": "second best of its line"}


_ENVIRONMENT = environment()
_ENVIRONMENT.filters |= {"cells": _cells, "label": _label}
