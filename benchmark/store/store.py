"""The store, the only module that reads or writes results/.

results/<dataset>/data.json                         what reports need to know about the data, per protocol
results/<dataset>/selection.json                    choices made on validation, per setting
results/<dataset>/runs/<method>/<key>-s<seed>/      one run: record.json and arrays.npz
results/<dataset>/models/<key>.npz                  a run's selected weights, with --keep-models; ignored by git
"""

from __future__ import annotations

import contextlib
import io
import itertools
import re
import sys
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from benchmark.store.archive import read_archive, write_archive
from benchmark.store.atomic_files import StoreError, leftovers, lock, sweep, write_directory, write_file, writing
from benchmark.store.json_text import parse_json, printable, to_json
from benchmark.store.npz import Arrays, from_npz, to_npz
from benchmark.store.record import RunRecord, check_arrays
from benchmark.store.schema import NAME, DataDocument, RecordError, SelectionDocument, check

Notify = Callable[[str], None]
T = TypeVar("T")

_RECORD, _ARRAYS, _DATA, _SELECTION = "record.json", "arrays.npz", "data.json", "selection.json"
_MEMBER = re.compile("N/(data\\.json|runs/N/N/(record\\.json|arrays\\.npz))".replace("N", NAME.pattern))
_DOCUMENTS = {_DATA: DataDocument, _SELECTION: SelectionDocument}


def to_stderr(line: str) -> None:
    """Print a warning, the default way to notify the user."""
    with contextlib.suppress(OSError):  # a closed terminal or a full log must not stop the work
        print(printable(line), file=sys.stderr, flush=True)


class AlreadyDone(StoreError):
    """A run cannot be saved because it is done already."""


