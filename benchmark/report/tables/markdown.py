"""Tables as GitHub's Markdown: one row per stack of ours, whose rows stand below each other in its cells."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from benchmark.report.tables.layout import Table
from benchmark.report.templates import environment, unless_markup

_SPECIAL = r"\`*_[]|~"


def to_markdown(tables: Sequence[Table]) -> str:
    return MARKDOWN.get_template("tables.md.jinja").render(tables=tables)


def escape(text: object) -> str:
    """Text that Markdown prints as it is, on one line and without HTML."""
    text = " ".join(str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return "".join(f"\\{character}" if character in _SPECIAL else character for character in text)


def _bands(table: Table) -> list[str]:
    """The title of the band above each head: Markdown has no cells that span columns."""
    return [title for title, columns in table.bands for _ in range(columns)] or [""] * len(table.heads)


MARKDOWN = environment(Path(__file__).parent, {"bands": _bands}, finalize=unless_markup(escape))
