"""Sweeps show every variant's mean where it belongs, in the swept method's colour, and name what has not run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.plan.config import RunSetting
from benchmark.report.figures.marks import BUCKETS
from benchmark.report.figures.style import style
from benchmark.report.figures.sweeps import regimes, sensitivity_to_alpha, sensitivity_to_lambda
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.rows import RunSet

SETTINGS = {"alpha": 0.2, "lambd": 0.05}


def material(
    handmade: Callable[..., Any], name: str, variants: Mapping[str, tuple[str, list[dict[str, float]]]]
) -> Material:
    """One experiment: by label the method and the test metrics seed by seed."""
    found = [
        VariantRuns(
            label,
            method,
            tuple(handmade().record(method, seed, test=test, settings=SETTINGS) for seed, test in enumerate(tests)),
            {},
        )
        for label, (method, tests) in variants.items()
    ]
    experiment = ExperimentRuns(name, name, tuple(found))
    return Material(RunSet("yelp", "Yelp", False, RunSetting(), ()), None, {name: experiment}, lambda record: None)


def drawn(draw: Callable[[Material], Figure | None], shown: Material) -> Figure:
    with style():
        figure = draw(shown)
    assert figure is not None
    return figure


def lines(axis: Axes) -> dict[str, list[float]]:
    return {c.get_label(): [float(y) for y in c.lines[0].get_ydata()] for c in axis.containers}


def test_means_over_seeds_are_drawn_by_alpha_and_gaps_are_named(handmade: Callable[..., Any]) -> None:
    shown = material(
        handmade,
        "alpha",
        {
            "0": ("btsr-sce", [{"hr@1": 0.02, "cov@10": 0.2}, {"hr@1": 0.04, "cov@10": 0.4}]),
            "0.1": ("btsr-sce", []),
            "0.5": ("btsr-sce", [{"hr@1": 0.05, "hr@10/bucket3": 0.1, "cov@10/bucket3/items": 0.015}]),
        },
    )
    figure = drawn(sensitivity_to_alpha, shown)
    assert figure.get_suptitle() == "Yelp: BT-SR (SCE) by α at λ = 0.05"
    hit_rate, _, top10, coverage, items, _ = figure.axes
    assert lines(hit_rate)["@1"] == pytest.approx([0.03, np.nan, 0.05], nan_ok=True)
    assert hit_rate.containers[0].lines[0].get_xdata() == pytest.approx([0, 0.1, 0.5])
    assert lines(coverage)["@10"] == pytest.approx([0.3, np.nan, np.nan], nan_ok=True)
    assert set(lines(top10)) == set(BUCKETS)
    assert lines(top10)["least popular"][2] == pytest.approx(0.1)
    assert lines(items)["least popular"][2] == pytest.approx(0.015)
    note = figure.legends[0].get_title().get_text()
    assert note == ("mean ± s.d. over 2 seeds; 1 seed: α = 0.5; not run: α = 0.1; in the paper: Figures 3, 6 and 8")


def test_a_panel_without_any_value_says_so(handmade: Callable[..., Any]) -> None:
    shown = material(handmade, "lambda", {label: ("btsr-ce", [{"hr@1": 0.02}]) for label in ("0", "0.05")})
    figure = drawn(sensitivity_to_lambda, shown)
    said = [[text.get_text() for text in axis.texts] for axis in figure.axes]
    assert said == [[], *[["not measured"]] * 5]
    assert figure.get_suptitle().endswith("by λ at α = 0.2")


def test_lines_of_a_sweep_share_a_colour_and_differ_in_marker_and_dashes(handmade: Callable[..., Any]) -> None:
    shown = material(handmade, "alpha", {label: ("btsr-ce", [{"hr@1": 0.02}]) for label in ("0", "0.1")})
    for axis in drawn(sensitivity_to_alpha, shown).axes[:2]:
        marks = [container.lines[0] for container in axis.containers]
        assert {to_hex(mark.get_color()) for mark in marks} == {look("btsr-ce").colour.lower()}
        assert len({mark.get_marker() for mark in marks}) == len({str(mark._dash_pattern) for mark in marks}) == 3


def test_one_value_is_no_sweep(handmade: Callable[..., Any]) -> None:
    assert sensitivity_to_alpha(material(handmade, "alpha", {"0": ("btsr-ce", [{"hr@1": 0.02}])})) is None
    assert sensitivity_to_lambda(material(handmade, "alpha", {})) is None


def test_two_regimes_stand_beside_sasrec(handmade: Callable[..., Any]) -> None:
    def hits(first: float, ndcg: float) -> dict[str, float]:
        return {"hr@1/bucket1": first, "hr@1/bucket2": 0.02, "hr@1/bucket3": 0.01, "ndcg@20": ndcg}

    variants = {
        "sasrec-bce": ("sasrec-bce", [hits(0.04, 0.0170), hits(0.06, 0.0180)]),
        "0.1": ("btsr-ce", [hits(0.07, 0.0180)]),
        "0.4": ("btsr-ce", [hits(0.03, 0.0182)]),
    }
    figure = drawn(regimes, material(handmade, "regimes", variants))
    bars = {c.get_label(): c for c in figure.axes[0].containers if c.get_label()[0] != "_"}
    heights = {label: [float(bar.get_height()) for bar in container] for label, container in bars.items()}
    assert heights == {
        "SASRec (BCE)\nNDCG@20 0.0175 ± 0.0007": pytest.approx([0.05, 0.02, 0.01]),
        "BT-SR (CE), α = 0.1\nNDCG@20 0.0180": pytest.approx([0.07, 0.02, 0.01]),
        "BT-SR (CE), α = 0.4\nNDCG@20 0.0182": pytest.approx([0.03, 0.02, 0.01]),
    }
    hatches = [container[0].get_hatch() for container in list(bars.values())[1:]]
    assert hatches[0] != hatches[1]
    alone = material(handmade, "regimes", {"sasrec-bce": variants["sasrec-bce"], "0.1": ("btsr-ce", [])})
    assert regimes(alone) is None
    note = drawn(regimes, material(handmade, "regimes", variants | {"0.4": ("btsr-ce", [])})).legends[0].get_title()
    assert "not run: BT-SR (CE), α = 0.4" in note.get_text()
