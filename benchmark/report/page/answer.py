"""What the page opens with: how much Barlow Twins adds, and how many of the paper's claims are decided."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.selection import METRIC
from benchmark.report.claims.sides import Side, best_against, contest, lead, sides_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import LEVEL, MIN_SEEDS
from benchmark.report.tables.layout import Cell, Head, Row, Stack, Table, row_of
from benchmark.report.tables.notes import notes
from benchmark.report.tables.numbers import DASH, p_value, signed


def answer(shown: Sequence[Results]) -> Table | None:
    """The differences of NDCG@10 on every dataset, pooled over windows of time where those were run; None without any.

    On each objective BT-SR stands against that objective alone; the BT-SR that validation chose, against the best
    baseline.
    """
    sections = [tuple(_stacks(results)) for results in shown]
    if not any(sections):
        return None
    return Table(
        name="answer",
        caption="What Barlow Twins adds to NDCG@10, and on what evidence. A difference is bold where p < 0.05.",
        heads=(Head("compared"), Head("difference")),
        sections=tuple(section for section in sections if section),
        notes=tuple(notes("answer")),
    )


def _stacks(results: Results) -> Iterator[Stack]:
    for first, second, role in _pairs(results):
        reading = lead(first, second, METRIC)
        low, high = map(signed, reading.interval)
        resampled = "seeds" if reading.seeds >= MIN_SEEDS else "users"
        difference = Cell(signed(reading.lead), place="best" if reading.p < LEVEL else "")
        interval = "" if low == DASH else f"95 % interval over {resampled}: {low} to {high}"
        p = "" if math.isnan(reading.p) else f"p {p_value(reading.p)}; "
        yield (
            Row(f"{results.title}: {first.title}", (difference,)),
            row_of(f"against {second.title}{role}", [interval], "below"),
            row_of("", [f"{p}{reading.evidence}"], "below"),
        )


def _pairs(results: Results) -> Iterator[tuple[Side, Side, str]]:
    """Those of which both sides were run, each pair once, and what the second one is besides its title."""
    pairs = []
    for method in BTSR:
        plain = str(RunGroup("main", method, method).plain)
        both = sides_of(results, "objectives", METRIC, (method, plain))
        pairs += [(both[method], both[plain])] if both[method].values and both[plain].values else []
    ours, baselines = contest(results, BASELINES, METRIC)
    pairs += [(ours, best_against(baselines, ours))] if ours.values and baselines else []
    best = pairs[-1] if ours.values and baselines else ()
    for titles, pair in {tuple(side.title for side in pair): pair for pair in pairs}.items():
        yield *pair, ", the best baseline" if titles == tuple(side.title for side in best) else ""
