r"""Tables as text: GitHub's Markdown, LaTeX that needs no package but booktabs, and plain text for a terminal.

Markdown shows the rows of a stack in one table row, one line of each cell per row.
"""

from __future__ import annotations

import textwrap
import unicodedata
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from benchmark.report.tables.layout import Command, Row, Table
from benchmark.report.tables.numbers import DASH, MINUS
from benchmark.report.templates import environment, unless_markup

WIDTH = 120
LEGEND = "[ ] best; * p < 0.05 in favour of a method against its rival; for the notes see table2.md"

_MARKDOWN_SPECIAL = r"\`*_[]|~"
_LATEX_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "$": r"\$",
    "&": r"\&",
    "#": r"\#",
    "%": r"\%",
    "_": r"\_",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': "''",
    "`": r"\`{}",
    "±": r"$\pm$",
    "†": r"$\dagger$",
    MINUS: r"$-$",
    DASH: "--",
}
_LATEX_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"


def to_markdown(tables: Sequence[Table], head: str = "<!-- Written by run_all.py from results/. -->\n") -> str:
    """Render the tables below each other, after a line that says what wrote them."""
    return MARKDOWN.get_template("tables.md.jinja").render(tables=tables, head=Markup(head))


def to_latex(tables: Sequence[Table]) -> str:
    r"""Render one float per table, for `\input`."""
    return _LATEX.get_template("tables.tex.jinja").render(tables=tables)


def to_tabular(table: Table) -> str:
    r"""Render the table without float, caption and label, with its notes in small type below it."""
    return _LATEX.get_template("tabular.tex.jinja").render(table=table)


def to_plain(table: Table, legend: str = LEGEND) -> str:
    """Render the table in aligned columns below its caption, without its notes."""
    columns = table.heads[1:]
    heads = [["", *(head.first for head in columns)], ["", *(head.second + head.mark for head in columns)]]
    sections = [[_texts(row) for stack in section for row in stack] for section in table.sections]
    rows = [*heads, *(row for section in sections for row in section)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.heads))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    blocks = ["\n".join(_align(row, widths) for row in block) for block in [heads, *sections]]
    return "\n".join([textwrap.fill(table.caption, WIDTH), rule, f"\n{rule}\n".join(blocks), rule, legend, ""])


def _texts(row: Row) -> list[str]:
    texts = [cell.text + "*" * cell.star for cell in row.cells]
    return [row.label, *(f"[{t}]" if cell.place == "best" else t for t, cell in zip(texts, row.cells, strict=True))]


def _align(row: list[str], widths: list[int]) -> str:
    label, *cells = row
    aligned = [label.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))]
    return "  ".join(aligned).rstrip()


def markdown_text(text: object) -> str:
    """Escape text so that Markdown prints it literally, on one line and without HTML. A Command becomes code."""
    if isinstance(text, Command) and "`" not in text:
        return f"`{text}`".replace("|", "\\|")
    text = " ".join(str(text).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;").split())
    return "".join(f"\\{character}" if character in _MARKDOWN_SPECIAL else character for character in text)


def latex_text(text: object) -> str:
    """Escape text so that LaTeX prints it literally. pdfLaTeX prints a question mark for characters its fonts lack."""
    return "".join(_LATEX_SPECIAL.get(character) or _typeset(character) for character in str(text))


def _typeset(character: str) -> str:
    base, *accents = list(unicodedata.normalize("NFD", character))
    if " " <= base <= "~" and len(accents) <= 1 and all(accent in _LATEX_ACCENTS for accent in accents):
        return character
    # Only XeLaTeX and LuaLaTeX define this command, and they can print any character.
    return rf"\ifdefined\Umathchar {character}\else ?\fi{{}}" if character.isprintable() else "?"


def _bands_of_columns(table: Table) -> list[str]:
    """The title of the band above each head, because Markdown has no cells that span columns."""
    return [title for title, columns in table.bands for _ in range(columns)] or [""] * len(table.heads)


def _bands_with_rules(table: Table) -> list[Markup]:
    """The line of band titles above the heads and the rules below them; nothing if the table has no bands."""
    titles, rules, first = [], "", 1
    for title, columns in table.bands:
        titles.append(f"\\multicolumn{{{columns}}}{{c}}{{{latex_text(title)}}}")
        if title:
            rules += f"\\cmidrule(lr){{{first}-{first + columns - 1}}}"
        first += columns
    return [Markup(" & ".join(titles) + r" \\"), Markup(rules)] if titles else []


MARKDOWN = environment(Path(__file__).parent, {"bands": _bands_of_columns}, finalize=unless_markup(markdown_text))
_LATEX = environment(
    Path(__file__).parent,
    {"bands": _bands_with_rules},
    finalize=unless_markup(latex_text),
    block_start_string=r"\BLOCK{",
    block_end_string="}",
    variable_start_string=r"\VAR{",
    variable_end_string="}",
    comment_start_string=r"\COMMENT{",
    comment_end_string="}",
)
