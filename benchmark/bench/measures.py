"""The options that a case gets and the results that it returns: rates, ratios between contenders, growth of cost."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from benchmark.bench import workloads
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.workloads import BenchData

Quantity = Literal["speed", "time", "added memory", "peak memory"]
GROWING: tuple[Quantity, ...] = ("time", "added memory")


@dataclass(frozen=True)
class BenchRatio:
    """How many times better the contender `ours` is than `usual`: in units of work per second for "speed", in seconds
    for "time", in bytes for memory.
    """

    label: str
    ours: str
    usual: str
    quantity: Quantity = "speed"


@dataclass
class Group:
    """The results of contenders that did the same work, counted in `unit`; `synthetic`: on generated data."""

    title: str
    unit: str
    synthetic: bool
    workload: dict[str, int]
    results: list[Result]
    ratios: list[BenchRatio] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """Add rates and the values of ratios, and drop laps that report nothing but their seconds."""
        by_name = {result.contender: result for result in self.results}
        ratios = [
            asdict(ratio) | compare(by_name[ratio.ours], by_name[ratio.usual], ratio.quantity) for ratio in self.ratios
        ]
        results = [asdict(result) | {"rate": _spread(_rates(result))} for result in self.results]
        for result in results:
            result["laps"] = [lap for lap in result["laps"] if "ndcg" in lap]
        return vars(self) | {"results": results, "ratios": ratios}


@dataclass(frozen=True)
class BenchOptions:
    """The options of the command.

    `variants`: names in `cases.VARIANTS`. `against`: names of peers. `quality_seconds`: how long each contender trains
    in the case peers-quality.
    """

    turns: Turns
    datasets: Sequence[str]
    data_dir: Path
    quick: bool
    notify: Callable[[str], None]
    variants: Sequence[str] = ()
    against: Sequence[str] = ()
    quality_seconds: int = 600

    @property
    def on_gpu(self) -> bool:
        return self.turns.device.type == "cuda"

    def data(self, name: str, ties: str = "file") -> BenchData:
        return workloads.load(name, ties, self.data_dir, self.quick, self.notify)

    def measure(
        self,
        title: str,
        contenders: Sequence[Contender],
        unit: str,
        workload: dict[str, int],
        ratios: Sequence[BenchRatio] = (),
        synthetic: bool = True,
        learning_seconds: float = 0.0,
    ) -> Group:
        """Measure the contenders as a group; `learning_seconds` as in `Turns.measure`."""
        self.notify(f"{title}: {', '.join(contender.name for contender in contenders)}")
        results = self.turns.measure(contenders, self.notify, learning_seconds)
        return Group(title, unit, synthetic, workload, results, list(ratios))


@dataclass(frozen=True)
class CaseResult:
    """The results of a case: groups of contenders, fits of how cost grows, and notes."""

    groups: list[Group]
    fits: list[dict[str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def breakdowns(self) -> list[dict[str, Any]]:
        """Return, per group, the seconds of the profiled laps and their shares by kind of operation, largest first."""
        found = []
        for group in self.groups:
            kinds = {result.contender: result.seen["kinds"] for result in group.results if "kinds" in result.seen}
            seconds = {name: sum(parts.values()) for name, parts in kinds.items()}
            shares = {name: {kind: part / seconds[name] for kind, part in kinds[name].items()} for name in kinds}
            table = {"title": group.title, "synthetic": group.synthetic, "seconds": seconds, "shares": shares}
            found += [table] if kinds else []
        return found


def compare(ours: Result, usual: Result, quantity: Quantity) -> dict[str, Any]:
    """Return how many times better ours is: the median `value` over pairs of neighbouring laps and its quartiles `low`
    and `high`, which are equal except for speed; all None if one of the two was not measured.
    """
    if quantity == "speed":
        times = [a / b for a, b in zip(_rates(ours), _rates(usual), strict=False)]
    else:
        mine, others = (_amount(result, quantity) for result in (ours, usual))
        times = [others / mine] if mine and others else []
    spread = _spread(times) or {}
    return {name: spread.get(key) for name, key in (("value", "median"), ("low", "low"), ("high", "high"))}


def _amount(result: Result, quantity: Quantity) -> float | None:
    if quantity == "time":
        return float(np.median(result.seconds)) if result.seconds else None
    return result.added_memory_bytes if quantity == "added memory" else result.peak_memory_bytes


def growth(sizes: Sequence[int], groups: Sequence[Group]) -> list[dict[str, Any]]:
    """Fit quantity ~ size ** exponent on a log-log scale, for the time and the added memory of each contender that was
    measured at two `sizes` or more.
    """
    points: dict[tuple[str, Quantity], list[tuple[int, float]]] = {}
    for size, group in zip(sizes, groups, strict=True):
        for result in group.results:
            for quantity in GROWING:
                if result.seconds and (amount := _amount(result, quantity)):
                    points.setdefault((result.contender, quantity), []).append((size, amount))
    fits = []
    for (contender, quantity), pairs in points.items():
        if len(pairs) >= 2:
            x, y = np.log(pairs).T
            fit = {"contender": contender, "quantity": quantity, "exponent": float(np.polyfit(x, y, 1)[0])}
            fits.append(fit | {"sizes": [size for size, _ in pairs]})
    return fits


def _rates(result: Result) -> list[float]:
    return [result.amount / max(seconds, 1e-9) for seconds in result.seconds]


def _spread(values: Sequence[float]) -> dict[str, float] | None:
    if not values:
        return None
    low, median, high = np.percentile(values, [25, 50, 75])
    return {"median": float(median), "low": float(low), "high": float(high)}
