"""What the page opens with: how much Barlow Twins adds, and how many of the paper's claims are decided."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.selection import METRIC
from benchmark.report.claims.sides import Side, best_against, contest, lead, sides_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import LEVEL
from benchmark.report.tables.layout import Cell, Head, Row, Stack, Table, row_of
from benchmark.report.tables.notes import notes
from benchmark.report.tables.numbers import DASH, bare_p, signed


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
        heads=(Head("compared"), Head("difference", "95% interval"), Head("p", "over")),
        sections=tuple(section for section in sections if section),
        notes=tuple(notes("answer")),
    )


def _stacks(results: Results) -> Iterator[Stack]:
    for first, second in _pairs(results):
        reading = lead(first, second, METRIC)
        low, high = map(signed, reading.interval)
        values = Cell(signed(reading.lead), place="best" if reading.p < LEVEL else ""), Cell(bare_p(reading.p))
        below = ["" if low == DASH else f"{low} to {high}", reading.evidence]
        yield Row(f"{results.title}: {first.title}", values), row_of(f"against {second.title}", below, "below")


def _pairs(results: Results) -> Iterator[tuple[Side, Side]]:
    """Those of which both sides were run, each pair once."""
    said = set()
    for method in BTSR:
        plain = str(RunGroup("main", method, method).plain)
        both = sides_of(results, "objectives", METRIC, (method, plain))
        if both[method].values and both[plain].values:
            said.add((both[method].title, both[plain].title))
            yield both[method], both[plain]
    ours, baselines = contest(results, BASELINES, METRIC)
    if ours.values and baselines:
        best = best_against(baselines, ours)
        if (ours.title, best.title) not in said:
            yield ours, best
