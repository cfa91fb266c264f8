"""What a test population of this size can tell: sampling errors, detectable differences, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from benchmark.paper.printed import CITATION
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results
from benchmark.report.significance import POWER
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.comparison import MainComparison, Resolution, resolution
from benchmark.report.tables.layout import Head, Table, table_of
from benchmark.report.tables.numbers import number, signed
from benchmark.runs.metrics import is_mean_over_users


def resolutions(comparison: MainComparison) -> list[Resolution]:
    """One per accuracy metric of Table 2, for the two methods with the highest NDCG@10 of the paper's columns, or of
    all if none of those was run; empty if no run has its ranks.
    """
    results, rows = comparison.results, [row for row in comparison.metrics if is_mean_over_users(row.metric)]
    summaries = next(row.summaries for row in rows if row.metric == METRIC)
    for methods in (results.contestants, results.extras):
        # By their means, so that a model that failed to learn does not pass for what these users can tell.
        ranked = sorted((name for name in methods if summaries[name].n), key=lambda name: -summaries[name].mean)
        if ranked:
            pair = ranked[0], ranked[1] if len(ranked) > 1 else None
            return [found for row in rows if (found := resolution(results, row, *pair))]
    return []


def user_table(results: Results, found: Sequence[Resolution]) -> Table:
    titles = [results.method(method).title for method in (found[0].method, found[0].rival) if method]
    rows = [
        row_of(r.metric, [number(r.error), number(r.detectable), signed(r.difference), signed(r.printed_lead)])
        for r in found
    ]
    return table_of(
        results,
        "users",
        f"What the test users of {results.heading} can tell: {' and '.join(titles)}.",
        [
            Head("sampling", "error"),
            Head("smallest", "detectable"),
            Head("our", "difference"),
            Head("lead in", "the paper", printed=True),
        ],
        [[(row,) for row in rows]],
        what_follows(results, found),
    )


def what_follows(results: Results, found: Sequence[Resolution]) -> Iterable[str]:
    """In words: how to read the table, and what these users can and cannot decide about the printed leads."""
    first = found[0]
    title = results.method(first.method).title
    text = f"The sampling error is that of {title}'s mean over the test users, averaged over seeds."
    if first.rival:
        text += (
            f" {title} and {results.method(first.rival).title} have the highest NDCG@10 of the paper's columns."
            f" The smallest detectable difference is the true difference between the two that a paired test over these "
            f"users would find with {POWER:.0%} power; for two methods on the same users it does not depend on the "
            f"sampling error of either."
        )
    printed = [resolution for resolution in found if not math.isnan(resolution.printed_lead)]
    if not printed:
        yield f"{text} The paper prints nothing for this dataset."
        return
    yield f"{text} The lead in the paper is BT-SR minus the best baseline as printed ({CITATION}, Table 2)."
    positive = [resolution for resolution in printed if resolution.printed_lead > 0]
    hidden = [resolution for resolution in positive if resolution.printed_lead < resolution.error]
    yield (
        f"{len(hidden)} of the {len(positive)} accuracy leads that the paper prints for {results.title} are smaller "
        "than the sampling error of their metric: another draw of as many users would move the mean by more than the "
        "lead."
    )
    if known := [resolution for resolution in positive if not math.isnan(resolution.detectable)]:
        yield _conclusion(known)


def _conclusion(known: Sequence[Resolution]) -> str:
    """About printed leads, given what is detectable."""
    below = [resolution for resolution in known if resolution.printed_lead < resolution.detectable]
    text = f"{len(below)} of these {len(known)} lie below what is detectable here"
    if main := next((resolution for resolution in known if resolution.metric == METRIC), None):
        text += f" (NDCG@10: {number(main.printed_lead)} against {number(main.detectable)})"
    if not below:
        return f"{text}: the test users suffice to confirm or refute leads of the printed size."
    return (
        f"{text}: these users cannot be expected to reveal them. A star over seeds then speaks of these users alone; "
        "more seeds reduce the noise of training but not that of the users, and only more test users, or several "
        f"datasets together, could settle it{'' if len(below) == len(known) else ' for those metrics'}."
    )
