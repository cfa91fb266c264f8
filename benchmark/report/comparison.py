"""The numbers of Table 2: means over seeds, who is best, whether BT-SR beats the best baseline."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from benchmark.paper.printed import BASELINES, TABLE_2_METRICS, Printed, table2_row
from benchmark.plan.selection import METRIC, Choice, choose
from benchmark.report.methods import BTSR, in_order
from benchmark.report.rows import RunSet, rows
from benchmark.report.significance import (
    LEVEL,
    Comparison,
    PairedBootstrap,
    SeedSummary,
    compare,
    holm,
    paired_bootstrap,
    smallest_detectable_difference,
    standard_error,
    summarise_seeds,
    user_differences,
)
from benchmark.runs.metrics import per_user
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord

DECIMALS = 4
"""As the paper prints; best and second best are those of the numbers as printed."""

LoadArrays = Callable[[RunRecord], Arrays | None]


@dataclass(frozen=True)
class MetricRow:
    """One metric: each method over its seeds, BT-SR `versus` the best baseline, `rival`, and the printed row."""

    metric: str
    summaries: Mapping[str, SeedSummary]
    best: frozenset[str]
    second: frozenset[str]
    rival: str | None
    versus: Comparison | None
    printed: Printed | None

    def place(self, method: str) -> Literal["", "best", "second"]:
        """Where a method stands among the paper's columns."""
        return "best" if method in self.best else "second" if method in self.second else ""

    @property
    def star(self) -> bool:
        """Whether BT-SR earns the star."""
        return self.versus is not None and self.versus.star


@dataclass(frozen=True)
class UserView:
    """What the test users can tell about NDCG@10, seed-averaged: its sampling error for `method`, and BT-SR's
    lead.

    `lead`, `detectable`: mean difference to `rival` under resampling of users, and the smallest true one that
    a test over these users finds with 80 % power; None without a pair.
    """

    method: str
    sampling_error: float
    rival: str | None
    lead: PairedBootstrap | None
    detectable: float | None


@dataclass(frozen=True)
class MainComparison:
    """Table 2 of one run set: `baselines` stand left of BT-SR, which `choice` chose, `extras` after it."""

    runs: RunSet
    choice: Choice | None
    baselines: tuple[str, ...]
    extras: tuple[str, ...]
    metrics: tuple[MetricRow, ...]
    users: UserView | None

    @property
    def btsr(self) -> str | None:
        """The method that represents BT-SR."""
        return self.choice.choice if self.choice else None

    @property
    def contestants(self) -> tuple[str, ...]:
        """The columns that the paper's table has, as far as they were run."""
        return (*self.baselines, *([self.btsr] if self.btsr else []))


def main_comparison(runs: RunSet, load: LoadArrays) -> MainComparison:
    """Compare the methods of a run set; `load` gives a record's arrays."""
    frame = rows(runs)
    ran = in_order(record.method for record in runs.records)
    choice = choose(frame, [method for method in BTSR if method in ran])
    baselines = tuple(method for method in ran if method in BASELINES)
    btsr = choice.choice if choice else None
    extras = tuple(method for method in ran if method not in (*baselines, btsr))
    metrics = tuple(_metric_row(frame, runs, metric, baselines, btsr, extras) for metric in TABLE_2_METRICS)
    return MainComparison(runs, choice, baselines, extras, metrics, _user_view(runs, metrics, btsr, load))


def starred_after_holm(comparisons: Sequence[MainComparison]) -> tuple[int, int, int]:
    """Of these tables: how many accuracy cells are tested, starred, and starred still after Holm."""
    rows_of_all = [row for comparison in comparisons for row in comparison.metrics]
    accuracy = [(row, row.versus.test.p) for row in rows_of_all if row.versus and not row.metric.startswith("cov@")]
    tested = [(row.star, p) for row, p in accuracy if not np.isnan(p)]
    adjusted = holm(np.array([p for _, p in tested]))
    kept = sum(star and bool(p < LEVEL) for (star, _), p in zip(tested, adjusted, strict=True))
    return len(tested), sum(star for star, _ in tested), kept


def _metric_row(
    frame: pd.DataFrame,
    runs: RunSet,
    metric: str,
    baselines: tuple[str, ...],
    btsr: str | None,
    extras: tuple[str, ...],
) -> MetricRow:
    values = _seeds_by_method(frame, metric)
    contestants = (*baselines, *([btsr] if btsr else []))
    summaries = {method: summarise_seeds(values[method].to_numpy()) for method in (*contestants, *extras)}
    best, second = _leaders({method: summaries[method] for method in contestants})
    rivals = values[list(baselines)].to_numpy()
    versus = None
    if btsr and summaries[btsr].n and np.isfinite(rivals).any():
        versus = compare(values[btsr].to_numpy(), rivals)
    rival = baselines[versus.best] if versus else None
    printed = None if runs.synthetic else table2_row(runs.title, metric)
    return MetricRow(metric, summaries, best, second, rival, versus, printed)


def _seeds_by_method(frame: pd.DataFrame, metric: str) -> pd.DataFrame:
    """Seeds x methods, NaN where a run is not done or lacks the metric; every method has a column."""
    usable = (frame["status"] == "done") & (frame["stage"] == "test") & (frame["metric"] == metric)
    table = frame[usable].pivot_table(index="seed", columns="method", values="value", aggfunc="first")
    return table.reindex(columns=sorted(set(frame["method"]))).astype(float)


def _leaders(summaries: Mapping[str, SeedSummary]) -> tuple[frozenset[str], frozenset[str]]:
    """Who is best and who second among the printed numbers; equal ones share a place."""
    printed = {method: round(s.mean, DECIMALS) for method, s in summaries.items() if s.n}
    places = sorted(set(printed.values()), reverse=True)[:2]
    best, second = (frozenset(name for name, mean in printed.items() if mean in places[i : i + 1]) for i in (0, 1))
    return best, second


def _user_view(runs: RunSet, metrics: Sequence[MetricRow], btsr: str | None, load: LoadArrays) -> UserView | None:
    row = next(row for row in metrics if row.metric == METRIC)
    strongest = sorted(row.best) or in_order(name for name, summary in row.summaries.items() if summary.n)
    method = btsr or (strongest[0] if strongest else None)
    gains = _user_gains(runs, method, load) if method else None
    if method is None or gains is None:
        return None
    error = standard_error(gains.mean(0))
    rival_gains = _user_gains(runs, row.rival, load) if row.rival else None
    if rival_gains is None or rival_gains.shape[1] != gains.shape[1]:
        return UserView(method, error, None, None, None)
    differences = user_differences(gains, rival_gains)
    detectable = smallest_detectable_difference(differences)
    return UserView(method, error, row.rival, paired_bootstrap(differences), detectable)


def _user_gains(runs: RunSet, method: str, load: LoadArrays) -> np.ndarray | None:
    """(seeds, N) what each test user contributes to NDCG@10; None if no run of the method has its arrays."""
    loaded = [load(record) for record in runs.done(method)]
    ranks = [arrays["ranks"] for arrays in loaded if arrays is not None and "ranks" in arrays]
    return per_user(METRIC, np.stack(ranks)) if ranks and len({len(r) for r in ranks}) == 1 else None
