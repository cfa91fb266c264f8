"""The claims of the paper judged by the runs: one verdict per claim and dataset, and the tables of these verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import get_args

import pandas as pd

from benchmark.paper.claim import Claim
from benchmark.paper.claims import CLAIMS
from benchmark.report.claims.rules import RULES
from benchmark.report.claims.sides import METHODS_AS_THEY_ARE, runs_of, variants
from benchmark.report.claims.verdicts import PAPER_ITSELF, Verdict, judge
from benchmark.report.query import Results
from benchmark.report.tables.layout import Cell, Command, Head, Row, Stack, Table, latex_label, warning
from benchmark.report.tables.notes import notes
from benchmark.report.tables.numbers import DASH, count
from datasets.registry import DATASETS, PAPER_DATASETS

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
DECIDED: tuple[Verdict, ...] = ("confirmed", "contradicted")

About = Callable[[str], str]
"""What a command says of a dataset, by its name: where it comes from, and under which rules its runs are made."""


@dataclass(frozen=True)
class JudgedClaim:
    """What the runs on one dataset say about one claim: a verdict, the evidence that decided it, and the numbers as
    text, one per comparison.

    `command` gives the verdict from the store, `missing` runs what the claim needs and the store lacks; empty where it
    lacks nothing. `reported`: whether the report is about this dataset at all.
    """

    claim: Claim
    dataset: str
    title: str
    synthetic: bool
    verdict: Verdict
    evidence: str
    numbers: tuple[str, ...]
    command: str
    missing: str
    reported: bool

    @property
    def decided(self) -> bool:
        return self.verdict in DECIDED

    @property
    def said(self) -> str:
        """The verdict, and whether the paper's own numbers decided it instead of runs."""
        return f"{self.verdict} by {self.evidence}" if self.evidence == PAPER_ITSELF else self.verdict

    def as_text(self) -> str:
        """For a terminal: the verdict, then each comparison on a line of its own."""
        data = f"{self.title} (SYNTHETIC DATA)" if self.synthetic else self.title
        lines = [f"{data}: {self.claim.id}: {self.verdict.upper()}", f'  the paper: "{self.claim.quote}"']
        lines += [f"  evidence: {self.evidence}"] if self.evidence else []
        lines += [f"  {text}" for text in self.numbers]
        return "\n".join([*lines, *([f"  to run what is missing: {self.missing}"] if self.missing else [])])


def judge_claims(
    shown: Sequence[Results], chosen: Iterable[Claim] | None = None, about: About = "--dataset {}".format
) -> list[JudgedClaim]:
    """The claims, all or the `chosen`, judged on these datasets, which share a setting: claim by claim.

    A claim is judged on the datasets that it is about. Those of them that are not shown are there too, not run, as soon
    as one of the paper's is shown; on generated data and on a user's own, every claim is judged. A claim that goes
    beyond the paper is left out unless its experiment is shown, or it is chosen.
    """
    by_name = {results.dataset: results for results in shown}
    if not by_name.keys().isdisjoint(PAPER_DATASETS):
        for name in PAPER_DATASETS:
            absent = Results(name, DATASETS[name].title, False, shown[0].setting, (), lambda _: None)
            by_name.setdefault(name, absent)
    order = sorted(by_name, key=lambda name: list(DATASETS).index(name) if name in DATASETS else len(DATASETS))
    experiments = {group.experiment for results in shown for group in results.groups}
    usual = [each for each in CLAIMS.values() if not each.beyond_the_paper or each.rule.experiment in experiments]
    return [
        _judged(claim, by_name[name], by_name[name] in shown, about(name))
        for claim in (usual if chosen is None else chosen)
        for name in order
        if name in claim.datasets or name not in PAPER_DATASETS
    ]


def _judged(claim: Claim, results: Results, reported: bool, about: str) -> JudgedClaim:
    judgement = judge(list(RULES[type(claim.rule)](results, claim.rule)))
    command = f"python run_all.py --claim {claim.id} {about}"
    needed = [
        runs_of(results, claim.rule.experiment, variant.label)
        for variant in variants(results.dataset, claim.rule.experiment)
        if variant.method in claim.methods
    ]
    complete = all(group.records and "missing" not in group.not_done for group in needed)
    pooled = " --experiments windows" if "pooled" in judgement.evidence else ""
    return JudgedClaim(
        claim=claim,
        dataset=results.dataset,
        title=results.title,
        synthetic=results.synthetic,
        **vars(judgement),
        command=f"{command}{pooled} --stages report",
        missing="" if complete else command,
        reported=reported,
    )


