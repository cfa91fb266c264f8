"""From records to what a report is made of: runs that belong together, and a tidy frame of their metrics."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pandas as pd

from benchmark.plan.run_spec import RunSetting
from benchmark.report.methods import Look, external_look, in_order, look
from benchmark.store.json_text import to_json
from benchmark.store.record import RunRecord

if TYPE_CHECKING:
    from benchmark.plan.planner import PlannedRun

Notify = Callable[[str], None]

COLUMNS = (
    "dataset",
    "title",
    "synthetic",
    "protocol",
    "footing",
    "profile",
    "method",
    "seed",
    "key",
    "status",
    "stage",
    "metric",
    "value",
)


@dataclass(frozen=True)
class RunSet:
    """The runs that are reported together: one dataset, one setting, one configuration per method.

    `missing`: planned runs without a record, as (method, seed). `data`: the protocol's entry in data.json, {}
    if lost.
    """

    dataset: str
    title: str
    synthetic: bool
    setting: RunSetting
    records: tuple[RunRecord, ...]
    missing: tuple[tuple[str, int], ...] = ()
    data: Mapping[str, Any] = field(default_factory=dict)

    @property
    def heading(self) -> str:
        """The dataset, and in parentheses what of the setting is not the usual: ML-1M (released footing)."""
        usual, setting = RunSetting(), self.setting
        words = [f"{setting.protocol} protocol"] if setting.protocol != usual.protocol else []
        words += [f"{setting.hparams} footing"] if setting.hparams != usual.hparams else []
        words += [f"{setting.profile} profile"] if setting.profile != usual.profile else []
        return f"{self.title} ({', '.join(words)})" if words else self.title

    def of(self, method: str) -> list[RunRecord]:
        """A method's records, whatever their status, by seed."""
        return sorted((record for record in self.records if record.method == method), key=lambda r: r.seed)

    def done(self, method: str) -> list[RunRecord]:
        """A method's records that may be averaged, by seed."""
        return [record for record in self.of(method) if record.done]

    def not_done(self, method: str) -> dict[str, list[int]]:
        """The seeds of a method that may not be averaged, by status; `missing` for planned runs without a record."""
        runs: list[tuple[int, RunRecord | None]] = [(record.seed, record) for record in self.of(method)]
        return seeds_not_done([*runs, *((seed, None) for name, seed in self.missing if name == method)])

    def asked(self, method: str) -> int:
        """How many runs of a method there are or should be."""
        return len(self.of(method)) + sum(name == method for name, _ in self.missing)

    def methods(self) -> list[str]:
        """Methods with a record or a planned run, in the order of presentation."""
        return in_order([record.method for record in self.records] + [method for method, _ in self.missing])

    def external(self) -> list[RunRecord]:
        """The records of recommendations made elsewhere, by method."""
        return sorted((record for record in self.records if record.external), key=lambda r: r.method)

    def ours(self) -> list[RunRecord]:
        """All others: the runs of this suite's methods."""
        return [record for record in self.records if not record.external]

    def look(self, method: str) -> Look:
        """How a method is shown; one that is external under the name that it was given."""
        for place, record in enumerate(self.external()):
            if record.method == method:
                return external_look(str(record.spec["method"]["settings"].get("title", method)), place)
        return look(method)


def seeds_not_done(runs: Iterable[tuple[int, RunRecord | None]]) -> dict[str, list[int]]:
    """Of (seed, record) pairs the seeds that may not be averaged, by status; `missing` where there is no record."""
    seeds: dict[str, list[int]] = defaultdict(list)
    for seed, record in runs:
        if record is None or not record.done:
            seeds[record.status if record else "missing"].append(seed)
    return {status: sorted(seeds[status]) for status in sorted(seeds)}


def rows(runs: RunSet) -> pd.DataFrame:
    """One row per run and metric, with COLUMNS; a run without metrics has one row whose metric is empty."""
    return pd.DataFrame([row for record in runs.records for row in _rows(runs, record)], columns=list(COLUMNS))


def _rows(runs: RunSet, record: RunRecord) -> Iterable[tuple[Any, ...]]:
    setting = runs.setting
    head = (
        record.dataset,
        record.title,
        record.synthetic,
        setting.protocol,
        setting.hparams,
        setting.profile,
    )
    run = (*head, record.method, record.seed, record.key, record.status)
    metrics = [(stage, *item) for stage in sorted(record.metrics) for item in record.metrics[stage].items()]
    return [(*run, *metric) for metric in metrics or [("", "", float("nan"))]]


