"""The paper's Table 2 beside ours: how far apart each printed mean and ours are, and what could tell them apart."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import pandas as pd

from benchmark.paper.printed import BASELINES, CITATION
from benchmark.report.comparison import LoadArrays, MainComparison
from benchmark.report.material import Material
from benchmark.report.rows import RunSet
from benchmark.report.significance import SeedSummary, improvement
from benchmark.report.tables.layout import DASH, Cell, Group, Head, Line, Table
from benchmark.report.tables.parts import (
    caption,
    closing_notes,
    corner,
    group,
    identity,
    number,
    percent,
    signed,
    table_name,
)
from benchmark.report.tables.user_sampling import INTERVAL, Resolution, resolutions, user_error, what_follows

TOLERANCE = 5.0
"""Percent of the printed mean."""


@dataclass(frozen=True)
class Beside:
    """Our mean and the printed one of a method and metric. `user_error`: the sampling error of ours over test users,
    NaN for coverage, which is no mean over users, and where no run has its ranks.
    """

    method: str
    metric: str
    ours: SeedSummary
    printed: float
    user_error: float

    @property
    def absolute(self) -> float:
        """Ours minus the printed one."""
        return self.ours.mean - self.printed

    @property
    def relative(self) -> float:
        """The same in percent of the printed one."""
        return improvement(self.ours.mean, self.printed)

    @property
    def within_tolerance(self) -> bool:
        """Whether they differ by at most 5 % of the printed one."""
        return bool(abs(self.relative) <= TOLERANCE)

    @property
    def within_seeds(self) -> bool | None:
        """Whether the printed one lies in the 95 % t interval of our mean over seeds; None with fewer than two."""
        return None if self.ours.n < 2 else bool(self.ours.low <= self.printed <= self.ours.high)

    @property
    def user_interval(self) -> tuple[float, float]:
        """Our mean ± 1.96 sampling errors over test users; NaN where the error is."""
        return self.ours.mean - INTERVAL * self.user_error, self.ours.mean + INTERVAL * self.user_error

    @property
    def within_users(self) -> bool | None:
        """Whether the printed one lies in `user_interval`; None where there is none."""
        low, high = self.user_interval
        return None if math.isnan(low) else bool(low <= self.printed <= high)


def side_by_side(comparison: MainComparison, load: LoadArrays) -> list[Beside]:
    """Every method and metric of Table 2 with a printed mean and one of ours, method by method."""
    names = {method: method for method in comparison.baselines if method in BASELINES}
    names |= {comparison.btsr: "btsr"} if comparison.btsr else {}
    return [
        Beside(
            method,
            row.metric,
            row.summaries[method],
            row.printed.values[name],
            user_error(comparison.runs, method, row.metric, load),
        )
        for method, name in names.items()
        for row in comparison.metrics
        if row.printed and row.summaries[method].n
    ]


def side_by_side_tables(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """A summary, what the test users can tell at all, and one table per method; None if nothing of Table 2 has run."""
    comparison = material.comparison
    if comparison is None:
        return None
    runs, pairs = comparison.runs, side_by_side(comparison, material.load)
    found = resolutions(comparison, material.load)
    methods = list(dict.fromkeys(pair.method for pair in pairs))
    tables = [_resolution_table(comparison, found)] if found else []
    tables += [_summary_table(runs, methods, pairs)] if pairs else []
    tables += [_method_table(runs, method, [p for p in pairs if p.method == method]) for method in methods]
    if not tables:
        return None
    return tables, pd.DataFrame([_record(runs, pair, found) for pair in pairs] or [_of_users(runs, r) for r in found])


# --- the tables -----------------------------------------------------------------------------------------------------


def _resolution_table(comparison: MainComparison, found: Sequence[Resolution]) -> Table:
    runs = comparison.runs
    first, second = found[0].method, found[0].rival
    versus = f"{runs.look(first).title} and {runs.look(second).title}" if second else runs.look(first).title
    heads = (
        Head("sampling", "error"),
        Head("smallest", "detectable"),
        Head("our", "difference"),
        Head("lead in", "the paper"),
    )
    return Table(
        name=table_name(runs, "users"),
        caption=caption(runs, f"What the test users of {runs.heading} can tell: {versus}."),
        bands=(),
        heads=(corner(runs), *heads),
        sections=(
            tuple(
                (Line(r.metric, tuple(map(Cell, (*map(number, (r.error, r.detectable)), *map(signed, r.leads))))),)
                for r in found
            ),
        ),
        notes=tuple(what_follows(runs, found)),
    )


def _summary_table(runs: RunSet, methods: Sequence[str], pairs: Sequence[Beside]) -> Table:
    heads = (
        Head("accuracy", "ours − paper"),
        Head("coverage", "ours − paper"),
        Head("within", f"{TOLERANCE:g}%"),
        Head("within seed", "interval"),
        Head("within user", "interval"),
        Head("runs"),
    )
    records = [record for method in methods for record in runs.done(method)]
    return Table(
        name=table_name(runs, "side-by-side"),
        caption=caption(runs, f"Our Table 2 of {runs.heading} beside the paper's, in short."),
        bands=(),
        heads=(corner(runs), *heads),
        sections=(tuple(_summary_line(runs, m, [p for p in pairs if p.method == m]) for m in methods),),
        notes=(*_reading(runs), *closing_notes(runs, records)),
    )


def _summary_line(runs: RunSet, method: str, pairs: Sequence[Beside]) -> Group:
    coverage = [pair.relative for pair in pairs if pair.metric.startswith("cov@")]
    accuracy = [pair.relative for pair in pairs if not pair.metric.startswith("cov@")]
    cells = (
        percent(_mean(accuracy)),
        percent(_mean(coverage)),
        _counted(pair.within_tolerance for pair in pairs),
        _counted(pair.within_seeds for pair in pairs),
        _counted(pair.within_users for pair in pairs),
        str(len(runs.done(method))),
    )
    return (Line(runs.look(method).title, tuple(map(Cell, cells))),)


def _method_table(runs: RunSet, method: str, pairs: Sequence[Beside]) -> Table:
    heads = (
        Head("ours"),
        Head("paper"),
        Head("ours −", "paper"),
        Head("in %"),
        Head("within", f"{TOLERANCE:g}%"),
        Head("within seed", "interval"),
        Head("within user", "interval"),
    )
    title = runs.look(method).title
    accuracy = tuple(_lines(pair) for pair in pairs if not pair.metric.startswith("cov@"))
    coverage = tuple(_lines(pair) for pair in pairs if pair.metric.startswith("cov@"))
    return Table(
        name=table_name(runs, f"side-by-side-{method}"),
        caption=caption(runs, f"{title} on {runs.heading}, ours beside the paper's."),
        bands=(),
        heads=(corner(runs), *heads),
        sections=tuple(section for section in (accuracy, coverage) if section),
        notes=(f"Runs: {len(runs.done(method))}. How to read it: see the summary.",),
    )


def _lines(pair: Beside) -> Group:
    values = (
        number(pair.ours.mean),
        number(pair.printed),
        signed(pair.absolute),
        percent(pair.relative),
        *map(_said, (pair.within_tolerance, pair.within_seeds, pair.within_users)),
    )
    deviation = f"±{number(pair.ours.deviation)}" if pair.ours.n > 1 else ""
    below = (deviation, "", "", "", "", _interval(pair.ours.low, pair.ours.high), _interval(*pair.user_interval))
    return group(Line(pair.metric, tuple(map(Cell, values))), Line("", tuple(map(Cell, below)), "below"))


def _reading(runs: RunSet) -> Iterable[str]:
    yield (
        f"Paper: {CITATION}, Table 2. Differences are ours minus the paper's, in percent of the paper's; the first two "
        f"columns are their means over the metrics. Within {TOLERANCE:g}%: of the paper's mean. Within the seed "
        "interval: the printed mean lies in the 95% t interval of our mean over seeds, which with two or three seeds "
        "is so wide that it says little. Within the user interval: it lies within 1.96 standard errors of our mean "
        "over the test users; coverage is no mean over users and has none."
    )
    yield (
        "The user interval is that of another draw of users of this kind. If the paper tested the same users, both "
        "numbers share their draw, and should agree more closely than that."
    )


# --- small words ----------------------------------------------------------------------------------------------------


def _said(verdict: bool | None) -> str:
    return DASH if verdict is None else "yes" if verdict else "no"


def _counted(verdicts: Iterable[bool | None]) -> str:
    known = [verdict for verdict in verdicts if verdict is not None]
    return f"{sum(known)}/{len(known)}" if known else DASH


def _interval(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"{number(low)} to {number(high)}"


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values) if values else math.nan


# --- for machines ---------------------------------------------------------------------------------------------------


def _record(runs: RunSet, pair: Beside, found: Sequence[Resolution]) -> dict[str, object]:
    users_low, users_high = pair.user_interval
    return identity(runs) | {
        "metric": pair.metric,
        "method": pair.method,
        "runs": pair.ours.n,
        "mean": pair.ours.mean,
        "deviation": pair.ours.deviation,
        "paper_mean": pair.printed,
        "difference": pair.absolute,
        "difference_percent": pair.relative,
        "within_5_percent": pair.within_tolerance,
        "seeds_low": pair.ours.low,
        "seeds_high": pair.ours.high,
        "within_seed_interval": pair.within_seeds,
        "user_error": pair.user_error,
        "users_low": users_low,
        "users_high": users_high,
        "within_user_interval": pair.within_users,
        "detectable": next((r.detectable for r in found if r.metric == pair.metric), math.nan),
    }


def _of_users(runs: RunSet, found: Resolution) -> dict[str, object]:
    """What is left for machines where the paper prints nothing."""
    return identity(runs) | {
        "metric": found.metric,
        "method": found.method,
        "user_error": found.error,
        "rival": found.rival,
        "detectable": found.detectable,
    }
