"""Claims of the paper, and the forms that they take: what is compared, in which metrics, by how much.

A form is a rule about one experiment of the plan, whose variants it names by their labels. For each form,
`benchmark.report.claims.rules` has a function of the same name that checks it against the runs.
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
    """The first variant of each pair leads the second in every metric, by more than the share `margin` of its value."""

    experiment: str
    pairs: Pairs
    metrics: Names
    margin: float = 0.0


class AgainstBaselines(NamedTuple):
    """BT-SR is ahead of the best of its rivals, or behind it by at most `at_most` as a share of that rival.

    `better`: which values are better. `printed`: look only at metrics where Table 2 prints a lead, a star, or BT-SR
    behind. `seeds_alone`: a test over users never replaces the test over seeds.
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
    """With this share of noise, BT-SR loses less of the metric than the same objective without Barlow Twins."""

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
    """The first variant of each pair has at least `at_least` times the metric of the second, on every seed.

    Contradicted if some pair has less than `below` times on every seed. `of_cost`: the metric is a timing from the run
    record, and only runs on the same hardware are compared.
    """

    experiment: str
    pairs: Pairs
    metric: str
    at_least: float
    below: float = 1.0
    of_cost: bool = False


# --- along a sweep --------------------------------------------------------------------------------------------------


class Peaks(NamedTuple):
    """Each metric is highest at one of the variants `at`. Only those `among` are looked at, or all if it is empty.

    `jointly`: the mean over metrics is highest there, each taken as a share of its own highest mean.
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

    Contradicted if one of the two is wrong on every seed.
    """

    experiment: str
    start: str
    end: str
    metric: str
    zero: float
    at_least: float


class Drops(NamedTuple):
    """From the best of the variants `start` to the variant `end`, the metric drops by between `low` and `high`."""

    experiment: str
    start: Names
    end: str
    metric: str
    low: float
    high: float


class Hurts(NamedTuple):
    """The variant `label` is worse than the best of the others, which is picked on validation."""

    experiment: str
    label: str
    metric: str


Rule = Ahead | AgainstBaselines | LosesLess | Steadier | Ratio | Peaks | Trend | Grows | Drops | Hurts


def _needed_labels(rule: Rule) -> Names:
    """The labels of the variants that a rule needs; empty if it needs all variants of its experiment."""
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
    """One checkable statement of the paper, and the rule by which the runs decide it.

    `id`: its stable name, for `run_all.py --claim ID`. `quote`: the statement in the paper's words, at most one
    sentence, from `place`. `datasets`: what it is about, by default all datasets of the paper. `reading`: how we
    interpret words that leave room. `beyond_the_paper`: whether the rule extends the statement to an experiment that
    the paper does not have; reports judge such a claim only if they have this experiment.
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
        """The methods of all variants that the rule needs, which therefore have to be run.

        Sweeps vary different methods on different datasets. Those for datasets beyond the paper's are included, so that
        every claim can be judged there, too.
        """
        labels = _needed_labels(self.rule)
        return tuple(
            dict.fromkeys(
                variant.method
                for dataset in (*self.datasets, "synthetic")
                for variant in experiments(dataset)[self.rule.experiment].variants
                if not labels or variant.label in labels
            )
        )
