"""Our Table 2 against the paper's: how far apart each printed mean and ours are, and what could tell them apart, which
depends on how many users are tested.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from itertools import groupby
from statistics import fmean
from typing import Any

from scipy import stats

from benchmark.plan.selection import METRIC
from benchmark.report.query import Results
from benchmark.report.significance import LEVEL, improvement, standard_error
from benchmark.report.tables.cells import mean
from benchmark.report.tables.comparison import MainComparison, MetricComparison, Resolution, main_comparison, resolution
from benchmark.report.tables.layout import (
    Cell,
    Columns,
    Head,
    Made,
    Stack,
    Table,
    for_machines,
    row_of,
    stack,
    table_by_columns,
    table_of,
)
from benchmark.report.tables.notes import closing_notes, notes
from benchmark.report.tables.numbers import DASH, count, number, percent, signed
from benchmark.runs.metrics import is_mean_over_users

TOLERANCE = 5.0
"""Percent of the printed mean."""

REACH = float(stats.norm.ppf(1 - LEVEL / 2))
"""Standard errors on either side of a mean that make a 95 % interval, 1.96."""

MeanPair = Mapping[str, Any]
"""Our mean of a method and metric and the printed one, by the columns of the CSV file.

The intervals are the 95 % t interval of our mean over seeds, and that over another draw of as many test users, from
`user_error`. NaN or None where there are too few seeds, no ranks, or a metric is no mean over users.
"""


def side_by_side_tables(results: Results) -> Made | None:
    """A summary, what the test users can tell at all, and one table per method; None if nothing of Table 2 has run."""
    if not results.ran:
        return None
    comparison = main_comparison(results)
    found = resolutions(comparison)
    pairs = mean_pairs(comparison, {each.metric: each.detectable for each in found})
    by_method = [list(mine) for _, mine in groupby(pairs, lambda pair: pair["method"])]
    tables = [_user_table(results, found)] if found else []
    tables += [_summary_table(results, by_method)] if pairs else []
    tables += [_method_table(comparison, mine) for mine in by_method]
    known = [
        {"metric": each.metric, "method": each.method, "user_error": each.error}
        | {"rival": each.rival, "detectable": each.detectable}
        for each in found
    ]
    return (tables, for_machines(results, pairs or known)) if tables else None  # the paper may print nothing


def mean_pairs(comparison: MainComparison, detectable: Mapping[str, float]) -> list[MeanPair]:
    """Every method and metric of Table 2 with a printed mean and one of ours, method by method."""
    return [
        _pair(comparison.results, row, method, detectable.get(row.metric, math.nan))
        for method in comparison.results.contestants
        for row in comparison.metrics
        if row.printed and row.summaries[method].n
    ]


def _pair(results: Results, row: MetricComparison, method: str, detectable: float) -> MeanPair:
    assert row.printed
    ours, printed = row.summaries[method], row.printed.values["btsr" if method == results.btsr else method]
    gains, relative = results.users(results.method(method), row.metric), improvement(ours.mean, printed)
    error = math.nan if gains is None else standard_error(gains)
    over_seeds, over_users = ours.interval, (ours.mean - REACH * error, ours.mean + REACH * error)
    return {
        "metric": row.metric,
        "method": method,
        "runs": ours.n,
        "mean": ours.mean,
        "deviation": ours.deviation,
        "paper_mean": printed,
        "difference": ours.mean - printed,
        "difference_percent": relative,
        "within_5_percent": abs(relative) <= TOLERANCE,
        "seeds_low": over_seeds[0],
        "seeds_high": over_seeds[1],
        "within_seed_interval": _holds(*over_seeds, printed),
        "user_error": error,
        "users_low": over_users[0],
        "users_high": over_users[1],
        "within_user_interval": _holds(*over_users, printed),
        "detectable": detectable,
    }


def _holds(low: float, high: float, printed: float) -> bool | None:
    return None if math.isnan(low) else low <= printed <= high


# --- the tables -----------------------------------------------------------------------------------------------------

WITHIN = {
    "within_5_percent": Head("within", f"{TOLERANCE:g} %"),
    "within_seed_interval": Head("within seed", "interval"),
    "within_user_interval": Head("within user", "interval"),
}


def _summary_table(results: Results, by_method: Sequence[Sequence[MeanPair]]) -> Table:
    groups = [results.method(pairs[0]["method"]) for pairs in by_method]
    lines = []
    for runs, pairs in zip(groups, by_method, strict=True):
        relative = [
            [pair["difference_percent"] for pair in pairs if is_mean_over_users(pair["metric"]) is wanted]
            for wanted in (True, False)
        ]
        texts = [percent(fmean(values) if values else math.nan) for values in relative]
        texts += [_counted(pair[name] for pair in pairs) for name in WITHIN]
        lines.append((row_of(runs.title, [*texts, str(len(runs.done))], runs=runs),))
    return table_of(
        results,
        "side-by-side",
        f"Our Table 2 of {results.heading} compared with the paper's: a summary.",
        [Head("accuracy", "ours − paper"), Head("coverage", "ours − paper"), *WITHIN.values(), Head("runs")],
        [lines],
        [*notes("side-by-side", tolerance=f"{TOLERANCE:g} %"), *closing_notes(results, groups)],
    )


def _method_table(comparison: MainComparison, pairs: Sequence[MeanPair]) -> Table:
    results, runs = comparison.results, comparison.results.method(pairs[0]["method"])
    summaries = {row.metric: row.summaries[runs.method] for row in comparison.metrics}

    def line(pair: MeanPair) -> Stack:
        ours = mean(summaries[pair["metric"]])
        texts = [number(pair["paper_mean"]), signed(pair["difference"]), percent(pair["difference_percent"])]
        said = [DASH if pair[name] is None else "yes" if pair[name] else "no" for name in WITHIN]
        intervals = ["", *(_interval(pair[f"{over}_low"], pair[f"{over}_high"]) for over in ("seeds", "users"))]
        cells = [*((text, "") for text in texts), *zip(said, intervals, strict=True)]
        return stack(pair["metric"], [ours, *((Cell(text), below) for text, below in cells)], runs=runs)

    return table_of(
        results,
        f"side-by-side-{runs.method}",
        f"{runs.title} on {results.heading}: our numbers compared with the paper's.",
        [Head("ours"), Head("paper", printed=True), Head("ours −", "paper"), Head("in %"), *WITHIN.values()],
        [[line(pair) for pair in pairs if is_mean_over_users(pair["metric"]) is wanted] for wanted in (True, False)],
        [f"{count(len(runs.done), 'run')}; the summary says how to read this table."],
    )


def _counted(verdicts: Iterable[bool | None]) -> str:
    known = [verdict for verdict in verdicts if verdict is not None]
    return f"{sum(known)}/{len(known)}" if known else DASH


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{number(low)} to {number(high)}"


# --- what the test users can tell -----------------------------------------------------------------------------------


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


USERS: Columns[Resolution] = (
    (Head("sampling", "error"), lambda each: number(each.error)),
    (Head("smallest", "detectable"), lambda each: number(each.detectable)),
    (Head("our", "difference"), lambda each: signed(each.difference)),
    (Head("lead in", "the paper", printed=True), lambda each: signed(each.printed_lead)),
)


def _user_table(results: Results, found: Sequence[Resolution]) -> Table:
    titles = [results.method(method).title for method in (found[0].method, found[0].rival) if method]
    caption = f"What the test users of {results.heading} can tell: {' and '.join(titles)}."
    lines = [[(each.metric, each, None) for each in found]]
    return table_by_columns(results, "users", caption, USERS, lines, what_follows(results, found))


def what_follows(results: Results, found: Sequence[Resolution]) -> list[str]:
    """In words: how to read the table, and what these users can and cannot decide about the printed leads."""
    printed = [each for each in found if not math.isnan(each.printed_lead)]
    positive = [each for each in printed if each.printed_lead > 0]
    known = [each for each in positive if not math.isnan(each.detectable)]
    return notes(
        "users",
        dataset=results.title,
        titles=[results.method(method).title for method in (found[0].method, found[0].rival) if method],
        printed=printed,
        positive=positive,
        hidden=[each for each in positive if each.printed_lead < each.error],
        known=known,
        below=[each for each in known if each.printed_lead < each.detectable],
        main=next((each for each in known if each.metric == METRIC), None),
    )
