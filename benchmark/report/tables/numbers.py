"""How numbers are printed: four decimals as in the paper, signs, percentages, p-values, lists of seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

MINUS, DASH = "\u2212", "\u2013"
DECIMALS = 4
"""Decimals of a metric, as in the paper. The best and second best are found among numbers rounded like this."""


def number(value: float, decimals: int = DECIMALS) -> str:
    """Print a number, NaN as a dash."""
    return DASH if math.isnan(value) else f"{value:.{decimals}f}".replace("-", MINUS)


def signed(value: float, decimals: int = DECIMALS) -> str:
    """Print a number with its sign, except that zero has none; NaN as a dash."""
    if math.isnan(value):
        return DASH
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def plus(value: float) -> str:
    """Print four decimals with a sign, even for zero."""
    return f"{value:+.{DECIMALS}f}".replace("-", MINUS)


def percent(value: float) -> str:
    """Print a percentage with sign and one decimal, NaN as a dash."""
    return DASH if math.isnan(value) else f"{value:+.1f}%".replace("-", MINUS)


def share(value: float, decimals: int = 0) -> str:
    """Print a share as in prose: `40 %` for 0.4."""
    return f"{100 * value:.{decimals}f} %"


def in_print(metric: str) -> str:
    """A metric as named in prose: `NDCG@10` for ndcg@10, `coverage@10` for cov@10."""
    return metric.replace("cov@", "coverage@").replace("ndcg@", "NDCG@").replace("hr@", "HR@")


def p_value(p: float) -> str:
    """Print what follows the letter p: `= 0.012` or `< 0.001`."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def bare_p(p: float) -> str:
    """Print p for a column of its own: `0.012`, `< 0.001`, or a dash for NaN."""
    return DASH if math.isnan(p) else p_value(p).removeprefix("= ")


def count(n: int, thing: str) -> str:
    """`1 seed`, `1,116 users`."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def spans(seeds: Iterable[int]) -> str:
    """List numbers, with three or more in a row joined by an en dash: 0–4, 7, 8."""
    texts: list[str] = []
    for _, span in itertools.groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0]):
        values = [seed for _, seed in span]
        texts += [f"{values[0]}{DASH}{values[-1]}"] if len(values) > 2 else map(str, values)
    return ", ".join(texts)
