"""What the design of BT-SR and of the experiment does to accuracy: views, noise in training, the order of ties.

Each function draws one figure, or returns None where too little has run to compare anything; variants that have not
run are named.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.plan.selection import METRIC
from benchmark.report.figures.marks import line, seeds_note, with_deviation
from benchmark.report.figures.style import INK, panels
from benchmark.report.material import Material, VariantRuns
from benchmark.report.methods import in_order, look
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.store.record import RunRecord

TWIN = "twin"
VIEW_NAMES = {TWIN: "same-target twin", "projector": "twin, projector\ninstead of L2"}

SUBSTITUTION_DROP = -6.0
"""Percent: "a performance drop of at least 6%" with item-based augmentations on Yelp and Kindle Store (section 5.2)."""
SUBSTITUTION_ON = ("yelp", "kindle-store")

TIES = "ties-"
"""How the stages of a record begin that hold its accuracy with the tied test events redrawn."""


def views(material: Material) -> Figure | None:
    """NDCG@10 and HR@10 of every view, and of the projector, in percent of the twin view, paired by seed."""
    runs, experiment = material.runs, material.experiments.get("views")
    twin = experiment.variant(TWIN) if experiment else None
    if experiment is None or twin is None:
        return None
    style, variants = look(twin.method), experiment.variants
    if not any(_change(variant, twin, METRIC).n for variant in variants if variant is not twin):
        return None
    title = f"{style.title} with other views and with a projector"
    figure, axes = panels(runs, title, 1, 1, 3.6)
    axis = axes[0, 0]
    axis.axvline(0, color=INK, linewidth=0.8)
    for offset, metric, hollow in ((-0.13, METRIC, False), (0.13, "hr@10", True)):
        changes = [_change(variant, twin, metric) for variant in variants]
        label = f"{metric.upper()} (twin: {with_deviation(twin.summary(metric), 4)})"
        _dots(axis, changes, offset, style.colour, hollow, label)
    labels = [variant.label for variant in variants]
    if runs.dataset in SUBSTITUTION_ON and "substitute" in labels:
        place, label = labels.index("substitute"), "the paper on item substitution: at least −6%"
        axis.plot([SUBSTITUTION_DROP] * 2, [place - 0.4, place + 0.4], color=INK, linestyle=":", label=label)
    axis.set(xlabel="change against the twin view, %, paired by seed", ylim=(len(labels) - 0.5, -0.5))
    axis.set_yticks(range(len(labels)), [VIEW_NAMES.get(label, label) for label in labels])
    axis.margins(x=0.1)
    figure.legend(loc="outside lower center", ncols=3, title=seeds_note(variants))
    return figure


def noise(material: Material) -> Figure | None:
    """NDCG@10 by the share of replaced training inputs, and its change against the same seed without any."""
    runs, experiment = material.runs, material.experiments.get("noise")
    by_method: dict[str, dict[float, VariantRuns]] = {}
    for variant in experiment.variants if experiment else ():
        by_method.setdefault(variant.method, {})[_share(variant)] = variant
    if experiment is None or not any(v.values(METRIC) for v in experiment.variants if _share(v)):
        return None
    compared = any(_losses(variants)[share].n for variants in by_method.values() for share in variants if share)
    title = "random items among the training inputs"
    figure, axes = panels(runs, title, 1, 2 if compared else 1, 3.2)
    for place, method in enumerate(in_order(by_method)):
        variants = by_method[method]
        percent = [100 * share + 0.6 * (place - (len(by_method) - 1) / 2) for share in variants]
        line(axes[0, 0], percent, [variant.summary(METRIC) for variant in variants.values()], look(method))
        if compared:
            line(axes[0, 1], percent, list(_losses(variants).values()), look(method))
    axes[0, 0].set(ylabel="NDCG@10", ylim=(0, None))
    if compared:
        axes[0, 1].axhline(0, color=INK, linewidth=0.8, zorder=1)
        axes[0, 1].set(ylabel="change of NDCG@10, %")
    for axis in axes[0]:
        axis.set(xlabel="training inputs replaced, %")
        axis.set_xticks(sorted({100 * share for variants in by_method.values() for share in variants}))
    note = seeds_note(experiment.variants, lambda variant: f"{look(variant.method).title} {100 * _share(variant):g}%")
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=2, title=note)
    return figure


def ties(material: Material) -> Figure | None:
    """Test NDCG@10 of every trained model in the file's order of ties and in each order redrawn; a column per seed."""
    runs = material.runs
    models = _redrawn_models(material)
    if not models:
        return None
    share = runs.data.get("tied_share")
    note = f"the last two events tie for {100 * share:.0f}% of the test users; " if isinstance(share, float) else ""
    figure, axes = panels(runs, "tied test events in other orders", 1, 1, 3.5)
    axis = axes[0, 0]
    methods = in_order(models)
    for place, method in enumerate(methods):
        _tie_columns(axis, place, method, models[method])
        if place:
            axis.axvline(place - 0.5, color="#E6E6E6", linewidth=0.8)
    crowded = len(methods) > 5
    names = [look(method).title for method in methods]
    axis.set_xticks(range(len(methods)), names, rotation=30 if crowded else 0, ha="right" if crowded else "center")
    axis.set(xlim=(-0.5, len(methods) - 0.5), ylabel="NDCG@10")
    axis.grid(visible=False, axis="x")
    kinds = [
        Line2D([], [], color="#666666", marker="D", linestyle="none", markersize=5, label="order of the file"),
        Line2D(
            [],
            [],
            color="#666666",
            marker="o",
            linestyle="none",
            markersize=4,
            markerfacecolor="white",
            label="redrawn",
        ),
    ]
    figure.legend(handles=kinds, loc="outside lower center", ncols=2, title=f"{note}one column per seed")
    return figure


