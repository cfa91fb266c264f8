"""A report of a single run, in every form that tables have, and what in it would be more than text."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser

from benchmark.plan.run_spec import RunSetting
from benchmark.report.page.page import to_html
from benchmark.report.page.runs_table import run_rows
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import TABLES
from benchmark.report.tables.formats import to_latex, to_markdown, to_plain
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

INERT = frozenset(
    re.findall(
        "[a-z0-9]+",
        "a b body br caption code col colgroup details div em figcaption figure footer h1 h2 h3 head header hr html i "
        "img ins li link main meta nav ol p pre q section small span strong style sub summary sup table tbody td tfoot "
        "th thead time title tr u ul",
    )
)
"""Elements that do nothing by themselves; `script` and `style` of the page itself are held to its policy's digests."""

TARGETS = re.compile(r"#|(?!//)[\w./ -]+$|data:image/(png|webp);base64,|data:,$|https://")
COMMANDS = frozenset(
    re.findall(
        "[A-Za-z]+",
        "Umathchar addlinespace begin bottomrule caption centering cmidrule dagger else end fi footnotesize ifdefined "
        "itshape label linewidth makebox medskip midrule multicolumn par pm rlap scriptsize setlength small tabcolsep "
        "textasciicircum textasciitilde textbackslash textbar textbf textgreater textit textless textsuperscript "
        "toprule underline",
    )
)
FORMULA = re.compile(r"[=+@\t\r]|-(?![0-9.])")


def report_problem(record: RunRecord, arrays: Arrays) -> str:
    """What is wrong with the tables of this run alone; what cannot be made of it raises."""

    def load(_: RunRecord) -> Arrays:
        return arrays

    group = RunGroup("main", record.method, record.method, records=(record,))
    results = Results(record.dataset, record.title, record.synthetic, RunSetting(), [group], load)
    run_rows(results, "x")
    for tabulate in TABLES.values():
        for table in (tabulate(results) or ([],))[0]:
            to_plain(table), to_markdown([table])
            problems = [*active_in_html(to_html(table, "x")), *active_in_latex(to_latex([table]))]
            if problems:
                return f"{table.name}: {problems[0]}"
    return ""


class _Elements(HTMLParser):
    def __init__(self, document: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(document)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))


def active_in_html(document: str) -> Iterator[str]:
    """Elements, attributes and addresses that could do something, or have something fetched."""
    for tag, attributes in _Elements(document).found:
        if tag not in INERT:
            yield f"element {tag}"
        for name, value in attributes.items():
            if name.startswith("on") or name in ("style", "srcdoc", "formaction"):
                yield f"attribute {name} of {tag}"
            if name in ("href", "src") and not TARGETS.match(value or ""):
                yield f"{name} {value!r:.80} of {tag}"


def active_in_latex(source: str) -> Iterator[str]:
    """Commands that no table uses, and special characters outside of them."""
    text = re.sub(r"^%.*$|(?<=\{)%$|\$(\\pm|\\dagger|-)\$", "", source, flags=re.MULTILINE)
    yield from (f"command {name}" for name in re.findall(r"\\([a-zA-Z]+)", text) if name not in COMMANDS)
    yield from (f"character {found!r}" for found in re.findall(r"(?<!\\)[%#_^~$]", text))
    if text.count("{") - text.count(r"\{") != text.count("}") - text.count(r"\}"):
        yield "braces that do not match"
    if re.search(r"\\\\\s*[\[*]", source):
        yield "an argument after the end of a row"


def formulas_in_csv(rows: list[list[str]]) -> Iterator[str]:
    """Fields that a spreadsheet would compute."""
    yield from (f"field {field!r:.80}" for row in rows for field in row if FORMULA.match(field))
