"""How each method is shown: its title, its place in the order, and one style for all figures."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from baselines.method import Look
from baselines.registry import METHODS

Dashes = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class MethodStyle:
    """How a method looks in print. `dashes` (lines) and `hatch` (bars) keep it apart from the others in grey, too."""

    title: str
    colour: str
    marker: str
    dashes: Dashes = "-"
    hatch: str = ""


# Okabe and Ito's colours, which colour-blind readers can tell apart. The methods of a family share a hue and differ in
# lightness, marker and dashes.
STYLES: dict[str, MethodStyle] = {
    "sasrec-bce": MethodStyle("SASRec (BCE)", "#9CCBEB", "o", (0, (1, 1))),
    "sasrec-ce": MethodStyle("SASRec (CE)", "#3C8DC5", "s", (0, (4, 1.5))),
    "sasrec-sce": MethodStyle("SASRec (SCE)", "#0B4A7A", "D", "-"),
    "cl4srec": MethodStyle("CL4SRec", "#E69F00", "^", (0, (5, 1, 1, 1)), "//"),
    "duorec": MethodStyle("DuoRec", "#009E73", "v", (0, (3, 1, 1, 1, 1, 1)), "\\\\"),
    "ec4srec": MethodStyle("EC4SRec", "#CC79A7", "P", (0, (2, 1)), "xx"),
    "btsr-bce": MethodStyle("BT-SR (BCE)", "#F2A380", "<", (0, (1, 1)), ".."),
    "btsr-ce": MethodStyle("BT-SR (CE)", "#D55E00", "*", "-", ".."),
    "btsr-sce": MethodStyle("BT-SR (SCE)", "#7A2E00", "X", (0, (4, 1.5)), ".."),
    "popularity": MethodStyle("Most popular", "#999999", "d", (0, (1, 2))),
    "markov": MethodStyle("Markov chain", "#666666", "h", (0, (6, 2))),
    "two-stage": MethodStyle("Two-stage BT", "#B8A200", "p", (0, (4, 2, 1, 2)), "++"),
}
"""Every method of the reproduction in display order: the columns of the paper's Table 2 first, then the others."""

_OWN_COLOURS = ("#000000", "#882255", "#117733", "#332288", "#999933")
_OWN_MARKERS = ("H", ">", "8", "d", "^", "s", "v")


def style_of(method: str) -> MethodStyle:
    """The style of a method. One that STYLES lacks gets the look from its registry entry, or one of its own."""
    if method in STYLES:
        return STYLES[method]
    if method not in METHODS:
        return _own_style(method, 0)
    return _own_style(METHODS[method].title, _unlisted().index(method), METHODS[method].look)


def external_style(title: str, index: int) -> MethodStyle:
    """The style of recommendations made elsewhere; `index` counts these from 0, so that each looks different."""
    return _own_style(f"{title} (external)", len(_unlisted()) + index)


def is_own(method: str) -> bool:
    """Whether a method is not part of the reproduction: the user's own method, or recommendations made elsewhere."""
    return method not in STYLES


def _unlisted() -> list[str]:
    return [method for method in METHODS if is_own(method)]


def _own_style(title: str, index: int, look: Look | None = None) -> MethodStyle:
    """Use `look` if there is one, otherwise the `index`-th of 35 combinations of colour and marker."""
    own = look or Look(_OWN_COLOURS[index % len(_OWN_COLOURS)], _OWN_MARKERS[index % len(_OWN_MARKERS)])
    return MethodStyle(title, own.colour, own.marker, (0, (1, 3)))


def title_of(method: str) -> str:
    """The title of a method, such as `BT-SR (CE)`."""
    return style_of(method).title


def in_order(methods: Iterable[str]) -> list[str]:
    """Distinct methods in display order: as in STYLES, then as registered, then unknown ones by name."""
    ranks = {name: rank for rank, name in enumerate([*STYLES, *_unlisted()])}
    return sorted(set(methods), key=lambda name: (ranks.get(name, len(ranks)), name))
