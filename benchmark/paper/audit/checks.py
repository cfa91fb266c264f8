"""The paper checked against itself: what it prints, what follows from the rest of it, and a verdict on each point.

It needs no run: the printed tables and audit.toml are all it reads.
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
    """One question to the paper. `name`: short, for the CSV file; `method`: how it was answered, in a few sentences."""

    name: str
    title: str
    method: str
    findings: tuple[AuditFinding, ...]


def populations() -> list[Population]:
    return [Population(**entry) for entry in audit_data()["populations"]]


def checks() -> list[Check]:
    """Every check with all its findings, in the order of audit.toml."""
    data = audit_data()
    quoted = {name: f"“{quote['text']}” ({quote['place']})" for name, quote in data["quotes"].items()}
    computed = _computed(data)
    made = []
    for entry in data["checks"]:
        written = [AuditFinding(**finding) for finding in entry.get("findings", ())]
        findings = (*written, *computed.get(entry["name"], ()))
        made.append(Check(entry["name"], entry["title"], entry["method"].format(**quoted), findings))
    return made


def _computed(data: dict[str, Any]) -> dict[str, Iterable[AuditFinding]]:
    """The findings that follow from the tables, by the name of their check; audit.toml has the others."""
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
