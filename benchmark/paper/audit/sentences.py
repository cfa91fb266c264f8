"""The paper's sentences about its results checked against the numbers that it prints, and Table 1 against Table 2."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from benchmark.paper.audit.finding import (
    HALF_UNIT,
    SLACK,
    AuditFinding,
    AuditVerdict,
    agreement,
    improve,
    number,
    percent,
    title,
    titles,
)
from benchmark.paper.printed import BASELINES, BTSR, SASREC, TABLE_1_METRIC, Printed, Table1, Table2

PRINTED_DECIMALS = 4
"""How many decimals the tables print of a metric."""
FEWER_DECIMALS = {("Kindle Store", "btsr-sce"): 3}
"""The cell of Table 1 that has fewer: it prints 0.079."""


def barlow_twins_gains(table1: Table1) -> Iterator[AuditFinding]:
    """Table 1, each objective of each dataset: is the value with Barlow Twins the higher one?"""
    for dataset, values in table1.items():
        for plain, regularised in zip(SASREC, BTSR, strict=True):
            before, after = values[plain], values[regularised]
            place = f"Table 1, {dataset}, {title(plain)}"
            printed = f"{number(before)} without, {number(after)} with"
            yield AuditFinding(place, printed, f"{percent(improve(after, before))}.", agreement(after > before))


def baseline_cells(table1: Table1, table2: Table2) -> Iterator[AuditFinding]:
    """Whether SASRec's cells of Table 1 are those of Table 2, which reports the hold-out test set."""
    for dataset, values, row in _in_both(table1, table2):
        same = [method for method in SASREC if abs(values[method] - row.values[method]) <= SLACK]
        printed = ", ".join(f"{title(method)} {number(values[method])}" for method in SASREC)
        follows = f"{len(same)} of {len(SASREC)} are Table 2's values."
        yield AuditFinding(f"Table 1, {dataset}", printed, follows, agreement(len(same) == len(SASREC)))


def best_variants(
    table1: Table1, table2: Table2, decimals: Mapping[tuple[str, str], int] = FEWER_DECIMALS
) -> Iterator[AuditFinding]:
    """BT-SR of Table 2, "our best variant", against the best Barlow Twins cell of Table 1.

    `decimals`: of the cells of Table 1, by dataset and method, that are not printed to four decimals.
    """
    for dataset, values, row in _in_both(table1, table2):
        best = max(BTSR, key=values.__getitem__)
        digits = decimals.get((dataset, best), PRINTED_DECIMALS)
        ours, theirs, deviation = row.btsr, values[best], row.btsr_deviation
        # Numbers that are printed alike to four decimals may come from one; otherwise their intervals must touch.
        reach = 0.0 if digits == PRINTED_DECIMALS else HALF_UNIT + 0.5 * 10**-digits
        agrees = abs(ours - theirs) <= reach + SLACK
        follows = f"Table 1 has {theirs:.{digits}f} as its best ({title(best)})"
        if not agrees and deviation > 0:
            follows += f", {abs(theirs - ours) / deviation:.1f} times the printed deviation away"
        printed = f"{number(ours)} ± {number(deviation)}"
        yield AuditFinding(f"Table 2, {dataset}, {TABLE_1_METRIC}", printed, f"{follows}.", agreement(agrees))


def named_objectives(table1: Table1, named: Mapping[str, str], place: str) -> Iterator[AuditFinding]:
    """The objective (bce, ce, sce) that the paper names as strongest per dataset, with and without Barlow Twins."""
    for dataset, objective in named.items():
        values = table1[dataset]
        plain, regularised = (max(methods, key=values.__getitem__) for methods in (SASREC, BTSR))
        follows = f"Highest in Table 1 is {title(regularised)} with Barlow Twins, {title(plain)} without."
        printed = f"{objective.upper()} is strongest"
        yield AuditFinding(f"{place}, {dataset}", printed, follows, agreement(regularised == f"btsr-{objective}"))


def cross_entropy(table1: Table1) -> Iterator[AuditFinding]:
    """Full cross-entropy against binary cross-entropy, both without Barlow Twins."""
    for dataset, values in table1.items():
        bce, ce = values["sasrec-bce"], values["sasrec-ce"]
        printed = f"CE {number(ce)}, BCE {number(bce)}"
        follows = f"CE is {percent(improve(ce, bce))} from BCE."
        yield AuditFinding(f"Table 1, {dataset}", printed, follows, agreement(ce > bce))


def coverage_gains(table2: Table2, datasets: Collection[str]) -> Iterator[AuditFinding]:
    """Coverage of BT-SR on datasets for which the paper speaks of gains: by sign alone, against the best baseline."""
    for (dataset, metric), row in table2.items():
        if dataset in datasets and metric.startswith("cov@"):
            above = sum(row.values[name] > row.btsr for name in BASELINES)
            best = f"{titles(row.best_baselines)}, {number(row.best)}"
            follows = (
                f"{percent(improve(row.btsr, row.best))} from the best baseline ({best}); "
                f"{above} of {len(BASELINES)} baselines are above BT-SR."
            )
            printed = f"{number(row.btsr)}, Improve {percent(row.improve)}"
            yield AuditFinding(f"Table 2, {dataset}, {metric}", printed, follows, agreement(row.btsr > row.best))


def top_1_drop(table2: Table2, datasets: Collection[str], points: float) -> Iterator[AuditFinding]:
    """Whether HR@1 of BT-SR is high enough to drop by this number of percentage points at all."""
    for (dataset, metric), row in table2.items():
        if dataset in datasets and metric == "hr@1":
            possible = 100 * (row.btsr + HALF_UNIT) >= points
            follows = f"It is {100 * row.btsr:.2f} percentage points in all"
            if possible:
                follows += f"; a drop of {points:g} would leave {number(max(0.0, row.btsr - points / 100))}."
            else:
                follows += f", less than {points:g}; a drop relative to it may be meant."
            verdict: AuditVerdict = "cannot be told" if possible else "disagrees"
            yield AuditFinding(f"Table 2, {dataset}, hr@1", number(row.btsr), follows, verdict)


def _in_both(table1: Table1, table2: Table2) -> list[tuple[str, Mapping[str, float], Printed]]:
    """The datasets of both tables, with Table 1's values and Table 2's row for the same metric."""
    return [
        (dataset, values, table2[dataset, TABLE_1_METRIC])
        for dataset, values in table1.items()
        if (dataset, TABLE_1_METRIC) in table2
    ]
