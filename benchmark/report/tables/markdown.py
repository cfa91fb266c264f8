"""Tables as GitHub's Markdown: one row per stack of ours, whose rows stand below each other in its cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from benchmark.report.tables.layout import Cell, Head, Row, Stack, Table
from benchmark.report.templates import environment, unless_markup

_SPECIAL = r"\`*_[]|~"


def to_markdown(tables: Sequence[Table]) -> str:
    return MARKDOWN.get_template("tables.md.jinja").render(tables=tables)


def escape(text: object) -> str:
    """Text that Markdown prints as it is, on one line and without HTML."""
    text = " ".join(str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def _stack(stack: Stack) -> Markup:
    labels = [_small(row, escape(row.label)) for row in stack if row.label]
    columns = [
        [_small(row, _cell(row.cells[column])) for row in stack if row.cells[column].text]
        for column in range(len(stack[0].cells))
    ]
    return Markup(" | ").join(Markup("<br>".join(lines)) for lines in (labels, *columns))


def _cell(cell: Cell) -> str:
    text = escape(cell.text)
    if cell.place:
        text = f"**{text}**" if cell.place == "best" else f"<ins>{text}</ins>"
    return text + (r"\*" if cell.star else "")


def _small(row: Row, text: str) -> str:
    return {"value": "{}", "below": "<sub>{}</sub>", "paper": "<sub><em>{}</em></sub>"}[row.kind].format(text)


def _heads(table: Table) -> Markup:
    """The heads, each below the title of its band: Markdown has no cells that span columns."""
    bands = [title for title, columns in table.bands for _ in range(columns)] or [""] * len(table.heads)
    return Markup(" | ").join(Markup(_head(head, band)) for head, band in zip(table.heads, bands, strict=True))


def _head(head: Head, band: str) -> str:
    words = " ".join(escape(word) for word in (head.first, head.second) if word)
    mark = f"<sup>{escape(head.mark)}</sup>" if head.mark else ""
    return (f"<sub>{escape(band)}</sub><br>" if band else "") + words + mark


MARKDOWN = environment(Path(__file__).parent, {"stack": _stack, "heads": _heads}, finalize=unless_markup(escape))
