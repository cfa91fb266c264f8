"""What a disturbed output directory has to show beside an undisturbed one."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmark.store.npz import from_npz
from benchmark.store.record import RunRecord, check_arrays
from benchmark.store.schema import RecordError
from tests.drill.sessions import ended, tracebacks

CLOCKED = ("started", "finished", "timings", "peak_memory_bytes", "hardware", "versions")
"""Fields of a record that tell of the clock and the machine; `versions`, for the tree may change meanwhile."""

TIMED_TABLES = ("cost.tex", "cost.md", "cost.csv")
"""They state durations, and are not compared."""


def compare(reference: Path, out: Path, logs: Sequence[Path]) -> dict[str, int]:
    """Counts that are 0 if `out` holds the same as `reference` and nothing else. `logs`: of the sessions that made it.

    `differences`: runs whose arrays differ in a byte or whose record in more than the clock, and tables that differ in
    a byte. `lost`: runs without a done record. `doubled`: done records beyond the first of a run, and runs that were
    brought to an end twice.
    """
    expected, found = _runs(reference), _runs(out)
    done = {path: run for path, run in found.items() if run[0].get("status") == "done"}
    repeated = Counter(path.rpartition("/")[2] for path in done), Counter(ended(logs))
    return {
        "runs": len(expected),
        "differences": sum(done[path] != run for path, run in expected.items() if path in done)
        + _differing_tables(reference, out),
        "lost": len(expected.keys() - done.keys()),
        "doubled": sum(n - 1 for counter in repeated for n in counter.values()) + len(done.keys() - expected.keys()),
        "half_written": half_written(out),
        "left_over": len(left_over(out)),
        "tracebacks": tracebacks(logs),
    }


def total(counts: Sequence[dict[str, int]]) -> dict[str, int]:
    """The sum of each count, over those that have it."""
    names = dict.fromkeys(name for each in counts for name in each)
    return {name: sum(each.get(name, 0) for each in counts) for name in names}


def continued(out: Path) -> int:
    """The runs that went on from a checkpoint."""
    return sum("continued" in record["counts"] for record in _records(out).values())


def half_written(out: Path) -> int:
    """Runs that are there and cannot be read."""
    broken = 0
    for directory in _run_directories(out):
        try:
            record = RunRecord.from_json((directory / "record.json").read_bytes(), str(directory))
            arrays = from_npz(directory / "arrays.npz", str(directory)) if record.done else {}
            check_arrays(record, arrays, str(directory))
        except FileNotFoundError:
            broken += directory.exists()  # else it was moved aside just now, for a new one
        except (OSError, RecordError):
            broken += 1
    return broken


def left_over(out: Path) -> list[Path]:
    """Temporary files, checkpoints and locks."""
    temporary = [path for pattern in (".tmp-*", ".old-*") for path in out.rglob(pattern)]
    return [*temporary, *out.glob("results/.checkpoints/*"), *out.glob("results/.locks/*")]


def _run_directories(out: Path) -> list[Path]:
    return [path for path in sorted(out.glob("results/*/runs/*/*")) if not path.name.startswith(".")]


def _records(out: Path) -> dict[str, dict[str, Any]]:
    found = {}
    for directory in _run_directories(out):
        try:
            name = directory.relative_to(out).as_posix()
            found[name] = json.loads((directory / "record.json").read_bytes())
        except (OSError, ValueError):
            continue
    return found


def _runs(out: Path) -> dict[str, tuple[dict[str, Any], bytes]]:
    """By their directory: what of a record does not depend on the clock, and the bytes of the arrays."""
    runs = {}
    for name, record in _records(out).items():
        for field in CLOCKED:
            del record[field]
        for row in record["epochs"]:
            del row["seconds"]
        record["counts"].pop("continued", None)
        arrays = out / name / "arrays.npz"
        runs[name] = record, arrays.read_bytes() if arrays.exists() else b""
    return runs


def _differing_tables(reference: Path, out: Path) -> int:
    expected, found = _tables(reference), _tables(out)
    return sum(expected.get(name) != found.get(name) for name in expected.keys() | found.keys())


def _tables(out: Path) -> dict[str, bytes]:
    places = [out / "tables", *out.glob("reports/*/tables")]
    paths = [path for place in places for path in place.rglob("*") if path.is_file() and path.name not in TIMED_TABLES]
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in paths if not path.name.startswith(".")}
