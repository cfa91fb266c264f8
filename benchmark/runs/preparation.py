"""The stage `prepare`: find and hash the file, read and split it or use the cache, and write data.json."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmark.plan.config import ConfigError
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.store.atomic_files import StoreError, replacing
from benchmark.store.json_text import printable
from benchmark.store.npz import from_npz
from benchmark.store.schema import BAD_STARTS, MAX_TITLE
from benchmark.store.store import Notify, Store
from datasets import synthetic
from datasets.interactions import DataError, Interactions
from datasets.protocol import PROTOCOL_VERSION, Protocol
from datasets.readers.sources import check_regular, open_source
from datasets.registry import DATASETS, READING_VERSION, locate, read_interactions
from datasets.split import Split, split
from datasets.user_labels import UserLabels, user_labels

MOVIELENS = "ml-1m"  # the dataset published with users' gender and age and with genres

MASKED_SHARE_WORTH_A_WARNING = 0.2


@dataclass(frozen=True, eq=False)
class Prepared:
    """A dataset that is ready for runs. `summary` is its entry in data.json, `label` the key of that entry."""

    name: str
    title: str
    synthetic: bool
    label: str
    split: Split
    fingerprint: str
    summary: dict[str, Any]
    labels: UserLabels | None = None  # for downstream tasks

    @property
    def facts(self) -> DatasetFacts:
        return DatasetFacts(self.title, self.synthetic, Protocol(**self.summary["protocol"]), self.fingerprint)

    @property
    def for_record(self) -> dict[str, Any]:
        """The `data` of a run record: the data's origin, fingerprint and size."""
        names = ("source", "sha256", "items", "train_users", "train_interactions", "test_users")
        return {"fingerprint": self.fingerprint} | {name: self.summary[name] for name in names}


def prepare(
    name: str,
    data_dir: Path,
    interactions_path: Path | None,
    protocol: Protocol,
    cache_dir: Path,
    store: Store | None,
    notify: Notify,
    download: bool = True,
) -> Prepared:
    """Split the dataset `name`, or the user's table at `interactions_path`, and write the summary to data.json.

    `notify` is called with warnings. `download`: whether to fetch a missing file from its publisher. Raises DataError
    if the file is missing or cannot be used, and StoreError if data.json cannot be written.
    """
    source = _source(name, data_dir, interactions_path, download)
    result, notes = _split_or_cached(source, protocol, cache_dir, notify)
    fingerprint = result.fingerprint()
    warnings = list(notes)
    if duplicates := result.summary["duplicate_rows"]:
        kept = "they are kept, as the released code keeps them"
        warnings.append(f"rows that repeat an earlier one exactly: {duplicates}; {kept}")
    if (share := result.summary["masked_share"]) > MASKED_SHARE_WORTH_A_WARNING:
        warnings.append(
            f"{share:.0%} of the test targets are in the user's own history, whose items are never recommended: no "
            "method can find them; check the data for repeated rows"
        )
    for warning in warnings:
        notify(f"{source.file}: {warning}")
    summary = {
        "source": source.file,
        "sha256": source.sha256,
        "fingerprint": fingerprint,
        "preset": protocol.preset,
        "protocol": protocol.to_json(),
        "user_numbers": " ".join(map(str, result.test_user_numbers.tolist())),
        **result.summary,
    }
    label = protocol.label(source.released_filter)
    if store is not None:
        store.write_data(name, label, summary, title=source.title, synthetic=source.synthetic)
    return Prepared(name, source.title, source.synthetic, label, result, fingerprint, summary)


def interactions_of(name: str, data_dir: Path, interactions_path: Path | None) -> Interactions:
    """Read again the interactions that `prepare` has split, before any filter and with timestamps; raises DataError."""
    return _source(name, data_dir, interactions_path, download=False).read()


