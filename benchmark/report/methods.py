"""How each method is shown: its title, its place in the order, and one style in every figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from baselines.method import Look
from baselines.registry import METHODS

Dashes = str | tuple[float, tuple[float, ...]]


@dataclass(frozen=True)
class MethodStyle:
    """A method in print. `dashes`: a line style; `hatch`: a bar's pattern, so that grey prints can be read too."""

    title: str
    colour: str
    marker: str
    dashes: Dashes = "-"
    hatch: str = ""


# Okabe and Ito's colour-blind safe hues: a family shares one, and its members differ in lightness, marker and dashes.
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
"""Every method in the order of presentation: the paper's Table 2 first, then what it does not have."""

_OWN_COLOURS = ("#000000", "#882255", "#117733", "#332288", "#999933")
_OWN_MARKERS = ("H", ">", "8", "d", "^", "s", "v")


def style_of(method: str) -> MethodStyle:
    """A method that STYLES lacks is shown as its entry in the registry says, or in a look of its own."""
    if method in STYLES:
        return STYLES[method]
    if method not in METHODS:
        return _own_style(method, 0)
    return _own_style(METHODS[method].title, _unlisted().index(method), METHODS[method].look)


def external_style(title: str, place: int) -> MethodStyle:
    """Recommendations made elsewhere, under the name they were given; `place`, from 0, is that among all of them."""
    return _own_style(f"{title} (external)", len(_unlisted()) + place)


def is_own(method: str) -> bool:
    """Whether it lies outside the reproduction, like a method of one's own or recommendations made elsewhere."""
    return method not in STYLES


def _unlisted() -> list[str]:
    return [method for method in METHODS if is_own(method)]


def _own_style(title: str, place: int, look: Look | None = None) -> MethodStyle:
    """As in `look`, or in one of 35 combinations of colour and marker, by `place`."""
    own = Look(_OWN_COLOURS[place % len(_OWN_COLOURS)], _OWN_MARKERS[place % len(_OWN_MARKERS)])
    return MethodStyle(title, (look or own).colour, (look or own).marker, (0, (1, 3)))


def title_of(method: str) -> str:
    """A method's name in print, such as `BT-SR (CE)`."""
    return style_of(method).title


def in_order(methods: Iterable[str]) -> list[str]:
    """Distinct methods in the order of presentation, then in that of the registry, unknown ones last and by name."""
    places = {name: place for place, name in enumerate([*STYLES, *_unlisted()])}
    return sorted(set(methods), key=lambda name: (places.get(name, len(places)), name))
