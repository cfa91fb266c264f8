"""The paper's claims judged by the runs: one verdict per claim and dataset, and the tables of these verdicts."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from typing import get_args

import pandas as pd

from benchmark.paper.claim import Claim
from benchmark.paper.claims import CLAIMS
from benchmark.report.claims.rules import RULES
from benchmark.report.claims.sides import MAIN_EXPERIMENTS, runs_of, variants
from benchmark.report.claims.verdicts import PAPER_ITSELF, Verdict, judge
from benchmark.report.query import Results
from benchmark.report.tables.layout import Cell, Command, Head, Row, Stack, Table, latex_label, synthetic_warning
from benchmark.report.tables.notes import notes
from benchmark.report.tables.numbers import DASH, count
from datasets.registry import DATASETS, PAPER_DATASETS

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)
DECIDED: tuple[Verdict, ...] = ("confirmed", "contradicted")

CommandOptions = Callable[[str], str]
"""Returns the options that a command about a dataset needs: which dataset, and under which rules it is run."""


@dataclass(frozen=True)
class JudgedClaim:
    """What the runs on one dataset say about one claim: a verdict, its evidence, and one text per comparison.

    `command` shows the verdict from stored runs; it is empty if the report is not about this dataset. `missing` runs
    what the claim still needs. If that is nothing it is empty, and `again` makes the claim's runs once more.
    """

    claim: Claim
    dataset: str
    title: str
    synthetic: bool
    verdict: Verdict
    evidence: str
    numbers: tuple[str, ...]
    reported: bool
    command: str
    missing: str
    again: str

    @property
    def commands(self) -> Iterator[tuple[str, str]]:
        """Yield each command that there is, after what it is for."""
        if self.command:
            yield "To see the verdict from stored runs:", self.command
        if self.missing:
            yield "To run what is missing:", self.missing
        if self.again:
            yield "To make its runs again, elsewhere:", self.again

    @property
    def decided(self) -> bool:
        return self.verdict in DECIDED

    @property
    def verdict_text(self) -> str:
        """The verdict; says so if the paper's own numbers decided it."""
        return f"{self.verdict} by {self.evidence}" if self.evidence == PAPER_ITSELF else self.verdict

    def as_text(self) -> str:
        """For a terminal: the verdict, then each comparison on a line of its own."""
        data = f"{self.title} (SYNTHETIC DATA)" if self.synthetic else self.title
        lines = [f"{data}: {self.claim.id}: {self.verdict.upper()}", f'  the paper: "{self.claim.quote}"']
        lines += [f"  evidence: {self.evidence}"] if self.evidence else []
        lines += [f"  {text}" for text in self.numbers]
        return "\n".join([*lines, *(f"  {purpose} {command}" for purpose, command in self.commands)])


