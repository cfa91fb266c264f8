"""Table 3: BT-SR in two regimes of alpha beside SASRec (BCE), with HR@1 by popularity bucket as context."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd

from benchmark.paper.printed import CITATION, table3_row
from benchmark.plan.experiments import experiments
from benchmark.report.material import Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.rows import RunSet
from benchmark.report.significance import MIN_SEEDS
from benchmark.report.tables.layout import Cell, Group, Head, Line, Table
from benchmark.report.tables.parts import (
    best_mean,
    caption,
    closing_notes,
    corner,
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

METRIC = "ndcg@20"
CONTEXT = ("hr@1/bucket1", "hr@1/bucket2", "hr@1/bucket3")
REFERENCE = "sasrec-bce"


def table3(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """Regimes across, metrics down, then what each regime adds to the reference; None if none is done."""
    experiment = material.sweep("regimes")
    if experiment is None:
        return None
    runs = material.runs
    planned = experiments(runs.dataset)["regimes"].variants
    variants = [experiment.variant(v.label) or VariantRuns(v.label, v.method, (), {}) for v in planned]
    printed = None if runs.synthetic else table3_row(runs.title)
    metrics = (METRIC, *CONTEXT)
    return [_table(runs, variants, printed)], pd.DataFrame(
        [
            _record(runs, variant, metric, variants, (printed or {}) if metric == METRIC else {})
            for metric in metrics
            for variant in variants
        ]
    )


def _table(runs: RunSet, variants: list[VariantRuns], printed: dict[str, float] | None) -> Table:
    reference, regimes = _split(variants)
    return Table(
        name=table_name(runs, "table3"),
        caption=caption(runs, f"Two regimes of alpha on {runs.heading}, in the form of the paper's Table 3."),
        bands=(("", 1), ("mean", 1 + len(regimes)), (f"minus {_name(reference)}", len(regimes))),
        heads=(
            corner(runs),
            *(_head(variant) for variant in (reference, *regimes)),
            *(Head("difference", f"alpha {v.label}") for v in regimes),
        ),
        sections=(
            (_group(METRIC, METRIC, variants, printed),),
            tuple(_group(f"hr@1, bucket {metric[-1]}", metric, variants, None) for metric in CONTEXT),
            ((Line("runs", (*map(count_cell, (reference, *regimes)), *(Cell() for _ in regimes))),),),
        ),
        notes=tuple(_notes(runs, variants, printed)),
    )


def _split(variants: Sequence[VariantRuns]) -> tuple[VariantRuns, list[VariantRuns]]:
    reference = next(variant for variant in variants if variant.label == REFERENCE)
    return reference, [variant for variant in variants if variant is not reference]


def _name(variant: VariantRuns) -> str:
    title = look(variant.method).title
    return title if variant.label == REFERENCE else f"{title}, alpha {variant.label}"


def _head(variant: VariantRuns) -> Head:
    title = look(variant.method).title
    if variant.label == REFERENCE:
        first, _, second = title.partition(" ")
        return Head(first, second)
    return Head(title, f"alpha {variant.label}")


def _group(label: str, metric: str, variants: list[VariantRuns], printed: dict[str, float] | None) -> Group:
    reference, regimes = _split(variants)
    columns = [reference, *regimes]
    summaries = [variant.summary(metric) for variant in columns]
    best = best_mean(summaries)
    differences = [difference(variant, reference, metric) for variant in regimes]
    figures: list[str] = []
    if printed:
        figures = [number(printed[variant.label]) for variant in columns]
        figures += [signed(printed[variant.label] - printed[REFERENCE]) for variant in regimes]
    return group(
        Line(label, (*(mean_cell(s, is_best(s, best)) for s in summaries), *(found.cell for found in differences))),
        Line("", (*map(deviation_cell, summaries), *(found.below for found in differences)), "below"),
        Line("paper", tuple(map(Cell, figures)), "paper"),
    )


def _notes(runs: RunSet, variants: list[VariantRuns], printed: dict[str, float] | None) -> list[str]:
    reference, regimes = _split(variants)
    reading = "Mean over seeds, ± sample standard deviation; bold: best of a line."
    if printed:
        reading += f" In italics: what the paper prints ({CITATION}), for {METRIC} on this dataset alone."
    reading += (
        " The columns on the right: mean over the seeds that both have, with the p of a two-sided paired t-test;"
        f" * marks p < 0.05 in favour of the regime on at least {MIN_SEEDS} seeds. Bucket 1 holds the most popular"
        " items; a bucket's HR@1 is over the test users whose target lies in it."
    )
    records = [record for variant in variants for record in variant.done]
    return [
        reading,
        *status_notes({_name(variant): variant for variant in (reference, *regimes)}),
        *closing_notes(runs, records),
    ]


def _record(
    runs: RunSet, variant: VariantRuns, metric: str, variants: list[VariantRuns], printed: dict[str, float]
) -> dict[str, object]:
    reference, _ = _split(variants)
    summary = variant.summary(metric)
    found = None if variant is reference else difference(variant, reference, metric)
    return identity(runs) | {
        "metric": metric,
        "variant": variant.label,
        "method": variant.method,
        "mean": summary.mean,
        "deviation": summary.deviation,
        "runs": summary.n,
        "difference": found.test.difference if found else None,
        "pairs": found.test.n if found else None,
        "p": found.test.p if found else None,
        "star": found.star if found else None,
        "paper_mean": printed.get(variant.label),
    }
