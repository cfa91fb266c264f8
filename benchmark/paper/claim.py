"""What a claim of the paper is, and the forms it takes: what is compared, in which metrics, with what difference.

Each rule is about one experiment of the plan and names its variants by their labels. `benchmark.report.claims` has a
function of the same name for each, which holds it against the runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal, NamedTuple

from benchmark.paper.printed import BASELINES, BTSR
from benchmark.plan.experiments import experiments
from datasets.registry import PAPER_DATASETS

Names = tuple[str, ...]
Pairs = tuple[tuple[str, str], ...]


class Ahead(NamedTuple):
    """The first variant of each pair leads the second in every metric, by more than `margin`, a share of the first."""

    experiment: str
    pairs: Pairs
    metrics: Names
    margin: float = 0.0


class AgainstBaselines(NamedTuple):
    """BT-SR is ahead of the best of its rivals, or behind it by no more than `at_most`, a share of that one.

    `better`: which values are. `printed`: only the metrics where Table 2 prints a lead, a star or BT-SR behind.
    `seeds_alone`: users never decide in the place of seeds.
    """

    metrics: Names
    place: Literal["ahead", "behind"] = "ahead"
    better: Literal["higher", "lower"] = "higher"
    rivals: Names = BASELINES
    printed: Literal["all", "lead", "star", "behind"] = "all"
    at_most: float = 0.0
    seeds_alone: bool = False
    experiment: str = "main"


class LosesLess(NamedTuple):
    """From no noise to this share of noise, BT-SR loses less of the metric than the same objective without it."""

    noise: float
    metric: str
    experiment: str = "noise"


class Steadier(NamedTuple):
    """The variant `steady` varies less over seeds than `other`."""

    experiment: str
    steady: str
    other: str
    metric: str


class Ratio(NamedTuple):
    """The metric of the first variant of each pair is at least `at_least` times that of the second, on every seed.

    Contradicted if it is less than `below` times that on every seed of any pair. `of_cost`: the metric is a timing of
    the run record, and only runs on the same hardware are compared.
    """

    experiment: str
    pairs: Pairs
    metric: str
    at_least: float
    below: float = 1.0
    of_cost: bool = False


# --- along a sweep --------------------------------------------------------------------------------------------------


class Peaks(NamedTuple):
    """The highest value of each metric lies at one of the variants `at`, of those `among` or, if empty, of all.

    `jointly`: not of each, but of the mean of all, where each counts as a share of its own highest mean.
    """

    experiment: str
    at: Names
    metrics: Names
    among: Names = ()
    jointly: bool = False


class Trend(NamedTuple):
    """Each metric rises, or falls, along the sweep."""

    experiment: str
    metrics: Names
    rises: bool


class Grows(NamedTuple):
    """The metric is below `zero` at `start` and at least `at_least` at `end`, on every seed.

    Contradicted if either fails on every seed.
    """

    experiment: str
    start: str
    end: str
    metric: str
    zero: float
    at_least: float


class Drops(NamedTuple):
    """From the best of the variants `start` to `end` the metric drops by `low` to `high`."""

    experiment: str
    start: Names
    end: str
    metric: str
    low: float
    high: float


class Hurts(NamedTuple):
    """The variant `label` is worse than the best of the others, which validation chooses."""

    experiment: str
    label: str
    metric: str


Rule = Ahead | AgainstBaselines | LosesLess | Steadier | Ratio | Peaks | Trend | Grows | Drops | Hurts


def needed(rule: Rule) -> Names:
    """The variants of its experiment that a rule needs; empty if it needs all of them."""
    match rule:
        case Ahead() | Ratio():
            return tuple(label for pair in rule.pairs for label in pair)
        case AgainstBaselines():
            return (*rule.rivals, *BTSR)
        case Peaks():
            return rule.among
    return ()


@dataclass(frozen=True)
class Claim:
    """One checkable statement of the paper, and how the runs decide it.

    `id` is its stable name, for `run_all.py --claim ID`; `quote` is the statement, one sentence at most, or part of
    one, from `place`; `datasets` are those of which it speaks, unless said all of the paper's. `reading` says what we
    take it to say where the words leave that open. `beyond_the_paper`: whether it carries the statement to an
    experiment that the paper does not have, so that only reports that have this experiment judge it.
    """

    id: str
    quote: str
    place: str
    rule: Rule
    datasets: tuple[str, ...] = PAPER_DATASETS
    reading: str = ""
    beyond_the_paper: bool = False

    @cached_property
    def methods(self) -> tuple[str, ...]:
        """The methods that have to be run: those of the variants that the rule needs.

        Sweeps vary another method on some datasets. Those of a dataset that is not the paper's are among them, so that
        every claim can be judged there too.
        """
        labels = needed(self.rule)
        return tuple(
            dict.fromkeys(
                variant.method
                for dataset in (*self.datasets, "synthetic")
                for variant in experiments(dataset)[self.rule.experiment].variants
                if not labels or variant.label in labels
            )
        )