def judge_claims(
    shown: Sequence[Results],
    chosen: Iterable[Claim] | None = None,
    options: CommandOptions = "--dataset {}".format,
) -> list[JudgedClaim]:
    """Judge all or the chosen claims on these datasets, which share a setting. The result goes claim by claim.

    A claim is judged on the datasets that it is about, and on generated data and the user's own. If one of the paper's
    datasets is shown, those that are not appear as not run. A claim that goes beyond the paper is left out unless it is
    chosen or its experiment is shown.
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
        _judged(claim, by_name[name], by_name[name] in shown, options(name))
        for claim in (usual if chosen is None else chosen)
        for name in order
        if name in claim.datasets or name not in PAPER_DATASETS
    ]


def _judged(claim: Claim, results: Results, reported: bool, options: str) -> JudgedClaim:
    judgement = judge(list(RULES[type(claim.rule)](results, claim.rule)))
    needed = [
        runs_of(results, claim.rule.experiment, variant.label)
        for variant in variants(results.dataset, claim.rule.experiment)
        if variant.method in claim.methods
    ]
    complete = all(group.records and "missing" not in group.not_done for group in needed)
    pooled = " --experiments windows" if "pooled" in judgement.evidence else ""
    training = f"python run_all.py --claim {claim.id} {options}"
    return JudgedClaim(
        claim=claim,
        dataset=results.dataset,
        title=results.title,
        synthetic=results.synthetic,
        **vars(judgement),
        reported=reported,
        command=f"{training}{pooled} --stages report" if reported else "",
        missing="" if complete else training,
        again=f"{training}{pooled} --stages prepare,train --out-dir repeated" if complete and needed else "",
    )


# --- the tables -------------------------------------------------------------------------------------------------------


def claims_tables(findings: Sequence[JudgedClaim]) -> tuple[list[Table], list[Table], pd.DataFrame]:
    """Build two tables of every verdict at a glance, one table per reported dataset with its numbers, and the CSV."""
    overview = []
    for name, what, is_main in (
        ("methods", "the methods", True),
        ("settings", "alpha, lambda, views and noise", False),
    ):
        part = [each for each in findings if (each.claim.rule.experiment in MAIN_EXPERIMENTS) is is_main]
        overview += [_overview(name, what, part, findings)] if part else []
    names = dict.fromkeys(finding.dataset for finding in findings if finding.reported)
    if overview:
        overview[-1] = replace(overview[-1], notes=tuple(notes("claims", counts=verdict_counts(findings))))
    details = [_details([finding for finding in findings if finding.dataset == name]) for name in names]
    return overview, details, pd.DataFrame([_csv_row(finding) for finding in findings])


def _overview(name: str, what: str, part: Sequence[JudgedClaim], findings: Sequence[JudgedClaim]) -> Table:
    """A line per claim of the part, a column per dataset of all findings."""
    columns = {finding.dataset: _dataset_head(finding) for finding in findings}
    found = {(finding.claim.id, finding.dataset): finding for finding in part}
    lines = [
        _lines(claim.id, [(claim.place, *(_verdict_cell(found.get((claim.id, dataset))) for dataset in columns))])
        for claim in {finding.claim.id: finding.claim for finding in part}.values()
    ]
    synthetic = synthetic_warning(all(f.synthetic for f in part))
    return Table(
        name=f"claims-{name}",
        caption=f"{synthetic}The paper's claims on {what}, and what the runs say.",
        heads=(Head("claim"), Head("where"), *columns.values()),
        sections=(tuple(lines),),
    )


def verdict_counts(findings: Sequence[JudgedClaim]) -> dict[str, str]:
    """Count the verdicts on each dataset that has any: `32 claims, 11 decided: 2 confirmed, 9 contradicted, ...`."""
    found = {}
    for title in dict.fromkeys(finding.title for finding in findings):
        mine = sorted((f for f in findings if f.title == title), key=lambda f: VERDICTS.index(f.verdict))
        each = ", ".join(f"{n} {text}" for text, n in Counter(finding.verdict_text for finding in mine).items())
        if any(finding.verdict != "not run" for finding in mine):
            found[title] = f"{count(len(mine), 'claim')}, {sum(f.decided for f in mine)} decided: {each}"
    return found


def _details(findings: Sequence[JudgedClaim]) -> Table:
    """The claims on one dataset with the numbers that decide them."""
    return Table(
        name=latex_label(findings[0].dataset, "claims"),
        caption=f"{synthetic_warning(findings[0].synthetic)}The paper's claims, judged by the runs on "
        f"{findings[0].title}.",
        heads=(_dataset_head(findings[0]), *map(Head, ("verdict", "the paper", "the runs", "command"))),
        sections=(tuple(_detail(finding) for finding in findings),),
    )


def _dataset_head(finding: JudgedClaim) -> Head:
    return Head(finding.title, "SYNTHETIC" if finding.synthetic else "")


def _detail(finding: JudgedClaim) -> Stack:
    paper = [f"\u201c{finding.claim.quote}\u201d", finding.claim.place, *filter(None, [finding.claim.reading])]
    verdict: list[str | Cell] = [_verdict_cell(finding), *filter(None, [finding.evidence])]
    commands = [part for purpose, command in finding.commands for part in (purpose, Command(command))]
    columns: tuple[Sequence[str | Cell], ...] = (verdict, paper, finding.numbers, commands)
    return _lines(finding.claim.id, list(zip_longest(*columns, fillvalue="")))


def _lines(label: str, rows: Sequence[Sequence[str | Cell]]) -> Stack:
    cells = [tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows]
    return (Row(label, cells[0]), *(Row("", row, "below") for row in cells[1:]))


def _verdict_cell(finding: JudgedClaim | None) -> Cell:
    """The verdict, in bold if the runs decide."""
    if finding is None:
        return Cell(DASH)
    return Cell(finding.verdict_text, place="best" if finding.decided else "")


def _csv_row(finding: JudgedClaim) -> Mapping[str, object]:
    claim = finding.claim
    row: dict[str, object] = {"claim": claim.id, "place": claim.place, "quote": claim.quote, "reading": claim.reading}
    row["rule"] = RULES[type(claim.rule)].__name__
    row |= {name: getattr(finding, name) for name in ("dataset", "title", "synthetic", "verdict", "evidence")}
    return row | {
        "numbers": "; ".join(finding.numbers),
        "command": finding.command,
        "missing": finding.missing,
        "again": finding.again,
    }
