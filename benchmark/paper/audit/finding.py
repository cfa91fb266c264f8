"""What every check of the paper shares: a finding with its verdict, the rounding of printed numbers, their look."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

from baselines.registry import METHODS

AuditVerdict = Literal["agrees", "disagrees", "cannot be told"]
AUDIT_VERDICTS: tuple[AuditVerdict, ...] = get_args(AuditVerdict)

HALF_UNIT = 0.5e-4
"""Metrics are printed to four decimals: the largest distance between a number and its printed form."""
HALF_PERCENT = 0.05
"""The same for Improve, printed in percent to one decimal."""
SLACK = 1e-9
"""For the arithmetic of floats; every interval is closed."""
RUNS = 5
"""How many runs stand behind a mean, as the paper states below Table 2."""
SIGNIFICANT = 0.05
"""The paper calls a difference significant if its p is below this."""


@dataclass(frozen=True)
class AuditFinding:
    """One answer: its place in the paper, what is printed there, what follows from the rest of the paper."""

    place: str
    printed: str
    follows: str
    verdict: AuditVerdict


def agreement(holds: bool) -> AuditVerdict:
    return "agrees" if holds else "disagrees"


def improve(ours: float, baseline: float) -> float:
    """The paper's Improve: the difference in percent of the baseline."""
    return 100 * (ours - baseline) / baseline


def title(method: str) -> str:
    return "BT-SR" if method == "btsr" else METHODS[method].title


def titles(methods: Sequence[str]) -> str:
    """Several names in a sentence."""
    *firsts, last = [title(method) for method in methods]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def number(value: float) -> str:
    return f"{value:.4f}".replace("-", "\u2212")


def percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "\u2212")
