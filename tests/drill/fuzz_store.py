"""What is fuzzed of a store: records, arrays, data.json, selection.json."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.store.atomic_files import StoreError
from benchmark.store.npz import Arrays, to_npz
from benchmark.store.record import RunRecord, check_arrays
from benchmark.store.store import Store
from datasets.protocol import Protocol
from tests.benchmark.conftest import Handmade
from tests.drill.fuzz_mutations import (
    BYTES,
    Mutation,
    cut,
    encoded,
    flipped,
    inserted,
    json_changed,
    long_line,
    mutated,
)
from tests.drill.fuzz_report import report_problem

JSON = (*BYTES, encoded, long_line, *(json_changed,) * 20)
BINARY = (flipped, flipped, flipped, cut, inserted)


@dataclass
class Stored:
    """A file in a store: `load` puts the content there and has the store read it, `judge` looks at the result."""

    name: str
    place: str
    inputs: int
    valid: Callable[[Random], bytes]
    load: Callable[[bytes], Any]
    judge: Callable[[bytes, Any], str]
    mutations: tuple[Mutation, ...] = JSON
    untouched: float = 0.02

    def make(self, rng: Random) -> bytes:
        """A valid file, mostly made wrong."""
        content = self.valid(rng)
        return content if rng.random() < self.untouched else mutated(rng, content, self.mutations)

    def read(self, content: bytes) -> Any:
        """By the store; what it names and treats as absent is a refusal."""
        return self.load(content)

    def check(self, content: bytes, result: Any) -> str:
        """Whether what was accepted is what the content says."""
        return self.judge(content, result)


class Shelf:
    """A store with one run, whose files are replaced by what is tried."""

    def __init__(self, root: Path) -> None:
        self.root, self.maker = root, Handmade()
        self.record = self.maker.record(test={"ndcg@10": 0.05, "hr@10": 0.1, "cov@10": 0.2})
        self.arrays = self.maker.arrays()
        self.path = Store(root).save(self.record, self.arrays)
        self.maker.write_data(Store(root))
        self.files = {name: (self.path / name).read_bytes() for name in ("record.json", "arrays.npz")}
        self.data = (root / "ml-1m" / "data.json").read_bytes()

    def found(self, use: Callable[[Store], Any]) -> Any:
        """What a newly opened store gives; StoreError with its first note if that is nothing."""
        notes: list[str] = []
        result = use(Store(self.root, notes.append))
        if not result:
            raise StoreError(notes[0] if notes else "refused without a word")
        return result

    def run_with(self, file: str) -> Callable[[bytes], tuple[RunRecord, Arrays]]:
        """Reads the run whose file of that name is the content."""

        def load(content: bytes) -> tuple[RunRecord, Arrays]:
            for name, whole in self.files.items():
                (self.path / name).write_bytes(content if name == file else whole)
            record = self.record
            found = self.found(lambda store: store.find(record.dataset, record.method, record.key, record.seed))
            return found, Store(self.root).arrays(found) or {}

        return load

    def data_with(self, content: bytes) -> dict[str, Any]:
        """Reads data.json, and what a plan knows by it."""
        (self.root / "ml-1m" / "data.json").write_bytes(content)
        data: dict[str, Any] = self.found(lambda store: store.data("ml-1m"))
        DatasetFacts.stored(Store(self.root), "ml-1m", Protocol())
        return data

    def selection_with(self, content: bytes) -> Any:
        """Reads selection.json as a report does that is about to change it."""
        (self.root / "ml-1m" / "selection.json").write_bytes(content)
        notes: list[str] = []
        result = Store(self.root, notes.append).selection("ml-1m", "released-equal-paper")
        if notes:
            raise StoreError(notes[0])
        return result


def store_targets(shelf: Shelf) -> Iterator[Stored]:
    """One target for each kind of file."""
    record = shelf.files["record.json"]
    yield Stored(
        "record.json", "runs/sasrec-ce/", 9_000, lambda _: record, shelf.run_with("record.json"), _judge_record
    )
    yield Stored(
        "arrays.npz", "arrays.npz", 5_000, _npz(shelf), shelf.run_with("arrays.npz"), _judge_arrays, BINARY, 0.4
    )
    yield Stored("data.json", "data.json", 4_000, lambda _: shelf.data, shelf.data_with, _judge_data)
    yield Stored("selection.json", "selection.json", 3_000, _selection, shelf.selection_with, lambda *_: "")


# --- runs ------------------------------------------------------------------------------------------------------------


def _judge_record(content: bytes, result: tuple[RunRecord, Arrays]) -> str:
    record, arrays = result
    if {"error": None} | json.loads(content) != asdict(record):
        return "says something else than its file"
    if RunRecord.from_json(record.to_json(), "again") != record:
        return "does not come back from its own text"
    check_arrays(record, arrays, "arrays")
    return report_problem(record, arrays)


def _npz(shelf: Shelf) -> Callable[[Random], bytes]:
    def valid(rng: Random) -> bytes:
        arrays: dict[str, Any] = dict(shelf.arrays)
        name = rng.choice(list(arrays))
        action = rng.randrange(9)
        if action == 0:
            arrays[name] = np.array([{"a": 1}], dtype=object)
        elif action == 1:
            arrays[name] = rng.choice(
                (np.array("x"), np.zeros((2, 2, 2)), np.array([]), np.array([1j]), np.array([-1]))
            )
        elif action == 2:
            arrays[name] = np.full(np.shape(arrays[name]), rng.choice((np.nan, np.inf, -1.0, 1e300)))
        elif action == 3:
            del arrays[name]
        if action == 0:
            buffer = io.BytesIO()
            np.savez_compressed(buffer, allow_pickle=True, **arrays)
            return buffer.getvalue()
        content = to_npz(arrays) if rng.random() < 0.5 else _stored_npz(arrays)
        return _with_member(rng, content) if action == 4 else content

    return valid


def _stored_npz(arrays: Arrays) -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return buffer.getvalue()


def _with_member(rng: Random, content: bytes) -> bytes:
    """With one more member, which is none that the suite writes."""
    buffer = io.BytesIO(content)
    header = b"\x93NUMPY\x01\x00v\x00{'descr': '<f8', 'fortran_order': False, 'shape': (%d,), }"
    members = (
        ("note.txt", b"hello"),
        ("x.npy", b"hello"),
        ("ranks.npy", b""),
        ("../x.npy", b""),
        ("x.npy", (header % 10 ** rng.randrange(1, 18)).ljust(127) + b"\n"),
        ("x.npy", (header % 1).ljust(127) + b"\n" + bytes(9)),
    )
    with zipfile.ZipFile(buffer, "a") as archive:
        archive.writestr(*rng.choice(members))
    return buffer.getvalue()


def _judge_arrays(content: bytes, result: tuple[RunRecord, Arrays]) -> str:
    record, arrays = result
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        if archive.testzip() is not None:
            return "was accepted with a wrong checksum"
    with np.load(io.BytesIO(content), allow_pickle=False) as expected:
        if set(expected.files) != set(arrays):
            return f"has {sorted(arrays)}"
        if any(not np.array_equal(expected[name], arrays[name], equal_nan=True) for name in arrays):
            return "differs from what numpy reads"
    return report_problem(record, arrays)


def _judge_data(content: bytes, data: dict[str, Any]) -> str:
    return "" if json.loads(content) == data else "says something else than its file"


def _selection(_: Random) -> bytes:
    choice = {"choice": "btsr-ce", "stage": "validation", "metric": "ndcg@10", "evidence": {}}
    return json.dumps({"dataset": "ml-1m", "settings": {"released-equal-paper": {"btsr": choice}}}).encode()
