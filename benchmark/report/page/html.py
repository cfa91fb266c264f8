"""Tables as HTML that a script can sort: one row per stack of rows, which stand below each other in its cells."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

from markupsafe import Markup

from benchmark.report.tables.layout import Stack, Table
from benchmark.report.tables.numbers import MINUS
from benchmark.report.templates import environment

Link = Callable[[str], str | None]
"""Where the runs of a RunGroup stand, by its name; None if they are not on the page."""

_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?")


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


def _target(table: Table, stack: Stack, column: int, link: Link, origin: str | None) -> str | None:
    """Where the numbers of a cell link to; None for those that the paper prints."""
    head = table.heads[1 + column]
    named = (name for name in (stack[0].runs, head.runs, table.runs) if name)
    return None if head.printed else next(filter(None, map(link, named)), origin)


def _has_digit(text: str) -> bool:
    return any(character.isdigit() for character in text)


_ENVIRONMENT = environment(
    Path(__file__).parent,
    {"target": _target, "has_digit": _has_digit, "sort_value": sort_value},
    autoescape=True,
)