# --- the tables -------------------------------------------------------------------------------------------------------


def claims_tables(findings: Sequence[JudgedClaim]) -> tuple[list[Table], list[Table], pd.DataFrame]:
    """Every verdict at a glance, in two tables; every reported dataset with its numbers; the same for machines."""
    parts: dict[bool, list[JudgedClaim]] = {True: [], False: []}
    for finding in findings:
        parts[finding.claim.rule.experiment in METHODS_AS_THEY_ARE].append(finding)
    abouts = (("methods", "the methods"), ("settings", "alpha, lambda, views and noise"))
    overview = [_overview(*about, part, findings) for about, part in zip(abouts, parts.values(), strict=True) if part]
    names = dict.fromkeys(finding.dataset for finding in findings if finding.reported)
    reported = [[finding for finding in findings if finding.dataset == name] for name in names]
    if overview:
        overview[-1] = replace(overview[-1], notes=tuple(notes("claims", counts=verdict_counts(findings))))
    details = [_details(mine) for mine in reported]
    return overview, details, pd.DataFrame([_row(finding) for finding in findings])


def _overview(name: str, about: str, part: Sequence[JudgedClaim], findings: Sequence[JudgedClaim]) -> Table:
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


def verdict_counts(findings: Sequence[JudgedClaim]) -> dict[str, str]:
    """Of each dataset with a verdict, such as `32 claims, 11 decided: 2 confirmed, 9 contradicted, 21 not run`."""
    found = {}
    for title in dict.fromkeys(finding.title for finding in findings):
        mine = sorted((f for f in findings if f.title == title), key=lambda f: VERDICTS.index(f.verdict))
        each = ", ".join(f"{n} {said}" for said, n in Counter(finding.said for finding in mine).items())
        if any(finding.verdict != "not run" for finding in mine):
            found[title] = f"{count(len(mine), 'claim')}, {sum(f.decided for f in mine)} decided: {each}"
    return found


def _details(findings: Sequence[JudgedClaim]) -> Table:
    """The claims on one dataset with the numbers that decide them."""
    return Table(
        name=latex_label(findings[0].dataset, "claims"),
        caption=f"{warning(findings[0].synthetic)}The paper's claims, judged by the runs on {findings[0].title}.",
        heads=(_dataset_head(findings[0]), *map(Head, ("verdict", "the paper", "the runs", "command"))),
        sections=(tuple(_detail(finding) for finding in findings),),
    )


def _dataset_head(finding: JudgedClaim) -> Head:
    return Head(finding.title, "SYNTHETIC" if finding.synthetic else "")


def _detail(finding: JudgedClaim) -> Stack:
    said = [f"\u201c{finding.claim.quote}\u201d", finding.claim.place, *filter(None, [finding.claim.reading])]
    verdict: list[str | Cell] = [_verdict(finding), *filter(None, [finding.evidence])]
    commands = ["To see the verdict from stored runs:", Command(finding.command)]
    commands += ["To run what is missing:", Command(finding.missing)] if finding.missing else []
    columns: tuple[Sequence[str | Cell], ...] = (verdict, said, finding.numbers, commands)
    return _group(finding.claim.id, list(zip_longest(*columns, fillvalue="")))


def _group(label: str, rows: Sequence[Sequence[str | Cell]]) -> Stack:
    cells = [tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows]
    return (Row(label, cells[0]), *(Row("", row, "below") for row in cells[1:]))


def _verdict(finding: JudgedClaim | None) -> Cell:
    """In bold where the runs decide."""
    if finding is None:
        return Cell(DASH)
    return Cell(finding.said, place="best" if finding.decided else "")


def _row(finding: JudgedClaim) -> Mapping[str, object]:
    claim = finding.claim
    row: dict[str, object] = {"claim": claim.id, "place": claim.place, "quote": claim.quote, "reading": claim.reading}
    row["rule"] = RULES[type(claim.rule)].__name__
    row |= {name: getattr(finding, name) for name in ("dataset", "title", "synthetic", "verdict", "evidence")}
    return row | {"numbers": "; ".join(finding.numbers), "command": finding.command, "missing": finding.missing}
