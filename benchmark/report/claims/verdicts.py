"""One comparison in numbers and words, and the verdict on a claim that follows from several of them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmark.report.significance import LEVEL, holm
from benchmark.report.tables.numbers import count, p_value

Verdict = Literal["confirmed", "contradicted", "inconclusive", "not run"]

PAPER_ITSELF = "the paper's own numbers"
"""The evidence for a claim that the paper's printed numbers decide, so that nothing has to run."""

MIN_VOTES = 2
"""How many seeds must agree when a claim is decided by a threshold on each seed instead of a test."""

NO_INTERVAL = (math.nan, math.nan)
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Reading:
    """One comparison, oriented so that `lead` > 0 supports the claim. `p` is two-sided, NaN if unknown.

    `interval`: the 95 % interval of the lead. `ran`: whether both sides have runs. `seeds`: how many they share.
    `evidence`: what the comparison rests on. `confirms`, `contradicts`: whether enough was run for such a verdict.
    """

    text: str
    lead: float = math.nan
    p: float = math.nan
    interval: tuple[float, float] = NO_INTERVAL
    ran: bool = True
    seeds: int = 0
    evidence: str = ""
    confirms: bool = True
    contradicts: bool = True

    def as_best_of(self, chances: int) -> Reading:
        """Multiply p by `chances`, because the leading side was picked with hindsight as the best of that many."""
        p = min(1.0, self.p * chances)
        if math.isnan(self.p) or p == self.p:
            return self
        corrected = f"times {chances}, since the best of {chances} is compared: p {p_value(p)}"
        return replace(self, p=p, text=f"{self.text} ({corrected})")


def not_run(metric: str, *titles: str) -> Reading:
    """A reading that names what has no runs."""
    return Reading(f"{metric}: not run: {', '.join(titles)}", ran=False)


@dataclass(frozen=True)
class Judgement:
    """A verdict with its numbers, one text per comparison, and the evidence that decided it, in words."""

    verdict: Verdict
    numbers: tuple[str, ...]
    evidence: str = ""


def judge(readings: Sequence[Reading]) -> Judgement:
    """Judge a claim that holds only if every reading supports it.

    It is confirmed if each one leads with p < 0.05, and contradicted if one is behind with p < 0.05 after Holm's
    correction over all of them.
    """
    adjusted = holm(np.array([reading.p for reading in readings]))
    against = [
        each for each, p in zip(readings, adjusted, strict=True) if each.contradicts and each.lead < 0 and p < LEVEL
    ]
    verdict: Verdict = "inconclusive"
    if not any(reading.ran for reading in readings):
        verdict = "not run"
    elif against:
        verdict = "contradicted"
    elif all(reading.confirms and reading.lead > 0 and reading.p < LEVEL for reading in readings):
        verdict = "confirmed"
    evidence = dict.fromkeys(reading.evidence for reading in against or readings if reading.evidence)
    return Judgement(verdict, tuple(reading.text for reading in readings), "; ".join(evidence))


def vote(holds: Sequence[bool], fails: Sequence[bool], text: str, users: int = 0) -> Reading:
    """Read a claim seed by seed: it leads if it holds on every seed and is behind if it fails on every seed.

    A single seed decides nothing.
    """
    seeds = len(holds)
    text = f"{text}; {count(seeds, 'seed')}{'' if seeds >= MIN_VOTES else ', too few to decide'}"
    lead = (1.0 if all(holds) else -1.0 if all(fails) else 0.0) if seeds >= MIN_VOTES else 0.0
    return Reading(text, lead, 0.0 if lead else math.nan, evidence=seeds_and_users(seeds, users))


def seeds_and_users(seeds: int, users: int) -> str:
    """`five seeds, 750 users`; without the users if there are 0, and empty without a seed."""
    tested = f", {users:,} users" if users else ""
    return f"{spelled_out(seeds, 'seed')}{tested}" if seeds else ""


def spelled_out(n: int, thing: str) -> str:
    return f"{_WORDS[n] if n < len(_WORDS) else n} {thing}{'' if n == 1 else 's'}"
