"""Whatever is wrong with a disturbed directory has to be counted, and counted where it belongs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmark.store.store import Store
from tests.benchmark.conftest import Handmade
from tests.drill.evidence import compare, total
from tests.drill.table import MUST_BE_ZERO

FIRST = "[1/2] ML-1M sasrec-ce seed 0: done, 6 s\n"
LINES = FIRST + "[2/2] ML-1M sasrec-ce seed 1: done, 6 s\n"


def fill(place: Path) -> Path:
    """Two runs and two tables, one of which tells the time, and the log of the session that made them."""
    maker, store = Handmade(), Store(place / "results")
    for seed in range(2):
        store.save(maker.record(seed=seed), maker.arrays((1, 2, 0, seed)))
    (place / "tables").mkdir()
    (place / "tables" / "table2.md").write_text("0.05")
    (place / "tables" / "cost.md").write_text(str(place))
    (place / "session.log").write_text(LINES)
    return place


@pytest.fixture
def pair(tmp_path: Path) -> tuple[Path, Path]:
    """Equal up to the clock."""
    reference, out = fill(tmp_path / "reference"), fill(tmp_path / "out")
    path = record_of(out)
    record = json.loads(path.read_text())
    record["started"], record["epochs"][0]["seconds"] = "2027-01-01T00:00:00+00:00", 99.0
    record["counts"]["continued"] = 3
    path.write_text(json.dumps(record))
    return reference, out


def record_of(out: Path) -> Path:
    """That of the first run."""
    return sorted(out.rglob("record.json"))[0]


def counted(pair: tuple[Path, Path]) -> dict[str, int]:
    """What is not 0."""
    found = compare(*pair, [pair[1] / "session.log"])
    assert found.pop("runs") == 2
    assert found.keys() <= set(MUST_BE_ZERO)
    return {name: count for name, count in found.items() if count}


def test_two_that_differ_by_the_clock_alone_are_the_same(pair: tuple[Path, Path]) -> None:
    assert counted(pair) == {}


def change_metric(out: Path) -> None:
    path = record_of(out)
    record = json.loads(path.read_text())
    record["metrics"]["test"]["ndcg@10"] += 1e-12
    path.write_text(json.dumps(record))


def interrupt(out: Path) -> None:
    path = record_of(out)
    record = json.loads(path.read_text())
    record["status"] = "interrupted"
    path.write_text(json.dumps(record))


def swap_arrays(out: Path) -> None:
    first, second = sorted(out.rglob("arrays.npz"))
    first.write_bytes(second.read_bytes())


def lose(out: Path) -> None:
    directory = record_of(out).parent
    for path in directory.iterdir():
        path.unlink()
    directory.rmdir()


def add_a_run(out: Path) -> None:
    Store(out / "results").save(Handmade().record(seed=7), Handmade().arrays())


def cut_record(out: Path) -> None:
    record_of(out).write_text("{")


def drop_arrays(out: Path) -> None:
    (record_of(out).parent / "arrays.npz").unlink()


WRONG: dict[str, tuple[Callable[[Path], object], dict[str, int]]] = {
    "table": (lambda out: (out / "tables" / "table2.md").write_text("0.06"), {"differences": 1}),
    "missing table": (lambda out: (out / "tables" / "table2.md").unlink(), {"differences": 1}),
    "arrays": (swap_arrays, {"differences": 1}),
    "metric": (change_metric, {"differences": 1}),
    "interrupted": (interrupt, {"lost": 1}),
    "lost": (lose, {"lost": 1}),
    "one too many": (add_a_run, {"doubled": 1}),
    "done twice": (lambda out: (out / "session.log").write_text(LINES + FIRST), {"doubled": 1}),
    "cut record": (cut_record, {"lost": 1, "half_written": 1}),
    "no arrays": (drop_arrays, {"differences": 1, "half_written": 1}),
    "temporary": (lambda out: (out / "tables" / ".tmp-1-x").touch(), {"left_over": 1}),
    "traceback": (lambda out: (out / "session.log").write_text(LINES + "Traceback (most recent"), {"tracebacks": 1}),
}


@pytest.mark.parametrize("name", WRONG)
def test_everything_wrong_is_counted(pair: tuple[Path, Path], name: str) -> None:
    damage, expected = WRONG[name]
    damage(pair[1])
    assert counted(pair) == expected


def test_checkpoints_and_locks_are_left_overs(pair: tuple[Path, Path]) -> None:
    for name in (".checkpoints/a.pt", ".locks/run-a"):
        path = pair[1] / "results" / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    assert counted(pair) == {"left_over": 2}


def test_counts_add_up() -> None:
    assert total([{"lost": 1, "runs": 2}, {"lost": 3, "runs": 4}]) == {"lost": 4, "runs": 6}
