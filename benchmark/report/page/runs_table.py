"""The table of every run behind a dataset's tables, with its record, its command and where it is shown."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass

from benchmark.plan.repeat import repeat_command
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.numbers import DASH, number
from benchmark.runs.metrics import shown_in
from benchmark.store.record import RunRecord

METRICS = shown_in("run")
"""The metrics shown of every run; its record has the rest."""


@dataclass(frozen=True)
class RunRow:
    """One run. `uses`: where it is shown. `groups`: the anchors of the groups that average it.

    `anchors`: the anchors among them that stand at this row, because it is the first of its group.
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
        """The command that repeats this run and no other."""
        return repeat_command(self.record)

    @property
    def values(self) -> list[str]:
        return [number(self.record.metrics["test"].get(name, math.nan)) for name in METRICS]

    @property
    def epochs(self) -> str:
        """The selected epoch and the number of epochs, or a dash if nothing was trained."""
        trained = self.record.epochs and self.record.selected_epoch is not None
        return f"{self.record.selected_epoch} of {len(self.record.epochs)}" if trained else DASH


def run_rows(results: Results, identity: str) -> list[RunRow]:
    """Return each run once, in the order of the groups. `identity` begins every anchor."""
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
    """The id of the first run of the RunGroup with this name."""
    return slug(f"{identity}-run-{group}")


def not_run(results: Results) -> list[str]:
    """One line per group and status, naming the seeds that are not done."""
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
    """Where a group is shown: Table 2, an experiment, or one of its variants."""
    if group.experiment == "main":
        return "Table 2"
    if group.label == group.method:
        return group.experiment
    return group.title if group.experiment in group.title else f"{group.experiment}: {group.title}"
