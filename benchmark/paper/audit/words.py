"""What the paper's sentences say of its printed figures, and Table 1 against Table 2.

Every check is a pure function of frames with the columns of table1.csv and table2.csv; the sentences themselves are
in audit.toml.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import pandas as pd

from benchmark.paper.audit.cells import (
    HALF_UNIT,
    SLACK,
    Finding,
    Verdict,
    best_baselines,
    number,
    percent,
    printed_cells,
    titles,
)
from benchmark.paper.printed import BASELINES, TABLE_1_METHODS, Printed
from benchmark.report.methods import look
from benchmark.report.significance import improvement

METRIC = "ndcg@10"
"""The metric of Table 1."""
DECIMALS = 4
"""To how many decimals the tables print metrics."""
PLAIN = [method for method in TABLE_1_METHODS if method.startswith("sasrec-")]
WITH_BT = [method for method in TABLE_1_METHODS if method.startswith("btsr-")]


def barlow_twins_gains(table1: pd.DataFrame) -> list[Finding]:
    """Table 1, each objective of each dataset: is the value with Barlow Twins the higher one?"""
    findings = []
    for dataset, values in _table1(table1).items():
        for plain, regularised in zip(PLAIN, WITH_BT, strict=True):
            before, after = values[plain], values[regularised]
            place = f"Table 1, {dataset}, {look(plain).title}"
            printed = f"{number(before)} without, {number(after)} with"
            findings.append(
                Finding(place, printed, f"{percent(improvement(after, before))}.", _verdict(after > before))
            )
    return findings


def baseline_cells(table1: pd.DataFrame, table2: pd.DataFrame) -> list[Finding]:
    """Whether SASRec's cells of Table 1 are those of Table 2, which reports the hold-out test set."""
    findings = []
    for dataset, values, row in _in_both(table1, table2):
        same = [method for method in PLAIN if abs(values[method] - row.values[method]) <= SLACK]
        printed = ", ".join(f"{look(method).title} {number(values[method])}" for method in PLAIN)
        follows = f"{len(same)} of {len(PLAIN)} are Table 2's values."
        findings.append(Finding(f"Table 1, {dataset}", printed, follows, _verdict(len(same) == len(PLAIN))))
    return findings


def chosen_on_test(equal: Sequence[Finding], sentence: str, place: str) -> list[Finding]:
    """What the equality of the baselines' cells, as `baseline_cells` finds it, says of how the objective was chosen."""
    agreeing = sum(finding.verdict == "agrees" for finding in equal)
    text = f"The cells without Barlow Twins are those of Table 2, test results, on {agreeing} of {len(equal)} datasets."
    if equal and agreeing == len(equal):
        text += (
            " If the choice rests on Table 1, which the sentence follows, it was made on test; section 4 names "
            "validation for α and λ."
        )
    return [Finding(place, sentence, f"{text} The paper prints no validation result.", "cannot be told")]


def best_variants(
    table1: pd.DataFrame, table2: pd.DataFrame, decimals: Mapping[tuple[str, str], int] | None = None
) -> list[Finding]:
    """BT-SR of Table 2, "our best variant", against the best Barlow Twins cell of Table 1.

    `decimals`: of the cells of Table 1, by dataset and column, that are printed to another number than four.
    """
    findings = []
    for dataset, values, row in _in_both(table1, table2):
        best = max(WITH_BT, key=values.__getitem__)
        digits = (decimals or {}).get((dataset, TABLE_1_METHODS[best]), DECIMALS)
        ours, theirs, deviation = row.values["btsr"], values[best], row.btsr_deviation
        # Numbers that are printed alike to four decimals may come from one; else their intervals must touch.
        reach = 0.0 if digits == DECIMALS else HALF_UNIT + 0.5 * 10**-digits
        agrees = abs(ours - theirs) <= reach + SLACK
        follows = f"Table 1 has {theirs:.{digits}f} as its best ({look(best).title})"
        if not agrees and deviation > 0:
            follows += f", {abs(theirs - ours) / deviation:.1f} times the printed deviation away"
        printed = f"{number(ours)} ± {number(deviation)}"
        findings.append(Finding(f"Table 2, {dataset}, {METRIC}", printed, f"{follows}.", _verdict(agrees)))
    return findings


