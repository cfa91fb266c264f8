"""What a plan has to know of a dataset, and the name of one that is a user's own file."""

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
"""Other entries of results/ and tables/ than the folders of datasets: a folder, and files with these suffixes."""
SETTINGS = rf"-({'|'.join(HPARAMS)})-({'|'.join(PROFILES)})"
"""Part of the name of each folder in tables/ that is about several datasets."""


@dataclass(frozen=True)
class DatasetFacts:
    """From `Prepared.facts` or, without the data, from an earlier data.json."""

    title: str
    synthetic: bool
    protocol: Protocol
    fingerprint: str

    @classmethod
    def stored(cls, store: Store, dataset: str, protocol: Protocol) -> DatasetFacts | None:
        """From data.json; None if the dataset has not been prepared under this protocol."""
        data = store.data(dataset) or {"protocols": {}}
        for entry in data["protocols"].values():
            if entry.get("protocol") == protocol.to_json() and "fingerprint" in entry:
                return cls(data["title"], data["synthetic"], protocol, entry["fingerprint"])
        return None


UNKNOWN = DatasetFacts("", False, Protocol(), "")
"""Stands for a dataset where settings are asked for and nothing is run."""


def released_filter_of(dataset: str) -> str:
    """What the released preprocessing filters; a user's own file is not filtered."""
    return DATASETS[dataset].released_filter if dataset in DATASETS else "none"


def label_of(dataset: str, protocol: Protocol) -> str:
    """The protocol's name in print and in data.json, such as "released" or "released,ties=file"."""
    return protocol.label(released_filter_of(dataset))


def name_of(path: Path) -> str:
    """A dataset name for a user's own file, which becomes a folder in results/, tables/ and figures/: the file's name
    without suffixes, in lower case, with hyphens for spaces.

    Where other characters have to be left out, a digest of the name stands for them, so that files with different names
    stay apart. The name differs from those of our datasets and of the other entries.
    """
    stem = re.sub(r"(\.(csv|tsv|inter|txt|data|gz|bz2|xz))+$", "", path.name.lower()).replace(" ", "-")
    slug = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._")
    if not slug or slug != stem or slug.startswith("own-"):
        digest = hashlib.sha256(stem.encode(errors="surrogateescape")).hexdigest()[:6]
        slug = f"{slug or 'interactions'}-{digest}"
    slug = re.sub(rf"\.({'|'.join(FILES)})$", r"-\1", slug)
    return f"own-{slug}" if slug in {*DATASETS, BENCH} or re.search(SETTINGS, slug) else slug
