"""The dataset name of a user's own file, which becomes a folder in results/, tables/ and figures/."""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from benchmark.plan.config import HPARAMS, PROFILES
from datasets.registry import DATASETS

BENCH, FILES = "bench", ("html", "json", "md", "csv", "tex")
"""Other entries of results/ and tables/ than the folders of datasets: a folder, and files with these suffixes."""
SETTINGS = rf"-({'|'.join(HPARAMS)})-({'|'.join(PROFILES)})"
"""Part of the name of each folder in tables/ that is about several datasets."""


def name_of(path: Path) -> str:
    """A dataset name for a user's own file: the file's name without suffixes, in lower case, with hyphens for spaces.

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
