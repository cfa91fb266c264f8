"""The claims of the paper judged by the runs: one verdict per claim and dataset."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import get_args

from benchmark.paper.claim import Claim
from benchmark.paper.claims import CLAIMS
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judgement import Verdict
from benchmark.report.claims.rules import RULES
from benchmark.report.query import Results
from datasets.registry import DATASETS, PAPER_DATASETS

VERDICTS: tuple[Verdict, ...] = get_args(Verdict)


@dataclass(frozen=True)
class JudgedClaim:
    """What the runs on one dataset say about one claim: a verdict, the numbers as text, one per comparison, and the
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


def judge_claims(shown: Sequence[Results], chosen: Iterable[Claim] | None = None) -> list[JudgedClaim]:
    """The claims, all or the `chosen`, judged on these datasets, which share a setting: claim by claim.

    A claim is judged on the datasets that it is about. Those of them that are not shown are there too, not run, as soon
    as one of the paper's is shown; on generated data and on a user's own, every claim is judged.
    """
    by_name = {results.dataset: results for results in shown}
    if not by_name.keys().isdisjoint(PAPER_DATASETS):
        for name in PAPER_DATASETS:
            absent = Results(name, DATASETS[name].title, False, shown[0].setting, (), lambda _: None)
            by_name.setdefault(name, absent)
    order = sorted(by_name, key=lambda name: list(DATASETS).index(name) if name in DATASETS else len(DATASETS))
    return [
        _judged(claim, by_name[name], by_name[name] in shown)
        for claim in (CLAIMS.values() if chosen is None else chosen)
        for name in order
        if name in claim.datasets or name not in PAPER_DATASETS
    ]


def _judged(claim: Claim, results: Results, reported: bool) -> JudgedClaim:
    judgement = RULES[type(claim.rule)](results, claim.rule)
    return JudgedClaim(
        claim=claim,
        dataset=results.dataset,
        title=results.title,
        synthetic=results.synthetic,
        verdict=judgement.verdict,
        numbers=judgement.numbers,
        command=command(claim, results),
        reported=reported,
    )


def command(claim: Claim, results: Results) -> str:
    """What runs all that a claim needs on a dataset, under the rules of its runs."""
    setting, usual, source, changes = results.setting, RunSetting(), ["--dataset", results.dataset], list[str]()
    preset, *departures = setting.protocol.split(",")
    names = [
        ("--protocol", preset, usual.protocol),
        ("--hparams", setting.hparams, usual.hparams),
        ("--profile", setting.profile, usual.profile),
    ]
    records = [record for record in results.records() if not record.external]
    if records:  # they know what the names of a setting do not tell
        pairs = list(pairwise(_words(records[0].command)))
        source = next(([flag, word] for flag, word in pairs if flag == "--interactions"), source)
        changes = [text for flag, text in pairs if flag == "--set" and not text.startswith("protocol.")]
    changes += [f"protocol.{departure}" for departure in departures]
    flags = [word for flag, name, default in names if name != default for word in (flag, name)]
    flags += [word for change in changes for word in ("--set", change)]
    return shlex.join(["python", "run_all.py", "--claim", claim.id, *source, *flags])


def _words(command_line: str) -> list[str]:
    try:
        return shlex.split(command_line)
    except ValueError:  # an unclosed quote in an imported record
        return command_line.split()
