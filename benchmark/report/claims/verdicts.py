"""A comparison in numbers and words, and the verdict on a claim that follows from several of them."""

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
"""The evidence where nothing has to run, because what the paper prints decides the claim."""

MIN_VOTES = 2
"""Seeds that must agree where a threshold is read off each seed instead of testing a difference."""

NO_INTERVAL = (math.nan, math.nan)
_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")


@dataclass(frozen=True)
class Reading:
    """One comparison in the claim's direction: `lead` > 0 speaks for it; `p` is two-sided, NaN if it is unknown.

    `interval`: the lead's, of 95 %. `ran`: whether both sides have runs; `seeds`: how many both have. `evidence` names
    what the comparison rests on. `confirms`, `contradicts`: whether what was run suffices for it.
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
        """The same where the leading side was chosen with hindsight as the best of `chances`: p counts that often."""
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
    """A verdict, the numbers that it rests on, one text per comparison, and the evidence that decided it, in words."""

    verdict: Verdict
    numbers: tuple[str, ...]
    evidence: str = ""


def judge(readings: Sequence[Reading]) -> Judgement:
    """The judgement on a claim that holds where every reading does.

    Confirmed: each leads with p < 0.05. Contradicted: one lies behind with p < 0.05 after Holm's correction over all.
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
    """Leads if the claim holds on every seed, lies behind if it fails on every one; a single seed decides nothing."""
    seeds = len(holds)
    text = f"{text}; {count(seeds, 'seed')}{'' if seeds >= MIN_VOTES else ', too few to decide'}"
    lead = (1.0 if all(holds) else -1.0 if all(fails) else 0.0) if seeds >= MIN_VOTES else 0.0
    return Reading(text, lead, 0.0 if lead else math.nan, evidence=seeds_and_users(seeds, users))


def seeds_and_users(seeds: int, users: int) -> str:
    """Such as `five seeds, 750 users`; without the users where 0 stands for them, empty without a seed."""
    tested = f", {users:,} users" if users else ""
    return f"{in_words(seeds, 'seed')}{tested}" if seeds else ""


def in_words(n: int, thing: str) -> str:
    return f"{_WORDS[n] if n < len(_WORDS) else n} {thing}{'' if n == 1 else 's'}"
