"""The columns of Table 2, for figures and claims until they ask `query` for them."""

from __future__ import annotations

from dataclasses import dataclass

from benchmark.paper.printed import BASELINES
from benchmark.plan.selection import Choice, choose
from benchmark.report.methods import BTSR, in_order
from benchmark.report.query import LoadArrays as LoadArrays
from benchmark.report.rows import RunSet, rows
from benchmark.report.tables.numbers import DECIMALS as DECIMALS


@dataclass(frozen=True)
class MainComparison:
    """The methods of Table 2."""

    runs: RunSet
    choice: Choice | None
    baselines: tuple[str, ...]
    extras: tuple[str, ...]

    @property
    def btsr(self) -> str | None:
        """The method that represents BT-SR."""
        return self.choice.choice if self.choice else None

    @property
    def contestants(self) -> tuple[str, ...]:
        """The columns that the paper's table has, as far as they were run."""
        return (*self.baselines, *([self.btsr] if self.btsr else []))


def main_comparison(runs: RunSet, load: LoadArrays) -> MainComparison:
    """The columns of a run set."""
    ran = in_order(record.method for record in runs.records)
    choice = choose(rows(runs), [method for method in BTSR if method in ran])
    baselines = tuple(method for method in ran if method in BASELINES)
    btsr = choice.choice if choice else None
    return MainComparison(runs, choice, baselines, tuple(m for m in ran if m not in (*baselines, btsr)))
