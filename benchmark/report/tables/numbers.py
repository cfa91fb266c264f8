"""How numbers are printed: four decimals as in the paper, signs, percent, p, lists of seeds."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable

MINUS, DASH = "\u2212", "\u2013"
DECIMALS = 4
"""As the paper prints; best and second best are those of the numbers as printed."""


def number(value: float, decimals: int = DECIMALS) -> str:
    """The number as printed, with a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:.{decimals}f}".replace("-", MINUS)


def signed(value: float, decimals: int = DECIMALS) -> str:
    """The number and its sign; what rounds to zero has none."""
    if math.isnan(value):
        return DASH
    text = f"{value:+.{decimals}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def plus(value: float) -> str:
    """Four decimals and the sign, that of zero too."""
    return f"{value:+.{DECIMALS}f}".replace("-", MINUS)


def percent(value: float) -> str:
    """One decimal and the sign, a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:+.1f}%".replace("-", MINUS)


def share(value: float, decimals: int = 0) -> str:
    """As in prose, `40 %` for 0.4."""
    return f"{100 * value:.{decimals}f} %"


def in_print(metric: str) -> str:
    """How prose names a metric: `NDCG@10` for ndcg@10, `coverage@10` for cov@10."""
    return metric.replace("cov@", "coverage@").replace("ndcg@", "NDCG@").replace("hr@", "HR@")


def p_value(p: float) -> str:
    """As in `p = 0.012`, from the sign on."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}"


def bare_p(p: float) -> str:
    """As in a column of p: `0.012` or `< 0.001`, a dash for NaN."""
    return DASH if math.isnan(p) else p_value(p).removeprefix("= ")


def count(n: int, thing: str) -> str:
    """`1 seed`, `1,116 users`."""
    return f"{n:,} {thing}{'' if n == 1 else 's'}"


def spans(seeds: Iterable[int]) -> str:
    """Numbers with runs of three and more drawn together: 0-4, 7, 8, with a longer dash."""
    texts: list[str] = []
    for _, span in itertools.groupby(enumerate(sorted(seeds)), lambda pair: pair[1] - pair[0]):
        values = [seed for _, seed in span]
        texts += [f"{values[0]}{DASH}{values[-1]}"] if len(values) > 2 else map(str, values)
    return ", ".join(texts)
