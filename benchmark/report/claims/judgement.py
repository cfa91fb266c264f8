"""What the runs say about a claim: single comparisons, and the verdict that follows from them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from benchmark.report.significance import LEVEL, holm
from benchmark.report.tables.numbers import count, p_value

Verdict = Literal["confirmed", "contradicted", "inconclusive", "not run"]

MIN_VOTES = 2
"""Seeds that must agree where a threshold is read off each seed instead of testing a difference."""


@dataclass(frozen=True)
class Reading:
    """One comparison in the claim's direction: `lead` > 0 speaks for it; `p` is two-sided, NaN if it is unknown.

    `ran`: whether both sides have runs; `seeds`: how many both have. `confirms`, `contradicts`: whether what was run
    suffices for it.
    """

    text: str
    lead: float = math.nan
    p: float = math.nan
    ran: bool = True
    seeds: int = 0
    confirms: bool = True
    contradicts: bool = True

    def as_best_of(self, chances: int) -> Reading:
        """The same where the leading side was chosen with hindsight as the best of `chances`: p counts that often."""
        p = min(1.0, self.p * chances)
        if math.isnan(self.p) or p == self.p:
            return self
        corrected = f"times {chances}, since the best of {chances} is compared: p {p_value(p)}"
        return replace(self, p=p, text=f"{self.text} ({corrected})")


@dataclass(frozen=True)
class Judgement:
    """A verdict and the numbers it rests on, one text per comparison."""

    verdict: Verdict
    numbers: tuple[str, ...]


def judge(readings: Sequence[Reading]) -> Judgement:
    """The judgement on a claim that holds where every reading does.

    Confirmed: each leads with p < .05. Contradicted: one lies behind with p < .05 after Holm's correction over all.
    """
    numbers = tuple(reading.text for reading in readings)
    if not any(reading.ran for reading in readings):
        return Judgement("not run", numbers)
    adjusted = holm(np.array([reading.p for reading in readings]))
    if any(r.contradicts and r.lead < 0 and p < LEVEL for r, p in zip(readings, adjusted, strict=True)):
        return Judgement("contradicted", numbers)
    if all(reading.confirms and reading.lead > 0 and reading.p < LEVEL for reading in readings):
        return Judgement("confirmed", numbers)
    return Judgement("inconclusive", numbers)


def vote(holds: Sequence[bool], fails: Sequence[bool], text: str) -> Judgement:
    """Confirmed if the claim holds on every seed, contradicted if it fails on every one; from two seeds on."""
    text = f"{text}; {count(len(holds), 'seed')}"
    if len(holds) < MIN_VOTES:
        return Judgement("inconclusive", (f"{text}, too few to decide",))
    return Judgement("confirmed" if all(holds) else "contradicted" if all(fails) else "inconclusive", (text,))
