"""The store, the only module that reads or writes results/: no reader sees half a file, and no finished run is lost.

results/<dataset>/data.json                         what a report must know of the data, per protocol
results/<dataset>/selection.json                    choices made on validation, per setting
results/<dataset>/runs/<method>/<key>-s<seed>/      one run: record.json and arrays.npz
results/<dataset>/models/<key>.npz                  the selected weights of a run, if they are kept; git ignores them
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

__all__ = ["Notify", "Store", "StoreError"]

Notify = Callable[[str], None]
T = TypeVar("T")

_RECORD, _ARRAYS, _DATA, _SELECTION = "record.json", "arrays.npz", "data.json", "selection.json"
_MEMBER = re.compile("N/(data\\.json|runs/N/N/(record\\.json|arrays\\.npz))".replace("N", NAME.pattern))
_DOCUMENTS = {_DATA: DataDocument, _SELECTION: SelectionDocument}


def to_stderr(line: str) -> None:
    """Print a warning, unless the caller has a better place for it."""
    with contextlib.suppress(OSError):  # a terminal or log that is gone stops nothing
        print(printable(line), file=sys.stderr, flush=True)


class AlreadyDone(StoreError):
    """A run cannot be saved because it is done already."""


class Store:
    """The runs below `root`, usually <out-dir>/results.

    A file that cannot be read is named once through `notify` and then treated as absent, so that its run is done
    again. A file that cannot be written raises StoreError. Opening a store removes what killed processes left there.
    """

    def __init__(self, root: Path, notify: Notify = to_stderr) -> None:
        self.root = root
        self._notify = notify
        self._noted: set[str] = set()
        self._sweep()

    # Runs

    def datasets(self) -> list[str]:
        """The datasets that have data.json or runs, in alphabetical order."""
        found = [*self.root.glob(f"*/{_DATA}"), *self.root.glob("*/runs")]
        return sorted({path.parent.name for path in found if NAME.fullmatch(path.parent.name)})

    def find(self, dataset: str, method: str, key: str, seed: int) -> RunRecord | None:
        """The record of one run, whatever its status; None if no readable one is there."""
        return self._read_run(self._run_path(dataset, method, key, seed))

    def records(self, dataset: str | None = None) -> list[RunRecord]:
        """Every readable record, or those of one dataset, by dataset, method, seed and key."""
        where = "*" if dataset is None else _component(dataset)
        found = self._records_at(f"{where}/runs/*/*")
        return sorted(found, key=lambda record: (record.dataset, record.method, record.seed, record.key))

    def arrays(self, record: RunRecord) -> Arrays | None:
        """The arrays of a record by name, {} if the run has none; None if they cannot be read."""
        path = self._path_of(record) / _ARRAYS
        try:
            return _arrays_of(record, path, str(path))
        except RecordError as error:
            self._note(f"{error}; its run is treated as absent")
            return None

    def save(self, record: RunRecord, arrays: Mapping[str, np.ndarray], overwrite: bool = False) -> Path:
        """Write one run and return its directory; a run that is done already is replaced only with `overwrite`.

        Raises AlreadyDone if it must not be replaced, StoreError if it cannot be written, and RecordError if the
        record or an array does not fit.
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
        """Hold a run for this process; yields False if another process has it. A claim ends with its process."""
        return lock(self.root / ".locks" / f"run-{_component(key)}", wait=False)

    def checkpoint_path(self, key: str) -> Path:
        """Where the state of a run is kept until it ends."""
        return self.root / ".checkpoints" / f"{_component(key)}.pt"

    def keep_model(self, record: RunRecord, weights: Mapping[str, np.ndarray]) -> None:
        """Write the weights of a run beside it; StoreError if that fails."""
        write_file(self._model_path(record), to_npz(weights))

    def model(self, record: RunRecord) -> Arrays | None:
        """The weights of a run by name; None if they were not kept, or cannot be read, which is noted."""
        path = self._model_path(record)
        try:
            return from_npz(path, str(path)) if path.exists() else None
        except RecordError as error:
            self._note(str(error))
            return None

    # What is kept per dataset

    def data(self, dataset: str) -> dict[str, Any] | None:
        """data.json: dataset, title, synthetic, protocols {label: summary}; None if it is absent or unreadable."""
        return self._read_json(dataset, _DATA)

    def write_data(self, dataset: str, label: str, payload: Mapping[str, Any], *, title: str, synthetic: bool) -> None:
        """Set protocols[label] of data.json and keep the other labels; a file that needs no change is not touched."""
        about = {"dataset": dataset, "title": title, "synthetic": synthetic}
        added = {label: dict(payload)}
        self._update(dataset, _DATA, lambda old: old | about | {"protocols": old.get("protocols", {}) | added})

    def selection(self, dataset: str, setting: str) -> dict[str, Any]:
        """The choices stored for a setting, {alias: choice}, perhaps none."""
        content = self._read_json(dataset, _SELECTION) or {}
        return dict(content.get("settings", {}).get(setting, {}))

    def write_selection(self, dataset: str, setting: str, alias: str, choice: Mapping[str, Any]) -> None:
        """Set one choice of selection.json; a file that needs no change is not touched."""

        def chosen(old: dict[str, Any]) -> dict[str, Any]:
            settings = old.get("settings", {})
            choices = settings.get(setting, {}) | {alias: dict(choice)}
            return {"dataset": dataset} | old | {"settings": settings | {setting: choices}}

        self._update(dataset, _SELECTION, chosen)

    # Moving runs between machines

    def export_archive(self, path: Path, keys: Collection[str] | None = None) -> int:
        """Write the done runs (only those in `keys`, if given) and their data.json as .tar.gz; returns their number."""
        chosen = [record for record in self.records() if record.done and (keys is None or record.key in keys)]
        write_archive(path, self._members(chosen))
        return len(chosen)

    def import_archive(self, path: Path) -> Counter[str]:
        """Add the runs of an archive made by `export_archive`; a run that is done here stays as it is.

        The whole archive is read before anything is written: if it is damaged, or a member does not belong in a store,
        all of it is refused with a StoreError. A run whose own files do not fit is named and left out. Returns how many
        runs were "imported", were "already done" here, and are "unusable".
        """
        for name, _ in read_archive(path):
            is_file = name.partition("/")[0].endswith((".html", ".json"))  # index.html must not become a folder
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
        received = self._parsed(content, partial(_document, _DATA), f"{source}/{_DATA}")
        if received is not None and received["dataset"] != dataset:
            self._note(f"{source}/{_DATA}: describes the dataset {received['dataset']}; not imported")
        elif received is not None:
            theirs = received["protocols"]
            self._update(dataset, _DATA, lambda old: received | old | {"protocols": theirs | old.get("protocols", {})})

    def _import_run(self, directory: str, files: Mapping[str, bytes], source: str) -> str:
        try:
            record = self._record_in(self.root / directory, files.get(_RECORD, b""), f"{source}/{_RECORD}")
            if not record.done:
                raise RecordError(f"{source}/{_RECORD}: the run is {record.status}, not done")
            _arrays_of(record, io.BytesIO(files.get(_ARRAYS, b"")), f"{source}/{_ARRAYS}")
        except RecordError as error:
            self._note(f"{error}; not imported")
            return "unusable"
        kept = (_RECORD, _ARRAYS) if record.has_arrays else (_RECORD,)
        return "imported" if self._write_run(record, {name: files[name] for name in kept}) else "already done"

    # Reading and writing

    def _record_in(self, path: Path, document: bytes, source: str) -> RunRecord:
        record = RunRecord.from_json(document, source)
        if self._path_of(record) != path:
            raise RecordError(f"{source}: the record belongs in {str(self._path_of(record))!r:.300}")
        return record

    def _read_run(self, path: Path) -> RunRecord | None:
        """The record in a directory; None if there is none that can be used, or if its arrays cannot."""
        record = self._read(path / _RECORD, partial(self._record_in, path))
        return record if record is not None and self.arrays(record) is not None else None

    def _write_run(self, record: RunRecord, files: Mapping[str, bytes], overwrite: bool = False) -> bool:
        """Write the files of a run, unless it is done already; returns whether they were written."""
        with self._writer():
            present = self.find(record.dataset, record.method, record.key, record.seed)
            if present is not None and present.done and not overwrite:
                return False
            write_directory(self._path_of(record), files)
            return True

    def _read(self, path: Path, parse: Callable[[bytes, str], T]) -> T | None:
        """What `parse` makes of a file; None if it is absent or, after a note, if it cannot be read or does not fit."""
        try:
            content = path.read_bytes()
        except FileNotFoundError:
            return None
        except OSError as error:
            self._note(f"{path}: cannot read ({error.strerror}); treated as absent")
            return None
        return self._parsed(content, parse, str(path))

    def _parsed(self, content: bytes, parse: Callable[[bytes, str], T], source: str) -> T | None:
        try:
            return parse(content, source)
        except RecordError as error:
            self._note(f"{error}; treated as absent")
            return None

    def _read_json(self, dataset: str, file: str) -> dict[str, Any] | None:
        return self._read(self.root / _component(dataset) / file, partial(_document, file))

    def _update(self, dataset: str, file: str, change: Callable[[dict[str, Any]], dict[str, Any]]) -> None:
        """Write what `change` makes of a file's content, {} if it is absent, unless that is what is there."""
        old = self._read_json(dataset, file) or {}
        if to_json(change(old)) == to_json(old):
            return
        with self._writer():
            new = change(self._read_json(dataset, file) or {})
            write_file(self.root / _component(dataset) / file, to_json(new).encode())

    def _path_of(self, record: RunRecord) -> Path:
        return self._run_path(record.dataset, record.method, record.key, record.seed)

    def _run_path(self, dataset: str, method: str, key: str, seed: int) -> Path:
        return self.root / _component(dataset) / "runs" / _component(method) / f"{_component(key)}-s{seed}"

    def _model_path(self, record: RunRecord) -> Path:
        return self.root / _component(record.dataset) / "models" / f"{_component(record.key)}.npz"

    def _writer(self) -> AbstractContextManager[bool]:
        return lock(self.root / ".locks" / "writer", wait=True)

    def _sweep(self) -> None:
        try:
            if leftovers(self.root):
                with self._writer():
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
    """The arrays in the file of a record, {} if it must have none."""
    arrays = from_npz(file, source) if record.has_arrays else {}
    check_arrays(record, arrays, source)
    return arrays


def _document(file: str, content: bytes, source: str) -> dict[str, Any]:
    """The content of a data.json or selection.json; raises RecordError if it does not fit."""
    try:
        document = parse_json(content)
        check(_DOCUMENTS[file], document)
    except ValueError as error:
        raise RecordError(f"{source}: does not fit ({error})") from error
    return dict(document)
