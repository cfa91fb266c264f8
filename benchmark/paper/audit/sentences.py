"""The paper's sentences about its results checked against the numbers that it prints, and Table 1 against Table 2."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from benchmark.paper.audit.finding import HALF_UNIT, SLACK, AuditFinding, AuditVerdict, finding
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
            yield finding("barlow-twins", after > before, dataset=dataset, plain=plain, before=before, after=after)


def baseline_cells(table1: Table1, table2: Table2) -> Iterator[AuditFinding]:
    """Whether SASRec's cells of Table 1 are those of Table 2, which reports the hold-out test set."""
    for dataset, values, row in _in_both(table1, table2):
        cells = {method: values[method] for method in SASREC}
        same = [method for method, value in cells.items() if abs(value - row.values[method]) <= SLACK]
        yield finding("baseline-cells", len(same) == len(cells), dataset=dataset, cells=cells, same=same)


def best_variants(
    table1: Table1, table2: Table2, decimals: Mapping[tuple[str, str], int] = FEWER_DECIMALS
) -> Iterator[AuditFinding]:
    """BT-SR of Table 2, "our best variant", against the best Barlow Twins cell of Table 1.

    `decimals`: of the cells of Table 1, by dataset and method, that are not printed to four decimals.
    """
    for dataset, values, row in _in_both(table1, table2):
        best = max(BTSR, key=values.__getitem__)
        digits = decimals.get((dataset, best), PRINTED_DECIMALS)
        # Numbers that are printed alike to four decimals may come from one; otherwise their intervals must touch.
        reach = 0.0 if digits == PRINTED_DECIMALS else HALF_UNIT + 0.5 * 10**-digits
        apart, theirs = abs(row.btsr - values[best]), f"{values[best]:.{digits}f}"
        yield finding(
            "best-variant", apart <= reach + SLACK, dataset=dataset, row=row, best=best, theirs=theirs, apart=apart
        )


def named_objectives(table1: Table1, named: Mapping[str, str], place: str) -> Iterator[AuditFinding]:
    """The objective (bce, ce, sce) that the paper names as strongest per dataset, with and without Barlow Twins."""
    for dataset, objective in named.items():
        plain, best = (max(methods, key=table1[dataset].__getitem__) for methods in (SASREC, BTSR))
        agrees = best == f"btsr-{objective}"
        yield finding("choice", agrees, section=place, dataset=dataset, objective=objective, best=best, plain=plain)


def cross_entropy(table1: Table1) -> Iterator[AuditFinding]:
    """Full cross-entropy against binary cross-entropy, both without Barlow Twins."""
    for dataset, values in table1.items():
        bce, ce = values["sasrec-bce"], values["sasrec-ce"]
        yield finding("cross-entropy", ce > bce, dataset=dataset, bce=bce, ce=ce)


def coverage_gains(check: str, table2: Table2, datasets: Collection[str]) -> Iterator[AuditFinding]:
    """Coverage of BT-SR on datasets for which the paper speaks of gains: by sign alone, against the best baseline."""
    for (dataset, metric), row in table2.items():
        if dataset in datasets and metric.startswith("cov@"):
            above = [name for name in BASELINES if row.values[name] > row.btsr]
            yield finding(check, row.btsr > row.best, dataset=dataset, metric=metric, row=row, above=above)


def top_1_drop(table2: Table2, datasets: Collection[str], points: float) -> Iterator[AuditFinding]:
    """Whether HR@1 of BT-SR is high enough to drop by this number of percentage points at all."""
    for (dataset, metric), row in table2.items():
        if dataset in datasets and metric == "hr@1":
            verdict: AuditVerdict = "cannot be told" if 100 * (row.btsr + HALF_UNIT) >= points else "disagrees"
            yield finding("top-1-drop", verdict, dataset=dataset, ours=row.btsr, points=points)


def _in_both(table1: Table1, table2: Table2) -> list[tuple[str, Mapping[str, float], Printed]]:
    """The datasets of both tables, with Table 1's values and Table 2's row for the same metric."""
    return [
        (dataset, values, table2[dataset, TABLE_1_METRIC])
        for dataset, values in table1.items()
        if (dataset, TABLE_1_METRIC) in table2
    ]
