"""The dataset name of a user's own file, which becomes a folder in results/, tables/ and figures/."""

from __future__ import annotations

import re
from pathlib import Path

from benchmark.plan.config import HPARAMS, PROFILES
from datasets.registry import DATASETS

BENCH, FILES = "bench", ("html", "json", "md", "csv", "tex")
"""Other entries of results/ and tables/ than the folders of datasets: a folder, and files with these suffixes."""
SETTINGS = rf"-({'|'.join(HPARAMS)})-({'|'.join(PROFILES)})"
"""Part of the name of each folder in tables/ that is about several datasets."""


def name_of(path: Path) -> str:
    """A dataset name for a user's own file, different from our datasets' names and from the other entries'."""
    stem = re.sub(r"(\.(csv|tsv|inter|txt|data|gz))+$", "", path.name.lower())
    slug = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._") or "interactions"
    slug = re.sub(rf"\.({'|'.join(FILES)})$", r"-\1", slug)
    return f"own-{slug}" if slug in {*DATASETS, BENCH} or re.search(SETTINGS, slug) else slug
