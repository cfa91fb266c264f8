"""Table 1: three objectives with and without Barlow Twins, and what the term adds to each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from baselines.registry import METHODS
from benchmark.paper.printed import CITATION, table1
from benchmark.plan.selection import METRIC
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import MIN_SEEDS, PairedTest
from benchmark.report.tables.cells import contrast, described, done_of_asked, tested
from benchmark.report.tables.layout import Cell, Head, Made, Row, Stack, Table, for_machines, label_of, warning
from benchmark.report.tables.notes import closing_notes, status_notes
from benchmark.report.tables.numbers import count

OBJECTIVES = {"BCE": "btsr-bce", "CE": "btsr-ce", "SCE": "btsr-sce"}
"""As printed, and BT-SR on them."""


@dataclass(frozen=True)
class Effect:
    """What Barlow Twins does to one objective."""

    objective: str
    plain: RunGroup
    regularised: RunGroup
    test: PairedTest


def effects(results: Results) -> list[Effect]:
    """One per objective, of the runs that the experiment planned, or else of those of Table 2, which are the same."""
    found = []
    for objective, method in OBJECTIVES.items():
        names = METHODS[method].plain or method, method
        plain, regularised = (results.group("objectives", name) or results.method(name) for name in names)
        found.append(Effect(objective, plain, regularised, results.difference(regularised, plain, METRIC)))
    return found


def printed_means(results: Results) -> Mapping[str, float]:
    """What the paper prints, by method; empty if nothing."""
    return {} if results.synthetic else table1().get(results.title, {})


def table_1(shown: Sequence[Results]) -> Made | None:
    """One line per dataset as in the paper, with deviation, printed number and what the term adds below and beside.

    Datasets without a run are left out; None if that is all of them.
    """
    found = {results: effects(results) for results in shown}
    ran = {results: rows for results, rows in found.items() if any(runs.done for runs in _groups(rows))}
    records = [
        row
        for results, rows in ran.items()
        for row in for_machines(results, [_record(results, effect) for effect in rows])
    ]
    return ([_table(ran)], records) if ran else None


def _groups(rows: Sequence[Effect]) -> list[RunGroup]:
    return [*(effect.plain for effect in rows), *(effect.regularised for effect in rows)]


def _table(shown: dict[Results, list[Effect]]) -> Table:
    one = next(iter(shown)) if len(shown) == 1 else None
    effects_of_one = next(iter(shown.values()))
    names = [*OBJECTIVES, *(f"{name} + BT" for name in OBJECTIVES)]
    runs = [runs.name if one and runs.records else "" for runs in _groups(effects_of_one)]
    where = one.heading if one else "several datasets"
    text = f"NDCG@10 of three objectives without and with Barlow Twins on {where}, in the form of the paper's Table 1."
    return Table(
        name=label_of(one.dataset, "table1") if one else "table1",
        caption=warning(bool(one and one.synthetic)) + text,
        bands=(("", 1), ("SASRec", 3), ("with Barlow Twins", 3), ("with minus without", 3)),
        heads=(
            Head(METRIC, "SYNTHETIC" if one and one.synthetic else ""),
            *(Head(name, runs=group) for name, group in zip(names, runs, strict=True)),
            *(Head(name, "difference") for name in OBJECTIVES),
        ),
        sections=tuple((_stack(results, rows, one is None),) for results, rows in shown.items()),
        notes=tuple(_notes(shown)),
    )


def _stack(results: Results, rows: list[Effect], together: bool) -> Stack:
    groups, pairs = _groups(rows), [(effect.regularised, effect.plain) for effect in rows]
    counts = [*map(done_of_asked, groups), *(Cell(count(effect.test.n, "pair")) for effect in rows)]
    label = f"{results.title} (SYNTHETIC)" if together and results.synthetic else results.title
    means = contrast(results, label, METRIC, groups, pairs, printed_means(results), seeds_below=False)
    return (*means, Row("runs", tuple(counts), "below"))


def _notes(shown: dict[Results, list[Effect]]) -> list[str]:
    every = [effect for rows in shown.values() for effect in rows]
    reading = "Means over seeds, ± sample standard deviation; the best of a line is bold."
    if any(map(printed_means, shown)):
        reading += f" What the paper prints ({CITATION}) is in italics; it gives no deviations and no test here."
    reading += (
        " The differences are means over the seeds that both have, with the p of a two-sided paired t-test from "
        f"{MIN_SEEDS} seeds on; * marks p < 0.05 in favour of Barlow Twins."
    )
    notes = [reading]
    if compared := [effect.test for effect in every if effect.test.n]:
        higher, starred = sum(test.difference > 0 for test in compared), sum(test.star for test in compared)
        notes.append(
            f"{len(compared)} of {len(every)} cells were run with and without Barlow Twins; the mean is higher with it "
            f"in {higher} of them, with a star in {starred}."
        )
    for results, rows in shown.items():
        prefix = f"{results.title}: " if len(shown) > 1 else ""
        notes += [f"{prefix}{note}" for note in status_notes({runs.title: runs for runs in _groups(rows)})]
        if len(shown) == 1:
            notes += closing_notes(results, [runs for effect in rows for runs in (effect.plain, effect.regularised)])
    return notes


def _record(results: Results, effect: Effect) -> dict[str, object]:
    regularised = described(results.summary(effect.regularised, METRIC))
    printed = printed_means(results)
    return {
        "metric": METRIC,
        "objective": effect.objective,
        **described(results.summary(effect.plain, METRIC)),
        **{f"{name}_bt": value for name, value in regularised.items()},
        **tested(effect.test),
        "paper_mean": printed.get(effect.plain.method),
        "paper_mean_bt": printed.get(effect.regularised.method),
    }
