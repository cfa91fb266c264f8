"""Our Table 2 against the paper's: how far apart each printed mean and ours are, and what could tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby
from statistics import fmean

from scipy import stats

from benchmark.paper.printed import CITATION
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import LEVEL, SeedSummary, improvement, standard_error
from benchmark.report.tables.cells import deviation, row_of, stack
from benchmark.report.tables.comparison import MainComparison, Resolution, main_comparison
from benchmark.report.tables.layout import Cell, Head, Made, Stack, Table, for_machines, table_of
from benchmark.report.tables.notes import closing_notes
from benchmark.report.tables.numbers import DASH, count, number, percent, signed
from benchmark.report.tables.user_sampling import resolutions, user_table
from benchmark.runs.metrics import is_mean_over_users

TOLERANCE = 5.0
"""Percent of the printed mean."""

REACH = float(stats.norm.ppf(1 - LEVEL / 2))
"""Standard errors on either side of a mean that make a 95 % interval, 1.96."""


@dataclass(frozen=True)
class MeanPair:
    """Our mean of a method and metric and the printed one. `user_error`: the sampling error of ours over test users,
    NaN for coverage, which is no mean over users, and where no run has its ranks.
    """

    runs: RunGroup
    metric: str
    ours: SeedSummary
    printed: float
    user_error: float

    @property
    def absolute(self) -> float:
        return self.ours.mean - self.printed

    @property
    def relative(self) -> float:
        """In percent of the printed mean."""
        return improvement(self.ours.mean, self.printed)

    @property
    def user_interval(self) -> tuple[float, float]:
        """Our mean ± 1.96 sampling errors over test users; NaN where the error is."""
        return self.ours.mean - REACH * self.user_error, self.ours.mean + REACH * self.user_error

    @property
    def within_tolerance(self) -> bool:
        return abs(self.relative) <= TOLERANCE

    @property
    def within_seeds(self) -> bool | None:
        """Whether the printed one lies in the 95 % t interval of our mean over seeds; None with fewer than two."""
        return _holds(self.ours.interval, self.printed)

    @property
    def within_users(self) -> bool | None:
        """Whether the printed one lies in `user_interval`; None where there is none."""
        return _holds(self.user_interval, self.printed)


def mean_pairs(comparison: MainComparison) -> list[MeanPair]:
    """Every method and metric of Table 2 with a printed mean and one of ours, method by method."""
    results, pairs = comparison.results, []
    for method in results.contestants:
        runs = results.method(method)
        for row in comparison.metrics:
            if row.printed and row.summaries[method].n:
                gains = results.users(runs, row.metric)
                error = math.nan if gains is None else standard_error(gains)
                printed = row.printed.values["btsr" if method == results.btsr else method]
                pairs.append(MeanPair(runs, row.metric, row.summaries[method], printed, error))
    return pairs


def side_by_side_tables(results: Results) -> Made | None:
    """A summary, what the test users can tell at all, and one table per method; None if nothing of Table 2 has run."""
    if not results.ran:
        return None
    comparison = main_comparison(results)
    pairs, found = mean_pairs(comparison), resolutions(comparison)
    by_method = [list(mine) for _, mine in groupby(pairs, lambda pair: pair.runs.method)]
    tables = [user_table(results, found)] if found else []
    tables += [_summary_table(results, by_method)] if pairs else []
    tables += [_method_table(results, mine) for mine in by_method]
    rows = [_record(pair, found) for pair in pairs] or [_of_users(resolution) for resolution in found]
    return (tables, for_machines(results, rows)) if tables else None


_WITHIN = (Head("within", f"{TOLERANCE:g}%"), Head("within seed", "interval"), Head("within user", "interval"))


def _summary_table(results: Results, by_method: Sequence[Sequence[MeanPair]]) -> Table:
    return table_of(
        results,
        "side-by-side",
        f"Our Table 2 of {results.heading} compared with the paper's: a summary.",
        [Head("accuracy", "ours − paper"), Head("coverage", "ours − paper"), *_WITHIN, Head("runs")],
        [[_summary(pairs) for pairs in by_method]],
        [*_reading(), *closing_notes(results, [pairs[0].runs for pairs in by_method])],
    )


def _summary(pairs: Sequence[MeanPair]) -> Stack:
    runs = pairs[0].runs
    parts = [[pair.relative for pair in pairs if is_mean_over_users(pair.metric) is wanted] for wanted in (True, False)]
    texts = [
        *(percent(fmean(values) if values else math.nan) for values in parts),
        _counted(pair.within_tolerance for pair in pairs),
        _counted(pair.within_seeds for pair in pairs),
        _counted(pair.within_users for pair in pairs),
        str(len(runs.done)),
    ]
    return (row_of(runs.title, texts, runs=runs),)


def _method_table(results: Results, pairs: Sequence[MeanPair]) -> Table:
    runs = pairs[0].runs
    return table_of(
        results,
        f"side-by-side-{runs.method}",
        f"{runs.title} on {results.heading}: our numbers compared with the paper's.",
        [Head("ours"), Head("paper", printed=True), Head("ours −", "paper"), Head("in %"), *_WITHIN],
        [[_stack(pair) for pair in pairs if is_mean_over_users(pair.metric) is wanted] for wanted in (True, False)],
        [f"{count(len(runs.done), 'run')}; the summary says how to read this table."],
        runs=runs.name,
    )


def _stack(pair: MeanPair) -> Stack:
    values = (
        (number(pair.ours.mean), deviation(pair.ours)),
        (number(pair.printed), ""),
        (signed(pair.absolute), ""),
        (percent(pair.relative), ""),
        (_said(pair.within_tolerance), ""),
        (_said(pair.within_seeds), _interval(pair.ours.interval)),
        (_said(pair.within_users), _interval(pair.user_interval)),
    )
    return stack(pair.metric, [(Cell(value), below) for value, below in values])


def _reading() -> Iterable[str]:
    yield (
        f"The paper is {CITATION}, Table 2. Differences are ours minus the paper's, in percent of the paper's; the "
        f"first two columns are their means over the metrics. Within {TOLERANCE:g}% means within {TOLERANCE:g}% of the "
        "paper's mean. Within the seed interval means that the printed mean lies in the 95% t interval of our mean "
        "over seeds, which is so wide with two or three seeds that it says little. Within the user interval means that "
        "it lies within 1.96 standard errors of our mean over the test users; coverage is not a mean over users and "
        "has none."
    )
    yield (
        "The user interval is that of another draw of users of this kind. If the paper tested the same users, both "
        "numbers share their draw, and should agree more closely than that."
    )


def _holds(interval: tuple[float, float], printed: float) -> bool | None:
    low, high = interval
    return None if math.isnan(low) else low <= printed <= high


def _said(verdict: bool | None) -> str:
    return DASH if verdict is None else "yes" if verdict else "no"


def _counted(verdicts: Iterable[bool | None]) -> str:
    known = [verdict for verdict in verdicts if verdict is not None]
    return f"{sum(known)}/{len(known)}" if known else DASH


def _interval(interval: tuple[float, float]) -> str:
    low, high = interval
    return "" if math.isnan(low) else f"{number(low)} to {number(high)}"


def _record(pair: MeanPair, found: Sequence[Resolution]) -> dict[str, object]:
    return {
        "metric": pair.metric,
        "method": pair.runs.method,
        "runs": pair.ours.n,
        "mean": pair.ours.mean,
        "deviation": pair.ours.deviation,
        "paper_mean": pair.printed,
        "difference": pair.absolute,
        "difference_percent": pair.relative,
        "within_5_percent": pair.within_tolerance,
        "seeds_low": pair.ours.interval[0],
        "seeds_high": pair.ours.interval[1],
        "within_seed_interval": pair.within_seeds,
        "user_error": pair.user_error,
        "users_low": pair.user_interval[0],
        "users_high": pair.user_interval[1],
        "within_user_interval": pair.within_users,
        "detectable": next((r.detectable for r in found if r.metric == pair.metric), math.nan),
    }


def _of_users(found: Resolution) -> dict[str, object]:
    """What is left for machines where the paper prints nothing."""
    known = {"metric": found.metric, "method": found.method, "user_error": found.error}
    return known | {"rival": found.rival, "detectable": found.detectable}
