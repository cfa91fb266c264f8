"""The paper checked against itself: what it prints, what follows from the rest of it, and a verdict on each point.

The checks need no runs. They read only the printed tables and audit.toml.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from benchmark.paper import printed
from benchmark.paper.audit import sentences, table2
from benchmark.paper.audit.finding import AuditFinding, audit_data
from benchmark.paper.audit.rate_sizes import Population, runs_behind, sizes


@dataclass(frozen=True)
class Check:
    """A question about the paper. `name` is short, for the CSV file; `method` says how the question was answered."""

    name: str
    title: str
    method: str
    findings: tuple[AuditFinding, ...]


def populations() -> list[Population]:
    return [Population(**entry) for entry in audit_data()["populations"]]


def checks() -> list[Check]:
    """Answer every check, in the order of audit.toml."""
    data = audit_data()
    quoted = {name: f"“{quote['text']}” ({quote['place']})" for name, quote in data["quotes"].items()}
    computed = _computed(data)
    answered = []
    for entry in data["checks"]:
        written = [AuditFinding(**finding) for finding in entry.get("findings", ())]
        findings = (*written, *computed.get(entry["name"], ()))
        answered.append(Check(entry["name"], entry["title"], entry["method"].format(**quoted), findings))
    return answered


def _computed(data: dict[str, Any]) -> dict[str, Iterable[AuditFinding]]:
    """The findings computed from the tables, by the name of their check. All other findings are in audit.toml."""
    one, two = printed.table1(), printed.table2()
    quotes, known = data["quotes"], populations()
    drop = quotes["top_1_drop"]
    return {
        "improve": table2.improvements(two),
        "stars": table2.stars(two),
        "ndcg-gain": table2.ndcg_gains(two),
        "sizes": sizes(two, known),
        "five-runs": runs_behind(two, known),
        "best-variant": sentences.best_variants(one, two),
        "baseline-cells": sentences.baseline_cells(one, two),
        "choice": sentences.named_objectives(one, data["objectives"], "Section 5"),
        "barlow-twins": sentences.barlow_twins_gains(one),
        "cross-entropy": sentences.cross_entropy(one),
        "modest-coverage": sentences.coverage_gains("modest-coverage", two, quotes["modest_coverage"]["datasets"]),
        "higher-coverage": sentences.coverage_gains("higher-coverage", two, quotes["higher_coverage"]["datasets"]),
        "top-1-drop": sentences.top_1_drop(two, drop["datasets"], drop["at_least_points"]),
    }
