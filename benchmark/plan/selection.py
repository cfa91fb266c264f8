"""Which objective represents BT-SR, chosen on validation, never on test."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pandas as pd

METRIC = "ndcg@10"
"""The validation metric that all choices are based on: the best epoch, tuning, and the objective of BT-SR."""


@dataclass(frozen=True)
class Choice:
    """The method that an alias stands for. `evidence` has each candidate's seeds, validation values and their mean."""

    choice: str
    evidence: Mapping[str, Mapping[str, Any]]

    def to_json(self) -> dict[str, Any]:
        """Return the entry of selection.json."""
        return {"choice": self.choice, "stage": "validation", "metric": METRIC, "evidence": self.evidence}


def choose(rows: pd.DataFrame, candidates: Sequence[str]) -> Choice | None:
    """Choose the candidate with the highest mean validation NDCG@10, the first one in a tie; None without any runs.

    `rows`: one row per run and metric, with columns method, seed, status, stage, metric and value.
    """
    relevant = rows[(rows["status"] == "done") & (rows["stage"] == "validation") & (rows["metric"] == METRIC)]
    evidence: dict[str, dict[str, Any]] = {}
    for method in candidates:
        runs = relevant[relevant["method"] == method].sort_values("seed")
        if len(runs):
            seeds, values = runs["seed"].astype(int).tolist(), runs["value"].tolist()
            evidence[method] = {"seeds": seeds, "values": values, "mean": float(runs["value"].mean())}
    return Choice(max(evidence, key=lambda method: evidence[method]["mean"]), evidence) if evidence else None
