"""What printed rates are fractions of, and what that says of the number of runs behind them.

A hit rate over N users is a multiple of 1/N, its mean over R runs one of 1/(R N); coverage likewise with the number of
training items. The sizes are counted on the data and not printed in the paper: see `source` in audit.toml.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import pandas as pd

from benchmark.paper.audit.cells import HALF_UNIT, RUNS, SLACK, Finding, Verdict, number, printed_cells, title
from benchmark.paper.printed import BASELINES, TABLE_2_METHODS, Printed
from benchmark.report.significance import LEVEL

MOST_RUNS = 20
"""Up to here the smallest number of runs that would explain a mean is sought."""


@dataclass(frozen=True)
class Population:
    """What a dataset's rates are fractions of: `size` users or items (`unit`); `metric` is hr or cov.

    `search`: the first and the last size among which the fitting ones are sought for the values of `columns`.
    """

    dataset: str
    metric: str
    size: int
    unit: str
    search: tuple[int, int]
    columns: tuple[str, ...]
    source: str


def populations(entries: Iterable[Mapping[str, object]]) -> list[Population]:
    """From audit.toml's `populations`. Raises TypeError for unknown or missing keys."""
    return [Population(**_frozen(entry)) for entry in entries]


def is_multiple(values: np.ndarray, size: int) -> np.ndarray:
    """Which `values` (n,), printed to four decimals, some k / size rounds to: (n,) bool."""
    nearest = np.rint(np.asarray(values, dtype=np.float64) * size) / size
    return np.abs(nearest - values) <= HALF_UNIT + SLACK


def fitting_sizes(values: np.ndarray, first: int, last: int) -> tuple[int, list[int]]:
    """The sizes from `first` to `last` of which the most `values` (n,) are multiples, and how many are."""
    counts = [int(is_multiple(values, size).sum()) for size in range(first, last + 1)]
    most = max(counts)
    return most, [first + place for place, count in enumerate(counts) if count == most]


@cache
def chance_of_single(size: int, runs: int) -> float:
    """The share of all means over `runs` runs whose printed form is also one of a single run."""
    means = np.arange(size * runs) / (size * runs)
    return float(is_multiple(np.round(means, 4), size).mean())


def fewest_runs(values: np.ndarray, size: int, most: int = MOST_RUNS) -> int | None:
    """The smallest number of runs whose means could all be printed as `values` (n,); None if none up to `most`."""
    return next((runs for runs in range(1, most + 1) if is_multiple(values, size * runs).all()), None)


def sizes(table: pd.DataFrame, known: Sequence[Population]) -> list[Finding]:
    """Whether the counted sizes are those that the printed rates of single methods point to."""
    findings = []
    for population in known:
        if 1 / population.size < 2 * HALF_UNIT:
            text = f"Steps of 1/{population.size:,} are finer than the four printed decimals: any value fits."
            findings.append(Finding(_place(population), _printed(population), text, "cannot be told"))
            continue
        methods = [method for method, column in TABLE_2_METHODS.items() if column in population.columns]
        rows = _rows(table, population)
        values = np.array([row.values[method] for row in rows.values() for method in methods])
        most, found = fitting_sizes(values, *population.search)
        first, last = population.search
        names = ", ".join(map(title, methods))
        text = (
            f"{_many(found)} {most} of the {len(values)} values of {names}, more than any other size from {first:,} to "
            f"{last:,} does; {population.source}, there are {population.size:,} {population.unit}."
        )
        verdict: Verdict = "agrees" if found == [population.size] else "disagrees"
        findings.append(Finding(_place(population), _printed(population), text, verdict))
    return findings


def runs_behind(table: pd.DataFrame, known: Sequence[Population]) -> list[Finding]:
    """For each dataset and method, whether its rates can be means over five runs, and whether they are as one run's."""
    findings = []
    for dataset in dict.fromkeys(map(str, table["dataset"])):
        here = [population for population in known if population.dataset == dataset]
        if not here:
            text = "The paper does not print the number of test users, and it has not been counted on the data."
            findings.append(Finding(f"Table 2, {dataset}", "hr@K, cov@K", text, "cannot be told"))
            continue
        rows = {population: _rows(table, population) for population in here}
        findings += [_runs_behind(dataset, method, rows) for method in (*BASELINES, "btsr")]
    return findings


def _runs_behind(dataset: str, method: str, rows: Mapping[Population, Mapping[str, Printed]]) -> Finding:
    """A value that no mean over five runs rounds to settles it; else the chance that such means look like one run's."""
    place = f"Table 2, {dataset}, {title(method)}"
    chance, single, shown, impossible = 1.0, True, [], []
    for population, cells in rows.items():
        values = np.array([row.values[method] for row in cells.values()])
        ones, fives = is_multiple(values, population.size), is_multiple(values, population.size * RUNS)
        shown += [f"{metric} {number(value)}" for metric, value in zip(cells, values, strict=True)]
        chance *= chance_of_single(population.size, RUNS) ** len(values)
        single &= bool(ones.all())
        if not fives.all():
            strange = ", ".join(number(value) for value in values[~fives])
            impossible.append(
                f"{strange}: no mean over {RUNS} runs with {population.size:,} {population.unit} "
                f"(no multiple of 1/{population.size * RUNS:,}); {_explaining_runs(values, population.size)}."
            )
    steps = " and ".join(f"1/{population.size:,} ({population.metric})" for population in rows)
    if impossible:
        return Finding(place, "; ".join(shown), " ".join(impossible), "disagrees")
    if not single:
        text = f"Not all are multiples of {steps}, as one run's would be; all can be means over {RUNS}."
        return Finding(place, "; ".join(shown), text, "agrees")
    text = f"All are multiples of {steps}, as one run's are; for means over {RUNS} the chance of it is"
    verdict: Verdict = "disagrees" if chance < LEVEL else "cannot be told"
    return Finding(place, "; ".join(shown), f"{text} {_probability(chance)}.", verdict)


def _explaining_runs(values: np.ndarray, size: int) -> str:
    runs = fewest_runs(values, size)
    if runs is None:
        return f"nor does any number of runs up to {MOST_RUNS} give all {len(values)} values"
    return f"the fewest runs that give all {len(values)} values are {runs}"


def _rows(table: pd.DataFrame, population: Population) -> dict[str, Printed]:
    return {
        metric: row
        for (dataset, metric), row in printed_cells(table).items()
        if dataset == population.dataset and metric.startswith(f"{population.metric}@")
    }


def _place(population: Population) -> str:
    return f"Table 2, {population.dataset}, {population.metric}@K"


def _printed(population: Population) -> str:
    return f"no number of {population.unit}"


def _many(found: list[int]) -> str:
    if len(found) == 1:
        return f"{found[0]:,} fits"
    return f"{len(found)} sizes (the first is {found[0]:,}) fit"


def _probability(chance: float) -> str:
    return f"{chance:.4f}".removeprefix("0") if chance >= 0.0001 else "below .0001"


def _frozen(entry: Mapping[str, object]) -> dict:
    return {key: tuple(value) if isinstance(value, list) else value for key, value in entry.items()}
