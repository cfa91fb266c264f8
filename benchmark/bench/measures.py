"""What a case is given and what it gives back: rates with their spread, ratios against targets, growth of cost."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.bench import workloads
from benchmark.bench.profile import Breakdown
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.workloads import BenchData

DEFAULT_MAXLENS = {"ml-1m": (200, 50), "beauty": (50,)}
Quantity = Literal["speed", "time", "added memory", "peak memory"]


@dataclass(frozen=True)
class BenchRatio:
    """How many times `ours` is better than `usual`, both named as contenders; `target`: what is to be reached.

    "speed": by units of work per second; "time": by seconds, however much work was done in them.
    """

    label: str
    ours: str
    usual: str
    quantity: Quantity = "speed"
    target: float | None = None


@dataclass
class Group:
    """Contenders that did the same work, measured in `unit`; `synthetic`: on generated data.

    `details`: further content of the JSON file.
    """

    title: str
    unit: str
    synthetic: bool
    workload: dict[str, int]
    results: list[Result]
    ratios: list[BenchRatio] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """With rates and the ratios' values; a ratio whose contenders gave nothing has the value null."""
        by_name = {result.contender: result for result in self.results}
        return {
            "title": self.title,
            "unit": self.unit,
            "synthetic": self.synthetic,
            "workload": self.workload,
            "results": [asdict(result) | {"rate": _spread(_rates(result))} for result in self.results],
            "ratios": [
                asdict(ratio) | compare(by_name[ratio.ours], by_name[ratio.usual], ratio.quantity)
                for ratio in self.ratios
            ],
            **({"details": self.details} if self.details else {}),
        }


@dataclass(frozen=True)
class Fit:
    """quantity ~ V ** exponent for one contender, by least squares over the logarithms at these `sizes`."""

    contender: str
    quantity: str
    exponent: float
    sizes: list[int]


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
        return self.maxlens or DEFAULT_MAXLENS.get(name, (200, 50))

    @property
    def first_length(self) -> int:
        return self.maxlens[0] if self.maxlens else 50

    def data(self, name: str) -> BenchData:
        return workloads.load(name, self.data_dir, self.quick, self.notify)

    def measure(
        self,
        title: str,
        contenders: Sequence[Contender],
        unit: str,
        workload: dict[str, int],
        ratios: Sequence[BenchRatio] = (),
        synthetic: bool = True,
    ) -> Group:
        """The contenders' results as a group."""
        self.notify(f"{title}: {', '.join(contender.name for contender in contenders)}")
        return Group(title, unit, synthetic, workload, self.turns.measure(contenders, self.notify), list(ratios))


@dataclass(frozen=True)
class CaseResult:
    """What a case found: how fast each contender is, how cost grows, where the time goes, and notes."""

    groups: list[Group]
    fits: list[Fit] = field(default_factory=list)
    breakdowns: list[Breakdown] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def compare(ours: Result, usual: Result, quantity: Quantity) -> dict[str, Any]:
    """`value` and, for speed, its quartiles `low` and `high` over pairs of neighbouring laps; `extrapolated`."""
    extrapolated = "extrapolated" in (ours.status, usual.status)
    if quantity == "speed":
        times = [a / b for a, b in zip(_rates(ours), _rates(usual), strict=False)]
        if extrapolated and times:
            times = [float(np.median(_rates(ours)) / np.median(_rates(usual)))]
        spread = _spread(times) or {}
    else:
        mine, others = _amount(ours, quantity), _amount(usual, quantity)
        spread = {"median": others / mine} if mine and others else {}
    value, low, high = map(spread.get, ("median", "low", "high"))
    return {"value": value, "low": low, "high": high, "extrapolated": extrapolated}


def _amount(result: Result, quantity: Quantity) -> float | None:
    if quantity == "time":
        return float(np.median(result.seconds)) if result.seconds else None
    return {"added memory": result.added_memory_bytes, "peak memory": result.peak_memory_bytes}[quantity]


def extrapolate(measured: Result, times: int, power: int) -> Result:
    """What `times` the size would take by a cost that grows as size ** power; no lap of it was run."""
    if not measured.seconds:
        return Result(measured.contender, measured.amount * times, "skipped", note="nothing to extrapolate from")
    seconds, added = float(np.median(measured.seconds)), measured.added_memory_bytes
    return Result(
        measured.contender,
        measured.amount * times,
        "extrapolated",
        [seconds * times**power],
        added_memory_bytes=None if added is None else added * times**power,
        note=f"extrapolated from a size {times} times smaller, as size to the power of {power}",
    )


def growth(sizes: Sequence[int], groups: Sequence[Group]) -> list[Fit]:
    """Fits of time per lap and of added memory, for each contender measured at two of the `sizes` or more."""
    points: dict[tuple[str, str], list[tuple[int, float]]] = {}  # by contender and quantity
    for size, group in zip(sizes, groups, strict=True):
        for result in group.results:
            if result.status == "measured":
                costs = {"time per step": float(np.median(result.seconds)), "added memory": result.added_memory_bytes}
                for quantity, cost in costs.items():
                    points.setdefault((result.contender, quantity), []).extend([(size, cost)] if cost else [])
    fits = []
    for (contender, quantity), pairs in points.items():
        if len(pairs) >= 2:
            x, y = np.log(pairs).T
            fits.append(Fit(contender, quantity, float(np.polyfit(x, y, 1)[0]), [size for size, _ in pairs]))
    return fits


def _rates(result: Result) -> list[float]:
    return [result.amount / max(seconds, 1e-9) for seconds in result.seconds]


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": float(median), "low": float(low), "high": float(high)}
