"""Table 1: three objectives with and without Barlow Twins, and what the term adds to each."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import pandas as pd

from benchmark.paper.printed import CITATION, table1_row
from benchmark.plan.selection import METRIC
from benchmark.report.material import Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.rows import RunSet
from benchmark.report.significance import MIN_SEEDS
from benchmark.report.tables.layout import Cell, Group, Head, Line, Table
from benchmark.report.tables.parts import (
    Difference,
    best_mean,
    caption,
    closing_notes,
    count_cell,
    deviation_cell,
    difference,
    group,
    identity,
    is_best,
    mean_cell,
    number,
    signed,
    status_notes,
    table_name,
)

OBJECTIVES = {
    "BCE": ("sasrec-bce", "btsr-bce"),
    "CE": ("sasrec-ce", "btsr-ce"),
    "SCE": ("sasrec-sce", "btsr-sce"),
}
"""As printed: the method without and the one with Barlow Twins."""


@dataclass(frozen=True)
class Effect:
    """What Barlow Twins does to one objective; `printed`: the paper's means without and with it, None if there are
    none.
    """

    objective: str
    plain: VariantRuns
    regularised: VariantRuns
    difference: Difference
    printed: tuple[float, float] | None


def effects(material: Material) -> list[Effect]:
    """One per objective, run or not."""
    runs = material.runs
    printed = None if runs.synthetic else table1_row(runs.title)
    found = []
    for objective, methods in OBJECTIVES.items():
        plain, regularised = (_runs_of(material, method) for method in methods)
        pair = (printed[methods[0]], printed[methods[1]]) if printed else None
        found.append(Effect(objective, plain, regularised, difference(regularised, plain, METRIC), pair))
    return found


def table1(materials: Sequence[Material]) -> tuple[list[Table], pd.DataFrame] | None:
    """One line per dataset as in the paper, with deviation, printed figure and what the term adds below and beside.

    Datasets without a run are left out; None if that is all of them.
    """
    found = [(material.runs, effects(material)) for material in materials]
    shown = [(runs, rows) for runs, rows in found if any(_done(rows))]
    if not shown:
        return None
    return [_table(shown)], pd.DataFrame([_record(runs, effect) for runs, rows in shown for effect in rows])


def table1_of(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """Table 1 of one dataset; None if nothing has run."""
    return table1([material])


def _runs_of(material: Material, method: str) -> VariantRuns:
    """Those that the experiment planned, or else those of Table 2, which are the same."""
    experiment = material.experiments.get("objectives")
    if experiment and (variant := experiment.variant(method)):
        return variant
    return VariantRuns(method, method, tuple(material.runs.done(method)), material.runs.not_done(method))


def _done(rows: Sequence[Effect]) -> list[VariantRuns]:
    return [variant for effect in rows for variant in (effect.plain, effect.regularised) if variant.done]


def _table(shown: Sequence[tuple[RunSet, list[Effect]]]) -> Table:
    runs = shown[0][0]
    synthetic = any(r.synthetic for r, _ in shown)
    names = [*OBJECTIVES, *(f"{name} + BT" for name in OBJECTIVES)]
    differences = [Head(name, "difference") for name in OBJECTIVES]
    where = runs.heading if len(shown) == 1 else "several datasets"
    text = f"NDCG@10 of three objectives without and with Barlow Twins on {where}, in the form of the paper's Table 1."
    return Table(
        name=table_name(runs, "table1") if len(shown) == 1 else "table1",
        caption=caption(runs, text) if len(shown) == 1 else text,
        bands=(("", 1), ("SASRec", 3), ("with Barlow Twins", 3), ("with minus without", 3)),
        heads=(Head(METRIC, "SYNTHETIC" if synthetic and len(shown) == 1 else ""), *map(Head, names), *differences),
        sections=tuple((_group(of_runs, rows, len(shown) > 1),) for of_runs, rows in shown),
        notes=tuple(_notes(shown)),
    )


def _group(runs: RunSet, rows: list[Effect], together: bool) -> Group:
    variants = [*(effect.plain for effect in rows), *(effect.regularised for effect in rows)]
    summaries = [variant.summary(METRIC) for variant in variants]
    best = best_mean(summaries)
    printed = [[effect.printed[side] if effect.printed else math.nan for effect in rows] for side in (0, 1)]
    gains = [b - a for a, b in zip(*printed, strict=True)]
    known = any(effect.printed for effect in rows)
    label = f"{runs.title} (SYNTHETIC)" if together and runs.synthetic else runs.title
    return group(
        Line(
            label,
            (*(mean_cell(s, is_best(s, best)) for s in summaries), *(effect.difference.cell for effect in rows)),
        ),
        Line("", (*map(deviation_cell, summaries), *(effect.difference.below for effect in rows)), "below"),
        Line(
            "paper",
            tuple(Cell(text if known else "") for text in (*map(number, printed[0] + printed[1]), *map(signed, gains))),
            "paper",
        ),
        Line("runs", (*map(count_cell, variants), *(Cell(_pairs(effect)) for effect in rows)), "below"),
    )


def _pairs(effect: Effect) -> str:
    n = effect.difference.test.n
    return f"{n} pair{'' if n == 1 else 's'}"


def _notes(shown: Sequence[tuple[RunSet, list[Effect]]]) -> list[str]:
    every = [effect for _, rows in shown for effect in rows]
    reading = "Mean over seeds, ± sample standard deviation; bold: best of a line."
    if any(effect.printed for effect in every):
        reading += f" In italics: what the paper prints ({CITATION}), which has no deviations and no test here."
    reading += (
        " With minus without: mean over the seeds that both have, with the p of a two-sided paired t-test;"
        f" * marks p < 0.05 in favour of Barlow Twins on at least {MIN_SEEDS} seeds."
    )
    notes = [reading]
    if compared := [effect.difference for effect in every if effect.difference.test.n]:
        higher = sum(found.test.difference > 0 for found in compared)
        starred = sum(found.star for found in compared)
        notes.append(
            f"Run with and without Barlow Twins: {len(compared)} of {len(every)} cells; the mean is higher with it in "
            f"{higher}, with a star in {starred}."
        )
    for runs, rows in shown:
        prefix = f"{runs.title}: " if len(shown) > 1 else ""
        variants = [*(effect.plain for effect in rows), *(effect.regularised for effect in rows)]
        by_title = {look(variant.method).title: variant for variant in variants}
        notes += [f"{prefix}{note}" for note in status_notes(by_title)]
    if len(shown) == 1:
        runs, rows = shown[0]
        notes += closing_notes(runs, [record for variant in _done(rows) for record in variant.done])
    return notes


def _record(runs: RunSet, effect: Effect) -> dict[str, object]:
    plain, regularised = effect.plain.summary(METRIC), effect.regularised.summary(METRIC)
    test = effect.difference.test
    return identity(runs) | {
        "metric": METRIC,
        "objective": effect.objective,
        "mean": plain.mean,
        "deviation": plain.deviation,
        "runs": plain.n,
        "mean_bt": regularised.mean,
        "deviation_bt": regularised.deviation,
        "runs_bt": regularised.n,
        "difference": test.difference,
        "pairs": test.n,
        "p": test.p,
        "star": effect.difference.star,
        "paper_mean": effect.printed[0] if effect.printed else None,
        "paper_mean_bt": effect.printed[1] if effect.printed else None,
    }