def with_labels(prepared: Prepared, data_dir: Path, interactions_path: Path | None) -> Prepared:
    """Add the users' labels for downstream tasks. Raises DataError if the files are missing or cannot be used.

    Raises ConfigError if scikit-learn is missing, so that the user learns about it before any training.
    """
    if find_spec("sklearn") is None:
        raise ConfigError('--experiments downstream: needs scikit-learn; use pip install -e ".[downstream]"')
    interactions = interactions_of(prepared.name, data_dir, interactions_path)
    path = locate(DATASETS[MOVIELENS], data_dir) if prepared.name == MOVIELENS else None
    labels = user_labels(prepared.split, interactions, prepared.facts.protocol, path)
    return replace(prepared, labels=labels)


# --- where interactions come from -------------------------------------------------------------------------


@dataclass(frozen=True)
class _RawData:
    file: str  # the name without the path, which is private: records are published
    sha256: str
    read: Callable[[], Interactions]
    format: str
    title: str
    released_filter: str = "none"
    synthetic: bool = False


def _source(name: str, data_dir: Path, interactions_path: Path | None, download: bool) -> _RawData:
    if (path := interactions_path) is not None:
        title = printable(path.stem).lstrip(BAD_STARTS)[:MAX_TITLE] or "interactions"
        return _RawData(printable(path.name), file_sha256(path), partial(read_interactions, path), "table", title)
    dataset = DATASETS[name]
    about = (name, dataset.title, dataset.released_filter, dataset.is_synthetic)
    if dataset.is_synthetic:
        data, digest = synthetic.demo(seed=0), hashlib.sha256()
        for values in (data.user_ids, data.item_ids, data.timestamps):
            digest.update(values.astype("<i8").tobytes())
        return _RawData("embedded synthetic generator", digest.hexdigest(), lambda: data, *about)
    path = locate(dataset, data_dir, download)
    return _RawData(path.name, file_sha256(path), partial(read_interactions, path, dataset), *about)


def file_sha256(path: Path) -> str:
    """Compute the SHA-256 (hex) of a file, or of the table inside a .csv.gz, which does not depend on compression."""
    check_regular(path)
    try:
        with open_source(path) if path.name.endswith(".csv.gz") else path.open("rb") as stream:
            return hashlib.file_digest(stream, "sha256").hexdigest()
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror}); check the path and its permissions") from error


# --- the cache --------------------------------------------------------------------------------------------


def _split_or_cached(
    source: _RawData, protocol: Protocol, cache_dir: Path, notify: Notify
) -> tuple[Split, Sequence[str]]:
    """Return the split and the reader's notes about the file, both from the cache if possible."""
    path = cache_dir / f"{_cache_key(source, protocol)}.npz"
    if path.exists():
        try:
            return _load(path)
        except Exception as error:  # arrays of a wrong type, shape or name can raise almost anything
            reason = printable(f"{type(error).__name__}: {error}".replace("\n", " "))
            notify(f"{path}: unusable cache ({reason:.200}); building it again")
    interactions = source.read()
    try:
        result = split(interactions, protocol)
    except DataError as error:
        raise DataError(f"{source.file}: {error}") from error
    arrays: dict[str, Any] = {**result.to_arrays(), "fingerprint": np.array(result.fingerprint())}
    arrays["notes"] = np.array(interactions.notes, dtype=str)
    try:
        with replacing(path) as stream:
            np.savez(stream, **arrays)  # uncompressed, because compressing would take as long as splitting
    except StoreError as error:
        notify(f"{error}; going on without a cache")
    return result, interactions.notes


def _load(path: Path) -> tuple[Split, Sequence[str]]:
    arrays = from_npz(path, path.name)
    result = Split.from_arrays(arrays)
    if result.fingerprint() != str(arrays["fingerprint"]):
        raise ValueError("content and fingerprint differ")
    return result, arrays["notes"].tolist()


def _cache_key(source: _RawData, protocol: Protocol) -> str:
    rules = protocol.to_json()
    if not protocol.is_leave_one_out:  # other presets are only names for the rest of the protocol
        del rules["preset"]
    identity = json.dumps([source.sha256, source.format, rules, PROTOCOL_VERSION, READING_VERSION], sort_keys=True)
    return hashlib.sha256(identity.encode()).hexdigest()[:32]
