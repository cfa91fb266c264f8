"""The three tables of "Barlow Twins for Sequential Recommendation" (arXiv 2510.26407), and numbers that others have
published for our baselines under leave-one-out, the protocol of the experiment `home`.

The CSV files hold the printed numbers digit for digit, with datasets named as in print and methods as in our code.
`btsr` is the single variant of BT-SR that Table 2 prints.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmark.runs.metrics import METRICS

CITATION = "arXiv 2510.26407"

BTSR = ("btsr-bce", "btsr-ce", "btsr-sce")
"""BT-SR with each objective. Table 2 prints one of these, which the paper calls its best variant."""

SASREC = ("sasrec-bce", "sasrec-ce", "sasrec-sce")
CONTRASTIVE = ("cl4srec", "duorec", "ec4srec")
BASELINES = (*SASREC, *CONTRASTIVE)
"""The paper's six baselines. "Best baseline", star and Improve refer to these only."""

TABLE_1_METHODS = (*SASREC, *BTSR)
TABLE_2_METHODS = (*BASELINES, "btsr")
TABLE_3_VARIANTS = ("sasrec-bce", "0.1", "0.4")
"""The columns in printed order. Those of Table 3 are labels of the experiment `regimes`."""

TABLE_1_METRIC = "ndcg@10"
TABLE_2_METRICS = tuple(f"{name}@{k}" for name, metric in METRICS.items() for k in metric.paper)
"""The only metric of Table 1, and the rows of Table 2 in printed order."""


@dataclass(frozen=True)
class Printed:
    """One row of Table 2 as printed. `values`: by method; `improve`: percent."""

    values: dict[str, float]
    btsr_deviation: float
    starred: bool
    improve: float

    @property
    def btsr(self) -> float:
        return self.values["btsr"]

    @property
    def best(self) -> float:
        return max(self.values[name] for name in BASELINES)

    @property
    def best_baselines(self) -> list[str]:
        """All baselines with the best value."""
        return [name for name in BASELINES if self.values[name] == self.best]


Table1 = dict[str, dict[str, float]]
"""NDCG@10 by dataset and method. Table 3 has the same form, with NDCG@20 by dataset and variant."""

Table2 = dict[tuple[str, str], Printed]
"""The rows of Table 2 by dataset and metric, in printed order."""


@cache
def table1() -> Table1:
    """NDCG@10 of the three objectives with and without Barlow Twins."""
    return {row["dataset"]: _numbers(row, TABLE_1_METHODS) for row in _rows("table1.csv")}


@cache
def table2() -> Table2:
    return {
        (row["dataset"], row["metric"]): Printed(
            values=_numbers(row, TABLE_2_METHODS),
            btsr_deviation=float(row["deviation"]),
            starred=row["starred"] == "1",
            improve=float(row["improve"]),
        )
        for row in _rows("table2.csv")
    }


@cache
def table3() -> Table1:
    """NDCG@20 on Yelp in two regimes of alpha."""
    return {row["dataset"]: _numbers(row, TABLE_3_VARIANTS) for row in _rows("table3.csv")}


def table2_row(title: str, metric: str) -> Printed | None:
    """The row of Table 2 for a dataset, by its printed title, and a metric; None if the table lacks it."""
    return table2().get((title, metric))


@dataclass(frozen=True)
class PublishedRun:
    """The numbers published for one configuration, which the experiment `home` has under the same label.

    `values`: the metrics that were published. `note`: what else is known about them, such as reruns by others.
    """

    label: str
    values: dict[str, float]
    source: str
    note: str


@cache
def published_runs(dataset: str) -> tuple[PublishedRun, ...]:
    """The published runs on a dataset, in the order of the experiment; empty if there are none."""
    rows = [row for row in _rows("home.csv") if row["dataset"] == dataset]
    metrics = ("hr@5", "hr@10", "ndcg@5", "ndcg@10")
    return tuple(
        PublishedRun(row["label"], {m: float(row[m]) for m in metrics if row[m]}, row["source"], row["note"])
        for row in rows
    )


def _rows(name: str) -> list[dict[str, str]]:
    with (Path(__file__).parent / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def _numbers(row: Mapping[str, str], columns: Iterable[str]) -> dict[str, float]:
    return {column: float(row[column]) for column in columns}