def _dots(axis: Axes, changes: Sequence[SeedSummary], offset: float, colour: str, hollow: bool, label: str) -> None:
    """A dot with its error bar in every row that has a value; `offset` moves it off the row's middle."""
    rows = [row for row, change in enumerate(changes) if change.n]
    axis.errorbar(
        [changes[row].mean for row in rows],
        [row + offset for row in rows],
        xerr=[changes[row].deviation for row in rows],
        color=colour,
        linestyle="none",
        marker="s" if hollow else "o",
        markersize=5,
        markerfacecolor="white" if hollow else colour,
        elinewidth=1,
        capsize=2,
        label=label,
    )


def _change(variant: VariantRuns, reference: VariantRuns, metric: str) -> SeedSummary:
    """Percent of the reference, seed by seed; the reference itself against its own mean, which shows its spread."""
    values, base = variant.values(metric), reference.values(metric)
    if variant.label == reference.label:
        base = dict.fromkeys(base, reference.summary(metric).mean)
    ratios = [100 * (values[seed] / base[seed] - 1) for seed in values if base.get(seed)]
    return summarise_seeds(np.array(ratios, dtype=float))


def _losses(variants: Mapping[float, VariantRuns]) -> dict[float, SeedSummary]:
    """By share of noise the change against no noise; of that itself, 0."""
    clean = variants.get(0.0)
    unknown = summarise_seeds(np.array([], dtype=float))
    return {
        share: (_against_itself(variant) if share == 0 else _change(variant, clean, METRIC)) if clean else unknown
        for share, variant in variants.items()
    }


def _against_itself(variant: VariantRuns) -> SeedSummary:
    return summarise_seeds(np.zeros(len(variant.values(METRIC))))


def _share(variant: VariantRuns) -> float:
    return float(variant.label.rpartition(" ")[2])


def _redrawn_models(material: Material) -> dict[str, list[RunRecord]]:
    """By method the done runs that were evaluated in redrawn orders, by seed: Table 2's and the experiment's."""
    records = [record for record in material.runs.records if record.done and not record.external]
    if experiment := material.experiments.get("ties"):
        records += [record for variant in experiment.variants for record in variant.done]
    models: dict[str, dict[tuple[int, str], RunRecord]] = {}
    for record in records:
        if METRIC in record.metrics["test"] and _redrawn(record):
            models.setdefault(record.method, {})[record.seed, record.key] = record
    return {method: [found[seed] for seed in sorted(found)] for method, found in models.items()}


def _redrawn(record: RunRecord) -> list[float]:
    stages = sorted(stage for stage in record.metrics if stage.startswith(TIES))
    return [record.metrics[stage][METRIC] for stage in stages if METRIC in record.metrics[stage]]


def _tie_columns(axis: Axes, place: int, method: str, records: Sequence[RunRecord]) -> None:
    """A method's models side by side around x = place."""
    style = look(method)
    offsets = 0.7 * ((np.arange(len(records)) + 0.5) / len(records) - 0.5)
    for x, record in zip(place + offsets, records, strict=True):
        redrawn, file_order = _redrawn(record), record.metrics["test"][METRIC]
        axis.plot([x, x], [min(*redrawn, file_order), max(*redrawn, file_order)], color=style.colour, linewidth=0.7)
        axis.plot([x] * len(redrawn), redrawn, "o", color=style.colour, markersize=4, markerfacecolor="white")
        axis.plot(x, file_order, "D", color=style.colour, markersize=5, markeredgecolor=INK, markeredgewidth=0.5)
