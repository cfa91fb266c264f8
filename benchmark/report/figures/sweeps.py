"""How BT-SR depends on alpha and lambda: accuracy and coverage, over all users and by popularity bucket.

Figures 3 to 9 of the paper. Each function draws one figure, or returns None where too little of its experiment has
run to compare anything; variants that have not run leave a gap and are named.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.figures.captions import paper_figure
from benchmark.report.figures.marks import BUCKETS, bars, line, seeds_note, with_deviation
from benchmark.report.figures.style import panels
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.methods import Look, look

BASELINE = "sasrec-bce"
"""What Figure 5 and Table 3 hold the two regimes against."""

MOST_TICKS = 6

CUTOFFS = ("@1", "@5", "@10")
_Marks = tuple[tuple[str, str | tuple[float, tuple[float, ...]]], ...]
_CUTOFF_MARKS: _Marks = (("o", (0, (1, 1.2))), ("s", (0, (4, 1.5))), ("^", "-"))
_BUCKET_MARKS: _Marks = (("D", "-"), ("v", (0, (4, 1.5))), ("P", (0, (1, 1.2))))
_REGIME_HATCHES = ("", "xxxx")

_GRID = (
    (
        ("hit rate", tuple(f"hr{k}" for k in CUTOFFS)),
        ("HR@1 by bucket", tuple(f"hr@1/bucket{b}" for b in (1, 2, 3))),
        ("HR@10 by bucket", tuple(f"hr@10/bucket{b}" for b in (1, 2, 3))),
    ),
    (
        ("coverage", tuple(f"cov{k}" for k in CUTOFFS)),
        ("coverage@10, bucket's items", tuple(f"cov@10/bucket{b}/items" for b in (1, 2, 3))),
        ("coverage@10, bucket's users", tuple(f"cov@10/bucket{b}/users" for b in (1, 2, 3))),
    ),
)
"""Panels with their title and their three metrics: by cut-off in the first column, by bucket in the others."""


def sensitivity_to_alpha(material: Material) -> Figure | None:
    """Figures 3, 4, 6 and 8: by the weight of the Barlow Twins term."""
    return _sensitivity(material, "alpha", "α", ("lambd", "λ"))


def sensitivity_to_lambda(material: Material) -> Figure | None:
    """Figures 6, 7 and 9: by the weight of the decorrelation within that term."""
    return _sensitivity(material, "lambda", "λ", ("alpha", "α"))


def regimes(material: Material) -> Figure | None:
    """Figure 5: HR@1 and HR@10 by bucket of SASRec (BCE) and of BT-SR at a low and a high alpha; NDCG@20 of Table 3."""
    runs, experiment = material.runs, material.experiments.get("regimes")
    names = ("hr@1", "hr@10")
    metrics = [f"{name}/bucket{b}" for name in names for b in (1, 2, 3)]
    if experiment is None:
        return None
    shown = [variant for variant in experiment.variants if any(variant.values(metric) for metric in metrics)]
    if all(variant.label == BASELINE for variant in shown):
        return None
    title = "two regimes of α by popularity of the target"
    figure, axes = panels(runs, title, 1, 2, 3.2)
    for axis, name in zip(axes[0], names, strict=True):
        for place, variant in enumerate(shown):
            summaries = [variant.summary(f"{name}/bucket{b}") for b in (1, 2, 3)]
            bars(axis, summaries, place, len(shown), _regime_look(variant, experiment))
        axis.set(title=name.upper(), ylim=(0, None))
        axis.set_xticks(range(len(BUCKETS)), BUCKETS)
        axis.grid(visible=False, axis="x")
    note = seeds_note(experiment.variants, _regime, paper_figure("figure5-regimes", runs.dataset))
    figure.legend(*axes[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, title=note)
    return figure


def _regime(variant: VariantRuns) -> str:
    title = look(variant.method).title
    return title if variant.label == BASELINE else f"{title}, α = {variant.label}"


def _regime_look(variant: VariantRuns, experiment: ExperimentRuns) -> Look:
    style = look(variant.method)
    ndcg = f"NDCG@20 {with_deviation(variant.summary('ndcg@20'), 4)}"
    title = f"{_regime(variant)}\n{ndcg}"
    if variant.label == BASELINE:
        return replace(style, title=title)
    place = [v.label for v in experiment.variants if v.label != BASELINE].index(variant.label)
    hatch = _REGIME_HATCHES[place % len(_REGIME_HATCHES)]
    return replace(style, title=title, hatch=hatch)


def _sensitivity(material: Material, name: str, symbol: str, held: tuple[str, str]) -> Figure | None:
    runs, experiment = material.runs, material.sweep(name)
    metrics = [metric for row in _GRID for _, names in row for metric in names]
    if experiment is None or sum(any(v.values(metric) for metric in metrics) for v in experiment.variants) < 2:
        return None
    variants = experiment.variants
    swept = look(variants[0].method)
    title = f"{swept.title} by {symbol}{_at(variants, *held)}"
    figure, axes = panels(runs, title, 2, 3, 4.6)
    for row, panel_row in zip(axes, _GRID, strict=True):
        for column, (axis, (heading, names)) in enumerate(zip(row, panel_row, strict=True)):
            _sweep(axis, variants, names, _looks(swept, by_bucket=column > 0))
            axis.set(title=heading)
    for axis in axes[-1]:
        axis.set_xlabel(symbol)
    handles = [handle for axis in axes[0, :2] for handle in axis.get_legend_handles_labels()[0]]
    labels = [label for axis in axes[0, :2] for label in axis.get_legend_handles_labels()[1]]
    note = seeds_note(
        variants, lambda variant: f"{symbol} = {variant.label}", paper_figure(f"sensitivity-{name}", runs.dataset)
    )
    figure.legend(handles, labels, loc="outside lower center", ncols=6, title=note, columnspacing=1.2)
    return figure


def _sweep(axis: Axes, variants: Sequence[VariantRuns], metrics: Sequence[str], looks: Sequence[Look]) -> None:
    """The metrics of one panel over the values of the parameter."""
    values = [float(variant.label) for variant in variants]
    for metric, style in zip(metrics, looks, strict=True):
        line(axis, values, [variant.summary(metric) for variant in variants], style)
    if not any(variant.values(metric) for variant in variants for metric in metrics):
        axis.text(0.5, 0.5, "not measured", transform=axis.transAxes, ha="center", va="center")
    margin = 0.05 * (max(values) - min(values) or 1)
    axis.set(xlim=(min(values) - margin, max(values) + margin), ylim=(0, None))
    step = -(-len(values) // MOST_TICKS)
    axis.set_xticks(values[::step], [variant.label for variant in variants][::step])


def _looks(swept: Look, by_bucket: bool) -> list[Look]:
    """The swept method's colour with a marker and dashes per line."""
    names, marks = (BUCKETS, _BUCKET_MARKS) if by_bucket else (CUTOFFS, _CUTOFF_MARKS)
    return [Look(name, swept.colour, marker, dashes) for name, (marker, dashes) in zip(names, marks, strict=True)]


def _at(variants: Sequence[VariantRuns], setting: str, symbol: str) -> str:
    """The value at which the other parameter was held, as far as records tell."""
    settings = (record.spec["method"]["settings"] for variant in variants for record in variant.done)
    values = {s[setting] for s in settings if s.get(setting) is not None}
    return f" at {symbol} = {values.pop():g}" if len(values) == 1 else ""
