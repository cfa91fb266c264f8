"""Every run behind a dataset's tables, with its record, its command and what shows it."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from benchmark.plan.repeat import repeating
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.numbers import DASH, number
from benchmark.runs.metrics import shown_in
from benchmark.store.record import RunRecord

METRICS = shown_in("run")
"""What is shown of every run; its record has the rest."""


@dataclass(frozen=True)
class RunRow:
    """One run. `uses`: what shows it; `groups`: the anchors of the groups that it is averaged in; `anchors`: those of
    them whose first row this is.
    """

    record: RunRecord
    title: str
    uses: tuple[str, ...]
    groups: tuple[str, ...]
    anchors: tuple[str, ...]

    @property
    def path(self) -> str:
        record = self.record
        return f"{record.dataset}/runs/{record.method}/{record.key}-s{record.seed}/record.json"

    @property
    def command(self) -> str:
        """Repeats the run, and only that."""
        return repeating(self.record)

    @property
    def values(self) -> list[str]:
        return [number(self.record.metrics["test"].get(name, math.nan)) for name in METRICS]

    @property
    def epochs(self) -> str:
        """The selected epoch and how many there were; a dash where nothing was trained."""
        trained = self.record.epochs and self.record.selected_epoch is not None
        return f"{self.record.selected_epoch} of {len(self.record.epochs)}" if trained else DASH


def run_rows(results: Results, identity: str) -> list[RunRow]:
    """Each run once, in the order in which it is first shown. `identity`: with what the anchors begin."""
    groups: dict[tuple[str, int], list[RunGroup]] = {}
    for group in results.groups:
        for record in group.records:
            groups.setdefault((record.key, record.seed), []).append(group)
    seen: set[str] = set()
    rows = []
    for record in results.records():
        mine = groups[record.key, record.seed]
        anchors = [anchor_of(identity, group.name) for group in mine]
        first = tuple(anchor for anchor in anchors if anchor not in seen)
        seen.update(first)
        title = results.method(record.method).style.title
        rows.append(RunRow(record, title, tuple(dict.fromkeys(map(_use, mine))), tuple(anchors), first))
    return rows


def anchor_of(identity: str, group: str) -> str:
    """The id on the page of the first run of a RunGroup of that name."""
    return slug(f"{identity}-run-{group}")


def not_run(results: Results) -> list[str]:
    """One line per group of runs some of which have no usable record: which seeds, and why."""
    lines = []
    for group in results.groups:
        shown_by = "Table 2" if group.experiment == "main" else group.experiment
        for status, seeds in group.not_done.items():
            why = "not run" if status == "missing" else status
            named = f"seed{'s' * (len(seeds) > 1)} {', '.join(map(str, seeds))}"
            lines.append(f"{shown_by}, {group.title}: {why} ({named})")
    return lines


def slug(text: str) -> str:
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-")


def _use(group: RunGroup) -> str:
    """What shows a group: Table 2, an experiment, or one of its variants."""
    if group.experiment == "main":
        return "Table 2"
    if group.label == group.method:
        return group.experiment
    return group.title if group.experiment in group.title else f"{group.experiment}: {group.title}"
