"""Results made by hand, and a function that draws a figure of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest
from matplotlib.figure import Figure

from benchmark.plan.experiments import WINDOWS
from benchmark.plan.run_spec import RunSetting
from benchmark.report.figures.canvas import appearance
from benchmark.report.query import LoadArrays, Results, RunGroup
from benchmark.report.report import FIGURES


def no_arrays(record: Any) -> None:
    """Load nothing, as if the arrays of all runs were lost."""


@pytest.fixture
def results_of() -> Callable[..., Results]:
    """Builds Results from groups, by default without arrays."""

    def build(maker: Any, groups: Sequence[RunGroup], load: LoadArrays = no_arrays, **data: Any) -> Results:
        numbers = {window: np.arange(maker.users) for window in WINDOWS}
        return Results(maker.dataset, maker.title, maker.synthetic, RunSetting(), groups, load, data, numbers)

    return build


@pytest.fixture
def draw() -> Callable[[str, Results], Figure]:
    """Draws the figure with this name and fails if there is none."""

    def drawn(name: str, results: Results) -> Figure:
        with appearance():
            figure = FIGURES[name](results)
        assert figure is not None
        return figure

    return drawn
