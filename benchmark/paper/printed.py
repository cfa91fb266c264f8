"""What "Barlow Twins for Sequential Recommendation" (arXiv 2510.26407) prints in its three tables, as data.

The files hold the printed figures digit for digit, under the printed names of datasets and metrics.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pandas as pd

CITATION = "arXiv 2510.26407"

TABLE_1_METHODS = {
    "sasrec-bce": "bce",
    "sasrec-ce": "ce",
    "sasrec-sce": "sce",
    "btsr-bce": "bce_bt",
    "btsr-ce": "ce_bt",
    "btsr-sce": "sce_bt",
}
"""The methods of Table 1 in printed order, by our names, and their columns in table1.csv."""

TABLE_2_METHODS = {
    "sasrec-bce": "sasrec_bce",
    "sasrec-ce": "sasrec_ce",
    "sasrec-sce": "sasrec_sce",
    "cl4srec": "cl4srec",
    "duorec": "duorec",
    "ec4srec": "ec4srec",
    "btsr": "btsr_mean",
}
"""The methods of Table 2 in printed order, by our names, and their columns in table2.csv."""

TABLE_2_METRICS = ("hr@1", "hr@5", "hr@10", "ndcg@5", "ndcg@10", "ndcg@50", "cov@1", "cov@5", "cov@10")
"""The rows of Table 2 in printed order."""

TABLE_3_VARIANTS = {"sasrec-bce": "sasrec_bce", "0.1": "btsr_alpha_0.1", "0.4": "btsr_alpha_0.4"}
"""The columns of Table 3 by the labels of the experiment `regimes`, and their columns in table3.csv."""

BASELINES = tuple(method for method in TABLE_2_METHODS if method != "btsr")
"""The paper's six; "best baseline", star and Improve are about these alone."""


@dataclass(frozen=True)
class Printed:
    """One row of Table 2 as printed. `values`: by our method names; `improve`: percent."""

    values: dict[str, float]
    btsr_deviation: float
    starred: bool
    improve: float


@cache
def table1() -> pd.DataFrame:
    """NDCG@10 of three objectives with and without Barlow Twins; columns dataset, metric, bce ... sce_bt."""
    return _read("table1.csv")


@cache
def table2() -> pd.DataFrame:
    """The main comparison; columns dataset, metric, six baselines, btsr_mean ... improve_pct."""
    return _read("table2.csv")


@cache
def table3() -> pd.DataFrame:
    """NDCG@20 on Yelp in two regimes; columns dataset, metric, sasrec_bce, btsr_alpha_0.1, btsr_alpha_0.4."""
    return _read("table3.csv")


def table1_row(title: str) -> dict[str, float] | None:
    """Table 1's NDCG@10 for a dataset, by its printed title, by our method names; None if there is none."""
    return _row_of(table1(), title, TABLE_1_METHODS)


def table3_row(title: str) -> dict[str, float] | None:
    """Table 3's NDCG@20 by the labels of the experiment `regimes`; None for every dataset but Yelp."""
    return _row_of(table3(), title, TABLE_3_VARIANTS)


def _row_of(table: pd.DataFrame, title: str, columns: dict[str, str]) -> dict[str, float] | None:
    found = table[table["dataset"] == title]
    return None if found.empty else {name: float(found.iloc[0][column]) for name, column in columns.items()}


@cache
def table2_row(title: str, metric: str) -> Printed | None:
    """Table 2's row for a dataset, by its printed title such as `ML-1M`, and a metric; None if there is none."""
    table = table2()
    found = table[(table["dataset"] == title) & (table["metric"] == metric)]
    if found.empty:
        return None
    return printed_row(found.iloc[0])


def printed_row(row: pd.Series) -> Printed:
    """One row of a table with table2.csv's columns."""
    return Printed(
        values={method: float(row[column]) for method, column in TABLE_2_METHODS.items()},
        btsr_deviation=float(row["btsr_std"]),
        starred=bool(row["btsr_starred"]),
        improve=float(row["improve_pct"]),
    )


@cache
def audit_data() -> dict[str, Any]:
    """What the audit needs beyond the tables, audit.toml as it stands: quotations with their places, counted sizes."""
    return tomllib.loads((Path(__file__).parent / "audit" / "audit.toml").read_text(encoding="utf-8"))


def _read(name: str) -> pd.DataFrame:
    return pd.read_csv(Path(__file__).parent / name)
