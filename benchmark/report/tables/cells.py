"""Cells with what stands below them: means over seeds with their deviations, paired differences with their p."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import PairedTest, SeedSummary
from benchmark.report.tables.layout import (
    Cell,
    Columns,
    Head,
    Pair,
    Place,
    Stack,
    Table,
    row_of,
    stack,
    table_by_columns,
)
from benchmark.report.tables.numbers import DASH, DECIMALS, count, number, p_value, signed
from benchmark.runs.metrics import definition, is_higher_better


def mean(summary: SeedSummary, place: Place = "", star: bool = False, decimals: int = DECIMALS) -> Pair:
    """The mean over seeds, its sample standard deviation below; nothing there with fewer than two runs."""
    below = f"±{number(summary.deviation, decimals)}" if summary.n > 1 else ""
    return Cell(number(summary.mean, decimals), star, place), below


def means_table(
    results: Results,
    name: str,
    caption: str,
    sections: Sequence[Sequence[RunGroup]],
    metrics: Mapping[str, Head],
    notes: Iterable[str],
    more: Columns[RunGroup],
) -> Table:
    """A line per group, a column per metric with the best in bold, then `more` columns."""

    def column(metric: str) -> Callable[[RunGroup], Pair]:
        summaries = {runs.label: results.summary(runs, metric) for section in sections for runs in section}
        best = best_of({label: summary.mean for label, summary in summaries.items()}, metric)
        return lambda runs: mean(summaries[runs.label], best[runs.label], decimals=decimals_of(metric))

    columns = [*((head, column(metric)) for metric, head in metrics.items()), *more]
    lines = [[(runs.title, runs, runs) for runs in section] for section in sections]
    return table_by_columns(results, name, caption, columns, lines, notes)


def rows_of_means(
    results: Results, groups: Iterable[RunGroup], metrics: Sequence[str], *columns: str
) -> Iterator[dict[str, object]]:
    """The same for machines: a row per group and metric, with these columns."""
    for runs in groups:
        for metric in metrics:
            about = {"experiment": runs.experiment, "variant": runs.label, "method": runs.method, "metric": metric}
            row = about | described(results.summary(runs, metric)) | {"runs_asked": runs.asked}
            yield {column: row[column] for column in columns}


def contrast(
    results: Results,
    label: str,
    metric: str,
    groups: Sequence[RunGroup],
    pairs: Sequence[tuple[RunGroup, RunGroup]],
    printed: Mapping[str, float] = MappingProxyType({}),
    seeds_below: bool = True,
) -> Stack:
    """The means of these groups, the best in bold, then of each pair the first minus the second with its p below.

    `printed`: what the paper prints, by the groups' labels. `seeds_below`: a p comes with its number of seeds where one
    of the pair has more.
    """
    decimals, summaries = decimals_of(metric), {runs.label: results.summary(runs, metric) for runs in groups}
    best = best_of({label: summary.mean for label, summary in summaries.items()}, metric)
    shown = [mean(summary, best[name], False, decimals) for name, summary in summaries.items()]
    for first, second in pairs:
        test = results.difference(first, second, metric)
        sides = [summaries[first.label], summaries[second.label]] if seeds_below else []
        shown.append((Cell(signed(test.difference, decimals), test.star), p_of(test, *sides)))
    if not printed:
        return stack(label, shown)
    values = {runs.label: printed.get(runs.label, math.nan) for runs in groups}
    differences = [values[first.label] - values[second.label] for first, second in pairs]
    texts = [*map(number, values.values()), *map(signed, differences)]
    return stack(label, shown, row_of("paper", texts, "paper"))


def p_of(test: PairedTest, *sides: SeedSummary) -> str:
    """As `p = 0.012`, nothing where there is no test; and over how many seeds, where one of the sides has more."""
    p = "" if math.isnan(test.p) else f"p {p_value(test.p)}"
    return ", ".join(filter(None, [p, seeds_of(test.n, *sides)]))


def seeds_of(n: int, *sides: SeedSummary) -> str:
    """`3 seeds`, for a comparison over seeds that both sides have; nothing where neither has more."""
    return count(n, "seed") if 0 < n < max((side.n for side in sides), default=0) else ""


def described(summary: SeedSummary) -> dict[str, object]:
    return {"mean": summary.mean, "deviation": summary.deviation, "runs": summary.n}


def tested(test: PairedTest | None) -> dict[str, object]:
    """A test for machines; without one the same columns, empty."""
    if test is None:
        return dict.fromkeys(("difference", "pairs", "p", "star"))
    return {"difference": test.difference, "pairs": test.n, "p": test.p, "star": test.star}


def done_of_asked(runs: RunGroup) -> str:
    return f"{len(runs.done)}/{runs.asked}" if runs.asked else DASH


def decimals_of(metric: str) -> int:
    known = definition(metric)
    return known.decimals if known else DECIMALS


def places(means: Mapping[str, float], metric: str) -> dict[str, Place]:
    """Which are best and second best of the means as printed; equal ones share a place, NaN has none."""
    printed = {key: round(mean, decimals_of(metric)) for key, mean in means.items() if not math.isnan(mean)}
    ranked = sorted(set(printed.values()), reverse=is_higher_better(metric))
    best: dict[float, Place] = dict(zip(ranked, ("best", "second"), strict=False))
    return {key: best.get(printed[key], "") if key in printed else "" for key in means}


def best_of(means: Mapping[str, float], metric: str) -> dict[str, Place]:
    """The best place alone, and no place at all where all are equal."""
    ranked = places(means, metric)
    distinct = "second" in ranked.values()
    return {key: "best" if place == "best" and distinct else "" for key, place in ranked.items()}
