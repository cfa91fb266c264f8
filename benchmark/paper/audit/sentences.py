"""Checks of the paper's sentences about its results against the printed numbers, and of Table 1 against Table 2."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

from benchmark.paper.audit.finding import HALF_UNIT, SLACK, AuditFinding, AuditVerdict, finding
from benchmark.paper.printed import BASELINES, BTSR, SASREC, TABLE_1_METRIC, Printed, Table1, Table2

PRINTED_DECIMALS = 4
"""The number of decimals that the tables print."""
FEWER_DECIMALS = {("Kindle Store", "btsr-sce"): 3}
"""The one cell of Table 1 with fewer decimals prints 0.079."""


def barlow_twins_gains(table1: Table1) -> Iterator[AuditFinding]:
    """Check in Table 1 whether Barlow Twins raises the value of each objective on each dataset."""
    for dataset, values in table1.items():
        for plain, regularised in zip(SASREC, BTSR, strict=True):
            before, after = values[plain], values[regularised]
            yield finding("barlow-twins", after > before, dataset=dataset, plain=plain, before=before, after=after)


def baseline_cells(table1: Table1, table2: Table2) -> Iterator[AuditFinding]:
    """Check whether SASRec has the same values in Table 1 as in Table 2, which reports the hold-out test set."""
    for dataset, values, row in _in_both(table1, table2):
        cells = {method: values[method] for method in SASREC}
        same = [method for method, value in cells.items() if abs(value - row.values[method]) <= SLACK]
        yield finding("baseline-cells", len(same) == len(cells), dataset=dataset, cells=cells, same=same)


def best_variants(
    table1: Table1, table2: Table2, decimals: Mapping[tuple[str, str], int] = FEWER_DECIMALS
) -> Iterator[AuditFinding]:
    """Compare BT-SR in Table 2, "our best variant", with the best Barlow Twins cell of Table 1.

    `decimals`: the decimals of those cells of Table 1, by dataset and method, that do not have four.
    """
    for dataset, values, row in _in_both(table1, table2):
        best = max(BTSR, key=values.__getitem__)
        digits = decimals.get((dataset, best), PRINTED_DECIMALS)
        # Two cells with four decimals must be equal; with fewer decimals their rounding intervals must touch.
        reach = 0.0 if digits == PRINTED_DECIMALS else HALF_UNIT + 0.5 * 10**-digits
        apart, theirs = abs(row.btsr - values[best]), f"{values[best]:.{digits}f}"
        yield finding(
            "best-variant", apart <= reach + SLACK, dataset=dataset, row=row, best=best, theirs=theirs, apart=apart
        )


def named_objectives(table1: Table1, named: Mapping[str, str], place: str) -> Iterator[AuditFinding]:
    """Check the objective (bce, ce, sce) that the paper calls strongest on each dataset."""
    for dataset, objective in named.items():
        plain, best = (max(methods, key=table1[dataset].__getitem__) for methods in (SASREC, BTSR))
        agrees = best == f"btsr-{objective}"
        yield finding("choice", agrees, section=place, dataset=dataset, objective=objective, best=best, plain=plain)


def cross_entropy(table1: Table1) -> Iterator[AuditFinding]:
    """Compare full with binary cross-entropy, both without Barlow Twins."""
    for dataset, values in table1.items():
        bce, ce = values["sasrec-bce"], values["sasrec-ce"]
        yield finding("cross-entropy", ce > bce, dataset=dataset, bce=bce, ce=ce)


def coverage_gains(check: str, table2: Table2, datasets: Collection[str]) -> Iterator[AuditFinding]:
    """Check the sign of BT-SR's coverage gain over the best baseline, on datasets where the paper speaks of gains."""
    for (dataset, metric), row in table2.items():
        if dataset in datasets and metric.startswith("cov@"):
            above = [name for name in BASELINES if row.values[name] > row.btsr]
            yield finding(check, row.btsr > row.best, dataset=dataset, metric=metric, row=row, above=above)


def top_1_drop(table2: Table2, datasets: Collection[str], points: float) -> Iterator[AuditFinding]:
    """Check whether BT-SR's HR@1 is high enough to drop by this many percentage points."""
    for (dataset, metric), row in table2.items():
        if dataset in datasets and metric == "hr@1":
            verdict: AuditVerdict = "cannot be told" if 100 * (row.btsr + HALF_UNIT) >= points else "disagrees"
            yield finding("top-1-drop", verdict, dataset=dataset, ours=row.btsr, points=points)


def _in_both(table1: Table1, table2: Table2) -> list[tuple[str, Mapping[str, float], Printed]]:
    """The datasets in both tables, each with its values in Table 1 and its row of the same metric in Table 2."""
    return [
        (dataset, values, table2[dataset, TABLE_1_METRIC])
        for dataset, values in table1.items()
        if (dataset, TABLE_1_METRIC) in table2
    ]
