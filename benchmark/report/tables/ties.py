"""How far the metrics move when simultaneous test events are put in another order."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
import pandas as pd

from benchmark.report.material import Material, VariantRuns
from benchmark.report.methods import look
from benchmark.report.rows import RunSet
from benchmark.report.significance import SeedSummary, summarise_seeds
from benchmark.report.tables.layout import Cell, Group, Head, Line, Table
from benchmark.report.tables.parts import (
    caption,
    closing_notes,
    corner,
    identity,
    number,
    status_notes,
    table_name,
)

STAGE = "ties-"
"""How the stage of a record begins that holds the metrics after redrawing; its number follows."""

METRICS = ("ndcg@10", "hr@1", "hr@10")


@dataclass(frozen=True)
class TieSpread:
    """One method and metric: `as_filed`, its mean over `seeds` runs in the file's order, and `means`, the same in each
    random order by its number; NaN and empty if no run has all orders.
    """

    variant: VariantRuns
    metric: str
    seeds: int
    as_filed: float
    means: dict[int, float]

    @property
    def orders(self) -> SeedSummary:
        """Over the random orders."""
        return summarise_seeds(np.array(list(self.means.values()), dtype=float))

    @property
    def width(self) -> float:
        """Highest minus lowest mean over the random orders; NaN without any."""
        return max(self.means.values()) - min(self.means.values()) if self.means else math.nan


def tie_spreads(material: Material) -> list[TieSpread]:
    """Per variant of the experiment `ties` and metric; empty if no run was evaluated in other orders.

    Every mean is over the runs that have all orders, so that only the order differs between them.
    """
    experiment = material.experiments.get("ties")
    variants = experiment.variants if experiment else ()
    orders = sorted({order for variant in variants for order in _orders(variant)})
    if not orders:
        return []
    return [_spread(variant, metric, orders) for variant in variants for metric in METRICS]


def tie_tables(material: Material) -> tuple[list[Table], pd.DataFrame] | None:
    """Methods and metrics down, orders across; None if no run was evaluated in other orders."""
    spreads = tie_spreads(material)
    if not spreads:
        return None
    runs, orders = material.runs, sorted({order for spread in spreads for order in spread.means})
    table = Table(
        name=table_name(runs, "ties"),
        caption=caption(runs, f"Simultaneous test events of {runs.heading} in other orders."),
        bands=(),
        heads=(
            corner(runs),
            Head("file's", "order"),
            *(Head("random", str(order)) for order in orders),
            *map(Head, ("mean", "deviation", "width")),
            Head("runs"),
        ),
        sections=_sections(spreads, orders),
        notes=tuple(_notes(runs, spreads)),
    )
    return [table], pd.DataFrame([_record(runs, spread, order) for spread in spreads for order in (0, *orders)])


def _orders(variant: VariantRuns) -> set[int]:
    stages = {
        stage.removeprefix(STAGE) for record in variant.done for stage in record.metrics if stage.startswith(STAGE)
    }
    return {int(stage) for stage in stages if stage.isdecimal()}


def _spread(variant: VariantRuns, metric: str, orders: list[int]) -> TieSpread:
    stages = ["test", *(f"{STAGE}{order}" for order in orders)]
    by_stage = [variant.values(metric, stage) for stage in stages]
    seeds = set.intersection(*(set(values) for values in by_stage))
    if not seeds:
        return TieSpread(variant, metric, 0, math.nan, {})
    filed, *redrawn = (float(np.mean([values[seed] for seed in sorted(seeds)])) for values in by_stage)
    return TieSpread(variant, metric, len(seeds), filed, dict(zip(orders, redrawn, strict=True)))


def _sections(spreads: list[TieSpread], orders: list[int]) -> tuple[tuple[Group, ...], ...]:
    def cells(spread: TieSpread) -> tuple[Cell, ...]:
        drawn = (number(spread.means.get(order, math.nan)) for order in orders)
        over = (number(spread.orders.mean), number(spread.orders.deviation), number(spread.width))
        return tuple(map(Cell, (number(spread.as_filed), *drawn, *over, str(spread.seeds))))

    methods = dict.fromkeys(spread.variant.method for spread in spreads)
    return tuple(
        tuple(
            (Line(f"{look(method).title}, {spread.metric}", cells(spread)),)
            for spread in spreads
            if spread.variant.method == method
        )
        for method in methods
    )


def _notes(runs: RunSet, spreads: list[TieSpread]) -> Iterable[str]:
    text = (
        "Mean over seeds. The trained models are the same in every column; the same random orders serve all runs. "
        "Deviation: sample standard deviation of these means over the random orders; width: highest minus lowest."
    )
    tied = runs.data.get("tied_share")
    if isinstance(tied, float):
        text += f" The last two events are simultaneous for {100 * tied:.1f}% of the test users."
    yield text
    variants = {spread.variant.label: spread.variant for spread in spreads}
    for variant in variants.values():
        without = [str(r.seed) for r in variant.done if not any(stage.startswith(STAGE) for stage in r.metrics)]
        if without:
            yield f"{look(variant.method).title}: seed {', '.join(without)} was run before other orders were evaluated."
    yield from status_notes({look(variant.method).title: variant for variant in variants.values()})
    yield from closing_notes(runs, [record for variant in variants.values() for record in variant.done])


def _record(runs: RunSet, spread: TieSpread, order: int) -> dict[str, object]:
    return identity(runs) | {
        "method": spread.variant.method,
        "metric": spread.metric,
        "order": order or "file",
        "mean": spread.means.get(order, math.nan) if order else spread.as_filed,
        "runs": spread.seeds,
    }
