"""What the tables share: captions, the first columns for machines, means with deviations, paired differences."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from benchmark.report.comparison import DECIMALS
from benchmark.report.material import VariantRuns
from benchmark.report.rows import RunSet
from benchmark.report.significance import PairedTest, SeedSummary, paired_t_test, star
from benchmark.report.tables.layout import DASH, MINUS, Cell, Group, Head, Line
from benchmark.report.tables.notes import left_out_notes, machines_note, p_value
from benchmark.store.record import RunRecord


def caption(runs: RunSet, text: str) -> str:
    """What a table shows, and first of all whether the data is real."""
    return f"SYNTHETIC DATA, which says nothing about any real dataset. {text}" if runs.synthetic else text


def corner(runs: RunSet) -> Head:
    """The head above the lines' labels: the dataset, marked if it was generated."""
    return Head(runs.title, "SYNTHETIC" if runs.synthetic else "")


def table_name(runs: RunSet, name: str) -> str:
    """A label of letters, digits and hyphens."""
    return re.sub("[^a-z0-9]+", "-", f"{runs.dataset}-{name}")


def identity(runs: RunSet) -> dict[str, object]:
    """The columns with which every row for machines begins."""
    return {
        "dataset": runs.dataset,
        "title": runs.title,
        "synthetic": runs.synthetic,
        "protocol": runs.setting.protocol,
        "footing": runs.setting.hparams,
        "profile": runs.setting.profile,
    }


# --- numbers --------------------------------------------------------------------------------------------------------


def number(value: float) -> str:
    """Four decimals as the paper prints, a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:.{DECIMALS}f}".replace("-", MINUS)


def signed(value: float) -> str:
    """The same with its sign; what rounds to zero has none."""
    if math.isnan(value):
        return DASH
    text = f"{value:+.{DECIMALS}f}"
    return text[1:] if float(text) == 0 else text.replace("-", MINUS)


def percent(value: float) -> str:
    """One decimal and the sign, a dash for NaN."""
    return DASH if math.isnan(value) else f"{value:+.1f}%".replace("-", MINUS)


def mean_cell(summary: SeedSummary, best: bool = False) -> Cell:
    """The mean over seeds."""
    return Cell(number(summary.mean), place="best" if best else "")


def deviation_cell(summary: SeedSummary) -> Cell:
    """The sample standard deviation, for the line below the mean; empty with fewer than two runs."""
    return Cell(f"±{number(summary.deviation)}" if summary.n > 1 else "")


def best_mean(summaries: Sequence[SeedSummary]) -> float:
    """The highest mean as printed, for telling which cells are best; NaN, which equals none, if all are equal."""
    means = {round(summary.mean, DECIMALS) for summary in summaries if summary.n}
    return max(means) if len(means) > 1 else math.nan


def is_best(summary: SeedSummary, best: float) -> bool:
    """Whether a mean equals the best as printed."""
    return summary.n > 0 and round(summary.mean, DECIMALS) == best


def group(*lines: Line) -> Group:
    """The lines that say anything."""
    return tuple(line for line in lines if any(cell.text for cell in line.cells))


# --- variants -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Difference:
    """One variant minus another, seed against seed; the star as in Table 2."""

    test: PairedTest
    star: bool

    @property
    def cell(self) -> Cell:
        """The mean difference over the pairs."""
        return Cell(signed(self.test.difference), self.star)

    @property
    def below(self) -> Cell:
        """The p of the test; empty below two pairs."""
        return Cell(f"p {p_value(self.test.p)}" if self.test.n > 1 else "")


def difference(candidate: VariantRuns, baseline: VariantRuns, metric: str) -> Difference:
    """Over the seeds that both have."""
    ours, theirs = candidate.values(metric), baseline.values(metric)
    seeds = sorted(ours.keys() & theirs.keys())
    columns = np.array([ours[s] for s in seeds]), np.array([theirs[s] for s in seeds])
    return Difference(paired_t_test(*columns), star(*columns))


def count_cell(variant: VariantRuns) -> Cell:
    """How many runs are done of how many asked for."""
    return Cell(f"{len(variant.done)}/{variant.asked}" if variant.asked else DASH)


def status_notes(variants: Mapping[str, VariantRuns]) -> list[str]:
    """What became of runs that are not done, by the names that the variants are shown under, and which of these have no
    run at all.
    """
    absent = [name for name, variant in variants.items() if not variant.done and set(variant.not_done) <= {"missing"}]
    notes = left_out_notes({name: variant.not_done for name, variant in variants.items() if name not in absent})
    return [*notes, f"Not run: {'; '.join(absent)}."] if absent else notes


def closing_notes(runs: RunSet, records: Sequence[RunRecord]) -> list[str]:
    """Under which rules and on which machines these records came about; nothing without any."""
    if not records:
        return []
    setting, users = runs.setting, records[0].data["test_users"]
    rules = f"Protocol {setting.protocol}, footing {setting.hparams}, profile {setting.profile}; {users} test users."
    return [rules, machines_note(replace(runs, records=tuple(records)))]
