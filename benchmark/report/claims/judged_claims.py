"""The claims of the paper judged by the runs: one verdict per claim and dataset."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import get_args

from benchmark.paper.claim import Claim
from benchmark.paper.claims import CLAIMS
from benchmark.report.claims.rules import RULES
from benchmark.report.claims.sides import runs_of, variants
from benchmark.report.claims.verdicts import Verdict, judge
from benchmark.report.query import Results
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
