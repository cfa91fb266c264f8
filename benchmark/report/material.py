"""What a report of one dataset is made from: the runs of Table 2 compared, and every experiment's variants."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from benchmark.plan.experiments import experiments
from benchmark.report.comparison import LoadArrays, MainComparison, main_comparison
from benchmark.report.query import Results, RunGroup
from benchmark.report.rows import RunSet, seeds_not_done
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.store.record import RunRecord

if TYPE_CHECKING:
    from benchmark.plan.planner import PlannedRun


@dataclass(frozen=True)
class VariantRuns:
    """The runs of one variant of an experiment, such as alpha = 0.1: `done` ones by seed, and the seeds of the others
    by status; `missing` for those without a record.
    """

    label: str
    method: str
    done: tuple[RunRecord, ...]
    not_done: Mapping[str, Sequence[int]]

    @property
    def asked(self) -> int:
        """How many runs there are or should be."""
        return len(self.done) + sum(map(len, self.not_done.values()))

    def values(self, metric: str, stage: str = "test") -> dict[int, float]:
        """The metric by seed, of the runs that have it."""
        found = {record.seed: record.metrics.get(stage, {}).get(metric) for record in self.done}
        return {seed: value for seed, value in found.items() if value is not None}

    def summary(self, metric: str, stage: str = "test") -> SeedSummary:
        """Mean, sample deviation and number over the seeds; NaN and 0 where no run has the metric."""
        return summarise_seeds(np.array(list(self.values(metric, stage).values()), dtype=float))


@dataclass(frozen=True)
class ExperimentRuns:
    """An experiment of the plan with its variants in the plan's order, those without any record included."""

    name: str
    title: str
    variants: tuple[VariantRuns, ...]

    def variant(self, label: str) -> VariantRuns | None:
        """The variant of that label; None if it was not asked for."""
        return next((variant for variant in self.variants if variant.label == label), None)


@dataclass(frozen=True)
class Material:
    """One dataset in one setting. `runs`: those of Table 2, maybe without any record; `comparison`: None then.

    `experiments`: those of the plan by name. `load` gives a record's arrays.
    """

    runs: RunSet
    comparison: MainComparison | None
    experiments: Mapping[str, ExperimentRuns]
    load: LoadArrays
    queried: Results | None = None

    @cached_property
    def results(self) -> Results:
        """The same runs as a query; this class goes when all that shows runs asks that."""
        if self.queried is not None:
            return self.queried
        runs = self.runs
        groups = [
            RunGroup(
                "main",
                method,
                method,
                records=tuple(runs.of(method)),
                missing=tuple(seed for name, seed in runs.missing if name == method),
            )
            for method in runs.methods()
        ]
        for name, experiment in self.experiments.items():
            for v in experiment.variants if name != "main" else ():
                last = v.label.rpartition(" ")[2]
                swept = float(last) if last.replace(".", "").isdecimal() else None
                lost = tuple(seed for seeds in v.not_done.values() for seed in seeds)
                groups.append(RunGroup(name, v.label, v.method, swept, v.done, lost))
        return Results(runs.dataset, runs.title, runs.synthetic, runs.setting, groups, self.load, runs.data)

    @classmethod
    def of(cls, results: Results) -> Material:
        """The former view of a query."""
        main, experiments = results.experiment("main"), {}
        records = tuple(record for runs in main for record in runs.records)
        missing = tuple((runs.method, seed) for runs in main for seed in runs.missing)
        shown = RunSet(
            results.dataset, results.title, results.synthetic, results.setting, records, missing, results.data
        )
        for name in dict.fromkeys(runs.experiment for runs in results.groups):
            variants = [
                VariantRuns(runs.label, runs.method, runs.done, runs.not_done) for runs in results.experiment(name)
            ]
            experiments[name] = ExperimentRuns(name, name, tuple(variants))
        comparison = main_comparison(shown, results.load) if records else None
        return cls(shown, comparison, experiments, results.load, results)

    def sweep(self, name: str) -> ExperimentRuns | None:
        """The experiment of that name; None unless it has a run that is done and none of Table 2's."""
        shared = {(record.key, record.seed) for record in self.runs.records}
        experiment = self.experiments.get(name)
        runs = [record for variant in experiment.variants for record in variant.done] if experiment else []
        return experiment if any((record.key, record.seed) not in shared for record in runs) else None


def experiment_runs(
    dataset: str, planned: Sequence[PlannedRun], records: Sequence[RunRecord]
) -> dict[str, ExperimentRuns]:
    """The experiments that these planned runs belong to, with the records that the runs have by now."""
    by_run = {(record.key, record.seed): record for record in records}
    runs: dict[tuple[str, str], list[PlannedRun]] = {}
    for run in planned:
        for name, labels in run.uses.items():
            for label in labels:
                runs.setdefault((name, label), []).append(run)
    found = {}
    for name, experiment in experiments(dataset).items():
        variants = [
            _variant(variant.label, variant.method, runs[name, variant.label], by_run)
            for variant in experiment.variants
            if (name, variant.label) in runs
        ]
        if variants:
            found[name] = ExperimentRuns(name, experiment.title, tuple(variants))
    return found


def _variant(
    label: str, method: str, planned: Sequence[PlannedRun], by_run: Mapping[tuple[str, int], RunRecord]
) -> VariantRuns:
    seeds = {run.spec.seed: by_run.get((run.key, run.spec.seed)) for run in planned}
    done = tuple(record for _, record in sorted(seeds.items()) if record is not None and record.done)
    return VariantRuns(label, method, done, seeds_not_done(seeds.items()))
