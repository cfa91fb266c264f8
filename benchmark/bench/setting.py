"""What a case is given and what it gives back."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmark.bench import workloads
from benchmark.bench.measures import Fit, Group
from benchmark.bench.profile import Breakdown
from benchmark.bench.race import Entrant, Track
from benchmark.bench.workloads import Data

DEFAULT_MAXLENS = {"ml-1m": (200, 50), "beauty": (50,)}


@dataclass(frozen=True)
class Setting:
    """How the command was called; `maxlens` empty: the dataset's own. `against`: which peers; `peer_pythons`: the
    interpreters of some; `quality_seconds`: for how long each learns; `epochs`: for how many in the case precision.
    """

    track: Track
    datasets: tuple[str, ...]
    maxlens: tuple[int, ...]
    data_dir: Path
    quick: bool
    notify: Callable[[str], None]
    against: tuple[str, ...] = ()
    peer_pythons: Mapping[str, Path] = field(default_factory=dict)
    quality_seconds: int = 600
    epochs: int = 20

    def lengths(self, name: str) -> tuple[int, ...]:
        """Those to train a dataset at."""
        return self.maxlens or DEFAULT_MAXLENS.get(name, (200, 50))

    def data(self, name: str) -> Data:
        """A dataset or its stand-in."""
        return workloads.load(name, self.data_dir, self.quick, self.notify)

    def race(self, title: str, runners: Sequence[Entrant]) -> Group:
        """The contenders' results as a group that the caller completes."""
        self.notify(f"{title}: {', '.join(runner.name for runner in runners)}")
        return Group(title, "", True, {}, self.track.race(runners, self.notify))


@dataclass(frozen=True)
class Outcome:
    """What a case found: who is how fast, how cost grows, where the time goes, and what there is to say of it."""

    groups: list[Group]
    fits: list[Fit] = field(default_factory=list)
    breakdowns: list[Breakdown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
