"""The tables of claims: every verdict at a glance, then each dataset's verdicts with the numbers that they rest on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import zip_longest

import pandas as pd

from benchmark.report.claims.judged_claims import DECIDED, VERDICTS, JudgedClaim
from benchmark.report.claims.rules import RULES
from benchmark.report.claims.sides import METHODS_AS_THEY_ARE
from benchmark.report.tables.layout import Cell, Head, Row, Stack, Table, label_of, warning
from benchmark.report.tables.notes import notes
from benchmark.report.tables.numbers import DASH


def claims_tables(findings: Sequence[JudgedClaim]) -> tuple[list[Table], list[Table], pd.DataFrame]:
    """Every verdict at a glance, in two tables; every reported dataset with its numbers; the same for machines."""
    on_methods = [f for f in findings if f.claim.rule.experiment in METHODS_AS_THEY_ARE]
    on_settings = [f for f in findings if f.claim.rule.experiment not in METHODS_AS_THEY_ARE]
    parts = {"methods": (on_methods, "the methods"), "settings": (on_settings, "alpha, lambda, views and noise")}
    overview = [_overview(name, part, about, findings) for name, (part, about) in parts.items() if part]
    names = dict.fromkeys(finding.dataset for finding in findings if finding.reported)
    reported = [[finding for finding in findings if finding.dataset == name] for name in names]
    if overview:
        counts = {mine[0].title: counted(mine) for mine in reported}
        overview[-1] = replace(overview[-1], notes=tuple(notes("claims", counts=counts)))
    details = [_details(mine) for mine in reported]
    return overview, details, pd.DataFrame([_row(finding) for finding in findings])


def _overview(name: str, part: Sequence[JudgedClaim], about: str, findings: Sequence[JudgedClaim]) -> Table:
    """A line per claim of the part, a column per dataset of all findings."""
    columns = {finding.dataset: _dataset_head(finding) for finding in findings}
    found = {(finding.claim.id, finding.dataset): finding for finding in part}
    groups = [
        _group(claim.id, [(claim.place, *(_verdict(found.get((claim.id, dataset))) for dataset in columns))])
        for claim in {finding.claim.id: finding.claim for finding in part}.values()
    ]
    return Table(
        name=f"claims-{name}",
        caption=f"{warning(all(f.synthetic for f in part))}The paper's claims on {about}, and what the runs say.",
        heads=(Head("claim"), Head("where"), *columns.values()),
        sections=(tuple(groups),),
    )


def counted(findings: Sequence[JudgedClaim]) -> str:
    """How many claims are decided and how many are not, such as `3 decided (1 confirmed, 2 contradicted), ...`."""
    counts, parts = Counter(finding.verdict for finding in findings), []
    for word, verdicts in (("decided", DECIDED), ("undecided", [each for each in VERDICTS if each not in DECIDED])):
        each = ", ".join(f"{counts[verdict]} {verdict}" for verdict in verdicts)
        parts.append(f"{sum(counts[verdict] for verdict in verdicts)} {word} ({each})")
    return ", ".join(parts)


def _details(findings: Sequence[JudgedClaim]) -> Table:
    """The claims on one dataset with the numbers that decide them."""
    return Table(
        name=label_of(findings[0].dataset, "claims"),
        caption=f"{warning(findings[0].synthetic)}The paper's claims, judged by the runs on {findings[0].title}.",
        heads=(_dataset_head(findings[0]), *map(Head, ("verdict", "the paper", "the runs", "command"))),
        sections=(tuple(_detail(finding) for finding in findings),),
    )


def _dataset_head(finding: JudgedClaim) -> Head:
    return Head(finding.title, "SYNTHETIC" if finding.synthetic else "")


def _detail(finding: JudgedClaim) -> Stack:
    said = [f"\u201c{finding.claim.quote}\u201d", finding.claim.place, *filter(None, [finding.claim.reading])]
    verdict: list[str | Cell] = [_verdict(finding), *filter(None, [finding.evidence])]
    commands = [finding.command, *filter(None, [finding.missing])]
    columns: tuple[Sequence[str | Cell], ...] = (verdict, said, finding.numbers, commands)
    return _group(finding.claim.id, list(zip_longest(*columns, fillvalue="")))


def _group(label: str, rows: Sequence[Sequence[str | Cell]]) -> Stack:
    cells = [tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows]
    return (Row(label, cells[0]), *(Row("", row, "below") for row in cells[1:]))


def _verdict(finding: JudgedClaim | None) -> Cell:
    """In bold where the runs decide."""
    if finding is None:
        return Cell(DASH)
    return Cell(finding.verdict, place="best" if finding.decided else "")


def _row(finding: JudgedClaim) -> Mapping[str, object]:
    return {
        "claim": finding.claim.id,
        "place": finding.claim.place,
        "quote": finding.claim.quote,
        "reading": finding.claim.reading,
        "rule": RULES[type(finding.claim.rule)].__name__,
        "dataset": finding.dataset,
        "title": finding.title,
        "synthetic": finding.synthetic,
        "verdict": finding.verdict,
        "evidence": finding.evidence,
        "numbers": "; ".join(finding.numbers),
        "command": finding.command,
        "missing": finding.missing,
    }
