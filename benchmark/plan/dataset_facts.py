"""What a plan needs to know about a dataset, and how a user's own file gets a dataset name."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from benchmark.plan.run_spec import HPARAMS, PROFILES
from benchmark.store.store import Store
from datasets.protocol import Protocol
from datasets.registry import DATASETS

BENCH, FILES = "bench", ("html", "json", "md", "csv", "tex")
"""Other entries of results/ and tables/ than the datasets' folders: this folder, and files with these suffixes."""
SETTINGS = rf"-({'|'.join(HPARAMS)})-({'|'.join(PROFILES)})"
"""Occurs in the name of every folder in tables/ that covers several datasets."""


@dataclass(frozen=True)
class DatasetFacts:
    """What a plan needs to know about prepared data. It comes from the data itself or from an earlier data.json."""

    title: str
    synthetic: bool
    protocol: Protocol
    fingerprint: str

    @classmethod
    def stored(cls, store: Store, dataset: str, protocol: Protocol) -> DatasetFacts | None:
        """Read the facts from data.json; None if the dataset was not prepared under this protocol."""
        data = store.data(dataset) or {"protocols": {}}
        for entry in data["protocols"].values():
            if entry.get("protocol") == protocol.to_json() and "fingerprint" in entry:
                return cls(data["title"], data["synthetic"], protocol, entry["fingerprint"])
        return None


UNKNOWN = DatasetFacts("", False, Protocol(), "")
"""A placeholder for looking up settings when no data is needed."""


def released_filter_of(dataset: str) -> str:
    """Return the filter of the released preprocessing; a user's own file is not filtered."""
    return DATASETS[dataset].released_filter if dataset in DATASETS else "none"


def label_of(dataset: str, protocol: Protocol) -> str:
    """Return the protocol's name in print and in data.json, such as "released" or "released,ties=file"."""
    return protocol.label(released_filter_of(dataset))


def dataset_name_for(path: Path) -> str:
    """Derive a dataset name from the name of a user's own file. It names folders in results/, tables/ and figures/.

    The name is the file's name in lower case without suffixes, with hyphens for spaces. Other special characters are
    replaced by a digest of the whole name, so that different file names stay different. The result never collides with
    a known dataset or with other files in those folders.
    """
    stem = re.sub(r"(\.(csv|tsv|inter|txt|data|gz|bz2|xz))+$", "", path.name.lower()).replace(" ", "-")
    slug = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")
    if not slug or slug != stem or slug.startswith("own-"):
        digest = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:6]
        slug = f"{slug or 'interactions'}-{digest}"
    slug = re.sub(rf"\.({'|'.join(FILES)})$", r"-\1", slug)
    return f"own-{slug}" if slug in {*DATASETS, BENCH} or re.search(SETTINGS, slug) else slug
