"""What the paper claims and what the runs say: one finding per claim and dataset, and the tables that show them."""

from __future__ import annotations

import re
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import get_args

import pandas as pd

from benchmark.paper.claims import Claim
from benchmark.paper.claims import claims as printed_claims
from benchmark.paper.printed import CITATION
from benchmark.plan.config import HPARAMS, PROFILES
from benchmark.report.claims.evidence import Verdict
from benchmark.report.claims.rules import apply
from benchmark.report.material import Material
from benchmark.report.rows import RunSet
from benchmark.report.significance import MIN_SEEDS
from benchmark.report.tables.layout import DASH, Cell, Group, Head, Line, Table
from datasets.protocol import PRESETS
from datasets.registry import DATASETS

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class Finding:
    """What the runs say of one claim on one dataset: a verdict, the numbers as text, one per comparison, and the
    command that runs what the claim needs. `reported`: whether the report is about this dataset at all.
    """

    claim: Claim
    dataset: str
    title: str
    synthetic: bool
    verdict: Verdict
    numbers: tuple[str, ...]
    command: str
    reported: bool

    def as_text(self) -> str:
        """For a terminal: the verdict, then each comparison on a line of its own."""
        data = f"{self.title} (SYNTHETIC DATA)" if self.synthetic else self.title
        lines = [f"{data}: {self.claim.id}: {self.verdict.upper()}", f'  the paper: "{self.claim.quote}"']
        return "\n".join([*lines, *(f"  {text}" for text in self.numbers)])


def claims(materials: Sequence[Material], chosen: Iterable[Claim] | None = None) -> list[Finding]:
    """The findings on these datasets, which share a setting: claim by claim, all or the `chosen`.

    A claim is held against the datasets that it speaks of. Those of them that are not among the materials are there
    too, not run, as soon as one real dataset is; against generated data and somebody's own, every claim is held.
    """
    there = {material.runs.dataset: material for material in materials}
    paper = any(name in DATASETS and not material.runs.synthetic for name, material in there.items())
    absent = {name: _nothing(name, materials[0]) for name in DATASETS if name not in there} if paper else {}
    order = [*(name for name in DATASETS if name in there or name in absent), *(n for n in there if n not in DATASETS)]
    findings = []
    for claim in printed_claims() if chosen is None else chosen:
        for name in order:
            of_paper = name in DATASETS and not DATASETS[name].is_synthetic
            if name in claim.datasets or (name in there and not of_paper):
                material = there[name] if name in there else absent[name]
                findings.append(_finding(claim, material, name in there))
    return findings


def _nothing(name: str, beside: Material) -> Material:
    """A dataset without any run, in the setting of another."""
    dataset = DATASETS[name]
    runs = RunSet(name, dataset.title, dataset.is_synthetic, beside.runs.setting, ())
    return Material(runs, None, {}, lambda _: None)


def _finding(claim: Claim, material: Material, reported: bool) -> Finding:
    runs = material.runs
    parameters = claim.parameters_on(runs.dataset)
    judgement = apply(claim.rule, material, parameters, f"claims.toml, '{claim.id}'")
    return Finding(
        claim=claim,
        dataset=runs.dataset,
        title=runs.title,
        synthetic=runs.synthetic,
        verdict=judgement.verdict,
        numbers=judgement.numbers,
        command=command(claim, material),
        reported=reported,
    )


def command(claim: Claim, material: Material) -> str:
    """What runs all that a claim needs on a dataset, under the rules of its runs."""
    runs = material.runs
    words = ["python", "run_all.py", "--claim", claim.id]
    source, flags = ["--dataset", runs.dataset], _flags(runs)
    records = [*runs.ours(), *(r for e in material.experiments.values() for v in e.variants for r in v.done)]
    if records:
        pairs = list(pairwise(_words(records[0].command)))
        source = next(([flag, word] for flag, word in pairs if flag == "--interactions"), source)
        flags = [
            word
            for pair in pairs
            if pair[0] in ("--protocol", "--footing", "--hparams", "--profile", "--set")
            for word in pair
        ]
    return shlex.join([*words, *source, *flags])


def _words(said: str) -> list[str]:
    try:
        return shlex.split(said)
    except ValueError:  # an unclosed quote in somebody else's record
        return said.split()


def _flags(runs: RunSet) -> list[str]:
    """What can be told from a setting's name alone; assignments by --set cannot."""
    setting, flags = runs.setting, []
    for flag, value, known in (
        ("--protocol", setting.protocol, PRESETS),
        ("--footing", setting.hparams, HPARAMS),
        ("--profile", setting.profile, PROFILES),
    ):
        usual = {"--protocol": "released", "--footing": "equal", "--profile": "paper"}[flag]
        if value in known and value != usual:
            flags += [flag, value]
    return flags


# --- tables ---------------------------------------------------------------------------------------------------------


