"""What a case is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.bench import workloads
from benchmark.bench.measures import Fit, Group
from benchmark.bench.profile import Breakdown
from benchmark.bench.turns import Contender, Turns
from benchmark.bench.workloads import BenchData

DEFAULT_MAXLENS = {"ml-1m": (200, 50), "beauty": (50,)}


@dataclass(frozen=True)
class BenchOptions:
    """How the command was called; `maxlens` is empty for each dataset's own.

    `against`: which peers; `peer_pythons`: the interpreters of some; `quality_seconds`: for how long each learns in the
    case peers-quality; `epochs`: for how many in the case precision.
    """

    turns: Turns
    datasets: Sequence[str]
    maxlens: Sequence[int]
    data_dir: Path
    quick: bool
    notify: Callable[[str], None]
    against: Sequence[str] = ()
    peer_pythons: Mapping[str, Path] = field(default_factory=dict)
    quality_seconds: int = 600
    epochs: int = 20

    def lengths(self, name: str) -> Sequence[int]:
        """The lengths to train a dataset at."""
        return self.maxlens or DEFAULT_MAXLENS.get(name, (200, 50))

    @property
    def first_length(self) -> int:
        """The length for cases that take one."""
        return self.maxlens[0] if self.maxlens else 50

    def data(self, name: str) -> BenchData:
        """A dataset or its stand-in."""
        return workloads.load(name, self.data_dir, self.quick, self.notify)

    def measure(
        self, title: str, contenders: Sequence[Contender], unit: str, workload: dict[str, int], synthetic: bool = True
    ) -> Group:
        """The contenders' results as a group, to which the caller adds what to compare."""
        self.notify(f"{title}: {', '.join(contender.name for contender in contenders)}")
        return Group(title, unit, synthetic, workload, self.turns.measure(contenders, self.notify))


@dataclass(frozen=True)
class CaseResult:
    """What a case found: how fast each contender is, how cost grows, where the time goes, and notes."""

    groups: list[Group]
    fits: list[Fit] = field(default_factory=list)
    breakdowns: list[Breakdown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