def planned_runs(planned: Sequence[PlannedRun], records: Sequence[RunRecord], data: Mapping[str, Any] | None) -> RunSet:
    """The records of Table 2's runs in a plan, which is of one dataset and setting and not empty.

    What was recommended elsewhere under the same protocol is shown beside them.
    """
    by_key = {record.key: record for record in records}
    main = [run for run in planned if "main" in run.uses]
    found = tuple(by_key[run.key] for run in main if run.key in by_key)
    missing = tuple((run.spec.method, run.spec.seed) for run in main if run.key not in by_key)
    asked = planned[0].spec.to_json()
    return _run_set((*found, *_external(records, asked["protocol"], data)), asked, missing, data)


def stored_runs(records: Sequence[RunRecord], data: Mapping[str, Any] | None, notify: Notify) -> list[RunSet]:
    """What a store holds of one dataset, by setting: of each method the configuration with the most finished
    seeds.

    What was recommended elsewhere is shown in every setting with its protocol. Runs on other data than data.json tells
    of, and other configurations, are named through `notify` and left out.
    """
    current = [record for record in records if _is_current(record, data)]
    if len(current) < len(records):
        notify(f"{records[0].dataset}: runs on other data than data.json's are left out: {len(records) - len(current)}")
    groups: dict[str, list[RunRecord]] = defaultdict(list)
    settled = {to_json(record.spec["protocol"]) for record in current if not record.external}
    for record in current:
        protocol = to_json(record.spec["protocol"])
        if not record.external or protocol not in settled:
            groups[to_json([record.spec["protocol"], record.spec["hparams"], record.spec["profile"]])].append(record)
    run_sets = []
    for group in sorted(groups):
        spec, ours = groups[group][0].spec, [record for record in groups[group] if not record.external]
        shown = (*_main_configurations(ours, notify), *_external(current, spec["protocol"], data))
        if shown:
            run_sets.append(_run_set(shown, spec, (), data))
    return run_sets


def _external(
    records: Sequence[RunRecord], protocol: Mapping[str, Any], data: Mapping[str, Any] | None
) -> tuple[RunRecord, ...]:
    """Of each name under which recommendations were scored on this data and protocol, the file that was given last."""
    fitting = [r for r in records if r.external and r.done and r.spec["protocol"] == protocol and _is_current(r, data)]
    last = {record.method: record for record in sorted(fitting, key=lambda r: (r.finished, r.key))}
    return tuple(last[method] for method in sorted(last))


def _run_set(
    records: tuple[RunRecord, ...],
    spec: Mapping[str, Any],
    missing: tuple[tuple[str, int], ...],
    data: Mapping[str, Any] | None,
) -> RunSet:
    label, entry = _protocol_entry(spec["protocol"], data)
    setting = RunSetting(label, spec["hparams"], spec["profile"])
    return RunSet(spec["dataset"], spec["title"], spec["synthetic"], setting, records, missing, entry)


def _protocol_entry(protocol: Mapping[str, Any], data: Mapping[str, Any] | None) -> tuple[str, Mapping[str, Any]]:
    for label, entry in sorted((data or {}).get("protocols", {}).items()):
        if entry.get("protocol") == protocol:
            return label, entry
    return str(protocol["preset"]), {}


def _is_current(record: RunRecord, data: Mapping[str, Any] | None) -> bool:
    fingerprint = _protocol_entry(record.spec["protocol"], data)[1].get("fingerprint")
    return fingerprint in (None, record.data["fingerprint"])


def _main_configurations(records: Sequence[RunRecord], notify: Notify) -> Iterable[RunRecord]:
    by_method: dict[str, dict[str, list[RunRecord]]] = defaultdict(lambda: defaultdict(list))
    for record in records:
        by_method[record.method][_configuration(record)].append(record)
    for method in in_order(by_method):
        configurations = by_method[method]
        finished = Counter({name: sum(r.done for r in group) for name, group in configurations.items()})
        chosen = max(sorted(configurations), key=lambda name: (finished[name], len(configurations[name])))
        if len(configurations) > 1:
            notify(
                f"{records[0].dataset}: {method} was run in {len(configurations)} configurations; "
                f"the report shows the one with the most finished seeds ({finished[chosen]})"
            )
        yield from configurations[chosen]


def _configuration(record: RunRecord) -> str:
    versions = {name: record.versions.get(name) for name in ("protocol", "encoder", "method", "evaluation")}
    decisive = {name: record.spec[name] for name in ("encoder", "training", "method")}
    return to_json([decisive, versions])
