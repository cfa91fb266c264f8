"""The paper checked against itself: what it prints, what follows from the rest of it, and a verdict on each point.

It needs no run: the printed tables and audit.toml are all it reads.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.paper.audit.finding import AuditFinding
from benchmark.paper.audit.rate_sizes import Population, runs_behind, sizes
from benchmark.paper.audit.reading_notes import reading_notes
from benchmark.paper.audit.references import datasets, references
from benchmark.paper.audit.sentences import (
    barlow_twins_gains,
    baseline_cells,
    best_variants,
    chosen_on_test,
    coverage_gains,
    cross_entropy,
    named_objectives,
    top_1_drop,
)
from benchmark.paper.audit.table2 import improvements, ndcg_gains, stars
from benchmark.paper.printed import table1, table2, table3


@dataclass(frozen=True)
class Check:
    """One question to the paper. `name`: short, for the CSV file; `method`: how it was answered, in a few sentences."""

    name: str
    title: str
    method: str
    findings: tuple[AuditFinding, ...]


@cache
def audit_data() -> dict[str, Any]:
    """What the audit needs beyond the tables, audit.toml as it stands: quotations with their places, counted sizes."""
    return tomllib.loads((Path(__file__).parent / "audit.toml").read_text(encoding="utf-8"))


def populations() -> list[Population]:
    """What the printed rates are fractions of."""
    return [Population(**entry) for entry in audit_data()["populations"]]


def checks() -> list[Check]:
    """Every check with all its findings, in the order of audit.toml."""
    data = audit_data()
    quoted = {name: f"“{quote['text']}” ({quote['place']})" for name, quote in data["quotes"].items()}
    found = _findings(data)
    return [
        Check(entry["name"], entry["title"], entry["method"].format(**quoted), tuple(found[entry["name"]]))
        for entry in data["checks"]
    ]


def _findings(data: dict[str, Any]) -> dict[str, Iterable[AuditFinding]]:
    """The findings by the name of their check."""
    one, two, three = table1(), table2(), table3()
    quotes, known, equal = data["quotes"], populations(), list(baseline_cells(one, two))
    choice, drop = quotes["selection"], quotes["top_1_drop"]
    in_tables = {"Table 1": list(one), "Table 2": [dataset for dataset, _ in two], "Table 3": list(three)}
    return {
        "improve": improvements(two),
        "stars": stars(two),
        "ndcg-gain": ndcg_gains(two),
        "sizes": sizes(two, known),
        "five-runs": runs_behind(two, known),
        "best-variant": best_variants(one, two),
        "baseline-cells": equal,
        "choice": [
            chosen_on_test(equal, choice["text"], choice["place"]),
            *named_objectives(one, data["objectives"], choice["place"]),
        ],
        "barlow-twins": barlow_twins_gains(one),
        "cross-entropy": cross_entropy(one),
        "modest-coverage": coverage_gains(two, quotes["modest_coverage"]["datasets"]),
        "higher-coverage": coverage_gains(two, quotes["higher_coverage"]["datasets"]),
        "top-1-drop": top_1_drop(two, drop["datasets"], drop["at_least_points"]),
        "datasets": datasets(quotes["datasets"]["datasets"], in_tables),
        "references": references(data["references"], data["contents"]),
        "statements": [
            AuditFinding(x["place"], f"“{x['quote']}”", x["follows"], x["verdict"]) for x in data["statements"]
        ],
        "reading-notes": reading_notes(data["notes"], one, two, three),
    }
