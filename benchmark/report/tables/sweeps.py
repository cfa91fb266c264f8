"""What a sweep shows: alpha, lambda, views, noise and weights, one line per variant."""

from __future__ import annotations

import math
from collections.abc import Iterable
from statistics import fmean

import pandas as pd

from benchmark.plan.selection import METRIC
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.rows import RunSet
from benchmark.report.significance import improvement
from benchmark.report.tables.layout import Cell, Group, Head, Line, Table
from benchmark.report.tables.parts import (
    best_mean,
    caption,
    closing_notes,
    corner,
    count_cell,
    deviation_cell,
    group,
    identity,
    is_best,
    mean_cell,
    percent,
    status_notes,
    table_name,
)

METRICS = (METRIC, "hr@1", "hr@10", "cov@10")

SWEEPS = {
    "alpha": "alpha, the weight of Barlow Twins",
    "lambda": "lambda, the weight of the off-diagonal terms",
    "views": "the second view, and a projector instead of L2 normalisation",
    "noise": "random items in place of a share of the training inputs",
    "weights": "weights of what is added to the next-item loss, as shares of the usual ones",
}
"""The experiments shown this way, and what varies in them."""


def sweep_tables(name: str, material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """The table of one of SWEEPS; None if no run beyond those of Table 2 is done."""
    experiment = material.sweep(name)
    if experiment is None:
        return None
    runs = material.runs
    table = Table(
        name=table_name(runs, name),
        caption=caption(runs, f"{runs.heading}: {SWEEPS[name]}."),
        bands=(),
        heads=(corner(runs), *map(Head, METRICS), Head(METRIC, "change"), Head("runs")),
        sections=_sections(experiment),
        notes=tuple(_notes(runs, experiment)),
    )
    return [table], pd.DataFrame(
        [_record(runs, experiment, variant, metric) for variant in experiment.variants for metric in METRICS]
    )


def variant_title(experiment: str, variant: VariantRuns) -> str:
    """A variant as printed, such as `alpha 0.1`."""
    match experiment:
        case "alpha" | "lambda":
            return f"{experiment} {variant.label}"
        case "noise" | "weights":
            what = "noise" if experiment == "noise" else "weights times"
            return f"{look(variant.method).title}, {what} {variant.label.rpartition(' ')[2]}"
        case _:
            return variant.label


def _by_method(experiment: ExperimentRuns) -> dict[str, list[VariantRuns]]:
    methods = dict.fromkeys(variant.method for variant in experiment.variants)
    return {method: [v for v in experiment.variants if v.method == method] for method in methods}


def _sections(experiment: ExperimentRuns) -> tuple[tuple[Group, ...], ...]:
    best = {metric: best_mean([v.summary(metric) for v in experiment.variants]) for metric in METRICS}
    return tuple(
        tuple(_group(experiment, variant, variants[0], best) for variant in variants)
        for variants in _by_method(experiment).values()
    )


def _group(experiment: ExperimentRuns, variant: VariantRuns, first: VariantRuns, best: dict[str, float]) -> Group:
    summaries = {metric: variant.summary(metric) for metric in METRICS}
    means = [mean_cell(summary, is_best(summary, best[metric])) for metric, summary in summaries.items()]
    change = Cell("" if variant is first else percent(_change(variant, first)))
    title = variant_title(experiment.name, variant)
    return group(
        Line(title, (*means, change, count_cell(variant))),
        Line("", (*map(deviation_cell, summaries.values()), Cell(), Cell()), "below"),
    )


def _change(variant: VariantRuns, first: VariantRuns) -> float:
    """NDCG@10 in percent of the first variant's, over the seeds that both have; NaN without any."""
    ours, theirs = variant.values(METRIC), first.values(METRIC)
    seeds = ours.keys() & theirs.keys()
    return improvement(fmean(ours[s] for s in seeds), fmean(theirs[s] for s in seeds)) if seeds else math.nan


def _notes(runs: RunSet, experiment: ExperimentRuns) -> Iterable[str]:
    swept = ", ".join(look(method).title for method in _by_method(experiment))
    yield (
        f"{swept}. Mean over seeds, ± sample standard deviation; bold: best of a column. Change: mean NDCG@10 relative "
        "to the first line of the section, over the seeds that both have, without a test."
    )
    for variant in experiment.variants:
        others = {record.method for record in variant.done} - {variant.method}
        if others:
            names = ", ".join(look(method).title for method in sorted(others))
            title = variant_title(experiment.name, variant)
            yield f"{look(variant.method).title} at {title} is {names}, whose runs stand here."
    yield from status_notes({variant_title(experiment.name, v): v for v in experiment.variants})
    yield from closing_notes(runs, [record for variant in experiment.variants for record in variant.done])


def _record(runs: RunSet, experiment: ExperimentRuns, variant: VariantRuns, metric: str) -> dict[str, object]:
    summary = variant.summary(metric)
    return identity(runs) | {
        "experiment": experiment.name,
        "variant": variant.label,
        "method": variant.method,
        "metric": metric,
        "mean": summary.mean,
        "deviation": summary.deviation,
        "runs": summary.n,
        "runs_asked": variant.asked,
    }
