"""What the paper's text refers to, and what two reading notes say of it, from the quotations in audit.toml."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import pandas as pd

from benchmark.paper.audit.cells import SLACK, VERDICTS, Finding, Verdict, number, percent, title
from benchmark.paper.printed import TABLE_1_METHODS, TABLE_2_METHODS, TABLE_3_VARIANTS
from benchmark.report.methods import look

Contents = Mapping[str, Mapping[str, str]]
"""What stands under each number or name, by kind: equation, section, figure; empty if it cannot be told."""


def references(entries: Iterable[Mapping[str, str]], contents: Contents) -> list[Finding]:
    """Whether what is referred to exists and is about what the reference says; keys as in audit.toml's `references`."""
    return [_reference(entry, contents[entry["kind"]]) for entry in entries]


def _reference(entry: Mapping[str, str], contents: Mapping[str, str]) -> Finding:
    kind, target, subject = entry["kind"], entry["to"], entry["subject"]
    name, quoted = f"{kind.capitalize()} {target}", f"“{entry['quote']}”"
    if contents.get(target) == subject:
        return Finding(entry["place"], quoted, f"{name} is about {subject}.", "agrees")
    if contents.get(target) == "":
        return Finding(entry["place"], quoted, f"The text at hand does not tell what {name} shows.", "cannot be told")
    text = f"{name} is about {contents[target]}" if target in contents else f"There is no {name}"
    text += "".join(f"; {kind} {there} is about {what}" for there, what in contents.items() if what == subject)
    return Finding(entry["place"], quoted, f"{text}.", "disagrees")


def datasets(named: Collection[str], tables: Mapping[str, pd.DataFrame]) -> list[Finding]:
    """The datasets that the text names against those of the tables (title to frame): one finding per dataset."""
    in_tables = [str(name) for table in tables.values() for name in table["dataset"]]
    findings = []
    for name in dict.fromkeys([*named, *in_tables]):
        where = [title for title, table in tables.items() if name in set(table["dataset"])]
        printed = "named in the text" if name in named else "not named in the text"
        follows = f"In {', '.join(where)}." if where else "In no table."
        findings.append(Finding(name, printed, follows, "agrees" if where and name in named else "disagrees"))
    return findings


def statements(entries: Iterable[Mapping[str, Any]]) -> list[Finding]:
    """Statements that are judged in words; keys as in audit.toml's `statements`."""
    return [
        Finding(entry["place"], f"“{entry['quote']}”", entry["follows"], _known(entry["verdict"])) for entry in entries
    ]


def reading_notes(
    entries: Iterable[Mapping[str, Any]], table1: pd.DataFrame, table2: pd.DataFrame, table3: pd.DataFrame
) -> list[Finding]:
    """Statements of the reading notes: their figures are looked up in the tables, the others are judged in words.

    A figure agrees if Table 2 prints it in the very cell that the note names, disagrees if that cell has another or if
    it is printed for something else, and cannot be told if no table prints it; a note is as good as its worst figure.
    Keys as in audit.toml's `notes`.
    """
    printed = [*_numbers(table1, "Table 1", _titles(TABLE_1_METHODS))]
    printed += _numbers(table2, "Table 2", _titles(TABLE_2_METHODS))
    printed += _numbers(table2, "Table 2", {"btsr_std": "deviation of BT-SR", "improve_pct": "Improve"})
    printed += _numbers(table3, "Table 3", {column: f"column {name}" for name, column in TABLE_3_VARIANTS.items()})
    return [_reading_note(entry, printed) for entry in entries]


def _reading_note(entry: Mapping[str, Any], printed: Sequence[tuple[str, str, float, str]]) -> Finding:
    judged = [_figure(figure, printed) for figure in entry.get("figures", ())]
    verdicts = [verdict for _, verdict in judged] or [_known(entry["verdict"])]
    worst = max(verdicts, key=("agrees", "cannot be told", "disagrees").index)
    follows = " ".join([*(text for text, _ in judged), *([entry["follows"]] if "follows" in entry else [])])
    quoted = f"“{entry['quote']}”" + (f" ({entry['english']})" if "english" in entry else "")
    return Finding(f"Reading note ({entry['language']}), {entry['place']}", quoted, follows, worst)


def _figure(figure: Mapping[str, Any], printed: Sequence[tuple[str, str, float, str]]) -> tuple[str, Verdict]:
    relative = "improve" in figure
    value = figure["improve"] if relative else figure["value"]
    shown = percent(value) if relative else number(value)
    claim = f"{figure['dataset']} {figure['metric']}".strip()
    same_kind = [cell for cell in printed if (cell[1] == "improve_pct") == relative]
    cell = f"{figure['dataset']}, {figure['metric']}"
    there = [x for x in same_kind if x[0] == cell and x[1] == figure.get("column")]
    if there and abs(there[0][2] - value) <= SLACK:
        return f"{shown} for {claim}: so printed.", "agrees"
    instead = f"printed is {percent(there[0][2]) if relative else number(there[0][2])}; " if there else ""
    places = list(dict.fromkeys(f"{x[3]}, {x[0]}" for x in same_kind if abs(x[2] - value) <= SLACK))
    if places:
        return f"{shown} for {claim}: {instead}the number is printed as {'; '.join(places)}.", "disagrees"
    return f"{shown} for {claim}: {instead}no table has it.", "disagrees" if there else "cannot be told"


def _numbers(table: pd.DataFrame, name: str, columns: Mapping[str, str]) -> list[tuple[str, str, float, str]]:
    """Every printed number of these columns: its row (dataset, metric), its column, itself, and table and column."""
    return [
        (f"{row['dataset']}, {row['metric']}", column, float(row[column]), f"{name}, {what}")
        for _, row in table.iterrows()
        for column, what in columns.items()
    ]


def _titles(columns: Mapping[str, str]) -> dict[str, str]:
    return {column: title(method) if method == "btsr" else look(method).title for method, column in columns.items()}


def _known(verdict: str) -> Verdict:
    """Raises ValueError for a verdict that is none."""
    for known in VERDICTS:
        if verdict == known:
            return known
    raise ValueError(f"{verdict!r} is no verdict; give agrees, disagrees or cannot be told")
