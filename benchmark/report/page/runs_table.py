"""Every run behind a dataset's tables, with its record, its command and what shows it."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from benchmark.report.material import Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.query import RunGroup
from benchmark.report.tables.numbers import DASH, DECIMALS
from benchmark.store.record import RunRecord

METRICS = ("ndcg@10", "hr@10", "cov@10")
"""What is shown of every run; its record has the rest."""

_EXPERIMENT_OF = {"table1": "objectives", "table3": "regimes", "figure5-regimes": "regimes"}
"""The experiment that a table shows, where its name does not say so."""


@dataclass(frozen=True)
class RunRow:
    """One run. `uses`: what shows it; `groups`: the runs it is averaged with, by anchor; `anchors`: those of these
    groups whose first row this is.
    """

    record: RunRecord
    title: str
    uses: tuple[str, ...]
    groups: tuple[str, ...]
    anchors: tuple[str, ...]

    @property
    def path(self) -> str:
        """Its record, relative to the store."""
        record = self.record
        return f"{record.dataset}/runs/{record.method}/{record.key}-s{record.seed}/record.json"

    @property
    def values(self) -> list[str]:
        """METRICS on the test users, as printed."""
        return [_number(self.record.metrics["test"].get(name)) for name in METRICS]

    @property
    def epochs(self) -> str:
        """The selected epoch of how many; a dash where nothing was trained."""
        trained = self.record.epochs and self.record.selected_epoch is not None
        return f"{self.record.selected_epoch} of {len(self.record.epochs)}" if trained else DASH

    @property
    def minutes(self) -> str:
        """Of training, by wall clock."""
        seconds = self.record.timings.get("fit_seconds")
        return DASH if seconds is None else f"{seconds / 60:.1f}"

    @property
    def machine(self) -> str:
        """Device and torch version."""
        known = self.record.hardware.get("device"), self.record.versions.get("torch")
        device, torch = ("unknown" if value is None else str(value) for value in known)
        return DASH if self.record.external else f"{device}, torch {torch}"


@dataclass(frozen=True)
class _Group:
    """The runs of one method in Table 2, or of one variant; `names`: how tables call it."""

    experiment: str
    label: str
    use: str
    names: tuple[str, ...]
    records: Sequence[RunRecord]

    def anchor(self, identity: str) -> str:
        return slug(f"{identity}-run-{self.experiment}-{self.label}")


def run_rows(material: Material, identity: str) -> list[RunRow]:
    """Each run once, in the order in which it is first shown. `identity`: with what the anchors begin."""
    uses: dict[tuple[str, int], list[tuple[str, str]]] = {}
    records: dict[tuple[str, int], RunRecord] = {}
    for group in _groups(material):
        for record in group.records:
            run = (record.key, record.seed)
            records.setdefault(run, record)
            uses.setdefault(run, []).append((group.use, group.anchor(identity)))
    seen: set[str] = set()
    rows = []
    for run, record in records.items():
        groups = tuple(dict.fromkeys(anchor for _, anchor in uses[run]))
        first = tuple(anchor for anchor in groups if anchor not in seen)
        seen.update(first)
        shown_by = tuple(dict.fromkeys(use for use, _ in uses[run]))
        rows.append(RunRow(record, material.runs.look(record.method).title, shown_by, groups, first))
    return rows


def anchor_of(material: Material, identity: str, table: str, text: str) -> str | None:
    """The anchor of the runs that a head or a label of a table names; None if it names none that are there."""
    experiment = _EXPERIMENT_OF.get(table, table)
    found = None
    for group in _groups(material):
        if group.records and any(_names(text, name) for name in group.names):
            if group.experiment == experiment:
                return group.anchor(identity)
            if group.experiment == "main":
                found = group.anchor(identity)
    return found


def anchor_of_caption(material: Material, identity: str, text: str) -> str | None:
    """The anchor of the runs of the one method that a caption is about: `SASRec (CE) on ML-1M, ...`."""
    for group in _groups(material):
        if group.records and any(f"{name} on {material.runs.title}" in text for name in group.names):
            return group.anchor(identity)
    return None


def not_run(material: Material) -> list[str]:
    """One line per method or variant some of whose runs have no usable record: which seeds, and why."""
    runs = material.runs
    lines = []
    for method in runs.methods():
        lines += [_line("Table 2", runs.look(method).title, *item) for item in runs.not_done(method).items()]
    for name, experiment in material.experiments.items():
        for variant in experiment.variants if name != "main" else ():
            lines += [_line(name, _title(name, variant), *item) for item in variant.not_done.items()]
    return lines


def slug(text: str) -> str:
    """Text as an id."""
    return re.sub(r"[^a-z0-9.-]+", "-", text.lower()).strip("-")


def _groups(material: Material) -> Iterator[_Group]:
    runs = material.runs
    for method in runs.methods():
        yield _Group("main", method, "Table 2", (runs.look(method).title, *_in_table1(method)), runs.of(method))
    for name, experiment in material.experiments.items():
        for variant in experiment.variants if name != "main" else ():
            title, method = _title(name, variant), look(variant.method).title
            names = (title, f"{method} {title}", f"{method}, {title}", *_in_table1(variant.label))
            use = name if variant.label in (variant.method, title) and name != "views" else title
            yield _Group(name, variant.label, use if name in use else f"{name}: {use}", names, variant.done)


def _names(text: str, name: str) -> bool:
    """Whether a head or label is this name, alone or before a metric."""
    return text == name or (text.startswith(f"{name}, ") and "@" in text.removeprefix(name))


def _in_table1(method: str) -> tuple[str, ...]:
    """How Table 1 heads a method's column, if it has one."""
    family, _, objective = method.partition("-")
    return {"sasrec": (objective.upper(),), "btsr": (f"{objective.upper()} + BT",)}.get(family, ())


def _title(name: str, variant: VariantRuns) -> str:
    """A variant as the tables call it."""
    if variant.label == variant.method:
        return look(variant.method).title
    if name == "regimes":
        return f"alpha {variant.label}"
    shares = variant.label.rpartition(" ")[2] if name in ("noise", "weights") else None
    return RunGroup(name, variant.label, variant.method, None if shares is None else float(shares)).title


def _line(use: str, title: str, status: str, seeds: Sequence[int]) -> str:
    word = "not run" if status == "missing" else status
    return f"{use}, {title}: {word} (seed{'s' if len(seeds) > 1 else ''} {', '.join(map(str, sorted(seeds)))})"


def _number(value: float | None) -> str:
    return DASH if value is None or math.isnan(value) else f"{value:.{DECIMALS}f}"
