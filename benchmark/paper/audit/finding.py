"""What all checks of the paper share: findings and their wording, verdicts, and the rounding of printed numbers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal, get_args

import jinja2

from baselines.registry import METHODS

AuditVerdict = Literal["agrees", "disagrees", "cannot be told"]
AUDIT_VERDICTS: tuple[AuditVerdict, ...] = get_args(AuditVerdict)

HALF_UNIT = 0.5e-4
"""Metrics are printed to four decimals, so that a number is at most this far from its printed form."""
HALF_PERCENT = 0.05
"""The same for Improve, printed in percent to one decimal."""
SLACK = 1e-9
"""Tolerance for floating-point arithmetic. Every interval includes its ends."""
RUNS = 5
"""The number of runs behind a mean, according to the text below Table 2."""
SIGNIFICANT = 0.05
"""The paper calls a difference with a smaller p significant."""


@dataclass(frozen=True)
class AuditFinding:
    """One answer: a place in the paper, what is printed there, and what follows from the rest of the paper."""

    place: str
    printed: str
    follows: str
    verdict: AuditVerdict


def finding(check: str, verdict: AuditVerdict | bool, **facts: object) -> AuditFinding:
    """Word a finding with the check's templates in audit.toml. A verdict of True means that the paper agrees."""
    in_words: AuditVerdict = ("agrees" if verdict else "disagrees") if isinstance(verdict, bool) else verdict
    place, printed, follows = (
        " ".join(template.render(facts, verdict=in_words).split()) for template in _templates()[check]
    )
    return AuditFinding(place, printed, follows, in_words)


@cache
def audit_data() -> dict[str, Any]:
    """Load audit.toml: quotations with their places, counted sizes, and the wording of findings."""
    return tomllib.loads((Path(__file__).parent / "audit.toml").read_text(encoding="utf-8"))


def improve(ours: float, baseline: float) -> float:
    """The paper's Improve: the difference in percent of the baseline."""
    return 100 * (ours - baseline) / baseline


def title(method: str) -> str:
    return "BT-SR" if method == "btsr" else METHODS[method].title


def titles(methods: Sequence[str]) -> str:
    """Join the titles of several methods: `A, B and C`."""
    *firsts, last = [title(method) for method in methods]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def number(value: float) -> str:
    return f"{value:.4f}".replace("-", "\u2212")


def percent(value: float) -> str:
    return f"{value:+.1f} %".replace("-", "\u2212")


def p_value(p: float) -> str:
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


@cache
def _templates() -> Mapping[str, Sequence[jinja2.Template]]:
    """For each computed check, the templates of the place, of what is printed there, and of what follows."""
    words = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False)
    words.filters |= {each.__name__: each for each in (title, titles, number, percent, p_value)}
    words.globals |= {"improve": improve, "RUNS": RUNS, "SIGNIFICANT": SIGNIFICANT}
    return {
        check["name"]: [words.from_string(check[part]) for part in ("place", "printed", "follows")]
        for check in audit_data()["checks"]
        if "follows" in check
    }
