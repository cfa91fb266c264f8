"""Cells with what stands below them: means over seeds with their deviations, paired differences with their p."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeVar

from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import PairedTest, SeedSummary
from benchmark.report.tables.layout import Cell, Kind, Place, Row, Stack
from benchmark.report.tables.numbers import DASH, DECIMALS, count, number, p_value, signed

Pair = tuple[Cell, str]
"""A cell and the text below it."""

Key = TypeVar("Key")


def stack(label: str, pairs: Sequence[Pair], *more: Row, runs: RunGroup | None = None) -> Stack:
    """A row of cells, what stands below them, and `more` rows; those without any text are left out."""
    shown = runs.name if runs and runs.records else ""
    rows = (
        Row(label, tuple(cell for cell, _ in pairs), runs=shown),
        Row("", tuple(Cell(text) for _, text in pairs), "below"),
        *more,
    )
    return tuple(row for row in rows if any(cell.text for cell in row.cells))


def row_of(label: str, texts: Sequence[str], kind: Kind = "value", runs: RunGroup | None = None) -> Row:
    """A row of plain texts."""
    return Row(label, tuple(map(Cell, texts)), kind, runs.name if runs and runs.records else "")


def mean(summary: SeedSummary, place: Place = "", star: bool = False) -> Pair:
    """The mean over seeds, its sample standard deviation below; nothing there with fewer than two runs."""
    return Cell(number(summary.mean), star, place), deviation(summary)


def columns_of_means(results: Results, groups: Sequence[RunGroup], metrics: Iterable[str]) -> dict[str, list[Pair]]:
    """By the groups' labels: the mean of each metric, the best of a column in bold."""
    rows: dict[str, list[Pair]] = {runs.label: [] for runs in groups}
    for metric in metrics:
        summaries = {runs.label: results.summary(runs, metric) for runs in groups}
        best = best_of(summaries)
        for label, summary in summaries.items():
            rows[label].append(mean(summary, best[label]))
    return rows


def deviation(summary: SeedSummary) -> str:
    """The sample standard deviation; nothing with fewer than two runs."""
    return f"±{number(summary.deviation)}" if summary.n > 1 else ""


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
    summaries = {runs.label: results.summary(runs, metric) for runs in groups}
    best = best_of(summaries)
    shown = [mean(summary, best[name]) for name, summary in summaries.items()]
    for first, second in pairs:
        test = results.difference(first, second, metric)
        sides = [summaries[first.label], summaries[second.label]] if seeds_below else []
        shown.append((Cell(signed(test.difference), test.star), p_of(test, *sides)))
    texts = [number(printed[runs.label]) for runs in groups] if printed else []
    texts += [signed(printed[a.label] - printed[b.label]) for a, b in pairs] if printed else []
    return stack(label, shown, row_of("paper", texts, "paper"))


def p_of(test: PairedTest, *sides: SeedSummary) -> str:
    """As `p = .012`, nothing where there is no test; and over how many seeds, where one of the sides has more."""
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


def done_of_asked(runs: RunGroup) -> Cell:
    return Cell(f"{len(runs.done)}/{runs.asked}" if runs.asked else DASH)


def places(summaries: Mapping[Key, SeedSummary]) -> dict[Key, Place]:
    """Which are best and second best of the means as printed; equal ones share a place."""
    printed = {key: round(summary.mean, DECIMALS) for key, summary in summaries.items() if summary.n}
    highest: dict[float, Place] = dict(
        zip(sorted(set(printed.values()), reverse=True), ("best", "second"), strict=False)
    )
    return {key: highest.get(printed[key], "") if key in printed else "" for key in summaries}


def best_of(summaries: Mapping[Key, SeedSummary]) -> dict[Key, Place]:
    """The best place alone, and no place at all where all are equal."""
    ranked = places(summaries)
    distinct = "second" in ranked.values()
    return {key: "best" if place == "best" and distinct else "" for key, place in ranked.items()}
