"""The stage `prepare`: find and hash the file, read and split it unless that is cached, write data.json."""

from __future__ import annotations

import hashlib
import io
import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmark.plan.planner import DatasetFacts
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.json_text import printable
from benchmark.store.npz import from_npz
from benchmark.store.schema import MAX_TITLE, UNFIT_FIRST
from datasets import synthetic
from datasets.interactions import DataError, Interactions
from datasets.protocol import PROTOCOL_VERSION, Protocol
from datasets.readers.sources import check_plain, open_source
from datasets.reading import read_interactions
from datasets.registry import DATASETS, Dataset, locate
from datasets.split import Split, split

if TYPE_CHECKING:
    from benchmark.store.store import Store

Notify = Callable[[str], None]

BLOCK_BYTES = 1 << 20


@dataclass(frozen=True, eq=False)
class Prepared:
    """A dataset ready for runs. `summary` is its entry in data.json, `label` the protocol's name there."""

    name: str
    title: str
    synthetic: bool
    label: str
    split: Split
    fingerprint: str
    summary: dict[str, Any]

    @property
    def facts(self) -> DatasetFacts:
        """What a plan has to know of it."""
        protocol = Protocol(**self.summary["protocol"])
        return DatasetFacts(self.title, self.synthetic, protocol, self.fingerprint)

    @property
    def for_record(self) -> dict[str, Any]:
        """What a run record says of its data: what it is, where from, how much."""
        names = ("source", "sha256", "items", "train_users", "train_interactions", "test_users")
        return {"fingerprint": self.fingerprint} | {name: self.summary[name] for name in names}


def prepare(
    name: str,
    data_dir: Path,
    interactions_path: Path | None,
    protocol: Protocol,
    cache_dir: Path,
    store: Store,
    notify: Notify,
    download: bool = True,
) -> Prepared:
    """Split the dataset `name`, or under that name the table at `interactions_path`, and write its data.json.

    `notify` gets one line for each thing that is worth knowing but no error. `download`: whether an absent file
    is fetched from its publisher. Raises DataError if the file is missing or cannot be used, StoreError if
    data.json cannot be written.
    """
    source = _source(name, data_dir, interactions_path, download)
    result = _split_or_cached(source, protocol, cache_dir, notify)
    fingerprint = result.fingerprint()
    if duplicates := result.summary["duplicate_rows"]:
        notify(f"{source.file}: {duplicates} exact duplicates of earlier rows; kept, as the released code keeps them")
    summary = {
        "source": source.file,
        "sha256": source.sha256,
        "fingerprint": fingerprint,
        "preset": protocol.preset,
        "protocol": asdict(protocol),
        **result.summary,
    }
    label = protocol.label(source.released_filter)
    store.write_data(name, label, summary, title=source.title, synthetic=source.synthetic)
    return Prepared(name, source.title, source.synthetic, label, result, fingerprint, summary)


def interactions_of(name: str, data_dir: Path, interactions_path: Path | None) -> Interactions:
    """What `prepare` has split, read again: all of it, before any filter, with what a Split does not keep, the time.

    Raises DataError if the file is gone or cannot be used.
    """
    return _source(name, data_dir, interactions_path, download=False).read()


# --- where interactions come from -------------------------------------------------------------------------


@dataclass(frozen=True)
class _Source:
    file: str  # its name alone, for records are published and paths are nobody's business
    sha256: str
    read: Callable[[], Interactions]
    format: str
    title: str
    released_filter: str
    synthetic: bool = False


def _source(name: str, data_dir: Path, interactions_path: Path | None, download: bool) -> _Source:
    return _published(DATASETS[name], data_dir, download) if interactions_path is None else _table(interactions_path)


def _table(path: Path) -> _Source:
    read = partial(read_interactions, path)
    file, title = printable(path.name), printable(path.stem).lstrip(UNFIT_FIRST)[:MAX_TITLE] or "interactions"
    return _Source(file, file_sha256(path), read, "table", title, released_filter="none")


def _published(dataset: Dataset, data_dir: Path, download: bool) -> _Source:
    read: Callable[[], Interactions]
    if dataset.is_synthetic:
        data = synthetic.demo(seed=0)
        file, sha256, read = "embedded synthetic generator", _interactions_sha256(data), lambda: data
    else:
        path = locate(dataset, data_dir, download)
        file, sha256, read = path.name, file_sha256(path), partial(read_interactions, path, dataset)
    return _Source(file, sha256, read, dataset.name, dataset.title, dataset.released_filter, dataset.is_synthetic)


def file_sha256(path: Path) -> str:
    """SHA-256 (hex) of a file; of a .csv.gz that of the table inside, which no other packing changes."""
    check_plain(path)
    digest = hashlib.sha256()
    try:
        with open_source(path) if path.name.endswith(".csv.gz") else path.open("rb") as stream:
            while block := stream.read(BLOCK_BYTES):
                digest.update(block)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path and its rights") from error
    return digest.hexdigest()


def _interactions_sha256(data: Interactions) -> str:
    digest = hashlib.sha256()
    for values in (data.user_ids, data.item_ids, data.timestamps):
        digest.update(values.astype("<i8").tobytes())
    return digest.hexdigest()


# --- the cache --------------------------------------------------------------------------------------------


def _split_or_cached(source: _Source, protocol: Protocol, cache_dir: Path, notify: Notify) -> Split:
    path = cache_dir / f"{_cache_key(source, protocol)}.npz"
    if path.exists():
        try:
            return _load(path)
        except Exception as error:  # whatever an array of another type, shape or name leads to
            reason = printable(f"{type(error).__name__}: {error}".replace("\n", " "))
            notify(f"{path}: unusable cache ({reason:.200}); it is built again")
    interactions = source.read()
    try:
        result = split(interactions, protocol)
    except DataError as error:
        raise DataError(f"{source.file}: {error}") from error
    try:
        _save(result, path)
    except StoreError as error:
        notify(f"{error}; going on without a cache")
    return result


def _load(path: Path) -> Split:
    arrays = from_npz(path, path.name)
    result = Split.from_arrays(arrays)
    if result.fingerprint() != str(arrays["fingerprint"]):
        raise ValueError("content and fingerprint differ")
    return result


def _save(result: Split, path: Path) -> None:
    arrays: dict[str, Any] = {**result.to_arrays(), "fingerprint": np.array(result.fingerprint())}
    content = io.BytesIO()
    np.savez(content, **arrays)  # compressing it would take as long as the split
    write_file(path, content.getvalue())


def _cache_key(source: _Source, protocol: Protocol) -> str:
    rules = asdict(protocol)
    del rules["preset"]
    identity = json.dumps([source.sha256, source.format, rules, PROTOCOL_VERSION], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
