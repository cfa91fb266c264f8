"""What a test population of this size can tell: sampling errors, detectable differences, and what follows from them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from benchmark.paper.printed import BASELINES, CITATION
from benchmark.plan.selection import METRIC
from benchmark.report.comparison import LoadArrays, MainComparison, MetricRow
from benchmark.report.rows import RunSet
from benchmark.report.significance import (
    LEVEL,
    POWER,
    smallest_detectable_difference,
    standard_error,
    user_differences,
)
from benchmark.report.tables.parts import number
from benchmark.runs.metrics import per_user

INTERVAL = float(stats.norm.ppf(1 - LEVEL / 2))
"""Standard errors on either side of a mean that make a 95 % interval, 1.96."""


@dataclass(frozen=True)
class Resolution:
    """What the test users can tell of one accuracy metric, seed-averaged.

    `error`: the sampling error of `method`'s mean over users. `detectable`: the smallest true difference between
    `method` and `rival` that a paired test over these users finds with 80 % power. `difference`: ours between the two.
    `printed_lead`: BT-SR's over the paper's best baseline, as printed. NaN or None where unknown.
    """

    metric: str
    method: str
    error: float
    rival: str | None
    detectable: float
    difference: float
    printed_lead: float

    @property
    def leads(self) -> tuple[float, float]:
        """Our difference and the printed lead."""
        return self.difference, self.printed_lead


def resolutions(comparison: MainComparison, load: LoadArrays) -> list[Resolution]:
    """One per accuracy metric of Table 2, for the two methods with the highest NDCG@10 of the paper's columns, or of
    all if none of those was run; empty if no run has its ranks.
    """
    pair = _pair(comparison)
    found = [_resolution(comparison, row, pair, load) for row in comparison.metrics if not row.metric.startswith("cov")]
    return [resolution for resolution in found if resolution is not None]


def user_error(runs: RunSet, method: str, metric: str, load: LoadArrays) -> float:
    """The sampling error over test users of a method's seed-averaged metric; NaN for coverage and without ranks."""
    gains = None if metric.startswith("cov@") else _gains(runs, method, metric, load)
    return math.nan if gains is None else standard_error(gains.mean(0))


def what_follows(runs: RunSet, found: Sequence[Resolution]) -> Iterable[str]:
    """In words: how to read the table, and what these users can and cannot decide about the printed leads."""
    first = found[0]
    title = runs.look(first.method).title
    text = f"Sampling error: of {title}'s mean over the test users, averaged over seeds."
    if first.rival:
        text += (
            f" {title} and {runs.look(first.rival).title} have the highest NDCG@10 of the paper's columns."
            f" Smallest detectable: the true difference between the two that a paired test over "
            f"these users would find with {POWER:.0%} power; for two methods on the same users it is "
            f"not tied to the sampling error of either."
        )
    printed = [resolution for resolution in found if not math.isnan(resolution.printed_lead)]
    if not printed:
        yield f"{text} The paper prints nothing for this dataset."
        return
    yield f"{text} Lead in the paper: BT-SR minus the best baseline as printed ({CITATION}, Table 2)."
    positive = [resolution for resolution in printed if resolution.printed_lead > 0]
    hidden = [resolution for resolution in positive if resolution.printed_lead < resolution.error]
    yield (
        f"Of the {len(positive)} accuracy leads that the paper prints for {runs.title}, {len(hidden)} are smaller than "
        "the sampling error of their metric: another draw of as many users would move the mean by more than the lead."
    )
    if conclusion := _conclusion(runs, positive):
        yield conclusion


def _conclusion(runs: RunSet, positive: Sequence[Resolution]) -> str:
    """About the printed leads, given what is detectable; nothing if that is unknown."""
    known = [resolution for resolution in positive if not math.isnan(resolution.detectable)]
    if not known:
        return ""
    below = [resolution for resolution in known if resolution.printed_lead < resolution.detectable]
    text = f"{len(below)} of these {len(known)} lie below what is detectable here"
    if main := next((resolution for resolution in known if resolution.metric == METRIC), None):
        text += f" (NDCG@10: {number(main.printed_lead)} against {number(main.detectable)})"
    if not below:
        return f"{text}: the test users suffice to confirm or refute leads of the printed size."
    return (
        f"{text}: these users cannot be expected to reveal them. A star over seeds then speaks of these users alone; "
        "more seeds reduce the noise of training but not that of the users, and only more test users, or several "
        f"datasets together, could settle it{'' if len(below) == len(known) else ' for those metrics'}."
    )


def _pair(comparison: MainComparison) -> tuple[str | None, str | None]:
    """The two highest means, so that a model that failed to learn does not pass for what these users can tell."""
    row = next(row for row in comparison.metrics if row.metric == METRIC)
    ran = [method for method in comparison.contestants if row.summaries[method].n]
    ran = ran or [method for method in comparison.extras if row.summaries[method].n]
    ranked = sorted(ran, key=lambda method: -row.summaries[method].mean)
    return (ranked[0] if ranked else None), (ranked[1] if len(ranked) > 1 else None)


def _resolution(
    comparison: MainComparison, row: MetricRow, pair: tuple[str | None, str | None], load: LoadArrays
) -> Resolution | None:
    runs, (method, rival) = comparison.runs, pair
    gains = _gains(runs, method, row.metric, load) if method else None
    if method is None or gains is None:
        return None
    others = _gains(runs, rival, row.metric, load) if rival else None
    detectable = difference = math.nan
    if rival and others is not None and others.shape[1] == gains.shape[1]:
        differences = user_differences(gains, others)
        detectable = smallest_detectable_difference(differences) if differences.any() else math.nan
    if rival:
        difference = row.summaries[method].mean - row.summaries[rival].mean
    lead = math.nan
    if row.printed:
        lead = row.printed.values["btsr"] - max(row.printed.values[name] for name in BASELINES)
    return Resolution(row.metric, method, standard_error(gains.mean(0)), rival, detectable, difference, lead)


def _gains(runs: RunSet, method: str, metric: str, load: LoadArrays) -> np.ndarray | None:
    """(seeds, N) what each test user contributes; None if no run of the method has its ranks."""
    loaded = [load(record) for record in runs.done(method)]
    ranks = [arrays["ranks"] for arrays in loaded if arrays is not None and "ranks" in arrays]
    return per_user(metric, np.stack(ranks)) if ranks and len({len(r) for r in ranks}) == 1 else None
