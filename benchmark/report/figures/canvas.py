"""What every figure is drawn on: one appearance, panels under a heading, files that are the same to the byte."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import seaborn as sns
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from PIL import Image

from benchmark.report.query import Results
from benchmark.store.atomic_files import write_file

WIDTH = 6.8
"""Inches: the text width of a two-column page."""

PNG_DPI = 200
COLOURS = 256
"""Of a PNG: it looks the same, and its file takes a third of the bytes."""

INK, GREY = "#222222", "#BBBBBB"

_RC: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that every machine draws the same glyphs
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.5,
    "axes.titley": 1.0,  # a fixed height, which need not be searched for each time an axis is drawn
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
def appearance() -> Iterator[None]:
    """Within it figures are drawn and saved in the suite's appearance; outside it nothing changes."""
    settings = {**sns.axes_style("whitegrid"), **sns.plotting_context("paper", font_scale=0.85), **_RC}
    with mpl.rc_context(cast(Any, settings)):
        yield


def panels(
    results: Results,
    title: str,
    rows: int,
    columns: int,
    height: float,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, np.ndarray]:  # an array of Axes, (rows, columns)
    """An empty figure with its axes, headed by whose runs it shows; on synthetic data it is marked across the whole."""
    figure = Figure(figsize=(WIDTH, height), dpi=PNG_DPI, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    mark = " (SYNTHETIC DATA)" if results.synthetic else ""
    figure.suptitle(f"{results.heading}: {title}{mark}").set_parse_math(False)
    if results.synthetic:
        across = figure.text(0.5, 0.5, "SYNTHETIC", ha="center", va="center", fontsize=60, rotation=20, zorder=10)
        across.set(alpha=0.1, color="black", in_layout=False)
    return figure, axes


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write <stem>.pdf and <stem>.png without dates or version stamps; returns both paths."""
    # Each canvas draws the figure once. Figure.savefig would lay it out and draw it once more for each of the files.
    canvas, png, pdf = FigureCanvasAgg(figure), io.BytesIO(), io.BytesIO()
    canvas.draw()
    image = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert("RGB")
    image.quantize(COLOURS, Image.Quantize.FASTOCTREE, dither=Image.Dither.NONE).save(png, format="PNG")
    figure.set_layout_engine("none")
    FigureCanvasPdf(figure).print_pdf(pdf, metadata={"CreationDate": None, "Creator": None, "Producer": None})
    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("pdf", "png")]
    for path, content in zip(paths, (pdf, png), strict=True):
        write_file(path, content.getvalue())
    return paths
