"""Our Table 2 next to the paper's: how far apart the means are, and whether the test users can tell them apart."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from itertools import groupby
from statistics import fmean
from typing import Any

from scipy import stats

from benchmark.plan.selection import METRIC
from benchmark.report.query import Results
from benchmark.report.significance import LEVEL, improvement, standard_error
from benchmark.report.tables.comparison import MainComparison, MetricComparison, Resolution, main_comparison, resolution
from benchmark.report.tables.layout import Cell, Columns, Head, Table, TablesAndRows, mean_cell, table_of_items
from benchmark.report.tables.notes import notes, setting_notes
from benchmark.report.tables.numbers import DASH, count, number, percent, signed
from benchmark.runs.metrics import is_mean_over_users

TOLERANCE = 5.0
"""Percent of the printed mean."""

REACH = float(stats.norm.ppf(1 - LEVEL / 2))
"""A 95 % interval extends this many standard errors to either side of the mean: 1.96."""

MeanPair = Mapping[str, Any]
"""Our mean of a method and metric with the paper's, keyed by the columns of the CSV file.

There are two 95 % intervals: the t interval of our mean over seeds, and one over another draw of as many test users,
from `user_error`. NaN or None with too few seeds, without ranks, or if a metric is not a mean over users.
"""


def side_by_side_tables(results: Results) -> TablesAndRows | None:
    """Build a table of what the test users can reveal, a summary, and one table per method; None without any run."""
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
    return (tables, pairs or known) if tables else None  # the paper may print nothing


def mean_pairs(comparison: MainComparison, detectable: Mapping[str, float]) -> list[MeanPair]:
    """Compare each method and metric of Table 2 that has both a mean of ours and a printed one, method by method."""
    return [
        _pair(comparison.results, row, method, detectable.get(row.metric, math.nan))
        for method in comparison.results.paper_methods
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
        "within_seed_interval": _is_within(*over_seeds, printed),
        "user_error": error,
        "users_low": over_users[0],
        "users_high": over_users[1],
        "within_user_interval": _is_within(*over_users, printed),
        "detectable": detectable,
    }


def _is_within(low: float, high: float, printed: float) -> bool | None:
    return None if math.isnan(low) else low <= printed <= high


# --- the tables -----------------------------------------------------------------------------------------------------

WITHIN = {
    "within_5_percent": Head("within", f"{TOLERANCE:g} %"),
    "within_seed_interval": Head("within seed", "interval"),
    "within_user_interval": Head("within user", "interval"),
}


def _summary_table(results: Results, by_method: Sequence[Sequence[MeanPair]]) -> Table:
    groups = [results.method(pairs[0]["method"]) for pairs in by_method]

    def relative(pairs: Sequence[MeanPair], over_users: bool) -> str:
        chosen = [pair["difference_percent"] for pair in pairs if is_mean_over_users(pair["metric"]) is over_users]
        return percent(fmean(chosen) if chosen else math.nan)

    def counted(pairs: Sequence[MeanPair], name: str) -> str:
        known = [pair[name] for pair in pairs if pair[name] is not None]
        return f"{sum(known)}/{len(known)}" if known else DASH

    columns: Columns[Sequence[MeanPair]] = [
        (Head("accuracy", "ours − paper"), lambda pairs: relative(pairs, True)),
        (Head("coverage", "ours − paper"), lambda pairs: relative(pairs, False)),
        *((head, partial(counted, name=name)) for name, head in WITHIN.items()),
        (Head("runs"), lambda pairs: str(len(results.method(pairs[0]["method"]).done))),
    ]
    return table_of_items(
        results,
        "side-by-side",
        f"Our Table 2 of {results.heading} compared with the paper's: a summary.",
        columns,
        [[(runs.title, pairs, runs) for runs, pairs in zip(groups, by_method, strict=True)]],
        [*notes("side-by-side", tolerance=f"{TOLERANCE:g} %"), *setting_notes(results, groups)],
    )


def _method_table(comparison: MainComparison, pairs: Sequence[MeanPair]) -> Table:
    results, runs = comparison.results, comparison.results.method(pairs[0]["method"])

    def verdict(pair: MeanPair, name: str) -> Cell:
        text = DASH if pair[name] is None else "yes" if pair[name] else "no"
        over = name.removeprefix("within_").removesuffix("_interval")
        low, high = pair.get(f"{over}s_low", math.nan), pair.get(f"{over}s_high", math.nan)
        return Cell(text, below="" if math.isnan(low) else f"{number(low)} to {number(high)}")

    columns: Columns[MeanPair] = [
        (Head("ours"), lambda pair: mean_cell(results.summary(runs, pair["metric"]), pair["metric"])),
        (Head("paper", printed=True), lambda pair: number(pair["paper_mean"])),
        (Head("ours −", "paper"), lambda pair: signed(pair["difference"])),
        (Head("in %"), lambda pair: percent(pair["difference_percent"])),
        *((head, partial(verdict, name=name)) for name, head in WITHIN.items()),
    ]
    return table_of_items(
        results,
        f"side-by-side-{runs.method}",
        f"{runs.title} on {results.heading}: our numbers compared with the paper's.",
        columns,
        [
            [(pair["metric"], pair, runs) for pair in pairs if is_mean_over_users(pair["metric"]) is over_users]
            for over_users in (True, False)
        ],
        [f"{count(len(runs.done), 'run')}; the summary says how to read this table."],
    )


# --- what the test users can reveal -----------------------------------------------------------------------------------


def resolutions(comparison: MainComparison) -> list[Resolution]:
    """Return a Resolution per accuracy metric of Table 2, about the two of its columns with the highest NDCG@10.

    If none of the columns was run, other methods take their place. Empty if no run has its ranks.
    """
    results, rows = comparison.results, [row for row in comparison.metrics if is_mean_over_users(row.metric)]
    summaries = next(row.summaries for row in rows if row.metric == METRIC)
    for methods in (results.paper_methods, results.other_methods):
        # Ranked by mean, because a model that failed to learn would misrepresent what these users can reveal.
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
    caption = f"What the test users of {results.heading} can tell: {' and '.join(_titles(results, found))}."
    lines = [[(each.metric, each, None) for each in found]]
    return table_of_items(results, "users", caption, USERS, lines, user_notes(results, found))


def user_notes(results: Results, found: Sequence[Resolution]) -> list[str]:
    """How to read the table, and which of the printed leads these users can and cannot decide."""
    printed = [each for each in found if not math.isnan(each.printed_lead)]
    positive = [each for each in printed if each.printed_lead > 0]
    known = [each for each in positive if not math.isnan(each.detectable)]
    return notes(
        "users",
        dataset=results.title,
        titles=_titles(results, found),
        printed=printed,
        positive=positive,
        hidden=[each for each in positive if each.printed_lead < each.error],
        known=known,
        below=[each for each in known if each.printed_lead < each.detectable],
        main=next((each for each in known if each.metric == METRIC), None),
    )


def _titles(results: Results, found: Sequence[Resolution]) -> list[str]:
    return [results.method(method).title for method in (found[0].method, found[0].rival) if method]
