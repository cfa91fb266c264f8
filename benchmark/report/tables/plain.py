"""Tables as text for a terminal."""

from __future__ import annotations

import textwrap

from benchmark.report.tables.layout import Row, Table

WIDTH = 120
LEGEND = "[ ] best of the paper's columns; * p < 0.05 in favour of BT-SR; for the notes see table2.md"


def to_plain(table: Table) -> str:
    """The table in aligned columns below its caption; its notes are left to the written tables."""
    columns = table.heads[1:]
    heads = [["", *(head.first for head in columns)], ["", *(head.second + head.mark for head in columns)]]
    sections = [[_texts(row) for stack in section for row in stack] for section in table.sections]
    rows = [*heads, *(row for section in sections for row in section)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(table.heads))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    blocks = ["\n".join(_align(row, widths) for row in block) for block in [heads, *sections]]
    return "\n".join([textwrap.fill(table.caption, WIDTH), rule, f"\n{rule}\n".join(blocks), rule, LEGEND, ""])


def _texts(row: Row) -> list[str]:
    texts = [cell.text + ("*" if cell.star else "") for cell in row.cells]
    bests = [cell.place == "best" for cell in row.cells]
    return [row.label, *(f"[{text}]" if best else text for text, best in zip(texts, bests, strict=True))]


def _align(row: list[str], widths: list[int]) -> str:
    label, *cells = row
    aligned = [label.ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(cells, widths[1:], strict=True))]
    return "  ".join(aligned).rstrip()
