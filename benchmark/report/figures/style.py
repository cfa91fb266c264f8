"""One look for every figure, and files that come out the same to the byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import seaborn as sns
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from numpy.typing import NDArray

from benchmark.report.rows import RunSet
from benchmark.store.atomic_files import write_file

WIDTH = 6.8  # inches: the text width of a two-column page
PNG_DPI = 200
INK, GREY = "#222222", "#BBBBBB"

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same glyphs
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.5,
    "figure.titlesize": 10,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # outlines that can be searched and edited, as publishers ask
    "text.color": INK,
}


@contextmanager
def style() -> Iterator[None]:
    """Within it figures are drawn and saved in the suite's look; nothing changes for anybody else."""
    look = {**sns.axes_style("whitegrid"), **sns.plotting_context("paper", font_scale=0.85), **_RC}
    with mpl.rc_context(cast(Any, look)):
        yield


def panels(
    runs: RunSet, title: str, rows: int, columns: int, height: float
) -> tuple[Figure, NDArray]:  # an array of Axes, (rows, columns)
    """An empty figure with its axes, headed by whose runs it shows; on synthetic data it is marked across the whole."""
    figure = Figure(figsize=(WIDTH, height), layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    axes = figure.subplots(rows, columns, squeeze=False)
    mark = " (SYNTHETIC DATA)" if runs.synthetic else ""
    figure.suptitle(f"{runs.heading}: {title}{mark}").set_parse_math(False)
    if runs.synthetic:
        across = figure.text(0.5, 0.5, "SYNTHETIC", ha="center", va="center", fontsize=60, rotation=20, zorder=10)
        across.set(alpha=0.1, color="black", in_layout=False)
    return figure, axes


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write <stem>.pdf and <stem>.png without dates or version stamps; returns both paths."""
    figure.draw_without_rendering()  # lays the figure out, once for both files
    figure.set_layout_engine("none")
    paths = []
    for suffix, dpi, metadata in (
        ("pdf", 72, {"CreationDate": None, "Creator": None, "Producer": None}),
        ("png", PNG_DPI, {"Software": None}),
    ):
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, dpi=dpi, metadata=metadata)
        paths.append(stem.with_name(f"{stem.name}.{suffix}"))
        write_file(paths[-1], buffer.getvalue())
    return paths
