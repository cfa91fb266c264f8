"""The runs of one dataset as a tidy frame, and the questions that tables, figures and claims ask about them.

All of them ask the same thing: what is this metric over the seeds of these runs, on its own, against other runs seed
by seed, or against other runs user by user?
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from baselines.registry import METHODS
from benchmark.paper.printed import BASELINES, BTSR, Printed, table2_row
from benchmark.plan.run_spec import RunSetting
from benchmark.plan.selection import Choice, choose
from benchmark.report.methods import MethodStyle, external_style, in_order, is_own, style_of
from benchmark.report.significance import PairedTest, SeedSummary, paired_t_test, summarise_seeds
from benchmark.report.tables.numbers import DASH
from benchmark.runs.metrics import is_higher_better, is_mean_over_users
from benchmark.runs.summary import user_means
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

COLUMNS = (
    *("dataset", "title", "synthetic", "protocol", "hparams", "profile"),
    *("experiment", "variant", "swept", "method", "plain", "seed", "key", "status", "stage", "metric", "value"),
)

MAX_PROFILE = 40
"""Longest profile name shown in a heading. Settings changed by hand are part of the name, so it can get long."""

COST = "cost"
"""The stage under which the frame lists what a run took: seconds, epochs, bytes."""

LoadArrays = Callable[[RunRecord], Arrays | None]


@dataclass(frozen=True)
class RunGroup:
    """The runs that are averaged together: one method of Table 2, or one variant of another experiment.

    `method`: the method this is a variant of. Its records may name another one: BT-SR with alpha = 0 is run as SASRec.
    `swept`: the value that the experiment varies, such as alpha or the share of noise, if it varies a number.
    `records`: every stored run, ordered by seed, whatever its status. `missing`: planned seeds without a record.
    `external_index`: counts external methods from 0, so that each gets its own marker.
    """

    experiment: str
    label: str
    method: str
    swept: float | None = None
    records: tuple[RunRecord, ...] = ()
    missing: tuple[int, ...] = ()
    external_index: int = 0

    @property
    def name(self) -> str:
        """A name that is unique within a dataset and setting, such as `alpha/0.1`."""
        return f"{self.experiment}/{self.label}"

    @property
    def plain(self) -> str | None:
        """The same method without Barlow Twins (`sasrec-ce` for `btsr-ce`), or None if there is none."""
        return METHODS[self.method].plain if self.method in METHODS else None

    @property
    def title(self) -> str:
        """The name shown to readers, such as `SASRec (CE)`, `alpha 0.1` or `SASRec (CE), noise 0.2`."""
        if self.label == self.method:
            return self.style.title
        match self.experiment:
            case "alpha" | "lambda" | "regimes":
                return f"{'lambda' if self.experiment == 'lambda' else 'alpha'} {self.label}"
            case "noise" | "windows" | "weights":
                varied = {"noise": "noise", "windows": "window", "weights": "weights times"}[self.experiment]
                return f"{self.style.title}, {varied} {self.swept:g}"
            case "home" | "tune":
                return f"{self.style.title}, {self.label.removeprefix(self.method).lstrip(': ')}"
            case _:
                return self.label

    @property
    def style(self) -> MethodStyle:
        """The style of the method. An external method appears under the title that its file was given."""
        if self.external and self.records:
            given = self.records[0].spec["method"]["settings"].get("title", self.method)
            return external_style(str(given), self.external_index)
        return style_of(self.method)

    @property
    def external(self) -> bool:
        return any(record.external for record in self.records)

    @property
    def done(self) -> tuple[RunRecord, ...]:
        """The finished runs, which are the ones that enter averages."""
        return tuple(record for record in self.records if record.done)

    @property
    def not_done(self) -> dict[str, list[int]]:
        """The seeds of all other runs by status; the status of a run without a record is `missing`."""
        seeds = defaultdict(list, {"missing": list(self.missing)} if self.missing else {})
        for record in self.records:
            if not record.done:
                seeds[record.status].append(record.seed)
        return {status: sorted(seeds[status]) for status in sorted(seeds)}

    @property
    def n_planned(self) -> int:
        return len(self.records) + len(self.missing)

    @property
    def done_of_planned(self) -> str:
        """`3/5`, or a dash if nothing was planned."""
        return f"{len(self.done)}/{self.n_planned}" if self.n_planned else DASH


class Versus(NamedTuple):
    """A rival, and the test of a candidate against it."""

    rival: RunGroup
    test: PairedTest


@dataclass(eq=False)
class Results:
    """The runs of one dataset under one setting. Table 2 is the experiment `main`, with one group per method.

    `groups`: experiment by experiment, in the order of the plan. `read_arrays`: reads the arrays of a record from the
    store and returns None if they are lost. `data`: the entry of this protocol in data.json, empty if it is lost.
    `user_numbers`: for each window listed in data.json the numbers (N,) of its test users, which show who is tested in
    several windows.
    """

    dataset: str
    title: str
    synthetic: bool
    setting: RunSetting
    groups: Sequence[RunGroup]
    read_arrays: LoadArrays
    data: Mapping[str, Any] = field(default_factory=dict)
    user_numbers: Mapping[float, np.ndarray] = field(default_factory=dict)
    _loaded: dict[tuple[str, int], Arrays | None] = field(default_factory=dict, init=False)

    @property
    def heading(self) -> str:
        """The title with departures from the default setting in parentheses: `ML-1M (released hyper-parameters)`."""
        usual, setting = RunSetting(), self.setting
        preset, *departures = setting.protocol.split(",")
        words = [f"{preset} protocol"] if preset != usual.protocol else []
        orders = {"ties=file": "file order", "ties=item": "item order"}
        words += [orders.get(each, each) for each in departures]
        words += [f"{setting.hparams} hyper-parameters"] if setting.hparams != usual.hparams else []
        name = setting.profile
        profile, *by_hand = split_profile(name if len(name) <= MAX_PROFILE else f"{name[: MAX_PROFILE - 1]}…")
        words += [f"{profile} profile", *by_hand] if profile != usual.profile else by_hand
        return f"{self.title} ({', '.join(words)})" if words else self.title

    @property
    def identity(self) -> dict[str, object]:
        """The first COLUMNS, which are the same in every row: the dataset and its setting."""
        return {"dataset": self.dataset, "title": self.title, "synthetic": self.synthetic} | asdict(self.setting)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """COLUMNS, with one row per group, run, stage and metric. A run in two groups is listed in both.

        A run that is not done has no metrics. It gets a single row with an empty stage and metric.
        """
        head = tuple(self.identity.values())
        rows = [
            (*head, group.experiment, group.label, group.swept, group.method, group.plain, *run, *measurement)
            for group in self.groups
            for record in group.records
            for run in [(record.seed, record.key, record.status)]
            for measurement in _measurements(record)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    # --- which runs -------------------------------------------------------------------------------------------------

    def experiment(self, name: str) -> tuple[RunGroup, ...]:
        return tuple(group for group in self.groups if group.experiment == name)

    def experiment_beyond_main(self, name: str) -> tuple[RunGroup, ...]:
        """The groups of an experiment, or nothing if all its finished runs also belong to Table 2."""
        shared, groups = {(record.key, record.seed) for record in self.records("main")}, self.experiment(name)
        runs = {(record.key, record.seed) for group in groups for record in group.done}
        return groups if runs - shared else ()

    def group(self, experiment: str, label: str) -> RunGroup | None:
        return next((group for group in self.experiment(experiment) if group.label == label), None)

    def method(self, method: str) -> RunGroup:
        """A method's runs in Table 2; an empty group if there are none."""
        return self.group("main", method) or RunGroup("main", method, method)

    def records(self, *experiments: str) -> list[RunRecord]:
        """Each record once, from all groups or only from those of the given experiments."""
        groups = [group for group in self.groups if not experiments or group.experiment in experiments]
        return list({(record.key, record.seed): record for group in groups for record in group.records}.values())

    @cached_property
    def masks_history(self) -> bool:
        """Whether all runs exclude the items in a user's history, so that a target among them counts as a miss."""
        return all(record.spec.get("evaluation", {}).get("mask_seen", True) for record in self.records())

    # --- the columns of Table 2 -------------------------------------------------------------------------------------

    @cached_property
    def ran(self) -> tuple[str, ...]:
        """The methods of Table 2 that have a record, in display order."""
        return tuple(in_order(group.method for group in self.experiment("main") if group.records))

    @cached_property
    def choice(self) -> Choice | None:
        """Which objective stands for BT-SR, chosen on validation; None if no BT-SR run has finished."""
        return choose(self.frame[self.frame["experiment"] == "main"], [method for method in BTSR if method in self.ran])

    @property
    def btsr(self) -> str | None:
        return self.choice.choice if self.choice else None

    @property
    def baselines(self) -> tuple[str, ...]:
        """Which of the paper's six baselines were run."""
        return tuple(method for method in self.ran if method in BASELINES)

    @property
    def paper_methods(self) -> tuple[str, ...]:
        """The columns of the paper's table that were run: its baselines, then BT-SR."""
        return (*self.baselines, *([self.btsr] if self.btsr else []))

    @property
    def other_methods(self) -> tuple[str, ...]:
        """Every method that was run and is not in the paper's table, external ones included."""
        return tuple(method for method in self.ran if method not in self.paper_methods)

    @property
    def own_methods(self) -> tuple[str, ...]:
        """The user's own methods and external ones, which are compared like the paper's columns."""
        return tuple(method for method in self.other_methods if is_own(method))

    # --- the questions ----------------------------------------------------------------------------------------------

    def values(self, runs: RunGroup, metric: str, stage: str = "test") -> dict[int, float]:
        """The metric by seed, over the finished runs that have it."""
        measured = {record.seed: _measured_in(record, stage) for record in runs.done}
        return {seed: metrics[metric] for seed, metrics in measured.items() if metric in metrics}

    def summary(self, runs: RunGroup, metric: str, stage: str = "test") -> SeedSummary:
        """Mean and deviation over the seeds; NaN with n = 0 if no run has the metric."""
        return summarise_seeds(np.array(list(self.values(runs, metric, stage).values()), dtype=float))

    def paired(
        self, first: RunGroup, second: RunGroup, metric: str, stage: str = "test"
    ) -> tuple[list[int], np.ndarray, np.ndarray]:
        """The seeds that both groups have, and the metric of each group on these seeds, (S,) and (S,)."""
        ours, theirs = self.values(first, metric, stage), self.values(second, metric, stage)
        seeds = sorted(ours.keys() & theirs.keys())
        return seeds, np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])

    def difference(self, candidate: RunGroup, baseline: RunGroup, metric: str, stage: str = "test") -> PairedTest:
        _, ours, theirs = self.paired(candidate, baseline, metric, stage)
        return paired_t_test(ours, theirs, is_higher_better(metric))

    def against_best(self, candidate: RunGroup, rivals: Iterable[RunGroup], metric: str) -> Versus | None:
        """Test the candidate against the best of its rivals; None if no rival shares a seed with it.

        Each rival is rated on the seeds that it shares with the candidate. The first of equals wins.
        """
        tests = [Versus(rival, self.difference(candidate, rival, metric)) for rival in rivals]
        best = max if is_higher_better(metric) else min
        return best((each for each in tests if each.test.n), key=lambda each: each.test.baseline, default=None)

    def users(self, runs: RunGroup, metric: str, seeds: Collection[int] | None = None) -> np.ndarray | None:
        """What each test user contributes to HR, NDCG or MRR, averaged over all or the given seeds: (N,) float64.

        `.../bucketB` covers the users whose target lies in that bucket. None if the metric is not a mean over users,
        if there are fewer than two users, and if arrays are lost or differ in length.
        """
        if not is_mean_over_users(metric):
            return None
        needed = ("ranks", "target_buckets") if "/bucket" in metric else ("ranks",)
        chosen = [record for record in runs.done if seeds is None or record.seed in seeds]
        loaded = [arrays for arrays in map(self.load, chosen) if arrays and all(each in arrays for each in needed)]
        means = [user_means(metric, arrays) for arrays in loaded]  # (N,) for each run
        if len(means) < max(1, len(chosen)) or len({len(each) for each in means}) > 1 or len(means[0]) < 2:
            return None
        return np.asarray(np.stack(means).mean(axis=0))

    def user_differences(self, candidate: RunGroup, baseline: RunGroup, metric: str) -> np.ndarray | None:
        """Candidate minus baseline per user, (N,), both averaged over the seeds that they share; None if unknown."""
        seeds, _, _ = self.paired(candidate, baseline, metric)
        ours, theirs = self.users(candidate, metric, seeds), self.users(baseline, metric, seeds)
        return None if ours is None or theirs is None or ours.shape != theirs.shape else ours - theirs

    def printed(self, metric: str) -> Printed | None:
        """The row of the paper's Table 2; None for generated data, even if it is called like a real dataset."""
        return None if self.synthetic else table2_row(self.title, metric)

    def arrays(self, runs: RunGroup, *names: str) -> list[Arrays]:
        """The arrays of the finished runs that have all the named ones, ordered by seed."""
        loaded = (self.load(record) for record in runs.done)
        return [arrays for arrays in loaded if arrays and all(name in arrays for name in names)]

    def load(self, record: RunRecord) -> Arrays | None:
        """The arrays of a record, read from the store only once; None if they are lost."""
        identity = (record.key, record.seed)
        if identity not in self._loaded:
            self._loaded[identity] = self.read_arrays(record)
        return self._loaded[identity]

    def tie_orders(self, groups: Sequence[RunGroup]) -> dict[str, str]:
        """The stages in which these runs were tested, keyed by the order of simultaneous events.

        The keys are "file", then "drawn" for the mean over tie draws or "1", "2", ... for single random orders. Empty
        if only one order was tested.
        """
        stages = {stage for group in groups for record in group.done for stage in record.metrics}
        if "ties-file" in stages:
            return {"file": "ties-file", "drawn": "test"}
        redrawn = {stage.removeprefix("ties-"): stage for stage in sorted(stages) if stage.startswith("ties-")}
        return {"file": "test", **redrawn} if redrawn else {}


def split_profile(profile: str) -> list[str]:
    """Split a name such as `paper-encoder.padding-masked` into the profile and settings: `encoder.padding=masked`."""
    return re.sub(r"-((?:[a-z]\w*-)*[a-z]\w*\.[a-z_.]+)-", r" \1=", profile).split()


def _measured_in(record: RunRecord, stage: str) -> Mapping[str, float]:
    if stage != COST:
        return record.metrics.get(stage, {})
    cost = record.timings | {"epochs": len(record.epochs), "peak_memory_bytes": record.peak_memory_bytes}
    return {name: float(value) for name, value in cost.items() if value is not None}


def _measurements(record: RunRecord) -> Iterator[tuple[str, str, float]]:
    """Yield (stage, metric, value) for everything that a run measured, its cost included."""
    if not record.done:
        yield "", "", float("nan")
        return
    for stage in (*sorted(record.metrics), COST):
        for metric, value in _measured_in(record, stage).items():
            yield stage, metric, value
