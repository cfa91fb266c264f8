"""How each method is shown: its title, its place in the order, and one look in every figure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from baselines.registry import METHODS


@dataclass(frozen=True)
class Look:
    """A method in print. `dashes`: a line style; `hatch`: a bar's pattern, so that grey prints can be read too."""

    title: str
    colour: str
    marker: str
    dashes: str | tuple[float, tuple[float, ...]] = "-"
    hatch: str = ""


# Okabe and Ito's colour-blind safe hues: a family shares one, and its members differ in lightness, marker and dashes.
LOOKS: dict[str, Look] = {
    "sasrec-bce": Look("SASRec (BCE)", "#9CCBEB", "o", (0, (1, 1))),
    "sasrec-ce": Look("SASRec (CE)", "#3C8DC5", "s", (0, (4, 1.5))),
    "sasrec-sce": Look("SASRec (SCE)", "#0B4A7A", "D", "-"),
    "cl4srec": Look("CL4SRec", "#E69F00", "^", (0, (5, 1, 1, 1)), "//"),
    "duorec": Look("DuoRec", "#009E73", "v", (0, (3, 1, 1, 1, 1, 1)), "\\\\"),
    "ec4srec": Look("EC4SRec", "#CC79A7", "P", (0, (2, 1)), "xx"),
    "btsr-bce": Look("BT-SR (BCE)", "#F2A380", "<", (0, (1, 1)), ".."),
    "btsr-ce": Look("BT-SR (CE)", "#D55E00", "*", "-", ".."),
    "btsr-sce": Look("BT-SR (SCE)", "#7A2E00", "X", (0, (4, 1.5)), ".."),
    "popularity": Look("Most popular", "#999999", "d", (0, (1, 2))),
    "markov": Look("Markov chain", "#666666", "h", (0, (6, 2))),
    "two-stage": Look("Two-stage BT", "#B8A200", "p", (0, (4, 2, 1, 2)), "++"),
}
"""Every method in the order of presentation: the paper's Table 2 first, then what it does not have."""

BTSR = ("btsr-bce", "btsr-ce", "btsr-sce")
"""BT-SR on each objective; in a table `btsr` is the one of them that validation chose."""

_UNKNOWN = ("#000000", "1", (0, (1, 3)))


_EXTERNAL_MARKERS = ("1", "2", "3", "4", "+", "x")


def external_look(title: str, place: int) -> Look:
    """Somebody else's recommendations: in black under the name they were given; `place`, from 0, decides the marker."""
    return Look(f"{title} (external)", "#000000", _EXTERNAL_MARKERS[place % len(_EXTERNAL_MARKERS)], (0, (1, 3)))


def look(method: str) -> Look:
    """A method that this table does not know is shown in black, under its title in the registry or else its name."""
    if method in LOOKS:
        return LOOKS[method]
    return Look(METHODS[method].title if method in METHODS else method, *_UNKNOWN)


def in_order(methods: Iterable[str]) -> list[str]:
    """Distinct methods in the order of presentation, unknown ones last and by name."""
    known = list(LOOKS)
    return sorted(set(methods), key=lambda name: (known.index(name) if name in LOOKS else len(known), name))
