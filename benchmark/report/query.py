"""One dataset's runs as one tidy frame, and the questions that tables, figures and claims ask of it.

They all ask the same: what is this metric over the seeds of these runs, alone, against other runs seed by seed, or
against other runs user by user.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd

from baselines.registry import METHODS
from benchmark.paper.printed import BASELINES, BTSR, Printed, table2_row
from benchmark.plan.run_spec import RunSetting
from benchmark.plan.selection import Choice, choose
from benchmark.report.methods import MethodStyle, external_style, in_order, is_own, style_of
from benchmark.report.significance import PairedTest, SeedSummary, paired_t_test, summarise_seeds
from benchmark.runs.metrics import is_higher_better, is_mean_over_users
from benchmark.runs.summary import user_means
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

COLUMNS = (
    *("dataset", "title", "synthetic", "protocol", "hparams", "profile"),
    *("experiment", "variant", "swept", "method", "plain", "seed", "key", "status", "stage", "metric", "value"),
)

MAX_PROFILE = 40
"""The most characters of a profile's name in a heading: what was set by hand is part of it, which may be long."""

COST = "cost"
"""The stage of the frame that holds what a run took: seconds, epochs, bytes."""

LoadArrays = Callable[[RunRecord], Arrays | None]


@dataclass(frozen=True)
class RunGroup:
    """The runs that are averaged with one another: a method of Table 2, or one variant of another experiment.

    `method`: whose variant it is; its records may name another one, for BT-SR with alpha = 0 is run as SASRec.
    `swept`: the number that varies in the experiment, such as alpha or a share of noise; None where none does.
    `records`: by seed, whatever their status. `missing`: the seeds of planned runs that have no record. `place`: among
    external methods, for a marker of its own.
    """

    experiment: str
    label: str
    method: str
    swept: float | None = None
    records: tuple[RunRecord, ...] = ()
    missing: tuple[int, ...] = ()
    place: int = 0

    @property
    def name(self) -> str:
        """What tells the group from all others of a dataset and setting, such as `alpha/0.1`."""
        return f"{self.experiment}/{self.label}"

    @property
    def plain(self) -> str | None:
        """The method without Barlow Twins, such as `sasrec-ce` of `btsr-ce`; None where there is none."""
        return METHODS[self.method].plain if self.method in METHODS else None

    @property
    def title(self) -> str:
        """The group in print, such as `SASRec (CE)`, `alpha 0.1` or `SASRec (CE), noise 0.2`."""
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
        """How its method is shown; an external one under the name that it was given."""
        if self.external and self.records:
            given = self.records[0].spec["method"]["settings"].get("title", self.method)
            return external_style(str(given), self.place)
        return style_of(self.method)

    @property
    def external(self) -> bool:
        return any(record.external for record in self.records)

    @property
    def done(self) -> tuple[RunRecord, ...]:
        """The records that may be averaged, by seed."""
        return tuple(record for record in self.records if record.done)

    @property
    def not_done(self) -> dict[str, list[int]]:
        """The seeds of the others by status, `missing` for those without a record."""
        seeds = defaultdict(list, {"missing": list(self.missing)} if self.missing else {})
        for record in self.records:
            if not record.done:
                seeds[record.status].append(record.seed)
        return {status: sorted(seeds[status]) for status in sorted(seeds)}

    @property
    def asked(self) -> int:
        return len(self.records) + len(self.missing)


