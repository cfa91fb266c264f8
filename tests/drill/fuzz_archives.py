"""What is fuzzed beside a store: the state of runs in flight, caches of splits, archives of others' runs."""

from __future__ import annotations

import gzip
import io
import os
import pickle
import shutil
import tarfile
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import torch

from benchmark.runs.checkpoint import Checkpoint
from benchmark.runs.preparation import prepare
from benchmark.store.archive import write_archive
from benchmark.store.atomic_files import StoreError
from benchmark.store.schema import NAME
from benchmark.store.store import Store
from datasets.protocol import Protocol
from tests.drill.fuzz_mutations import cut, flipped, inserted, json_changed, mutated

BINARY = (flipped, flipped, flipped, cut, inserted)
NAMES = (
    "../outside/data.json",
    "/tmp/outside/data.json",
    "ml-1m/../../data.json",
    "ml-1m\\data.json",
    "C:/data.json",
    ".locks/data.json",
    "ml-1m/runs/x/y-s0/other.json",
    "ML/data.json",
    "a\nb/data.json",
    "ml-1m/runs/" + "x" * 300 + "/y-s0/record.json",
    "index.html/data.json",
    "",
)


class Hostile:
    """What does something when it is unpickled: it makes a directory."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Any, ...]:
        return os.mkdir, (str(self.mark),)


class Checkpoints:
    """The state of a run in flight: it is what was saved, or there is none."""

    name, place, inputs = "checkpoints", "checkpoint.pt", 3_000

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.path, self.mark = folder / "checkpoint.pt", folder / "unpickled"
        generator = torch.Generator().manual_seed(0)
        self.state: dict[str, Any] = {
            "encoder": {"weight": torch.randn(20, 8, generator=generator), "bias": torch.arange(8)},
            "epochs": [{"epoch": 1, "loss": 0.5, "validation": {"ndcg@10": 0.25}}],
            "rng": generator.get_state(),
        }
        buffer = io.BytesIO()
        torch.save(self.state, buffer)
        self.content = buffer.getvalue()

    def make(self, rng: Random) -> bytes:
        """The state with changed bytes, or something else that was pickled."""
        if rng.random() < 0.05:
            buffer, value = io.BytesIO(), rng.choice((Hostile(self.mark), rng.random(), [rng.random()]))
            pickle.dump(value, buffer) if rng.random() < 0.3 else torch.save({"encoder": value}, buffer)
            return mutated(rng, buffer.getvalue(), BINARY) if rng.random() < 0.5 else buffer.getvalue()
        return mutated(rng, self.content, BINARY)

    def read(self, content: bytes) -> Any:
        """What a run would go on from."""
        self.path.write_bytes(content)
        state = Checkpoint(self.path).load()
        if self.mark.exists():
            raise AssertionError("code of the file was run")
        if state is None:
            raise StoreError("checkpoint.pt: none; the run begins anew")
        return state

    def check(self, content: bytes, result: Any) -> str:
        """Whether every number is the one that was saved."""
        if not {"encoder", "rng"} <= result.keys() or not isinstance(result["encoder"], dict):
            return ""  # another file's state, which no run goes on from
        saved, found = self.state["encoder"], result["encoder"]
        same = saved.keys() == found.keys() and all(torch.equal(saved[name], found[name]) for name in saved)
        same = same and torch.equal(self.state["rng"], result["rng"]) and result["epochs"] == self.state["epochs"]
        return "" if same else "other numbers than were saved"


class Caches:
    """A cached split: whatever is in the file, what is prepared is the same."""

    name, place, inputs = "caches", "cache", 1_500

    def __init__(self, folder: Path) -> None:
        folder.mkdir()
        self.folder, self.table = folder, folder / "mine.csv"
        rng = Random(0)
        times = sorted(rng.randrange(10**9) for _ in range(400))
        rows = [f"u{rng.randrange(12)},i{rng.randrange(9)},{time}" for time in times[:300]]
        rows += [f"v{rng.randrange(4)},i{rng.randrange(9)},{time}" for time in times[300:]]
        self.table.write_text("\n".join(["userid,itemid,timestamp", *rows, ""]))
        self.split, _ = self._prepare()
        (self.path,) = (folder / "cache").iterdir()
        self.content = self.path.read_bytes()

    def make(self, rng: Random) -> bytes:
        """The cache with changed bytes."""
        return mutated(rng, self.content, BINARY)

    def read(self, content: bytes) -> Any:
        """The split as it is prepared with this cache there; StoreError with what is said of the cache."""
        self.path.write_bytes(content)
        found, lines = self._prepare()
        problem = self._differs(found)
        if problem:
            raise AssertionError(problem)
        if lines:
            raise StoreError(lines[0])
        return found

    def check(self, content: bytes, result: Any) -> str:
        """Whether it is the one that was cached."""
        return self._differs(result)

    def _prepare(self) -> tuple[dict[str, np.ndarray], list[str]]:
        lines: list[str] = []
        store = Store(self.folder / "results")
        protocol = Protocol(quantile=0.7)
        prepared = prepare("mine", self.folder, self.table, protocol, self.folder / "cache", store, lines.append)
        return prepared.split.to_arrays(), [line for line in lines if "cache" in line]

    def _differs(self, found: dict[str, np.ndarray]) -> str:
        same = found.keys() == self.split.keys() and all(np.array_equal(found[n], self.split[n]) for n in found)
        return "" if same else "another split than without a cache"


class Imports:
    """An archive of runs to import: nothing is written but runs and data.json, and only where they belong."""

    name, place, inputs = "archives of runs", "runs.tar.gz", 3_000

    def __init__(self, folder: Path, files: dict[str, bytes]) -> None:
        self.folder, self.files = folder, files
        self.root = folder / "inside" / "results"

    def make(self, rng: Random) -> bytes:
        """The archive of a store with a member changed, renamed or of another kind, or with changed bytes."""
        members = list(self.files.items())
        place = rng.randrange(len(members))
        action = rng.randrange(6)
        name, content = members[place]
        if action == 0:
            members[place] = name, mutated(rng, content, (json_changed, *BINARY))
        elif action == 1:
            members[place] = rng.choice(NAMES), content
        elif action == 2:
            members.insert(rng.randrange(len(members) + 1), (name, mutated(rng, content, BINARY)))
        elif action == 3:
            return mutated(rng, self._tar(rng, members, plain=True), BINARY)
        elif action == 4:
            del members[place]
        packed = self._tar(rng, members, plain=action != 5)
        return mutated(rng, packed, BINARY) if rng.random() < 0.2 else packed

    def read(self, content: bytes) -> Any:
        """Import it into an empty store; StoreError at the first run that is named and left out."""
        shutil.rmtree(self.folder, ignore_errors=True)
        self.root.mkdir(parents=True)
        path, notes = self.folder / "runs.tar.gz", list[str]()
        path.write_bytes(content)
        store = Store(self.root, notes.append)
        summary = store.import_archive(path)
        if notes:
            raise StoreError(notes[0])
        return summary

    def check(self, content: bytes, result: Any) -> str:
        """Whether only what belongs there was written, and all of it can be read again."""
        outside = {path.name for path in self.folder.iterdir()} | {path.name for path in self.root.parent.iterdir()}
        if outside != {"runs.tar.gz", "inside", "results"}:
            return f"wrote outside: {sorted(outside)}"
        written = [path.relative_to(self.root) for path in self.root.rglob("*") if path.is_file()]
        if strange := [path for path in written if not all(map(NAME.fullmatch, path.parts))]:
            return f"wrote {strange}"
        notes: list[str] = []
        found = Store(self.root, notes.append).records()
        if len(found) != result["imported"] or notes:
            return f"{result['imported']} imported, {len(found)} there; {notes}"
        return ""

    def _tar(self, rng: Random, members: list[tuple[str, bytes]], plain: bool) -> bytes:
        buffer = io.BytesIO()
        with gzip.GzipFile(fileobj=buffer, mode="wb", mtime=0) as stream:
            raw = io.BytesIO()
            form = rng.choice((tarfile.PAX_FORMAT, tarfile.GNU_FORMAT))
            with tarfile.open(fileobj=raw, mode="w", format=form, encoding="utf-8") as archive:
                odd = None if plain else rng.randrange(len(members))
                for number, (name, content) in enumerate(members):
                    info = tarfile.TarInfo(name)
                    info.size = len(content)
                    if number == odd:
                        info.type = rng.choice((tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE, tarfile.FIFOTYPE))
                        info.linkname = rng.choice(("/etc/passwd", "../../x", self.folder.as_posix()))
                    if not plain and rng.random() < 0.3:
                        info.pax_headers = {rng.choice(("path", "size", "GNU.sparse.size", "linkpath")): "7"}
                    archive.addfile(info, io.BytesIO(content))
            tar = raw.getvalue()
            stream.write(mutated(rng, tar, BINARY) if rng.random() < 0.3 else tar)
        return buffer.getvalue()


def archive_targets(folder: Path, files: dict[str, bytes]) -> tuple[Checkpoints, Caches, Imports]:
    """One target for each, with `folder` to write in; `files` of a store, by their paths in it."""
    write_archive(folder / "whole.tar.gz", files.items())  # which must work before anything is changed
    return Checkpoints(folder / "checkpoints"), Caches(folder / "caches"), Imports(folder / "imports", files)
