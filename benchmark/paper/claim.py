"""What a claim of the paper is."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from benchmark.paper.rules import Rule, needed
from benchmark.plan.experiments import experiments
from datasets.registry import PAPER_DATASETS


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
