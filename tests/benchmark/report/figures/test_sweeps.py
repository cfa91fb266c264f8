"""Sweeps show every mean where it belongs, in shades of the swept method's colour, and name what has not run."""

from __future__ import annotations

import colorsys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmark.report.figures.popularity import BUCKETS
from benchmark.report.methods import style_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES

Draw = Callable[[str, Results], Figure]
Swept = Callable[..., Results]

SETTINGS = {"alpha": 0.2, "lambd": 0.05}


@pytest.fixture
def swept(results_of: Callable[..., Results], handmade: Callable[..., Any]) -> Swept:
    """Builds one experiment on Yelp from test metrics by method, swept value and seed."""
    maker = handmade("yelp", "Yelp")

    def build(name: str, variants: Mapping[tuple[str, float], Mapping[int, Mapping[str, float]]]) -> Results:
        groups = [
            RunGroup(
                name,
                f"{number:g}" if name != "noise" else f"{method} {number:g}",
                method,
                number,
                records=tuple(maker.record(method, s, test=test, settings=SETTINGS) for s, test in tests.items()),
            )
            for (method, number), tests in variants.items()
        ]
        return results_of(maker, groups)

    return build


def lines(axis: Axes) -> list[Line2D]:
    """The lines through the means, without their error bars."""
    return [container.lines[0] for container in axis.containers]


def means(axis: Axes, names: Sequence[str]) -> dict[str, list[float]]:
    return {name: [float(y) for y in line.get_ydata()] for name, line in zip(names, lines(axis), strict=True)}


CUTOFFS = ("@1", "@5", "@10")


def test_means_over_seeds_are_drawn_by_alpha_and_gaps_are_named(swept: Swept, draw: Draw) -> None:
    results = swept(
        "alpha",
        {
            ("btsr-sce", 0): {0: {"hr@1": 0.02, "cov@10": 0.2}, 1: {"hr@1": 0.04, "cov@10": 0.4}},
            ("btsr-sce", 0.1): {},
            ("btsr-sce", 0.5): {0: {"hr@1": 0.05, "hr@10/bucket3": 0.1, "cov@10/bucket3/items": 0.015}},
        },
    )
    figure = draw("sensitivity-alpha", results)
    assert figure.get_suptitle() == "Yelp: BT-SR (SCE) by α at λ = 0.05"
    hit_rate, _, top10, coverage, items, _ = figure.axes
    assert means(hit_rate, CUTOFFS)["@1"] == pytest.approx([0.03, np.nan, 0.05], nan_ok=True)
    assert lines(hit_rate)[0].get_xdata() == pytest.approx([0, 0.1, 0.5])
    assert means(coverage, CUTOFFS)["@10"] == pytest.approx([0.3, np.nan, np.nan], nan_ok=True)
    assert means(top10, BUCKETS)["least popular"][2] == pytest.approx(0.1)
    assert means(items, BUCKETS)["least popular"][2] == pytest.approx(0.015)
    (errors,) = hit_rate.containers[0].lines[2]
    assert np.diff(errors.get_segments()[0][:, 1]) == pytest.approx([0.02 * 2**0.5])
    assert figure.get_supxlabel() == (
        "mean ± s.d. over 2 seeds; 1 seed: α = 0.5; not run: α = 0.1; in the paper: Figures 3, 6 and 8"
    )


def test_every_column_has_a_legend_of_its_three_lines(swept: Swept, draw: Draw) -> None:
    results = swept("alpha", {("btsr-ce", number): {0: {"hr@1": 0.02}} for number in (0, 0.1)})
    axes = draw("sensitivity-alpha", results).axes
    legends = [[text.get_text() for text in axis.get_legend().get_texts()] for axis in axes[3:]]
    assert legends == [list(CUTOFFS), list(BUCKETS), list(BUCKETS)]
    assert [axis.get_ylabel() for axis in axes] == ["hit rate", "", "", "share of the catalogue shown", "", ""]