class Results:
    """The runs of one dataset under one setting. Table 2 is the experiment `main`, with a group for each method."""

    def __init__(
        self,
        dataset: str,
        title: str,
        synthetic: bool,
        setting: RunSetting,
        groups: Sequence[RunGroup],
        load: LoadArrays,
        data: Mapping[str, Any] | None = None,
        user_numbers: Mapping[float, np.ndarray] = MappingProxyType({}),
    ) -> None:
        """`groups`: experiment by experiment, in the plan's order. `load`: reads the arrays of a record, None if they
        are lost. `data`: the protocol's entry in data.json. `user_numbers`: of each window that data.json knows the
        numbers (N,) of its test users, which tell who is tested in several windows.
        """
        self.dataset, self.title, self.synthetic, self.setting = dataset, title, synthetic, setting
        self.groups, self.data, self.user_numbers = tuple(groups), data or {}, user_numbers
        self._load, self._loaded = load, dict[tuple[str, int], Arrays | None]()

    @property
    def heading(self) -> str:
        """The dataset, and in parentheses what of the setting is not the usual: ML-1M (released hyper-parameters)."""
        usual, setting = RunSetting(), self.setting
        preset, *departures = setting.protocol.split(",")
        words = [f"{preset} protocol"] if preset != usual.protocol else []
        orders = {"ties=file": "file order", "ties=item": "item order"}
        words += [orders.get(each, each) for each in departures]
        words += [f"{setting.hparams} hyper-parameters"] if setting.hparams != usual.hparams else []
        named = setting.profile
        named = named if len(named) <= MAX_PROFILE else f"{named[: MAX_PROFILE - 1]}…"
        profile, *by_hand = profile_in_words(named)
        words += [f"{profile} profile", *by_hand] if profile != usual.profile else by_hand
        return f"{self.title} ({', '.join(words)})" if words else self.title

    @property
    def identity(self) -> dict[str, object]:
        """What says of every row which dataset and setting it is about: the first COLUMNS."""
        whose = {"dataset": self.dataset, "title": self.title, "synthetic": self.synthetic}
        return whose | asdict(self.setting)

    @cached_property
    def frame(self) -> pd.DataFrame:
        """COLUMNS, one row per use of a run in a group, stage and metric.

        A run that is not done has no metrics and one row, whose stage and metric are empty.
        """
        head = tuple(self.identity.values())
        rows = [
            (*head, group.experiment, group.label, group.swept, group.method, group.plain, *identity, *measured)
            for group in self.groups
            for record in group.records
            for identity in [(record.seed, record.key, record.status)]
            for measured in _measured(record)
        ]
        return pd.DataFrame(rows, columns=list(COLUMNS))

    # --- which runs -------------------------------------------------------------------------------------------------

    def experiment(self, name: str) -> tuple[RunGroup, ...]:
        return tuple(group for group in self.groups if group.experiment == name)

    def own(self, name: str) -> tuple[RunGroup, ...]:
        """The groups of an experiment; empty unless one of its runs is done that is not Table 2's as well."""
        shared = {(record.key, record.seed) for group in self.experiment("main") for record in group.records}
        groups = self.experiment(name)
        runs = {(record.key, record.seed) for group in groups for record in group.done}
        return groups if runs - shared else ()

    def group(self, experiment: str, label: str) -> RunGroup | None:
        return next((group for group in self.experiment(experiment) if group.label == label), None)

    def method(self, method: str) -> RunGroup:
        """A method's runs of Table 2; a group without records if there are none."""
        return self.group("main", method) or RunGroup("main", method, method)

    def records(self, *experiments: str) -> list[RunRecord]:
        """Each record once, of all groups or of those of some experiments."""
        groups = [group for group in self.groups if not experiments or group.experiment in experiments]
        return list({(record.key, record.seed): record for group in groups for record in group.records}.values())

    @cached_property
    def masks_history(self) -> bool:
        """Whether no run may recommend what a user's history holds, so that such a target is a miss."""
        return all(record.spec.get("evaluation", {}).get("mask_seen", True) for record in self.records())

    # --- the columns of Table 2 -------------------------------------------------------------------------------------

    @cached_property
    def ran(self) -> tuple[str, ...]:
        """The methods of Table 2 that have a record, in the order of presentation."""
        return tuple(in_order(group.method for group in self.experiment("main") if group.records))

    @cached_property
    def choice(self) -> Choice | None:
        """Which objective represents BT-SR, by validation; None if BT-SR has no finished run."""
        return choose(self.frame[self.frame["experiment"] == "main"], [method for method in BTSR if method in self.ran])

    @property
    def btsr(self) -> str | None:
        return self.choice.choice if self.choice else None

    @property
    def baselines(self) -> tuple[str, ...]:
        """Those of the paper's six that were run."""
        return tuple(method for method in self.ran if method in BASELINES)

    @property
    def contestants(self) -> tuple[str, ...]:
        """The columns of the paper's table, as far as they were run: its baselines, then BT-SR."""
        return (*self.baselines, *([self.btsr] if self.btsr else []))

    @property
    def extras(self) -> tuple[str, ...]:
        """The methods that the paper's table does not have, external ones included."""
        return tuple(method for method in self.ran if method not in self.contestants)

    @property
    def challengers(self) -> tuple[str, ...]:
        """Those of the extras that take part like the paper's columns: one's own methods, and external ones."""
        return tuple(method for method in self.extras if is_own(method))

    # --- the questions ----------------------------------------------------------------------------------------------

    def values(self, runs: RunGroup, metric: str, stage: str = "test") -> dict[int, float]:
        """The metric by seed, of the finished runs that have it."""
        return dict(self._by_seed.get((runs.experiment, runs.label, stage, metric), {}))

    def summary(self, runs: RunGroup, metric: str, stage: str = "test") -> SeedSummary:
        """Mean and deviation over the seeds; NaN, and n = 0, where no run has the metric."""
        return summarise_seeds(np.array(list(self.values(runs, metric, stage).values()), dtype=float))

    def paired(
        self, first: RunGroup, second: RunGroup, metric: str, stage: str = "test"
    ) -> tuple[list[int], np.ndarray, np.ndarray]:
        """The seeds that both have, and the metric of each side on them, (S,) and (S,)."""
        ours, theirs = self.values(first, metric, stage), self.values(second, metric, stage)
        seeds = sorted(ours.keys() & theirs.keys())
        return seeds, np.array([ours[seed] for seed in seeds]), np.array([theirs[seed] for seed in seeds])

    def difference(self, candidate: RunGroup, baseline: RunGroup, metric: str, stage: str = "test") -> PairedTest:
        _, ours, theirs = self.paired(candidate, baseline, metric, stage)
        return paired_t_test(ours, theirs, is_higher_better(metric))

    def against_best(
        self, candidate: RunGroup, rivals: Iterable[RunGroup], metric: str
    ) -> tuple[RunGroup, PairedTest] | None:
        """The best of the rivals, each over the seeds that it shares with the candidate, the first of equals, and the
        candidate's test against it; None if no rival shares a seed.
        """
        tests = [(rival, self.difference(candidate, rival, metric)) for rival in rivals]
        best = max if is_higher_better(metric) else min
        return best((each for each in tests if each[1].n), key=lambda each: each[1].baseline, default=None)

    def users(self, runs: RunGroup, metric: str, seeds: Collection[int] | None = None) -> np.ndarray | None:
        """(N,) float64: what each test user contributes to HR, NDCG or MRR, averaged over all seeds or over these.

        `.../bucketB` is about the users whose target lies in that bucket. None for a metric that is not a mean over
        users, for fewer than two users, and where arrays are lost or differ in length.
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
        """(N,): candidate minus baseline per user, each averaged over the seeds that both have; None if unknown."""
        seeds, _, _ = self.paired(candidate, baseline, metric)
        ours, theirs = self.users(candidate, metric, seeds), self.users(baseline, metric, seeds)
        return None if ours is None or theirs is None or ours.shape != theirs.shape else ours - theirs

    def printed(self, metric: str) -> Printed | None:
        """What Table 2 of the paper prints; None for generated data, whatever its name."""
        return None if self.synthetic else table2_row(self.title, metric)

    def arrays(self, runs: RunGroup, *names: str) -> list[Arrays]:
        """The arrays of the finished runs that have all the named ones, by seed."""
        loaded = (self.load(record) for record in runs.done)
        return [arrays for arrays in loaded if arrays and all(name in arrays for name in names)]

    def load(self, record: RunRecord) -> Arrays | None:
        """The arrays of a record, read once; None if they are lost."""
        identity = (record.key, record.seed)
        if identity not in self._loaded:
            self._loaded[identity] = self._load(record)
        return self._loaded[identity]

    def tie_orders(self, groups: Sequence[RunGroup]) -> dict[str, str]:
        """The stages in which these runs were tested, by the order of simultaneous events: "file", then "drawn" for the
        mean over tie draws, or "1", "2", ... for single random orders. Empty if there is but one.
        """
        stages = {stage for group in groups for record in group.done for stage in record.metrics}
        if "ties-file" in stages:
            return {"file": "ties-file", "drawn": "test"}
        redrawn = {stage.removeprefix("ties-"): stage for stage in sorted(stages) if stage.startswith("ties-")}
        return {"file": "test", **redrawn} if redrawn else {}

    @cached_property
    def _by_seed(self) -> dict[tuple[str, str, str, str], dict[int, float]]:
        done = self.frame[self.frame["status"] == "done"]
        columns = (done[name] for name in ("experiment", "variant", "stage", "metric", "seed", "value"))
        found: dict[tuple[str, str, str, str], dict[int, float]] = defaultdict(dict)
        for *where, seed, value in zip(*columns, strict=True):
            found[tuple(where)][seed] = value
        return found


def profile_in_words(profile: str) -> list[str]:
    """The profile, then what was set by hand: `paper` and `encoder.padding=masked` of paper-encoder.padding-masked."""
    return re.sub(r"-((?:[a-z]\w*-)*[a-z]\w*\.[a-z_.]+)-", r" \1=", profile).split()


def _measured(record: RunRecord) -> Iterator[tuple[str, str, float]]:
    """(stage, metric, value) of all that a run measured, its cost included."""
    if not record.done:
        yield "", "", float("nan")
        return
    for stage, metrics in sorted(record.metrics.items()):
        for metric, value in metrics.items():
            yield stage, metric, value
    cost = record.timings | {"epochs": len(record.epochs), "peak_memory_bytes": record.peak_memory_bytes}
    yield from ((COST, name, float(value)) for name, value in cost.items() if value is not None)
