"""The forms that the paper's claims take: what is compared, in which metrics, and what is asked of the difference.

Each rule is about one experiment of the plan and names its variants by their labels. `benchmark.report.claims` has a
function of the same name for each, which holds it against the runs.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

from benchmark.paper.printed import BASELINES, BTSR

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


class Slower(NamedTuple):
    """The first variant of each pair takes at least `at_least` times as long as the second, on every seed.

    Contradicted if it is faster on every seed of any pair. `timing`: of the run record.
    """

    experiment: str
    pairs: Pairs
    timing: Literal["fit_seconds", "seconds_per_epoch"]
    at_least: float


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


class Ratio(NamedTuple):
    """The metric at `end` is at least `at_least` times that at `start`, on every seed.

    Contradicted if it is less than `below` times that on every seed.
    """

    experiment: str
    start: str
    end: str
    metric: str
    at_least: float
    below: float


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


Rule = Ahead | AgainstBaselines | LosesLess | Steadier | Slower | Peaks | Trend | Ratio | Grows | Drops | Hurts


def needed(rule: Rule) -> Names:
    """The variants of its experiment that a rule needs; empty if it needs all of them."""
    match rule:
        case Ahead() | Slower():
            return tuple(label for pair in rule.pairs for label in pair)
        case AgainstBaselines():
            return (*rule.rivals, *BTSR)
        case Peaks():
            return rule.among
    return ()
