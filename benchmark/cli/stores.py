"""python -m benchmark export, import and compare: move runs from one store to another, and compare two stores."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path

from benchmark.cli.options import ALL
from benchmark.cli.process import FAILURE
from benchmark.cli.session import Session, check_places, open_store
from benchmark.plan.config import ConfigError
from benchmark.runs.metrics import shown_in
from benchmark.store.atomic_files import check_directory
from benchmark.store.record import RunRecord
from benchmark.store.store import Store

ALWAYS_SHOWN = tuple(f"test {metric}" for metric in shown_in("run"))
"""Metrics that are shown for every run; others are shown only where they differ."""

DECIMALS = 6


def export_runs(options: Namespace) -> int:
    """Write the plan's finished runs to an archive, and all scored recommendations of other methods on its datasets."""
    path = options.to
    if path.name in ("", "..") or (os.path.lexists(path) and not os.path.isfile(path)):
        raise ConfigError(f"--to {path}: cannot be written as a file; name one such as runs.tar.gz")
    check_directory(path.parent, "--to")
    session = Session(options)
    plans = session.plan()
    keys = [planned.key for runs in plans.values() for planned in runs]
    keys += [record.key for name in plans for record in session.store.records(name) if record.external]
    count = session.store.export_archive(path, keys)
    print(f"exported {count} finished runs to {path}")
    return 0 if count else FAILURE


def import_runs(options: Namespace) -> int:
    """Import the runs of an archive; the exit code is 1 if one of them cannot be used."""
    check_places(options.out_dir, ["results"])
    found = open_store(options.out_dir).import_archive(options.archive)
    print(
        f"imported {found['imported']} runs from {options.archive}; "
        f"{found['already done']} were already here, {found['unusable']} unusable"
    )
    return FAILURE if found["unusable"] else 0


# --- compare --------------------------------------------------------------------------------------------------------


def compare_stores(options: Namespace) -> int:
    """Print the comparison of two stores; the exit code is 1 if they differ."""
    datasets = [] if ALL in (options.dataset or [ALL]) else options.dataset
    found = [find_store(path).records() for path in options.stores]
    chosen = ([record for record in records if not datasets or record.dataset in datasets] for records in found)
    text, is_same = compare(*chosen)
    print("A: {}\nB: {}\n".format(*options.stores))
    print(text)
    return 0 if is_same else FAILURE


def find_store(path: Path) -> Store:
    """Open the store at `path`, a results directory or its parent; raises ConfigError if it has no runs."""
    root = path / "results" if (path / "results").is_dir() else path
    store = Store(root)
    if not root.is_dir() or not store.datasets():
        fault = "holds no runs" if root.is_dir() else "is not a directory"
        raise ConfigError(f"{path} {fault}; name two --out-dir or results directories")
    return store


def compare(first: Iterable[RunRecord], second: Iterable[RunRecord]) -> tuple[str, bool]:
    """Compare the runs of two stores, A and B: return a plain table with a summary, and whether the stores are equal.

    Two runs are equal if they have the same status and the same metrics to the last bit; times and machines may differ.
    """
    import pandas as pd  # slow to import, and the other commands here do not need it

    one, other = (
        {f"{record.dataset} {record.method} {record.key} seed {record.seed}": record for record in records}
        for records in (first, second)
    )
    both = sorted(one.keys() & other.keys())
    n_same = sum(_is_same(one[run], other[run]) for run in both)
    lines = []
    if both:
        rows = [(run, *row) for run in both for row in _rows(one[run], other[run])]
        table = pd.DataFrame(rows, columns=["run", "metric", "A", "B", "B - A"])
        lines += [table.set_index(["run", "metric"]).to_string(), ""]
    alone = {"A": sorted(one.keys() - other.keys()), "B": sorted(other.keys() - one.keys())}
    lines += [f"only in {name}: {run} ({(one | other)[run].status})" for name, runs in alone.items() for run in runs]
    lines.append(
        f"{len(both)} runs in both: {n_same} with exactly the same metrics, {len(both) - n_same} "
        f"with others; {len(alone['A'])} only in A, {len(alone['B'])} only in B"
    )
    return "\n".join(lines), n_same == len(one | other)


def _is_same(first: RunRecord, second: RunRecord) -> bool:
    return (first.status, first.metrics) == (second.status, second.metrics)


def _rows(first: RunRecord, second: RunRecord) -> list[tuple[str, str, str, str]]:
    """Return the rows to show for a run: metric, value in A, value in B, difference."""
    rows: list[tuple[str, str, str, str]] = []
    if first.status != second.status:
        rows.append(("status", first.status, second.status, "differs"))
    one, other = _metrics(first), _metrics(second)
    for name in one | other:
        a, b = one.get(name), other.get(name)
        if name in ALWAYS_SHOWN or a != b:
            rows.append((name, _number(a), _number(b), _difference(a, b)))
    machines = [f"{r.hardware.get('device', '?')}, torch {r.versions.get('torch', '?')}" for r in (first, second)]
    if not _is_same(first, second) and machines[0] != machines[1]:
        rows.append(("machine", machines[0], machines[1], ""))
    return rows or [("no metrics", first.status, second.status, "")]


def _metrics(record: RunRecord) -> dict[str, float]:
    """Flatten the metrics to names such as `test ndcg@10`, test first."""
    stages = sorted(record.metrics, key=lambda stage: (stage != "test", stage))
    return {f"{stage} {name}": value for stage in stages for name, value in sorted(record.metrics[stage].items())}


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.{DECIMALS}f}"


def _difference(first: float | None, second: float | None) -> str:
    if first is None or second is None:
        return "only in one"
    is_small = abs(second - first) < 10**-DECIMALS
    return "0" if first == second else f"{second - first:+.1e}" if is_small else f"{second - first:+.{DECIMALS}f}"
