"""Checks of the paper's Table 2 against itself: Improve, stars, and what HR implies about NDCG.

A printed number stands for all numbers that round to it. Printed numbers disagree if no choice of such numbers fits
together.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from scipy import stats

from benchmark.paper.audit.finding import (
    HALF_PERCENT,
    HALF_UNIT,
    RUNS,
    SIGNIFICANT,
    SLACK,
    AuditFinding,
    AuditVerdict,
    finding,
    improve,
)
from benchmark.paper.printed import BASELINES, TABLE_2_METHODS, Table2


def improvements(table: Table2) -> Iterator[AuditFinding]:
    """Recompute Improve of every cell against the best printed baseline.

    If it differs, the finding names the baselines that would give it, the BT-SR value it implies, and any baseline with
    the same printed value as BT-SR.
    """
    for (dataset, metric), row in table.items():
        explaining = {
            rival: [name for name in BASELINES if row.values[name] > row.values[rival]]
            for rival in BASELINES
            if _gives(row.btsr, row.values[rival], row.improve)
        }
        same = [name for name in BASELINES if row.values[name] == row.btsr]
        agrees = _gives(row.btsr, row.best, row.improve)
        yield finding("improve", agrees, dataset=dataset, metric=metric, row=row, explaining=explaining, same=same)


def _gives(ours: float, baseline: float, percentage: float) -> bool:
    """Whether some numbers that round to these three fit together."""
    low = improve(ours - HALF_UNIT, baseline + HALF_UNIT)
    high = improve(ours + HALF_UNIT, baseline - HALF_UNIT)
    return low <= percentage + HALF_PERCENT + SLACK and high >= percentage - HALF_PERCENT - SLACK


def stars(table: Table2) -> Iterator[AuditFinding]:
    """Test every starred cell against the best baseline, by a two-sided one-sample t-test of mean, deviation and n = 5.

    This equals the paired test if the baseline is the same in every run. If the baseline varies, by a deviation that is
    not printed, the paired test can differ; the finding names the deviation of the differences that it would need.
    Cells without a star appear only if they are significant under any rounding.
    """
    for (dataset, metric), row in table.items():
        lead, deviation = row.btsr - row.best, row.btsr_deviation
        surely, possibly = (_significant(lead, deviation, side) for side in (-HALF_UNIT, HALF_UNIT))
        verdict: AuditVerdict = "agrees" if row.starred and surely else "disagrees"
        if row.starred and possibly and not surely:
            verdict = "cannot be told"
        if row.starred or surely:
            p = one_sample_p(row.btsr, deviation, RUNS, row.best)
            needed = largest_significant_deviation(max(0.0, lead), RUNS)
            facts = {"dataset": dataset, "metric": metric, "row": row, "p": p, "needed": needed, "surely": surely}
            yield finding("stars", verdict, **facts)


def _significant(lead: float, deviation: float, rounded: float) -> bool:
    """Whether a lead has p < 0.05 after its means and deviation move by `rounded`, in its favour if positive."""
    lead, deviation = lead + 2 * rounded, max(0.0, deviation - rounded)
    return lead > 0 and one_sample_p(lead, deviation, RUNS, 0.0) < SIGNIFICANT


def one_sample_p(mean: float, deviation: float, n: int, reference: float) -> float:
    """The two-sided p of a one-sample t-test, from the sample's mean, deviation and size n >= 2."""
    if deviation == 0:
        return 1.0 if mean == reference else 0.0
    return float(2 * stats.t.sf(abs(mean - reference) / (deviation / math.sqrt(n)), n - 1))


def largest_significant_deviation(difference: float, n: int) -> float:
    """The sample deviation of n differences below which their mean reaches p < 0.05 in a paired test."""
    return abs(difference) * math.sqrt(n) / float(stats.t.ppf(1 - SIGNIFICANT / 2, n - 1))


def ndcg_gains(table: Table2) -> Iterator[AuditFinding]:
    """Compare every method's gain in NDCG from K = 5 to 10 with its gain in HR.

    With one relevant item, a hit at rank r adds 1 / log2(r + 1) to NDCG, so each hit at ranks 6 to 10 adds between
    1 / log2(11) and 1 / log2(7). This holds for single runs and for means over runs and users.
    """
    for dataset in dict.fromkeys(dataset for dataset, _ in table):
        rows = [table.get((dataset, metric)) for metric in ("hr@5", "hr@10", "ndcg@5", "ndcg@10")]
        if None not in rows:
            for method in TABLE_2_METHODS:
                yield _ndcg_gain(dataset, method, *(row.values[method] for row in rows if row))


def _ndcg_gain(dataset: str, method: str, hr5: float, hr10: float, ndcg5: float, ndcg10: float) -> AuditFinding:
    least, most = 1 / math.log2(11), 1 / math.log2(7)
    hits, gain = hr10 - hr5, ndcg10 - ndcg5
    low, high = least * (hits - 2 * HALF_UNIT), most * (hits + 2 * HALF_UNIT)
    agrees = gain + 2 * HALF_UNIT >= low - SLACK and gain - 2 * HALF_UNIT <= high + SLACK
    values = {"hr5": hr5, "hr10": hr10, "ndcg5": ndcg5, "ndcg10": ndcg10, "hits": hits, "gain": gain}
    fitting = {  # the HR@10 that the other three values fit
        "first": math.ceil(1e4 * (hr5 - 2 * HALF_UNIT + (gain - 2 * HALF_UNIT) / most)) / 1e4,
        "last": math.floor(1e4 * (hr5 + 2 * HALF_UNIT + (gain + 2 * HALF_UNIT) / least)) / 1e4,
    }
    return finding("ndcg-gain", agrees, dataset=dataset, method=method, low=low, high=high, **values, **fitting)
