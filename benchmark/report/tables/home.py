"""Our baselines under the protocol and the settings of others, beside the numbers that these print for them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from benchmark.paper.home import PublishedRun, published_runs
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import SeedSummary
from benchmark.report.tables.cells import row_of
from benchmark.report.tables.layout import Head, Made, for_machines, table_of
from benchmark.report.tables.notes import closing_notes, status_notes
from benchmark.report.tables.numbers import DASH, number

MARGINS = (5, 10)
"""Percent of the published value, the narrowest first: the margins that our value is shown to be within."""


@dataclass(frozen=True)
class Reproduction:
    """One metric of one configuration: ours over the seeds, and as published."""

    runs: RunGroup
    published: PublishedRun
    metric: str
    ours: SeedSummary

    @property
    def value(self) -> float:
        return self.published.values[self.metric]

    @property
    def ratio(self) -> float:
        """Ours to the published one, NaN without a run."""
        return self.ours.mean / self.value

    @property
    def margin(self) -> int | None:
        """The narrowest of MARGINS that our value is within; None if it is within none."""
        percent = round(100 * abs(self.ratio - 1), 6)  # 0.95 of a value is within 5 %, whatever its last bit
        return next((margin for margin in MARGINS if percent <= margin), None)


def home_table(results: Results) -> Made | None:
    """A section per configuration, metrics down; None without a finished run of the experiment."""
    groups = results.experiment("home")
    if not any(runs.done for runs in groups):
        return None
    published = {run.label: run for run in published_runs(results.dataset)}
    sections = [
        [Reproduction(runs, run, metric, results.summary(runs, metric)) for metric in run.values]
        for runs in groups
        for run in [published[runs.label]]
    ]
    table = table_of(
        results,
        "home",
        f"Baselines on {results.heading} as configured where their numbers were published.",
        [Head("ours"), Head("published"), Head("ratio"), Head("within")],
        [
            [(row_of(f"{one.runs.title}, {one.metric}", _texts(one), runs=one.runs),) for one in each]
            for each in sections
        ],
        [*_notes(sections), *closing_notes(results, groups), *status_notes({runs.title: runs for runs in groups})],
    )
    rows = [
        {
            "variant": one.runs.label,
            "method": one.runs.method,
            "metric": one.metric,
            "mean": one.ours.mean,
            "runs": one.ours.n,
            "published": one.value,
            "ratio": one.ratio,
            "within_percent": one.margin,
            "source": one.published.source,
        }
        for each in sections
        for one in each
    ]
    return [table], for_machines(results, rows)


def _texts(one: Reproduction) -> list[str]:
    within = DASH if one.ours.n == 0 else f"{one.margin} %" if one.margin else f"not {MARGINS[-1]} %"
    return [number(one.ours.mean), number(one.value), number(one.ratio, 2), within]


def _notes(sections: Sequence[Sequence[Reproduction]]) -> Iterable[str]:
    yield (
        "Ours: the mean over seeds. Ratio: ours to the published value. Within: the narrowest margin around the "
        "published value, 5 or 10 % of it, that ours lies in."
    )
    for first, *_ in sections:
        note = f" ({first.published.note})" if first.published.note else ""
        yield f"{first.runs.title}: published in {first.published.source}{note}."
