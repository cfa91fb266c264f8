"""How many users and items the printed rates are fractions of, and how many runs can be behind them.

A hit rate over N users is a multiple of 1/N, and its mean over R runs is a multiple of 1/(R N). Coverage is the same
with the number of training items. The paper does not print these sizes. They were counted on the data: see `source` in
audit.toml.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from benchmark.paper.audit.finding import HALF_UNIT, RUNS, SIGNIFICANT, SLACK, AuditFinding, AuditVerdict, finding
from benchmark.paper.printed import TABLE_2_METHODS, Printed, Table2

MOST_RUNS = 20
"""The largest number of runs that is tried to explain a mean."""


@dataclass(frozen=True)
class Population:
    """What the rates of a dataset are fractions of: `size` users or items (`unit`). `metric` is hr or cov.

    `search`: the first and last size to try. `methods`: the methods whose printed values should fit.
    """

    dataset: str
    metric: str
    size: int
    unit: str
    search: Sequence[int]
    methods: Sequence[str]
    source: str

    def rows(self, table: Table2) -> dict[str, Printed]:
        """The rows of Table 2 that are fractions of this population, by metric."""
        return {
            metric: row
            for (dataset, metric), row in table.items()
            if dataset == self.dataset and metric.startswith(f"{self.metric}@")
        }


def is_multiple(values: np.ndarray, size: int) -> np.ndarray:
    """Which of `values` (n,), printed to four decimals, are some k / size after rounding: (n,) bool."""
    nearest = np.rint(np.asarray(values, dtype=np.float64) * size) / size
    return np.abs(nearest - values) <= HALF_UNIT + SLACK


def fitting_sizes(values: np.ndarray, first: int, last: int) -> tuple[int, list[int]]:
    """The largest number of `values` (n,) that fit one size from `first` to `last`, and all sizes that reach it."""
    counts = [int(is_multiple(values, size).sum()) for size in range(first, last + 1)]
    most = max(counts)
    return most, [first + place for place, count in enumerate(counts) if count == most]


@cache
def chance_of_single(size: int, runs: int) -> float:
    """The share of all possible means over `runs` runs that could pass for the rate of a single run in print."""
    means = np.arange(size * runs) / (size * runs)
    return float(is_multiple(np.round(means, 4), size).mean())


def fewest_runs(values: np.ndarray, size: int, most: int = MOST_RUNS) -> int | None:
    """The smallest number of runs whose means could be printed as `values` (n,); None if it is more than `most`."""
    return next((runs for runs in range(1, most + 1) if is_multiple(values, size * runs).all()), None)


def sizes(table: Table2, known: Sequence[Population]) -> Iterator[AuditFinding]:
    """Check whether the printed rates point to the sizes that were counted."""
    for population in known:
        verdict: AuditVerdict | bool = "cannot be told"  # if steps are finer than print, any value fits
        most, found, values = 0, list[int](), np.array([])
        if 1 / population.size >= 2 * HALF_UNIT:
            rows = population.rows(table)
            values = np.array([row.values[method] for row in rows.values() for method in population.methods])
            most, found = fitting_sizes(values, *population.search)
            verdict = found == [population.size]
        yield finding("sizes", verdict, population=population, most=most, found=found, values=values)


def runs_behind(table: Table2, known: Sequence[Population]) -> Iterator[AuditFinding]:
    """Check for each dataset and method whether its rates can be means over five runs or look like a single run's."""
    for dataset in dict.fromkeys(dataset for dataset, _ in table):
        rows = [(population, population.rows(table)) for population in known if population.dataset == dataset]
        if rows:
            for method in TABLE_2_METHODS:
                yield _runs_behind(dataset, method, rows)
        else:
            yield finding("five-runs", "cannot be told", dataset=dataset, populations=[], shown={})


def _runs_behind(dataset: str, method: str, rows: Sequence[tuple[Population, Mapping[str, Printed]]]) -> AuditFinding:
    """A value that no mean over five runs rounds to decides; otherwise the chance that such means look like one run."""
    chance, single, shown, impossible = 1.0, True, dict[str, float](), []
    for population, cells in rows:
        values = np.array([row.values[method] for row in cells.values()])
        shown |= dict(zip(cells, values.tolist(), strict=True))
        chance *= chance_of_single(population.size, RUNS) ** len(values)
        single &= bool(is_multiple(values, population.size).all())
        strange = values[~is_multiple(values, population.size * RUNS)].tolist()
        if strange:
            impossible.append((population, strange, len(values), fewest_runs(values, population.size)))
    verdict: AuditVerdict = "cannot be told"
    if impossible or (single and chance < SIGNIFICANT):
        verdict = "disagrees"
    elif not single:
        verdict = "agrees"
    facts = {"shown": shown, "impossible": impossible, "chance": chance, "most_runs": MOST_RUNS}
    populations = [population for population, _ in rows]
    return finding("five-runs", verdict, dataset=dataset, method=method, populations=populations, **facts)
