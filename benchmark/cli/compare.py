"""python -m benchmark compare: the metrics of two stores' runs side by side, and the runs that only one of them has."""

from __future__ import annotations

import math
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmark.cli.exits import FAILURE
from benchmark.cli.options import ALL, Parser, add_dataset
from benchmark.plan.config import ConfigError
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, to_stderr

ALWAYS = ("ndcg@10", "hr@10", "cov@10")
"""Test metrics that are shown of every run; others are where they differ."""

DECIMALS = 6

Identity = tuple[str, str, str, int]
"""A run in any store: dataset, method, key, seed."""


def add_arguments(parser: Parser) -> None:
    """The two stores, and which datasets to compare."""
    parser.add_argument("stores", nargs=2, type=Path, metavar="STORE", help="an --out-dir or a results directory")
    add_dataset(parser)


def run(options: Namespace) -> int:
    """Show the comparison; the exit code is 1 if the stores differ."""
    first, second = options.stores
    datasets = [] if ALL in (options.dataset or [ALL]) else options.dataset
    text, same = compare_stores(first, second, datasets, to_stderr)
    print(text, end="")
    return 0 if same else FAILURE


@dataclass(frozen=True)
class MetricPair:
    """One metric of a run in both stores, such as `test ndcg@10`; None where a record lacks it."""

    name: str
    first: float | None
    second: float | None

    @property
    def same(self) -> bool:
        """Whether both are equal to the last bit."""
        return self.first == self.second

    @property
    def difference(self) -> float:
        """The second minus the first; NaN if one is missing."""
        return math.nan if self.first is None or self.second is None else self.second - self.first


@dataclass(frozen=True)
class RunPair:
    """A run that both stores have."""

    first: RunRecord
    second: RunRecord
    metrics: tuple[MetricPair, ...]

    @property
    def same(self) -> bool:
        """Whether it ended in the same way with exactly the same metrics; times and machines do not count."""
        return self.first.status == self.second.status and all(metric.same for metric in self.metrics)


@dataclass(frozen=True)
class StoreComparison:
    """All runs of two stores: those of both, those that only one has."""

    pairs: tuple[RunPair, ...]
    only_first: tuple[RunRecord, ...]
    only_second: tuple[RunRecord, ...]

    @property
    def same(self) -> bool:
        """Whether both stores hold the same runs with the same metrics."""
        return not self.only_first and not self.only_second and all(pair.same for pair in self.pairs)


def compare_records(first: Iterable[RunRecord], second: Iterable[RunRecord]) -> StoreComparison:
    """Match two stores' records: the same dataset, method, key and seed is the same run."""
    one, other = ({_identity(record): record for record in records} for records in (first, second))
    return StoreComparison(
        pairs=tuple(_pair(one[run], other[run]) for run in sorted(one.keys() & other.keys())),
        only_first=tuple(one[run] for run in sorted(one.keys() - other.keys())),
        only_second=tuple(other[run] for run in sorted(other.keys() - one.keys())),
    )


def open_store(path: Path, notify: Callable[[str], None]) -> Store:
    """The store at `path`, a results directory or one that has it inside; ConfigError if there is no store."""
    root = path / "results" if (path / "results").is_dir() else path
    if not root.is_dir():
        raise ConfigError(f"{path} is not a directory; name two --out-dir or results directories")
    store = Store(root, notify)
    if not store.datasets():
        raise ConfigError(f"{path} holds no runs; name two --out-dir or results directories")
    return store


def compare_stores(
    first: Path, second: Path, datasets: Sequence[str], notify: Callable[[str], None]
) -> tuple[str, bool]:
    """Compare the stores at two paths, of these datasets or, if none is named, of all: as text, and whether they are
    the same. What cannot be read is named through `notify` and treated as absent.
    """
    records = []
    for path in (first, second):
        found = open_store(path, notify).records()
        records.append([record for record in found if not datasets or record.dataset in datasets])
    comparison = compare_records(*records)
    return to_text(comparison, str(first), str(second)), comparison.same


def to_text(comparison: StoreComparison, first: str, second: str) -> str:
    """The comparison as a plain table, `first` and `second` being the stores' names, and a line that sums it up."""
    rows: list[tuple[str, ...]] = [("run", "metric", "A", "B", "B - A")]
    for pair in comparison.pairs:
        rows += _rows(pair)
    lines = [f"A: {first}", f"B: {second}", ""]
    if comparison.pairs:
        lines += [*_align(rows), ""]
    for name, records in (("A", comparison.only_first), ("B", comparison.only_second)):
        lines += [f"only in {name}: {_title(record)} ({record.status})" for record in records]
    return "\n".join([*lines, _conclusion(comparison), ""])


def _identity(record: RunRecord) -> Identity:
    return record.dataset, record.method, record.key, record.seed


def _pair(first: RunRecord, second: RunRecord) -> RunPair:
    one, other = _metrics(first), _metrics(second)
    names = [*one, *(name for name in other if name not in one)]
    return RunPair(first, second, tuple(MetricPair(name, one.get(name), other.get(name)) for name in names))


def _metrics(record: RunRecord) -> Mapping[str, float]:
    stages = sorted(record.metrics, key=lambda stage: (stage != "test", stage))
    return {f"{stage} {name}": value for stage in stages for name, value in sorted(record.metrics[stage].items())}


def _rows(pair: RunPair) -> list[tuple[str, ...]]:
    always = {f"test {name}" for name in ALWAYS}
    rows: list[tuple[str, ...]] = []
    if pair.first.status != pair.second.status:
        rows.append(("", "status", pair.first.status, pair.second.status, "differs"))
    for metric in pair.metrics:
        if metric.name in always or not metric.same:
            rows.append(("", metric.name, _number(metric.first), _number(metric.second), _difference(metric)))
    machines = [f"{r.hardware.get('device', '?')}, torch {r.versions.get('torch', '?')}" for r in _both(pair)]
    if not pair.same and machines[0] != machines[1]:
        rows.append(("", "machine", *machines, ""))
    rows = rows or [("", "no metrics", pair.first.status, pair.second.status, "")]
    return [(_title(pair.first), *rows[0][1:]), *rows[1:]]


def _both(pair: RunPair) -> tuple[RunRecord, RunRecord]:
    return pair.first, pair.second


def _title(record: RunRecord) -> str:
    return f"{record.dataset} {record.method} {record.key} seed {record.seed}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.{DECIMALS}f}"


def _difference(metric: MetricPair) -> str:
    if metric.same:
        return "0"
    if math.isnan(metric.difference):
        return "only in one"
    small = abs(metric.difference) < 10**-DECIMALS
    return f"{metric.difference:+.1e}" if small else f"{metric.difference:+.{DECIMALS}f}"


def _conclusion(comparison: StoreComparison) -> str:
    same = sum(pair.same for pair in comparison.pairs)
    text = f"{len(comparison.pairs)} runs in both: {same} with exactly the same metrics"
    text += f", {len(comparison.pairs) - same} with others"
    return f"{text}; {len(comparison.only_first)} only in A, {len(comparison.only_second)} only in B"


def _align(rows: Sequence[Sequence[str]]) -> list[str]:
    """Columns apart from each other, the numbers to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    left = 2
    return [
        "  ".join(
            text.ljust(width) if column < left else text.rjust(width)
            for column, (text, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
