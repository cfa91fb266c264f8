"""The drill's table in Markdown, from its JSON file alone, and what of its figures must be 0."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

MUST_BE_ZERO = (
    "differences",
    "lost",
    "doubled",
    "half_written",
    "left_over",
    "left_over_processes",
    "tracebacks",
    "hangs",
    "wrong_results",
    "unclear",
    "unnoticed",
    "without_a_word_on_what_is_safe",
    "with_another_exit_code_than_130",
    "not_delivered",
    "failed_by_itself",
)

NO_FIGURES = ("skipped", "failed")
"""What a section says that has none, with the reason."""

HEAD = """<!-- Written by python -m tests.drill from results/drill.json. -->

# Fault drill

Tiny runs on synthetic data, disturbed and compared with undisturbed ones: arrays and tables byte for byte, records but
for what the clock says. The tables of the cost are left out, for they state durations. No number here is a result on
any dataset.
"""


def wrong(figures: Mapping[str, Any]) -> list[str]:
    """What is not 0 and must be, by the names that lead there."""
    return [f"{name} {value}" for name, value in _leaves(figures) if name.split(": ")[-1] in MUST_BE_ZERO and value]


def to_markdown(document: Mapping[str, Mapping[str, Any]]) -> str:
    """`document`: the content of the JSON file, a row for each drill. What has parts gets a table of its own below."""
    parts = [HEAD, "| drill | figures | must be 0 |\n|:--|:--|:--|"]
    tables, facts = list[str](), list[str]()
    for name, section in document.items():
        counted, zero = list[str](), list[str]()
        for figure, value in section["figures"].items():
            if isinstance(value, Mapping):
                tables.append(_table(f"{name}: {_words(figure)}", value))
            else:
                (zero if figure in MUST_BE_ZERO else counted).append(f"{_words(figure)} {_value(value)}")
        counted += [f"{outcome}: {_value(section[outcome])}" for outcome in NO_FIGURES if outcome in section]
        parts.append(f"| {name}: {section['what']} | {', '.join(counted)} | {', '.join(zero)} |")
        versions, hardware = section["versions"], section["hardware"]
        dirty = ", changed since" if versions["code_dirty"] else ""
        facts.append(
            f"- {name}: `{section['command']}`; {section['seconds']:.0f} s from {section['started']}; "
            f"{hardware['name']}, {hardware['platform']}; torch {versions['torch']}, Python {versions['python']}; "
            f"commit {versions['code'][:12]}{dirty}"
        )
    return "\n".join([*parts, "", *tables, *facts, ""])


def _table(title: str, figures: Mapping[str, Any]) -> str:
    """A row for each part; parts of parts are columns."""
    columns = {column: None for value in figures.values() if isinstance(value, Mapping) for column in value}
    lines = [f"| {' | '.join([title, *map(_words, columns or [''])])} |", f"|:--|{'--:|' * max(len(columns), 1)}"]
    for name, value in figures.items():
        cells = [value.get(column, "") for column in columns] if isinstance(value, Mapping) else [value]
        lines.append(f"| {' | '.join([_words(name), *map(_value, cells)])} |")
    return "\n".join([*lines, ""])


def _leaves(figures: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in figures.items():
        if isinstance(value, Mapping):
            yield from _leaves(value, f"{before}{name}: ")
        else:
            yield f"{before}{name}", value


def _words(name: str) -> str:
    return name.replace("_", " ")


def _value(value: Any) -> str:
    if isinstance(value, list):
        return " + ".join(map(_value, value))
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return f"{value:.4g}" if isinstance(value, float) else str(value).replace("|", "/")
