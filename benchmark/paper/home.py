"""What others publish of our baselines under leave-one-out, the protocol of the experiment `home`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

METRICS = ("hr@5", "hr@10", "ndcg@5", "ndcg@10")


@dataclass(frozen=True)
class PublishedRun:
    """The numbers of one configuration, by its label in the experiment `home`. `values`: by metric, as far as printed;
    `note`: what else is known of them, such as reruns by others.
    """

    label: str
    values: dict[str, float]
    source: str
    note: str


@cache
def published_runs(dataset: str) -> tuple[PublishedRun, ...]:
    """In the order of the experiment; none for datasets of which no such numbers are known."""
    with (Path(__file__).parent / "home.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["dataset"] == dataset]
    return tuple(
        PublishedRun(
            row["label"],
            {metric: float(row[metric]) for metric in METRICS if row[metric]},
            row["source"],
            row["note"],
        )
        for row in rows
    )
