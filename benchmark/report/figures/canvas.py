"""What all figures share: their appearance, panels under a heading, notes about runs, and files that never change."""

from __future__ import annotations

import io
import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import matplotlib as mpl
import numpy as np
import seaborn as sns
from fontTools import subset
from matplotlib import font_manager
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.backends.backend_pdf import FigureCanvasPdf
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.text import Text
from PIL import Image

from benchmark.report.methods import MethodStyle
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import SeedSummary
from benchmark.report.tables.numbers import count
from benchmark.store.atomic_files import write_file

WIDTH = 6.8
"""Inches: the text width of a two-column page."""

PNG_DPI = 200
COLOURS = 256
"""With a palette of this size a PNG looks the same and takes a third of the bytes."""

INK, GREY = "#222222", "#BBBBBB"

FONT = "DejaVu Sans"
"""matplotlib ships this font, so that every machine draws the same glyphs."""

NOTE_WIDTH = 105
"""The number of characters of a legend's title that fit into the width of a figure."""

HEADING_WIDTH = 80
"""The number of characters per line in the heading of a figure of several datasets."""

MOST_TICKS = 6
"""The most ticks on an axis."""

_RC: dict[str, Any] = {
    "axes.edgecolor": "#888888",
    "axes.labelcolor": INK,
    "axes.linewidth": 0.6,
    "axes.titlesize": 8.5,
    "axes.titley": 1.0,  # otherwise matplotlib searches for the height each time it draws an axis
    "figure.titlesize": 10,
    "grid.color": "#E6E6E6",
    "grid.linewidth": 0.6,
    "hatch.linewidth": 0.5,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "lines.linewidth": 1.4,
    "pdf.fonttype": 42,  # text that can be searched and edited, as publishers require
    "text.color": INK,
}

_FONTS = TemporaryDirectory(prefix="fonts-")  # removed when the process ends


@contextmanager
def appearance() -> Iterator[None]:
    """Draw and save figures in the suite's appearance within this context; matplotlib's settings return afterwards."""
    settings = {**sns.axes_style("whitegrid"), **sns.plotting_context("paper", font_scale=0.85), **_RC}
    settings["font.family"] = [_small_font(), FONT]
    with mpl.rc_context(cast(Any, settings)):
        yield


def panels(
    shown: Results | Sequence[Results],
    title: str,
    rows: int,
    columns: int,
    height: float,
    sharex: bool = False,
    sharey: bool = False,
) -> tuple[Figure, np.ndarray]:  # an array of Axes, (rows, columns)
    """Create an empty figure with its axes, headed by its datasets and marked all over if any of them is synthetic."""
    together = [shown] if isinstance(shown, Results) else shown
    synthetic = any(results.synthetic for results in together)
    figure = Figure(figsize=(WIDTH, height), dpi=PNG_DPI, layout=ConstrainedLayoutEngine(w_pad=0.08, h_pad=0.06))
    axes = figure.subplots(rows, columns, sharex=sharex, sharey=sharey, squeeze=False)
    for axis in axes.flat:
        axis.locator_params(nbins=MOST_TICKS - 1)
    mark = " (SYNTHETIC DATA)" if synthetic else ""
    names = ", ".join(results.title for results in together[:-1])
    head = f"{names} and {together[-1].title}" if names else together[0].title
    heading = f"{head}: {title}{mark}"
    figure.suptitle(textwrap.fill(heading, HEADING_WIDTH) if names else heading).set_parse_math(False)
    if synthetic:
        across = figure.text(0.5, 0.5, "SYNTHETIC", ha="center", va="center", fontsize=60, rotation=20, zorder=10)
        across.set(alpha=0.1, color="black", in_layout=False)
    return figure, axes


def points_of(style: MethodStyle, size: float = 4.5) -> dict[str, Any]:
    """The arguments with which Axes.errorbar draws and labels the points of a method."""
    return {
        "label": style.title,
        "color": style.colour,
        "marker": style.marker,
        "markersize": size * (1.5 if style.marker == "*" else 1),
        "markeredgecolor": INK,
        "markeredgewidth": 0.4,
        "elinewidth": 0.8,
    }


def with_deviation(summary: SeedSummary, decimals: int) -> str:
    """`0.25 ± 0.01`, or only the mean if there is one seed."""
    if not summary.n:
        return "not measured"
    spread = f" ± {summary.deviation:.{decimals}f}" if summary.n > 1 else ""
    return f"{summary.mean:.{decimals}f}{spread}"


def seeds_note(groups: Iterable[RunGroup], name_of: Callable[[RunGroup], str], paper: str = "") -> str:
    """The title of a legend: how many seeds the means cover, which groups have fewer, and which have not run.

    `paper`: what the paper calls its figure of this kind, if it has one.
    """
    named: dict[int, dict[str, None]] = {}
    for group in groups:
        named.setdefault(len(group.done), {})[name_of(group)] = None
    most = max(named, default=0)
    parts = [f"mean ± s.d. over {most} seeds" if most > 1 else "one seed, so no deviation"]
    parts += [f"{count(n, 'seed')}: {', '.join(named[n])}" for n in sorted(named.keys() - {0, most})]
    parts += [f"not run: {', '.join(named[0])}"] if 0 in named else []
    parts += [f"in the paper: {paper}"] if paper else []
    return textwrap.fill("; ".join(parts), NOTE_WIDTH, break_on_hyphens=False)


def as_written(texts: Iterable[Text]) -> None:
    """Show texts literally. The name of an external method may hold a $, which would start a formula."""
    for text in texts:
        text.set_parse_math(False)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Write <stem>.pdf and <stem>.png without dates or version stamps, and return both paths."""
    # Each canvas draws the figure once. Figure.savefig would lay it out and draw it again for each file.
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


@cache
def _small_font() -> str:
    """Register a small copy of FONT with the characters that figures usually need, and return its name.

    Every PDF embeds the part of a font that it uses. Cutting that part out of the whole FONT took a third of a report's
    time. Characters that the small font lacks are taken from FONT.
    """
    name, path = "Figure Sans", Path(_FONTS.name, "small.ttf")
    options = subset.Options(layout_features=[], name_IDs=[0, 13], notdef_outline=True, hinting=False)
    options.drop_tables += ["FFTM", "MATH"]
    font = subset.load_font(font_manager.findfont(FONT), options)
    subsetter = subset.Subsetter(options)
    subsetter.populate(unicodes=[*range(0x20, 0x180), *range(0x370, 0x400), 0x2212])  # Latin, Greek, the minus sign
    subsetter.subset(font)
    for name_id, text in ((1, name), (2, "Regular"), (6, name.replace(" ", ""))):
        font["name"].setName(text, name_id, 3, 1, 0x409)
    font.save(path)
    font_manager.fontManager.addfont(path)
    return name
