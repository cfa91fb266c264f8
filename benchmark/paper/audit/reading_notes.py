"""What two reading notes say about the paper, checked against its tables."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmark.paper.audit.finding import SLACK, AuditFinding, AuditVerdict, number, percent, title
from benchmark.paper.printed import TABLE_1_METRIC, TABLE_3_METRIC, Table1, Table2

IMPROVE = "improve"
"""The column of Table 2 that holds percentages."""


@dataclass(frozen=True)
class PrintedNumber:
    """One number of a table; `where` names table and column in words."""

    dataset: str
    metric: str
    column: str
    value: float
    where: str

    @property
    def row(self) -> str:
        """Dataset and metric."""
        return f"{self.dataset}, {self.metric}"


def reading_notes(
    entries: Iterable[Mapping[str, Any]], table1: Table1, table2: Table2, table3: Table1
) -> list[AuditFinding]:
    """Statements of the reading notes: their figures are looked up in the tables, the others are judged in words.

    A figure agrees if Table 2 prints it in the very cell that the note names, disagrees if that cell has another or if
    it is printed for something else, and cannot be told if no table prints it; a note is as good as its worst figure.
    Keys as in audit.toml's `notes`.
    """
    printed = list(_printed_numbers(table1, table2, table3))
    return [_reading_note(entry, printed) for entry in entries]


def _printed_numbers(table1: Table1, table2: Table2, table3: Table1) -> Iterator[PrintedNumber]:
    for dataset, values in table1.items():
        for method, value in values.items():
            yield PrintedNumber(dataset, TABLE_1_METRIC, method, value, f"Table 1, {title(method)}")
    for (dataset, metric), row in table2.items():
        for method, value in row.values.items():
            yield PrintedNumber(dataset, metric, method, value, f"Table 2, {title(method)}")
    for (dataset, metric), row in table2.items():
        yield PrintedNumber(dataset, metric, "deviation", row.btsr_deviation, "Table 2, deviation of BT-SR")
        yield PrintedNumber(dataset, metric, IMPROVE, row.improve, "Table 2, Improve")
    for dataset, values in table3.items():
        for variant, value in values.items():
            yield PrintedNumber(dataset, TABLE_3_METRIC, variant, value, f"Table 3, column {variant}")


def _reading_note(entry: Mapping[str, Any], printed: Sequence[PrintedNumber]) -> AuditFinding:
    judged = [_figure(figure, printed) for figure in entry.get("figures", ())]
    verdicts = [verdict for _, verdict in judged] or [entry["verdict"]]
    worst = max(verdicts, key=("agrees", "cannot be told", "disagrees").index)
    follows = " ".join([*(text for text, _ in judged), *([entry["follows"]] if "follows" in entry else [])])
    quoted = f"“{entry['quote']}”" + (f" ({entry['english']})" if "english" in entry else "")
    return AuditFinding(f"Reading note ({entry['language']}), {entry['place']}", quoted, follows, worst)


def _figure(figure: Mapping[str, Any], printed: Sequence[PrintedNumber]) -> tuple[str, AuditVerdict]:
    """What the tables say about one number of a note; a percentage is only compared with percentages."""
    is_percentage = IMPROVE in figure
    value, show = (figure[IMPROVE], percent) if is_percentage else (figure["value"], number)
    claim = f"{show(value)} for {figure['dataset']} {figure['metric']}".replace("  ", " ").rstrip()
    candidates = [one for one in printed if (one.column == IMPROVE) == is_percentage]
    row, column = f"{figure['dataset']}, {figure['metric']}", figure.get("column")
    there = next((one.value for one in candidates if one.row == row and one.column == column), None)
    if there is not None and abs(there - value) <= SLACK:
        return f"{claim}: printed as such.", "agrees"
    instead = "" if there is None else f"printed is {show(there)}; "
    places = dict.fromkeys(f"{one.where}, {one.row}" for one in candidates if abs(one.value - value) <= SLACK)
    if places:
        return f"{claim}: {instead}the number is printed as {'; '.join(places)}.", "disagrees"
    return f"{claim}: {instead}no table has it.", "cannot be told" if there is None else "disagrees"
