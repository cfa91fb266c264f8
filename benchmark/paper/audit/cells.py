"""Table 2 of the paper held against itself: Improve, stars, and what HR implies about NDCG.

Every check is a pure function of a frame with table2.csv's columns. A printed number stands for the interval that
rounds to it: a disagreement is one that no numbers in these intervals would resolve.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from benchmark.paper.printed import BASELINES, Printed, printed_row
from benchmark.report.methods import look
from benchmark.report.significance import LEVEL, improvement
from benchmark.report.tables.layout import MINUS

Verdict = Literal["agrees", "disagrees", "cannot be told"]
VERDICTS: tuple[Verdict, ...] = ("agrees", "disagrees", "cannot be told")

HALF_UNIT = 0.5e-4
"""Metrics are printed to four decimals: the largest distance between a number and its printed form."""
HALF_PERCENT = 0.05
"""The same for Improve, printed in percent to one decimal."""
SLACK = 1e-9
"""For the arithmetic of floats; every interval is closed."""
RUNS = 5
"""How many runs stand behind a mean, as the paper states below Table 2."""


@dataclass(frozen=True)
class Finding:
    """One point: where it stands, what is printed there, what follows from the rest of the paper, and a verdict."""

    place: str
    printed: str
    follows: str
    verdict: Verdict


def improvements(table: pd.DataFrame) -> list[Finding]:
    """Improve of every cell against the best printed baseline; where it differs, which printed values would give it."""
    return [
        _improvement(f"Table 2, {dataset}, {metric}", printed)
        for (dataset, metric), printed in printed_cells(table).items()
    ]


def _improvement(place: str, printed: Printed) -> Finding:
    ours, names = printed.values["btsr"], best_baselines(printed)
    best = printed.values[names[0]]
    what = f"{percent(printed.improve)} for {number(ours)}"
    follows = f"{percent(improvement(ours, best))} over {titles(names)}, {number(best)}"
    if _gives(ours, best, printed.improve):
        return Finding(place, what, follows, "agrees")
    rivals = list(_rivals_that_explain(printed, ours)) or ["No baseline's printed value gives the printed percentage."]
    text = " ".join([f"{follows}.", *rivals, _value_that_explains(printed, best)])
    return Finding(place, what, text, "disagrees")


def _gives(ours: float, baseline: float, improve: float) -> bool:
    """Whether numbers that round to these three fit together."""
    low = improvement(ours - HALF_UNIT, baseline + HALF_UNIT)
    high = improvement(ours + HALF_UNIT, baseline - HALF_UNIT)
    return low <= improve + HALF_PERCENT + SLACK and high >= improve - HALF_PERCENT - SLACK


def _rivals_that_explain(printed: Printed, ours: float) -> Iterator[str]:
    for rival in BASELINES:
        value = printed.values[rival]
        if _gives(ours, value, printed.improve):
            above = [name for name in BASELINES if printed.values[name] > value]
            yield (
                f"The printed percentage is that over {look(rival).title}, {number(value)}, which would be the best "
                f"baseline without {titles(above)}."
            )


def _value_that_explains(printed: Printed, best: float) -> str:
    """Which BT-SR value the printed percentage implies, and whether the one printed is also a baseline's."""
    text = f"Over the best baseline it implies {number(best * (1 + printed.improve / 100))} for BT-SR"
    same = [name for name in BASELINES if printed.values[name] == printed.values["btsr"]]
    return f"{text}; the value printed is also {titles(same)}'s." if same else f"{text}."


def stars(table: pd.DataFrame) -> list[Finding]:
    """Every starred cell in a two-sided one-sample t-test of mean, deviation and n = 5 against the best baseline.

    It is the paired test if the baseline is the same in every run. With a deviation of its own, which is not printed,
    the paired test can come out otherwise: the finding names the deviation of the differences that it would take.
    Cells without a star are left out, unless they are significant whatever was rounded.
    """
    findings = []
    for (dataset, metric), printed in printed_cells(table).items():
        names = best_baselines(printed)
        ours, best, deviation = printed.values["btsr"], printed.values[names[0]], printed.btsr_deviation
        place = f"Table 2, {dataset}, {metric}"
        what = f"{number(ours)}{'*' if printed.starred else ''} ± {number(deviation)}"
        p = one_sample_p(ours, deviation, RUNS, best)
        follows = f"p {_p_value(p)} against {number(best)}, {titles(names)}"
        surely, possibly = (_significant(ours - best, deviation, side) for side in (-HALF_UNIT, HALF_UNIT))
        if printed.starred and not surely:
            needed = largest_significant_deviation(max(0.0, ours - best), RUNS)
            follows += f"; p < {LEVEL} takes differences with a deviation below {needed:.5f}"
            findings.append(Finding(place, what, f"{follows}.", "cannot be told" if possibly else "disagrees"))
        elif printed.starred:
            findings.append(Finding(place, what, f"{follows}.", "agrees"))
        elif surely:
            findings.append(Finding(place, what, f"{follows}; no star is printed.", "disagrees"))
    return findings


