"""Choices that are made on validation and never on test: which objective represents BT-SR."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

METRIC = "ndcg@10"
"""The metric on the validation targets by which epochs, and everything else, are chosen."""


@dataclass(frozen=True)
class Choice:
    """The method that an alias stands for, and the grounds for it.

    `evidence`: for each candidate with a finished run the seeds, their validation values and the mean.
    """

    choice: str
    evidence: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """What selection.json keeps."""
        return {"choice": self.choice, "stage": "validation", "metric": METRIC, "evidence": self.evidence}


def choose(rows: pd.DataFrame, candidates: Sequence[str]) -> Choice | None:
    """The candidate with the highest mean validation NDCG@10 over its done runs, the first of equals.

    `rows`: one row per run and metric, with columns method, seed, status, stage, metric, value. None if no candidate
    has such a run.
    """
    relevant = rows[(rows["status"] == "done") & (rows["stage"] == "validation") & (rows["metric"] == METRIC)]
    evidence: dict[str, dict[str, Any]] = {}
    for method in candidates:
        runs = relevant[relevant["method"] == method].sort_values("seed")
        if len(runs):
            seeds, values = runs["seed"].astype(int).tolist(), runs["value"].tolist()
            evidence[method] = {"seeds": seeds, "values": values, "mean": float(runs["value"].mean())}
    return Choice(max(evidence, key=lambda method: evidence[method]["mean"]), evidence) if evidence else None
