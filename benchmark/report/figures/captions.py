"""The captions of figures, from captions.toml."""

from __future__ import annotations

import tomllib
from functools import cache
from pathlib import Path
from typing import Any

from benchmark.report.query import Results
from benchmark.report.tables.layout import synthetic_warning


def paper_figure(name: str, dataset: str) -> str:
    """What the paper calls its figures of this kind, such as `Figures 3, 6 and 8`; empty if it has none."""
    entry = _captions()["figures"].get(name, {})
    return str(entry.get("paper_on", {}).get(dataset, entry.get("paper", "")))


def caption(name: str, results: Results) -> str:
    """The caption of one of FIGURES, which begins with a warning if the data is synthetic."""
    paper, captions = paper_figure(name, results.dataset), _captions()
    text = " ".join(captions["figures"][name]["text"].format(**captions).split())
    source = f" In the paper: {paper}." if paper else ""
    return f"{synthetic_warning(results.synthetic)}{results.heading}. {text}{source}"


@cache
def _captions() -> dict[str, Any]:
    return tomllib.loads((Path(__file__).parent / "captions.toml").read_text(encoding="utf-8"))
