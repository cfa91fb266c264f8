"""Changes are taken seed by seed from the right reference; each model and order of ties has its own dot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES

Draw = Callable[[str, Results], Figure]
Views = Callable[..., Results]


def test_accuracy_and_coverage_has_every_trained_method(
    results_of: Callable[..., Results], handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    tests = [{"ndcg@10": 0.05 + 0.01 * seed, "cov@10": 0.3 + 0.1 * seed} for seed in range(2)]
    groups = [
        RunGroup("main", m, m, records=tuple(maker.record(m, seed, test=test) for seed, test in enumerate(tests)))
        for m in ("popularity", "sasrec-ce", "btsr-ce")
    ]
    (axis,) = draw("accuracy-coverage", results_of(maker, groups)).axes
    shown = {container.get_label(): container.lines[0].get_xydata()[0] for container in axis.containers}
    assert set(shown) == {"SASRec (CE)", "BT-SR (CE)"}
    assert shown["BT-SR (CE)"] == pytest.approx([0.35, 0.055])


@pytest.fixture
def views(results_of: Callable[..., Results], handmade: Callable[..., Any]) -> Views:
    """Builds Results from NDCG@10 by view and seed; HR@10 is twice as high."""

    def build(variants: Mapping[str, Mapping[int, float]], dataset: str = "ml-1m") -> Results:
        maker = handmade(dataset, "ML-1M")
        groups = [
            RunGroup(
                "views",
                label,
                "btsr-ce",
                records=tuple(
                    maker.record("btsr-ce", s, test={"ndcg@10": v, "hr@10": 2 * v}) for s, v in values.items()
                ),
            )
            for label, values in variants.items()
        ]
        return results_of(maker, groups)

    return build


def test_a_view_is_compared_with_the_twin_of_the_same_seed(views: Views, draw: Draw) -> None:
    variants = {
        "twin": {0: 0.04, 1: 0.06},
        "mask": {0: 0.03, 1: 0.054, 2: 0.5},  # -.01 and -.006 of .05; seed 2 has no partner
        "crop": {},
        "projector": {1: 0.063},
    }
    (axis,) = (figure := draw("views", views(variants))).axes
    dots = [line for line in axis.lines if line.get_marker() in ("o", "s") and len(line.get_xdata())]
    assert len(dots) == 2, "NDCG@10 and HR@10"
    for line in dots:
        assert line.get_xdata() == pytest.approx([0, -16, float("nan"), 5], nan_ok=True)
        assert [round(y) for y in line.get_ydata()] == [0, 1, 2, 3]
    errors = [np.array(line.get_xdata(), dtype=float) for line in axis.lines if line not in dots]
    widths = {round(float(np.nanmax(x) - np.nanmin(x)), 6) for x in errors if np.isfinite(x).sum() > 2}
    assert widths == {0, round(8 * 2**0.5, 6)}, "paired by seed, the twin never departs from itself"
    legend = figure.legends[0]
    assert "NDCG@10 (twin: 0.0500 ± 0.0141)" in [text.get_text() for text in legend.get_texts()]
    assert "not run: crop" in legend.get_title().get_text()


def test_what_the_paper_says_of_substitution_is_drawn_where_it_says_it(views: Views, draw: Draw) -> None:
    variants = {"twin": {0: 0.04}, "substitute": {0: 0.03}}
    for dataset, shown in (("yelp", 1), ("ml-1m", 0)):
        (axis,) = draw("views", views(variants, dataset)).axes
        assert sum("the paper" in str(line.get_label()) for line in axis.lines) == shown


def test_views_need_the_twin_and_another_one(views: Views) -> None:
    for variants in (
        {"twin": {0: 0.04}, "mask": {}},
        {"twin": {}, "mask": {0: 0.04}},
        {"twin": {0: 0.04}, "mask": {1: 0.04}},
        {"mask": {0: 0.04}},
    ):
        assert FIGURES["views"](views(variants)) is None


def test_every_order_of_ties_is_a_dot_beside_the_order_of_the_file(
    results_of: Callable[..., Results], handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    values = {"sasrec-ce": {0: 0.07}, "btsr-ce": {0: 1, 1: 2}}
    groups = [
        RunGroup("ties", m, m, records=tuple(maker.record(m, s, test={"ndcg@10": v}) for s, v in runs.items()))
        for m, runs in values.items()
    ]
    redrawn = groups[1].records
    for record in redrawn:
        record.metrics.update({f"ties-{draw}": {"ndcg@10": record.seed + draw / 100} for draw in (1, 2)})
    figure = draw("ties", results_of(maker, groups, tied_share=0.2067))
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_yticklabels()] == ["BT-SR (CE)"]
    orders = [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "o"]
    files = [float(line.get_xdata()[0]) for line in axis.lines if line.get_marker() == "D"]
    assert (orders, files) == ([[0.01, 0.02], [1.01, 1.02]], [1, 2])
    assert "tie for 21 % of the test users" in figure.legends[0].get_title().get_text()
    for record in redrawn:
        for stage in ("ties-1", "ties-2"):
            del record.metrics[stage]
        record.metrics["ties-file"] = {"ndcg@10": 3.0}
    (axis,) = draw("ties", results_of(maker, groups)).axes
    assert [list(line.get_xdata()) for line in axis.lines if line.get_marker() == "o"] == [[1], [2]]
    assert [float(line.get_xdata()[0]) for line in axis.lines if line.get_marker() == "D"] == [3, 3]
    for record in redrawn:
        del record.metrics["ties-file"]
    assert FIGURES["ties"](results_of(maker, groups)) is None
