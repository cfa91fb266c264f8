"""Changes are taken seed by seed against the right reference; every model and order of ties has its dot."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.plan.config import RunSetting
from benchmark.report.figures.style import style
from benchmark.report.figures.variants import noise, ties, views
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.rows import RunSet


def material(
    handmade: Callable[..., Any],
    name: str,
    variants: Mapping[str, tuple[str, Mapping[int, float]]],
    dataset: str = "ml-1m",
) -> Material:
    """One experiment: by label the method and NDCG@10 by seed; HR@10 is the double of it."""
    found = [
        VariantRuns(
            label,
            method,
            tuple(handmade().record(method, s, test={"ndcg@10": v, "hr@10": 2 * v}) for s, v in values.items()),
            {},
        )
        for label, (method, values) in variants.items()
    ]
    experiment = ExperimentRuns(name, name, tuple(found))
    runs = RunSet(dataset, "ML-1M", False, RunSetting(), (), data={"tied_share": 0.2067})
    return Material(runs, None, {name: experiment}, lambda record: None)


def drawn(draw: Callable[[Material], Figure | None], shown: Material) -> Figure:
    with style():
        figure = draw(shown)
    assert figure is not None
    return figure


def test_a_view_is_compared_with_the_twin_of_the_same_seed(handmade: Callable[..., Any]) -> None:
    variants = {
        "twin": ("btsr-ce", {0: 0.04, 1: 0.06}),
        "mask": ("btsr-ce", {0: 0.03, 1: 0.054, 2: 0.5}),  # -25 % and -10 %; seed 2 has no partner
        "crop": ("btsr-ce", {}),
        "projector": ("btsr-ce", {1: 0.063}),
    }
    (axis,) = (figure := drawn(views, material(handmade, "views", variants))).axes
    dots = {container.get_label().split(" ")[0]: container for container in axis.containers}
    for name in ("NDCG@10", "HR@10"):
        assert dots[name].lines[0].get_xdata() == pytest.approx([0, -17.5, 5])
        assert [round(y) for y in dots[name].lines[0].get_ydata()] == [0, 1, 3]
    low, high = dots["NDCG@10"].lines[2][0].get_segments()[1][:, 0]
    assert (high - low) / 2 == pytest.approx(15 / 2**0.5)
    assert "twin: 0.0500 ± 0.0141" in dots["NDCG@10"].get_label()
    assert "not run: crop" in figure.legends[0].get_title().get_text()


def test_what_the_paper_says_of_substitution_is_drawn_where_it_says_it(handmade: Callable[..., Any]) -> None:
    variants = {"twin": ("btsr-ce", {0: 0.04}), "substitute": ("btsr-ce", {0: 0.03})}
    for dataset, shown in (("yelp", 1), ("ml-1m", 0)):
        (axis,) = drawn(views, material(handmade, "views", variants, dataset)).axes
        assert sum("the paper" in str(line.get_label()) for line in axis.lines) == shown


def test_views_need_the_twin_and_another_one(handmade: Callable[..., Any]) -> None:
    for variants in (
        {"twin": ("btsr-ce", {0: 0.04}), "mask": ("btsr-ce", {})},
        {"twin": ("btsr-ce", {}), "mask": ("btsr-ce", {0: 0.04})},
        {"twin": ("btsr-ce", {0: 0.04}), "mask": ("btsr-ce", {1: 0.04})},
        {"mask": ("btsr-ce", {0: 0.04})},
    ):
        assert views(material(handmade, "views", variants)) is None


def test_noise_is_held_against_the_same_method_without_it(handmade: Callable[..., Any]) -> None:
    variants = {
        "sasrec-ce 0": ("sasrec-ce", {0: 0.04, 1: 0.05}),
        "btsr-ce 0": ("btsr-ce", {0: 0.05}),
        "sasrec-ce 0.4": ("sasrec-ce", {0: 0.02, 1: 0.04}),  # -50 % and -20 %
        "btsr-ce 0.4": ("btsr-ce", {}),
    }
    figure = drawn(noise, material(handmade, "noise", variants))
    absolute, relative = ({c.get_label(): c.lines[0].get_ydata() for c in axis.containers} for axis in figure.axes)
    assert absolute["SASRec (CE)"] == pytest.approx([0.045, 0.03])
    assert relative["SASRec (CE)"] == pytest.approx([0, -35])
    assert absolute["BT-SR (CE)"] == pytest.approx([0.05, np.nan], nan_ok=True)
    assert figure.legends[0].get_title().get_text() == (
        "mean ± s.d. over 2 seeds; 1 seed: BT-SR (CE) 0%; not run: BT-SR (CE) 40%"
    )


def test_noise_without_its_reference_is_shown_alone(handmade: Callable[..., Any]) -> None:
    figure = drawn(noise, material(handmade, "noise", {"btsr-ce 0.4": ("btsr-ce", {0: 0.02})}))
    assert len(figure.axes) == 1
    assert noise(material(handmade, "noise", {"btsr-ce 0": ("btsr-ce", {0: 0.02})})) is None


def test_every_order_of_ties_is_a_dot_beside_the_order_of_the_file(handmade: Callable[..., Any]) -> None:
    shown = material(handmade, "ties", {"sasrec-ce": ("sasrec-ce", {0: 0.07}), "btsr-ce": ("btsr-ce", {0: 1, 1: 2})})
    older, *redrawn = [record for v in shown.experiments["ties"].variants for record in v.done]
    for record in redrawn:
        record.metrics.update({f"ties-{draw}": {"ndcg@10": record.seed + draw / 100} for draw in (1, 2)})
    figure = drawn(ties, shown)
    (axis,) = figure.axes
    assert [label.get_text() for label in axis.get_xticklabels()] == ["BT-SR (CE)"]
    orders = [list(line.get_ydata()) for line in axis.lines if line.get_marker() == "o"]
    files = [float(line.get_ydata()[0]) for line in axis.lines if line.get_marker() == "D"]
    assert (orders, files) == ([[0.01, 0.02], [1.01, 1.02]], [1, 2])
    assert "tie for 21% of the test users" in figure.legends[0].get_title().get_text()
    for record in redrawn:
        for stage in ("ties-1", "ties-2"):
            del record.metrics[stage]
    assert ties(shown) is None
    assert older.metrics.keys() == {"test", "validation"}
