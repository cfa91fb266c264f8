"""python -m benchmark compare: the metrics of two stores' runs side by side, and the runs that only one of them has."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from benchmark.cli.options import ALL, Parser, add_dataset
from benchmark.cli.process import FAILURE
from benchmark.plan.config import ConfigError
from benchmark.runs.metrics import shown_in
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, to_stderr

ALWAYS = tuple(f"test {metric}" for metric in shown_in("run"))
"""Metrics that are shown of every run; others are shown where they differ."""

DECIMALS = 6


def add_arguments(parser: Parser) -> None:
    parser.add_argument("stores", nargs=2, type=Path, metavar="STORE", help="an --out-dir or a results directory")
    add_dataset(parser)


def run(options: Namespace) -> int:
    """Show the comparison; the exit code is 1 if the stores differ."""
    datasets = [] if ALL in (options.dataset or [ALL]) else options.dataset
    records = []
    for path in options.stores:
        found = find_store(path).records()
        records.append([record for record in found if not datasets or record.dataset in datasets])
    comparison = compare_records(*records)
    print(to_text(comparison, *map(str, options.stores)), end="")
    return 0 if comparison.same else FAILURE


@dataclass(frozen=True)
class StoreComparison:
    """All runs of two stores: those of both, those that only one has."""

    both: tuple[tuple[RunRecord, RunRecord], ...]
    only_first: tuple[RunRecord, ...]
    only_second: tuple[RunRecord, ...]

    @property
    def same(self) -> bool:
        """Whether both stores hold the same runs with the same metrics."""
        return not self.only_first and not self.only_second and all(is_same(*pair) for pair in self.both)


def is_same(first: RunRecord, second: RunRecord) -> bool:
    """Whether a run ended in the same way with the same metrics to the last bit; times and machines do not count."""
    return (first.status, first.metrics) == (second.status, second.metrics)


def compare_records(first: Iterable[RunRecord], second: Iterable[RunRecord]) -> StoreComparison:
    """Match two stores' records: the same dataset, method, key and seed is the same run."""
    one, other = ({(r.dataset, r.method, r.key, r.seed): r for r in records} for records in (first, second))
    return StoreComparison(
        both=tuple((one[run], other[run]) for run in sorted(one.keys() & other.keys())),
        only_first=tuple(one[run] for run in sorted(one.keys() - other.keys())),
        only_second=tuple(other[run] for run in sorted(other.keys() - one.keys())),
    )


def find_store(path: Path) -> Store:
    """The store at `path`, a results directory or one that has it inside; ConfigError if there is no store."""
    root = path / "results" if (path / "results").is_dir() else path
    store = Store(root, to_stderr)
    if not root.is_dir() or not store.datasets():
        fault = "holds no runs" if root.is_dir() else "is not a directory"
        raise ConfigError(f"{path} {fault}; name two --out-dir or results directories")
    return store


def to_text(comparison: StoreComparison, first: str, second: str) -> str:
    """The comparison as a plain table, `first` and `second` being the stores' names, and a line that sums it up."""
    lines = [f"A: {first}", f"B: {second}", ""]
    if comparison.both:
        rows = [(_title(pair[0]), *row) for pair in comparison.both for row in _rows(*pair)]
        table = pd.DataFrame(rows, columns=["run", "metric", "A", "B", "B - A"])
        lines += [table.set_index(["run", "metric"]).to_string(), ""]
    for name, records in (("A", comparison.only_first), ("B", comparison.only_second)):
        lines += [f"only in {name}: {_title(record)} ({record.status})" for record in records]
    same = sum(is_same(*pair) for pair in comparison.both)
    lines.append(
        f"{len(comparison.both)} runs in both: {same} with exactly the same metrics, {len(comparison.both) - same} "
        f"with others; {len(comparison.only_first)} only in A, {len(comparison.only_second)} only in B"
    )
    return "\n".join([*lines, ""])


def _title(record: RunRecord) -> str:
    return f"{record.dataset} {record.method} {record.key} seed {record.seed}"


def _rows(first: RunRecord, second: RunRecord) -> list[tuple[str, str, str, str]]:
    """What is shown of a run: a metric, its two values and their difference."""
    rows = [("status", first.status, second.status, "differs")] if first.status != second.status else []
    one, other = _metrics(first), _metrics(second)
    for name in one | other:
        a, b = one.get(name), other.get(name)
        if name in ALWAYS or a != b:
            rows.append((name, _number(a), _number(b), _difference(a, b)))
    machines = [f"{r.hardware.get('device', '?')}, torch {r.versions.get('torch', '?')}" for r in (first, second)]
    if not is_same(first, second) and machines[0] != machines[1]:
        rows.append(("machine", machines[0], machines[1], ""))
    return rows or [("no metrics", first.status, second.status, "")]


def _metrics(record: RunRecord) -> dict[str, float]:
    """By names such as `test ndcg@10`, those of test first."""
    stages = sorted(record.metrics, key=lambda stage: (stage != "test", stage))
    return {f"{stage} {name}": value for stage in stages for name, value in sorted(record.metrics[stage].items())}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.{DECIMALS}f}"


def _difference(first: float | None, second: float | None) -> str:
    if first is None or second is None:
        return "only in one"
    is_small = abs(second - first) < 10**-DECIMALS
    return "0" if first == second else f"{second - first:+.1e}" if is_small else f"{second - first:+.{DECIMALS}f}"