def claims_tables(findings: Sequence[Finding]) -> tuple[list[Table], list[Table], pd.DataFrame]:
    """Every verdict at a glance, in two tables; every reported dataset with its numbers; the same for machines."""
    swept = [f for f in findings if not {"main", "objectives"} & set(f.claim.experiments)]
    others = [f for f in findings if {"main", "objectives"} & set(f.claim.experiments)]
    parts = {"methods": (others, "on the methods"), "settings": (swept, "on alpha, lambda, views and noise")}
    overview = [_overview(name, part, what, findings) for name, (part, what) in parts.items() if part]
    if overview:
        overview[-1] = replace(overview[-1], notes=tuple(_overview_notes(findings)))
    names = dict.fromkeys(finding.dataset for finding in findings if finding.reported)
    details = [_details([f for f in findings if f.dataset == name]) for name in names]
    return overview, details, pd.DataFrame([_row(finding) for finding in findings])


def _overview(name: str, part: Sequence[Finding], what: str, findings: Sequence[Finding]) -> Table:
    columns = list(dict.fromkeys(finding.dataset for finding in findings))
    by_place = {(finding.claim.id, finding.dataset): finding for finding in part}
    titles = {finding.dataset: finding for finding in findings}
    heads = [Head(titles[column].title, "SYNTHETIC" if titles[column].synthetic else "") for column in columns]
    groups = [
        _group(claim.id, [(claim.place, *(_verdict(by_place.get((claim.id, column))) for column in columns))])
        for claim in {finding.claim.id: finding.claim for finding in part}.values()
    ]
    return Table(
        name=f"claims-{name}",
        caption=f"{_warning(part)}The paper's claims {what}, and what the runs say.",
        bands=(),
        heads=(Head("claim"), Head("where"), *heads),
        sections=(tuple(groups),),
        notes=(),
    )


def _overview_notes(findings: Sequence[Finding]) -> Iterable[str]:
    yield (
        f"Confirmed or contradicted by a two-sided paired t-test, seed against seed, p < .05 on at least {MIN_SEEDS} "
        "seeds. Two seeds that agree are read over users instead, by a paired bootstrap; one seed decides nothing. A "
        "claim about several numbers is confirmed if all are, contradicted if one is after Holm's correction. What is "
        "read off a figure goes by thresholds, with their reasons in benchmark/paper/claims.toml. "
        f"{DASH}: the claim does not speak of the dataset. Claims: {CITATION}."
    )
    for name in dict.fromkeys(finding.dataset for finding in findings if finding.reported):
        mine = [finding for finding in findings if finding.dataset == name]
        counts = Counter(finding.verdict for finding in mine)
        yield f"{mine[0].title}: {', '.join(f'{counts[verdict]} {verdict}' for verdict in VERDICTS)}."
    yield "What is not run: python run_all.py --claim CLAIM --dataset DATASET runs it; claims.csv has every command."


def _details(findings: Sequence[Finding]) -> Table:
    title, synthetic = findings[0].title, findings[0].synthetic
    return Table(
        name=re.sub("[^a-z0-9]+", "-", f"{findings[0].dataset}-claims"),
        caption=f"{_warning(findings)}The paper's claims held against the runs on {title}.",
        bands=(),
        heads=(
            Head(title, "SYNTHETIC" if synthetic else ""),
            Head("verdict"),
            Head("the paper"),
            Head("the runs"),
            Head("command"),
        ),
        sections=(tuple(_detail(finding) for finding in findings),),
        notes=(),
    )


def _detail(finding: Finding) -> Group:
    said = [f"\u201c{finding.claim.quote}\u201d", finding.claim.place, *filter(None, [finding.claim.reading])]
    lines = max(len(said), len(finding.numbers))
    columns = [[*texts, *[""] * (lines - len(texts))] for texts in (said, list(finding.numbers))]
    rows = [
        (_verdict(finding if i == 0 else None, ""), quote, number, finding.command if i == 0 else "")
        for i, (quote, number) in enumerate(zip(*columns, strict=True))
    ]
    return _group(finding.claim.id, rows)


def _group(label: str, rows: Sequence[Sequence[str | Cell]]) -> Group:
    cells = [tuple(cell if isinstance(cell, Cell) else Cell(cell) for cell in row) for row in rows]
    return (Line(label, cells[0]), *(Line("", row, "below") for row in cells[1:]))


def _verdict(finding: Finding | None, absent: str = DASH) -> Cell:
    """In bold where the runs decide."""
    if finding is None:
        return Cell(absent)
    return Cell(finding.verdict, place="best" if finding.verdict in ("confirmed", "contradicted") else "")


def _warning(findings: Sequence[Finding]) -> str:
    if all(finding.synthetic for finding in findings):
        return "SYNTHETIC DATA, which says nothing about any real dataset. "
    return ""


def _row(finding: Finding) -> Mapping[str, object]:
    return {
        "claim": finding.claim.id,
        "place": finding.claim.place,
        "quote": finding.claim.quote,
        "reading": finding.claim.reading,
        "rule": finding.claim.rule,
        "dataset": finding.dataset,
        "title": finding.title,
        "synthetic": finding.synthetic,
        "verdict": finding.verdict,
        "numbers": "; ".join(finding.numbers),
        "command": finding.command,
    }
