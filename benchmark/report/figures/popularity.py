"""Figures of popularity: hit rates by the popularity of the target, and calibration to the users' taste in it."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import pandas as pd
import seaborn as sns
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmark.report.figures.canvas import INK, as_written, panels, seeds_note, with_deviation
from benchmark.report.figures.captions import paper_figure
from benchmark.report.methods import MethodStyle
from benchmark.report.query import Results, RunGroup

BUCKETS = ("most popular", "middle", "least popular")
HIT_RATES = {name: [f"{name}/bucket{b}" for b in (1, 2, 3)] for name in ("hr@1", "hr@10")}
SHOWN = [f"shown@10/bucket{b}" for b in (1, 2, 3)]
KL = "popularity_kl@10"

TASTE = ("users' histories", "users' targets")

BARS: dict[str, Any] = {
    "errorbar": "sd",
    "saturation": 1,
    "edgecolor": INK,
    "linewidth": 0.4,
    "capsize": 0.3,
    "err_kws": {"color": INK, "linewidth": 0.8},
    "legend": False,
}
REGIME_HATCHES = ("", "xxxx")
BUCKET_COLOURS = (INK, "#888888", "#DDDDDD")


def bucket_accuracy(results: Results) -> Figure | None:
    """Plot Figure 1: HR@1 and HR@10 by the popularity bucket of the target."""
    groups = [group for group in map(results.method, results.paper_methods) if _has_hit_rates(results, group)]
    if not groups:
        return None
    bars = [(group, group.style) for group in groups]
    return _hit_rates(results, "hit rate by popularity of the target", bars, ncols=4)


def regimes(results: Results) -> Figure | None:
    """Plot Figure 5: HR@1 and HR@10 by bucket for SASRec (BCE) and BT-SR at two values of alpha, with NDCG@20."""
    groups = results.experiment("regimes")
    shown = [group for group in groups if _has_hit_rates(results, group)]
    if all(group.swept is None for group in shown):
        return None
    alphas = [group.swept for group in groups if group.swept is not None]
    bars = []
    for group in shown:
        hatch = group.style.hatch if group.swept is None else REGIME_HATCHES[alphas.index(group.swept) % 2]
        ndcg = with_deviation(results.summary(group, "ndcg@20"), 4)
        bars.append((group, replace(group.style, title=f"{_regime(group)}\nNDCG@20 {ndcg}", hatch=hatch)))
    note = seeds_note(groups, _regime, paper_figure("figure5-regimes", results.dataset))
    return _hit_rates(results, "two regimes of α by popularity of the target", bars, ncols=3, title=note)


def popularity_calibration(results: Results) -> Figure | None:
    """Plot how far the popularity of recommendations diverges from that of the users' histories, and both shares."""
    groups = [group for group in map(results.method, results.ran) if results.values(group, KL)]
    if not groups:
        return None
    shares = _taste(results) | _shown(results, groups)
    rows = [*(name for name in shares if name in TASTE), *(group.title for group in groups)]
    title = "calibration to the users' taste in popularity"
    figure, axes = panels(results, title, 1, 2 if shares else 1, 1.5 + 0.22 * max(6, len(rows)), sharey=True)
    _divergences(results, axes[0, 0], groups, rows)
    if shares:
        _compositions(axes[0, 1], shares)
    return figure


def _has_hit_rates(results: Results, group: RunGroup) -> bool:
    return any(results.values(group, metric) for metrics in HIT_RATES.values() for metric in metrics)


def _hit_rates(results: Results, heading: str, bars: Sequence[tuple[RunGroup, MethodStyle]], **legend: Any) -> Figure:
    """Plot HR@1 and HR@10 by bucket. `bars`: the runs behind each bar of a bucket, and its style."""
    figure, axes = panels(results, heading, 1, 2, 3.2)
    for axis, (name, metrics) in zip(axes[0], HIT_RATES.items(), strict=True):
        values = [
            (bucket, style.title, value)
            for group, style in bars
            for bucket, metric in zip(BUCKETS, metrics, strict=True)
            for value in results.values(group, metric).values() or [math.nan]
        ]
        _bars(axis, values, [style for _, style in bars], x="row", y="value", order=BUCKETS, width=0.84)
        for drawn in axis.containers:  # without a label, a bar of height 0 would look missing
            axis.bar_label(drawn, ["" if value else "0" for value in drawn.datavalues], fontsize=6)
        axis.set(xlabel="popularity of the target", ylabel=name.upper(), ylim=(0, None))
    figure.legend(handles=axes[0, 0].containers, loc="outside lower center", **legend)
    return figure


def _bars(axis: Axes, values: Sequence[tuple[str, str, float]], styles: Sequence[MethodStyle], **how: Any) -> None:
    """Draw means and deviations of `values` (row, title of a style, value), with the hatch and label of each style."""
    palette = {style.title: style.colour for style in styles}
    sns.barplot(
        pd.DataFrame(values, columns=["row", "title", "value"]), hue="title", palette=palette, **BARS, **how, ax=axis
    )
    for bars, style in zip(axis.containers, styles, strict=True):  # in the order of drawing
        bars.set_label(style.title)
        for bar in bars:
            bar.set_hatch(style.hatch)


def _regime(group: RunGroup) -> str:
    return group.style.title if group.swept is None else f"{group.style.title}, α = {group.swept:g}"


def _taste(results: Results) -> dict[str, np.ndarray]:
    """The mean shares of the three buckets in the test users' histories and targets; {} if no run has them."""
    for group in results.experiment("main"):
        for arrays in results.arrays(group, "history_buckets", "target_buckets"):
            histories = arrays["history_buckets"].astype(float).reshape(-1, len(BUCKETS))
            histories = histories[histories.sum(1) > 0]
            targets = np.bincount(arrays["target_buckets"].ravel(), minlength=len(BUCKETS))
            if len(histories):
                return dict(zip(TASTE, (histories.mean(0), targets / targets.sum()), strict=True))
    return {}


def _shown(results: Results, groups: Sequence[RunGroup]) -> dict[str, np.ndarray]:
    """By title, the mean shares of the three buckets in the top ten, for the groups that have them."""
    summaries = {group.title: [results.summary(group, metric) for metric in SHOWN] for group in groups}
    return {title: np.array([s.mean for s in found]) for title, found in summaries.items() if all(s.n for s in found)}


def _divergences(results: Results, axis: Axes, groups: Sequence[RunGroup], rows: Sequence[str]) -> None:
    values = [(group.title, group.title, value) for group in groups for value in results.values(group, KL).values()]
    _bars(axis, values, [group.style for group in groups], x="value", y="row", order=rows, width=0.7, dodge=False)
    as_written(axis.get_yticklabels())
    axis.set(xlabel="KL divergence from the history (@10), nats", ylabel="", ylim=(len(rows) - 0.4, -0.6))


def _compositions(axis: Axes, shares: Mapping[str, np.ndarray]) -> None:
    """Draw a bar per name, stacked from the shares of the buckets."""
    parts = np.stack(list(shares.values()))  # (names, buckets)
    starts, names = parts.cumsum(1) - parts, list(shares)
    for bucket, (title, colour) in enumerate(zip(BUCKETS, BUCKET_COLOURS, strict=True)):
        bars = axis.barh(names, parts[:, bucket], 0.7, left=starts[:, bucket], label=title, color=colour)
        for bar in bars:
            bar.set(edgecolor=INK, linewidth=0.4)
    axis.set(xlim=(0, 1), xlabel="share of each bucket (@10)")
    axis.grid(visible=False)
    axis.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=3, handlelength=1.2, columnspacing=1)
