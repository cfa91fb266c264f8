"""BT-SR's gains on several datasets are drawn against the best baseline, seed by seed, with the paper's numbers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from benchmark.report.figures.canvas import appearance
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES_TOGETHER


@pytest.fixture
def dataset(results_of: Callable[..., Results], handmade: Callable[..., Any]) -> Callable[..., Results]:
    """Builds a dataset's Results from NDCG@10 by method and seed. Validation prefers the BT-SR that is named first."""

    def build(name: str, title: str, values: Mapping[str, tuple[float, ...]], **more: Any) -> Results:
        maker = handmade(name, title, **more)
        groups = []
        for place, (method, by_seed) in enumerate(values.items()):
            runs = [
                maker.record(method, seed, test={"ndcg@10": value}, validation={"ndcg@10": 0.5 - 0.1 * place})
                for seed, value in enumerate(by_seed)
            ]
            groups.append(RunGroup("main", method, method, records=tuple(runs)))
        return results_of(maker, groups)

    return build


def test_each_dataset_has_its_change_against_its_best_baseline(dataset: Callable[..., Results]) -> None:
    shown = [
        dataset("ml-1m", "ML-1M", {"btsr-ce": (0.11, 0.06), "sasrec-ce": (0.1, 0.05), "duorec": (0.01, 0.02)}),
        dataset("own", "Own", {"btsr-sce": (0.03,), "btsr-ce": (0.9,), "sasrec-ce": (0.02,), "cl4srec": (0.04,)}),
    ]
    with appearance():
        figure = FIGURES_TOGETHER["gains"](shown)
    assert figure
    assert "ML-1M and Own" in figure.get_suptitle()
    (axis,) = figure.axes
    points = [container.lines[0].get_xydata()[0] for container in axis.containers]
    assert points[0] == pytest.approx([100 * 0.01 / 0.075, 0])  # the change of the mean, as in Table 2
    assert points[1] == pytest.approx([-25, 1])  # the best baseline, not the one on the same objective
    (hollow,) = [line for line in axis.lines if line.get_markerfacecolor() == "none"]
    printed = shown[0].printed("ndcg@10")
    assert printed
    assert hollow.get_xydata()[0] == pytest.approx([printed.improve, 0])


def test_it_takes_two_datasets_with_both_sides(dataset: Callable[..., Results]) -> None:
    whole = dataset("ml-1m", "ML-1M", {"btsr-ce": (0.11,), "sasrec-ce": (0.1,)})
    half = dataset("own", "Own", {"btsr-ce": (0.03,), "markov": (0.02,)})
    assert FIGURES_TOGETHER["gains"]([whole, half]) is None


def test_one_synthetic_dataset_marks_the_figure(dataset: Callable[..., Results]) -> None:
    values = {"btsr-ce": (0.11,), "sasrec-ce": (0.1,)}
    shown = [dataset("ml-1m", "ML-1M", values), dataset("synthetic", "Synthetic", values, synthetic=True)]
    with appearance():
        figure = FIGURES_TOGETHER["gains"](shown)
    assert figure
    assert "SYNTHETIC" in [text.get_text() for text in figure.texts]