def test_a_panel_without_any_value_says_so(swept: Swept, draw: Draw) -> None:
    results = swept("lambda", {("btsr-ce", number): {0: {"hr@1": 0.02}} for number in (0, 0.05)})
    figure = draw("sensitivity-lambda", results)
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert said == [[], *[["not measured"]] * 5]
    assert figure.get_suptitle().endswith("by λ at α = 0.2")


def test_lines_of_a_sweep_share_a_hue_and_differ_in_lightness_marker_and_dashes(swept: Swept, draw: Draw) -> None:
    results = swept("alpha", {("btsr-ce", number): {0: {"hr@1": 0.02}} for number in (0, 0.1)})
    hue = colorsys.rgb_to_hls(*to_rgb(style_of("btsr-ce").colour))[0]
    for axis in draw("sensitivity-alpha", results).axes[:2]:
        drawn = lines(axis)
        assert [colorsys.rgb_to_hls(*to_rgb(line.get_color()))[0] for line in drawn] == pytest.approx(
            [hue] * 3, abs=0.02
        )
        assert len({to_hex(line.get_color()) for line in drawn}) == 3
        assert len({line.get_marker() for line in drawn}) == len({str(line._dash_pattern) for line in drawn}) == 3


def test_one_value_is_no_sweep(swept: Swept) -> None:
    assert FIGURES["sensitivity-alpha"](swept("alpha", {("btsr-ce", 0): {0: {"hr@1": 0.02}}})) is None
    assert FIGURES["sensitivity-lambda"](swept("alpha", {})) is None


def test_many_values_share_few_ticks(swept: Swept, draw: Draw) -> None:
    results = swept("lambda", {("btsr-ce", n / 20): {0: {"hr@1": 0.02}} for n in range(11)})
    axis = draw("sensitivity-lambda", results).axes[-1]
    assert [label.get_text() for label in axis.get_xticklabels()] == ["0", "0.1", "0.2", "0.3", "0.4", "0.5"]


def test_noise_is_held_against_the_same_method_without_it(swept: Swept, draw: Draw) -> None:
    results = swept(
        "noise",
        {
            ("sasrec-ce", 0): {0: {"ndcg@10": 0.04}, 1: {"ndcg@10": 0.05}},
            ("btsr-ce", 0): {0: {"ndcg@10": 0.05}},
            ("sasrec-ce", 0.4): {0: {"ndcg@10": 0.02}, 1: {"ndcg@10": 0.04}},  # from .045 to .03 on average
            ("btsr-ce", 0.4): {},
        },
    )
    figure = draw("noise", results)
    titles = ["SASRec (CE)", "BT-SR (CE)"]
    absolute, relative = (means(axis, titles) for axis in figure.axes)
    assert absolute["SASRec (CE)"] == pytest.approx([0.045, 0.03])
    assert relative["SASRec (CE)"] == pytest.approx([0, -100 / 3])
    assert absolute["BT-SR (CE)"] == pytest.approx([0.05, np.nan], nan_ok=True)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == titles
    assert legend.get_title().get_text() == "mean ± s.d. over 2 seeds; 1 seed: BT-SR (CE) 0 %; not run: BT-SR (CE) 40 %"


def test_a_share_of_noise_with_one_seed_of_every_method_is_named_once(swept: Swept, draw: Draw) -> None:
    runs = {0: {"ndcg@10": 0.04}, 1: {"ndcg@10": 0.05}}
    variants = {(method, share): runs for share in (0, 0.1) for method in ("sasrec-ce", "btsr-ce")}
    variants |= {(method, 0.2): {0: {"ndcg@10": 0.03}} for method in ("sasrec-ce", "btsr-ce")}
    note = draw("noise", swept("noise", variants)).legends[0].get_title().get_text()
    assert note == "mean ± s.d. over 2 seeds; 1 seed: 20 %"


def test_noise_without_its_reference_is_shown_alone(swept: Swept, draw: Draw) -> None:
    figure = draw("noise", swept("noise", {("btsr-ce", 0.4): {0: {"ndcg@10": 0.02}}}))
    assert len(figure.axes) == 1
    assert FIGURES["noise"](swept("noise", {("btsr-ce", 0): {0: {"ndcg@10": 0.02}}})) is None