def _significant(lead: float, deviation: float, rounded: float) -> bool:
    """Whether a lead has p < 0.05 with its means and deviation moved by `rounded` each, in its favour if positive."""
    lead, deviation = lead + 2 * rounded, max(0.0, deviation - rounded)
    return lead > 0 and one_sample_p(lead, deviation, RUNS, 0.0) < LEVEL


def one_sample_p(mean: float, deviation: float, n: int, reference: float) -> float:
    """Two-sided p of a one-sample t-test, from a sample's mean, sample deviation and size (2 at least)."""
    if deviation == 0:
        return 1.0 if mean == reference else 0.0
    return float(2 * stats.t.sf(abs(mean - reference) / (deviation / math.sqrt(n)), n - 1))


def largest_significant_deviation(difference: float, n: int) -> float:
    """The sample deviation of n differences below which their mean has p < 0.05 in the paired test."""
    return abs(difference) * math.sqrt(n) / float(stats.t.ppf(1 - LEVEL / 2, n - 1))


def ndcg_gains(table: pd.DataFrame) -> list[Finding]:
    """Every method's gain in NDCG from K = 5 to 10 against its gain in HR.

    With one relevant item a hit at rank r adds 1 / log2(r + 1) to NDCG, so that each hit between 6 and 10 adds between
    1 / log2(11) and 1 / log2(7). It holds for one run, for means over runs and over users alike.
    """
    cells = printed_cells(table)
    findings = []
    for dataset in dict.fromkeys(dataset for dataset, _ in cells):
        rows = [cells.get((dataset, metric)) for metric in ("hr@5", "hr@10", "ndcg@5", "ndcg@10")]
        if None in rows:
            continue
        for method in (*BASELINES, "btsr"):
            values = [row.values[method] for row in rows if row]
            findings.append(_ndcg_gain(f"Table 2, {dataset}, {title(method)}", *values))
    return findings


def _ndcg_gain(place: str, hr5: float, hr10: float, ndcg5: float, ndcg10: float) -> Finding:
    least, most = 1 / np.log2(11), 1 / np.log2(7)
    hits, gain = hr10 - hr5, ndcg10 - ndcg5
    printed = f"HR {number(hr5)} to {number(hr10)}, NDCG {number(ndcg5)} to {number(ndcg10)}"
    low, high = least * (hits - 2 * HALF_UNIT), most * (hits + 2 * HALF_UNIT)
    follows = f"A gain of {number(hits)} in HR is one of {low:.5f} to {high:.5f} in NDCG, printed is {number(gain)}"
    if gain + 2 * HALF_UNIT >= low - SLACK and gain - 2 * HALF_UNIT <= high + SLACK:
        return Finding(place, printed, f"{follows}.", "agrees")
    first = math.ceil(1e4 * (hr5 - 2 * HALF_UNIT + (gain - 2 * HALF_UNIT) / most)) / 1e4
    last = math.floor(1e4 * (hr5 + 2 * HALF_UNIT + (gain + 2 * HALF_UNIT) / least)) / 1e4
    text = f"{follows}; the other three values fit an HR@10 from {number(first)} to {number(last)}."
    return Finding(place, printed, text, "disagrees")


def printed_cells(table: pd.DataFrame) -> Mapping[tuple[str, str], Printed]:
    """The rows of Table 2 by dataset and metric, in printed order."""
    return {(str(row["dataset"]), str(row["metric"])): printed_row(row) for _, row in table.iterrows()}


def best_baselines(printed: Printed) -> list[str]:
    """All baselines that share the row's highest value, by our names."""
    best = max(printed.values[name] for name in BASELINES)
    return [name for name in BASELINES if printed.values[name] == best]


def title(method: str) -> str:
    """A method's name in print."""
    return "BT-SR" if method == "btsr" else look(method).title


def titles(methods: list[str]) -> str:
    """Several names in a sentence."""
    *firsts, last = [title(method) for method in methods]
    return f"{', '.join(firsts)} and {last}" if firsts else last


def number(value: float) -> str:
    """A metric as the paper prints it."""
    return f"{value:.4f}".replace("-", MINUS)


def percent(value: float) -> str:
    """A percentage as the paper prints Improve."""
    return f"{value:+.1f} %".replace("-", MINUS)


def _p_value(p: float) -> str:
    return "< .001" if p < 0.001 else f"= {p:.3f}".replace("0.", ".")