class Store:
    """The runs below `root`, usually <out-dir>/results.

    A file that cannot be read is reported once through `notify` and then treated as absent, so its run is done again.
    A file that cannot be written raises StoreError. Opening a store cleans up after processes that were killed.
    """

    def __init__(self, root: Path, notify: Notify = to_stderr) -> None:
        self.root = root
        self._notify = notify
        self._noted: set[str] = set()
        self._sweep()

    # Runs

    def datasets(self) -> list[str]:
        """Names of the datasets that have data.json or runs, sorted."""
        found = [*self.root.glob(f"*/{_DATA}"), *self.root.glob("*/runs")]
        return sorted({path.parent.name for path in found if NAME.fullmatch(path.parent.name)})

    def find(self, dataset: str, method: str, key: str, seed: int) -> RunRecord | None:
        """Return the record of a run, whatever its status, or None if there is no readable one."""
        return self._read_run(self._run_path(dataset, method, key, seed))

    def records(self, dataset: str | None = None) -> list[RunRecord]:
        """Return all readable records, or those of one dataset, sorted by dataset, method, seed and key."""
        where = "*" if dataset is None else _component(dataset)
        found = self._records_at(f"{where}/runs/*/*")
        return sorted(found, key=lambda record: (record.dataset, record.method, record.seed, record.key))

    def arrays(self, record: RunRecord) -> Arrays | None:
        """Return a run's arrays by name, {} if it has none, or None if they cannot be read."""
        path = self._path_of(record) / _ARRAYS
        try:
            return _arrays_of(record, path, str(path))
        except RecordError as error:
            self._note(f"{error}; its run is treated as absent")
            return None

    def save(self, record: RunRecord, arrays: Mapping[str, np.ndarray], overwrite: bool = False) -> Path:
        """Write a run and return its directory. A run that is done already is replaced only with `overwrite`.

        Raises AlreadyDone if it must not be replaced, StoreError if it cannot be written, and RecordError if the
        record or an array is not valid.
        """
        path = self._path_of(record)
        check_arrays(record, arrays, f"record {record.key}")
        files = {_RECORD: record.to_json().encode()}
        if arrays:
            files[_ARRAYS] = to_npz(arrays)
        if not self._write_run(record, files, overwrite):
            raise AlreadyDone(f"{path}: this run is done already; use --overwrite all to replace it")
        return path

    def claim(self, key: str) -> AbstractContextManager[bool]:
        """Reserve a run for this process; yields False if another process has it. A claim ends with its process."""
        return lock(self.root / ".locks" / f"run-{_component(key)}", wait=False)

    def checkpoint_path(self, key: str) -> Path:
        return self.root / ".checkpoints" / f"{_component(key)}.pt"

    def keep_model(self, record: RunRecord, weights: Mapping[str, np.ndarray]) -> None:
        """Store the weights of a run; raises StoreError."""
        write_file(self._model_path(record), to_npz(weights))

    def model(self, record: RunRecord) -> Arrays | None:
        """Return the weights of a run by name, or None if they were not kept or cannot be read."""
        path = self._model_path(record)
        try:
            return from_npz(path, str(path)) if path.exists() else None
        except RecordError as error:
            self._note(str(error))
            return None

    # Files per dataset

    def data(self, dataset: str) -> dict[str, Any] | None:
        """Return data.json (dataset, title, synthetic, protocols by label), or None if absent or unreadable."""
        return self._read_json(dataset, _DATA)

    def write_data(self, dataset: str, label: str, summary: Mapping[str, Any], *, title: str, synthetic: bool) -> None:
        """Set protocols[label] of data.json and keep the other protocols."""
        about = {"dataset": dataset, "title": title, "synthetic": synthetic}
        added = {label: dict(summary)}
        self._update(dataset, _DATA, lambda old: old | about | {"protocols": old.get("protocols", {}) | added})

    def selection(self, dataset: str, setting: str) -> dict[str, Any]:
        """Return the choices stored for a setting, {alias: choice}."""
        content = self._read_json(dataset, _SELECTION) or {}
        return dict(content.get("settings", {}).get(setting, {}))

    def write_selection(self, dataset: str, setting: str, alias: str, choice: Mapping[str, Any]) -> None:
        """Set one choice in selection.json and keep the others."""

        def chosen(old: dict[str, Any]) -> dict[str, Any]:
            settings = old.get("settings", {})
            choices = settings.get(setting, {}) | {alias: dict(choice)}
            return {"dataset": dataset} | old | {"settings": settings | {setting: choices}}

        self._update(dataset, _SELECTION, chosen)

    # Moving runs between machines

    def export_archive(self, path: Path, keys: Collection[str] | None = None) -> int:
        """Write the done runs, or those of them in `keys`, to a .tar.gz with their data.json; returns their number."""
        chosen = [record for record in self.records() if record.done and (keys is None or record.key in keys)]
        write_archive(path, self._members(chosen))
        return len(chosen)

    def import_archive(self, path: Path) -> Counter[str]:
        """Add the runs of an archive made by `export_archive`, except those that are done here already.

        The whole archive is read before anything is written. If it is damaged, or contains a file that does not belong
        in a store, StoreError is raised and nothing is imported. A run with invalid files is reported and skipped.
        Returns how many runs were "imported", "already done" and "unusable".
        """
        for name, _ in read_archive(path):
            is_file = name.partition("/")[0].endswith((".html", ".json"))  # index.html must not become a directory
            if is_file or not _MEMBER.fullmatch(name):
                raise StoreError(
                    f"{path}: refused: member {name!r:.200} is not part of a store; "
                    "give an archive that python -m benchmark export wrote"
                )
        found: Counter[str] = Counter()
        for directory, members in itertools.groupby(read_archive(path), lambda member: member[0].rpartition("/")[0]):
            files = {name.rpartition("/")[2]: content for name, content in members}
            if _DATA in files:
                self._import_data(directory, files[_DATA], f"{path}: {directory}")
            else:
                found[self._import_run(directory, files, f"{path}: {directory}")] += 1
        return found

    def _members(self, records: list[RunRecord]) -> Iterator[tuple[str, bytes]]:
        for dataset in sorted({record.dataset for record in records}):
            if self.data(dataset) is not None:
                yield f"{dataset}/{_DATA}", (self.root / dataset / _DATA).read_bytes()
        for record in records:
            path = self._path_of(record)
            for file in (_RECORD, _ARRAYS) if record.has_arrays else (_RECORD,):
                yield (path / file).relative_to(self.root).as_posix(), (path / file).read_bytes()

    def _import_data(self, dataset: str, content: bytes, source: str) -> None:
        try:
            received = _parse_document(_DATA, content, f"{source}/{_DATA}")
            if received["dataset"] != dataset:
                raise RecordError(f"{source}/{_DATA}: describes the dataset {received['dataset']}")
        except RecordError as error:
            self._note(f"{error}; not imported")
            return
        theirs = received["protocols"]
        self._update(dataset, _DATA, lambda old: received | old | {"protocols": theirs | old.get("protocols", {})})

    def _import_run(self, directory: str, files: Mapping[str, bytes], source: str) -> str:
        try:
            record = self._parse_record(self.root / directory, files.get(_RECORD, b""), f"{source}/{_RECORD}")
            if not record.done:
                raise RecordError(f"{source}/{_RECORD}: the run is {record.status}, not done")
            _arrays_of(record, io.BytesIO(files.get(_ARRAYS, b"")), f"{source}/{_ARRAYS}")
        except RecordError as error:
            self._note(f"{error}; not imported")
            return "unusable"
        kept = (_RECORD, _ARRAYS) if record.has_arrays else (_RECORD,)
        return "imported" if self._write_run(record, {name: files[name] for name in kept}) else "already done"

    # Reading and writing

    def _parse_record(self, path: Path, document: bytes, source: str) -> RunRecord:
        record = RunRecord.from_json(document, source)
        if self._path_of(record) != path:
            raise RecordError(f"{source}: the record belongs in {str(self._path_of(record))!r:.300}")
        return record

    def _read_run(self, path: Path) -> RunRecord | None:
        """Return the record in a directory, or None if it or its arrays cannot be used."""
        record = self._read(path / _RECORD, partial(self._parse_record, path))
        return record if record is not None and self.arrays(record) is not None else None

    def _write_run(self, record: RunRecord, files: Mapping[str, bytes], overwrite: bool = False) -> bool:
        """Write the files of a run unless it is done already; returns whether they were written."""
        with self._writer_lock():
            present = self.find(record.dataset, record.method, record.key, record.seed)
            if present is not None and present.done and not overwrite:
                return False
            write_directory(self._path_of(record), files)
            return True

    def _read(self, path: Path, parse: Callable[[bytes, str], T]) -> T | None:
        """Return `parse(content, name)` of a file, or None if it is absent, unreadable or not valid."""
        try:
            return parse(path.read_bytes(), str(path))
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"{path}: cannot read ({error.strerror}); treated as absent")
        except RecordError as error:
            self._note(f"{error}; treated as absent")
        return None

    def _read_json(self, dataset: str, file: str) -> dict[str, Any] | None:
        return self._read(self.root / _component(dataset) / file, partial(_parse_document, file))

    def _update(self, dataset: str, file: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Replace a file's content by `change(content)`, if that differs. {} stands for a missing file."""
        old = self._read_json(dataset, file) or {}
        if to_json(change(old)) == to_json(old):
            return
        with self._writer_lock():
            new = change(self._read_json(dataset, file) or {})  # read again: it may have changed meanwhile
            write_file(self.root / _component(dataset) / file, to_json(new).encode())

    def _path_of(self, record: RunRecord) -> Path:
        return self._run_path(record.dataset, record.method, record.key, record.seed)

    def _run_path(self, dataset: str, method: str, key: str, seed: int) -> Path:
        return self.root / _component(dataset) / "runs" / _component(method) / f"{_component(key)}-s{seed}"

    def _model_path(self, record: RunRecord) -> Path:
        return self.root / _component(record.dataset) / "models" / f"{_component(record.key)}.npz"

    def _writer_lock(self) -> AbstractContextManager[bool]:
        return lock(self.root / ".locks" / "writer", wait=True)

    def _sweep(self) -> None:
        try:
            if leftovers(self.root):
                with self._writer_lock():
                    sweep(self.root)
            self._sweep_claims()
        except StoreError as error:
            self._note(f"{error}; files that a killed process left there stay")

    def _sweep_claims(self) -> None:
        """Remove the claims of processes that have ended, and the checkpoints of runs that are done."""
        claims = {path.name.removeprefix("run-") for path in self.root.glob(".locks/run-*")}
        checkpoints = {path.stem for path in self.root.glob(".checkpoints/*.pt")}
        for key in sorted(claims | checkpoints):
            if not NAME.fullmatch(key):
                continue
            with self.claim(key) as mine:
                if mine and any(record.done for record in self._records_at(f"*/runs/*/{key}-s*")):
                    with writing(self.root):
                        self.checkpoint_path(key).unlink(missing_ok=True)

    def _records_at(self, pattern: str) -> Iterator[RunRecord]:
        for path in sorted(self.root.glob(f"{pattern}/{_RECORD}")):
            if NAME.fullmatch(path.parent.name) and (record := self._read_run(path.parent)):
                yield record

    def _note(self, line: str) -> None:
        if line not in self._noted:
            self._noted.add(line)
            self._notify(line)


def _component(name: str) -> str:
    if not NAME.fullmatch(name):
        raise StoreError(f"{name!r} cannot be part of a path in results/; use a name like {NAME.pattern}")
    return name


def _arrays_of(record: RunRecord, file: Path | io.BytesIO, source: str) -> Arrays:
    """Read and check a record's arrays; {} if it has none."""
    arrays = from_npz(file, source) if record.has_arrays else {}
    check_arrays(record, arrays, source)
    return arrays


def _parse_document(file: str, content: bytes, source: str) -> dict[str, Any]:
    """Parse data.json or selection.json; raise RecordError if it is not valid."""
    try:
        document = parse_json(content)
        check(_DOCUMENTS[file], document)
    except ValueError as error:
        raise RecordError(f"{source}: is not valid ({error})") from error
    return dict(document)
