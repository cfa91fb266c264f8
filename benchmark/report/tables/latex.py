"""Tables as LaTeX that needs the package booktabs and nothing else."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from pathlib import Path

from markupsafe import Markup

from benchmark.report.tables.layout import Table
from benchmark.report.tables.numbers import DASH, MINUS
from benchmark.report.templates import environment, unless_markup

_CHARACTERS = {
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
_ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"


def to_latex(tables: Sequence[Table]) -> str:
    r"""One float per table, for `\input`."""
    return _ENVIRONMENT.get_template("tables.tex.jinja").render(tables=tables)


def escape(text: object) -> str:
    """Text that LaTeX prints as it is; pdfLaTeX prints a question mark where its standard fonts lack a character."""
    return "".join(_CHARACTERS.get(character) or _typeset(character) for character in str(text))


def _typeset(character: str) -> str:
    base, *accents = list(unicodedata.normalize("NFD", character))
    if " " <= base <= "~" and len(accents) <= 1 and all(accent in _ACCENTS for accent in accents):
        return character
    # XeLaTeX and LuaLaTeX, which alone define this command, can print any character.
    return rf"\ifdefined\Umathchar {character}\else ?\fi{{}}" if character.isprintable() else "?"


def _bands(table: Table) -> list[Markup]:
    """The line above the heads and the rules below its titles; nothing if the table has no bands."""
    titles, rules, first = [], "", 1
    for title, columns in table.bands:
        titles.append(f"\\multicolumn{{{columns}}}{{c}}{{{escape(title)}}}")
        if title:
            rules += f"\\cmidrule(lr){{{first}-{first + columns - 1}}}"
        first += columns
    return [Markup(" & ".join(titles) + r" \\"), Markup(rules)] if titles else []


_ENVIRONMENT = environment(
    Path(__file__).parent,
    {"bands": _bands},
    finalize=unless_markup(escape),
    block_start_string=r"\BLOCK{",
    block_end_string="}",
    variable_start_string=r"\VAR{",
    variable_end_string="}",
    comment_start_string=r"\COMMENT{",
    comment_end_string="}",
)