def named_objectives(table1: pd.DataFrame, named: Mapping[str, str], place: str) -> list[Finding]:
    """The objective (bce, ce, sce) that the paper names as strongest per dataset, with and without Barlow Twins."""
    findings = []
    for dataset, values in _table1(table1).items():
        if dataset not in named:
            continue
        plain, regularised = (max(methods, key=values.__getitem__) for methods in (PLAIN, WITH_BT))
        follows = f"Highest in Table 1 is {look(regularised).title} with Barlow Twins, {look(plain).title} without."
        verdict = _verdict(regularised == f"btsr-{named[dataset]}")
        findings.append(Finding(f"{place}, {dataset}", f"{named[dataset].upper()} is strongest", follows, verdict))
    return findings


def cross_entropy(table1: pd.DataFrame) -> list[Finding]:
    """Full cross-entropy against binary cross-entropy, both without Barlow Twins."""
    findings = []
    for dataset, values in _table1(table1).items():
        bce, ce = values["sasrec-bce"], values["sasrec-ce"]
        follows = f"CE is {percent(improvement(ce, bce))} from BCE."
        findings.append(
            Finding(f"Table 1, {dataset}", f"CE {number(ce)}, BCE {number(bce)}", follows, _verdict(ce > bce))
        )
    return findings


def coverage_gains(table2: pd.DataFrame, datasets: Collection[str]) -> list[Finding]:
    """Coverage of BT-SR on datasets for which the paper speaks of gains: by sign alone, against the best baseline."""
    findings = []
    for (dataset, metric), row in printed_cells(table2).items():
        if dataset not in datasets or not metric.startswith("cov@"):
            continue
        ours, names = row.values["btsr"], best_baselines(row)
        best = row.values[names[0]]
        above = sum(row.values[name] > ours for name in BASELINES)
        follows = (
            f"{percent(improvement(ours, best))} from the best baseline ({titles(names)}, {number(best)}); "
            f"{above} of {len(BASELINES)} baselines are above BT-SR."
        )
        printed = f"{number(ours)}, Improve {percent(row.improve)}"
        findings.append(Finding(f"Table 2, {dataset}, {metric}", printed, follows, _verdict(ours > best)))
    return findings


def top_1_drop(table2: pd.DataFrame, datasets: Collection[str], points: float) -> list[Finding]:
    """Whether HR@1 of BT-SR is high enough to drop by so many percentage points at all."""
    findings = []
    for (dataset, metric), row in printed_cells(table2).items():
        if dataset not in datasets or metric != "hr@1":
            continue
        ours = row.values["btsr"]
        follows = f"It is {100 * ours:.2f} percentage points in all"
        possible = 100 * (ours + HALF_UNIT) >= points
        if possible:
            follows += f"; a drop of {points:g} would leave {number(max(0.0, ours - points / 100))}."
        else:
            follows += f", less than {points:g}; a drop relative to it may be meant."
        verdict: Verdict = "cannot be told" if possible else "disagrees"
        findings.append(Finding(f"Table 2, {dataset}, hr@1", number(ours), follows, verdict))
    return findings


def _table1(table: pd.DataFrame) -> dict[str, dict[str, float]]:
    """By dataset, the values by our method names."""
    return {
        str(row["dataset"]): {method: float(row[column]) for method, column in TABLE_1_METHODS.items()}
        for _, row in table.iterrows()
    }


def _in_both(table1: pd.DataFrame, table2: pd.DataFrame) -> list[tuple[str, dict[str, float], Printed]]:
    """The datasets of both tables, with Table 1's values and Table 2's row for the same metric."""
    cells = printed_cells(table2)
    return [
        (dataset, values, cells[dataset, METRIC])
        for dataset, values in _table1(table1).items()
        if (dataset, METRIC) in cells
    ]


def _verdict(holds: bool) -> Verdict:
    return "agrees" if holds else "disagrees"
