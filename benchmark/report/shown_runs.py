"""Selects the runs that a report shows: the runs of a plan, and recommendations made elsewhere."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from benchmark.plan.dataset_facts import label_of
from benchmark.plan.experiments import Variant, experiments, window_protocols
from benchmark.plan.planner import PlannedRun
from benchmark.plan.run_spec import RunSetting
from benchmark.report.methods import in_order
from benchmark.report.query import LoadArrays, Results, RunGroup
from benchmark.store.record import RunRecord
from datasets.protocol import Protocol

RecordsByRun = Mapping[tuple[str, int], RunRecord]
"""Records by run key and seed."""


def planned_results(
    planned: Sequence[PlannedRun], records: Sequence[RunRecord], data: Mapping[str, Any] | None, load: LoadArrays
) -> Results:
    """Match the planned runs with the records they have so far. The plan is about one dataset and setting, not empty.

    Groups come in this order: the methods of Table 2 in display order, recommendations made elsewhere that were scored
    under the same protocol, then the other experiments.
    """
    by_run = {(record.key, record.seed): record for record in records}
    members: dict[tuple[str, str], list[PlannedRun]] = defaultdict(list)
    for run in planned:
        for name, labels in run.uses.items():
            for label in labels:
                members[name, label].append(run)
    spec = planned[0].spec.to_json()
    variants = {name: experiment.variants for name, experiment in experiments(spec["dataset"]).items()}
    trials = [(label, run.spec.method) for run in planned for label in run.uses.get("tune", ())]
    variants["tune"] = tuple(Variant(label, method) for label, method in trials)
    groups = [
        _planned_group(name, variant, members[name, variant.label], by_run)
        for name, mine in variants.items()
        for variant in mine
        if (name, variant.label) in members
    ]
    external = _external(records, spec["protocol"], data)
    main = {group.method: group for group in groups if group.experiment == "main"}
    shown = [
        *(main[method] for method in in_order(main)),
        *(RunGroup("main", r.method, r.method, records=(r,), external_index=i) for i, r in enumerate(external)),
        *(group for group in groups if group.experiment != "main"),
    ]
    label = label_of(spec["dataset"], Protocol(**spec["protocol"]))
    setting, entry = RunSetting(label, spec["hparams"], spec["profile"]), _protocol_entry(spec["protocol"], data)
    numbers = _user_numbers(spec["protocol"], data)
    return Results(spec["dataset"], spec["title"], spec["synthetic"], setting, shown, load, entry, numbers)


def _planned_group(experiment: str, variant: Variant, runs: Sequence[PlannedRun], by_run: RecordsByRun) -> RunGroup:
    found = {run.spec.seed: by_run.get((run.key, run.spec.seed)) for run in sorted(runs, key=lambda run: run.spec.seed)}
    records = tuple(record for record in found.values() if record is not None)
    missing = tuple(seed for seed, record in found.items() if record is None)
    return RunGroup(experiment, variant.label, variant.method, variant.value, records, missing)


def _external(
    records: Sequence[RunRecord], protocol: Mapping[str, Any], data: Mapping[str, Any] | None
) -> list[RunRecord]:
    """Recommendations made elsewhere and scored on this data and protocol: the latest file of each name."""
    current = _protocol_entry(protocol, data).get("fingerprint")
    scored = (record for record in records if record.external and record.done and record.spec["protocol"] == protocol)
    fitting = [record for record in scored if current in (None, record.data["fingerprint"])]
    last = {record.method: record for record in sorted(fitting, key=lambda r: (r.finished, r.key))}
    return [last[method] for method in sorted(last)]


def _protocol_entry(protocol: Mapping[str, Any], data: Mapping[str, Any] | None) -> Mapping[str, Any]:
    entries: Iterable[Mapping[str, Any]] = (data or {}).get("protocols", {}).values()
    return next((entry for entry in entries if entry.get("protocol") == protocol), {})


def _user_numbers(protocol: Mapping[str, Any], data: Mapping[str, Any] | None) -> dict[float, np.ndarray]:
    """The numbers of the test users of every window that data.json has."""
    entries = {each: _protocol_entry(each.to_json(), data) for each in window_protocols(Protocol(**protocol))}
    texts = {each.quantile: entry.get("user_numbers", "") for each, entry in entries.items()}
    return {window: np.array(text.split(), dtype=np.int64) for window, text in texts.items() if text}
