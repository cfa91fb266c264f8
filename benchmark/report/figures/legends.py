"""What is written in figures about runs: how many seeds are behind a mean, and a number with its deviation."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable

from matplotlib.text import Text

from benchmark.report.query import RunGroup
from benchmark.report.significance import SeedSummary

NOTE_WIDTH = 105
"""Characters of a legend's title that fit the width of a figure."""


def with_deviation(summary: SeedSummary, decimals: int) -> str:
    """Such as `0.25 ± 0.01`; without the deviation where there is one seed."""
    if not summary.n:
        return "not measured"
    spread = f" ± {summary.deviation:.{decimals}f}" if summary.n > 1 else ""
    return f"{summary.mean:.{decimals}f}{spread}"


def seeds_note(groups: Iterable[RunGroup], name_of: Callable[[RunGroup], str], paper: str = "") -> str:
    """Over how many seeds means are taken, which groups have fewer, and which have not run, for a legend's title.

    `paper`: the paper's figure of this kind, if it has one.
    """
    counts = {name_of(group): len(group.done) for group in groups}
    most = max(counts.values(), default=0)
    parts = [f"mean ± s.d. over {most} seeds" if most > 1 else "one seed, so no deviation"]
    parts += [f"{n} seed{'s' * (n > 1)}: {_names(counts, n)}" for n in sorted(set(counts.values()) - {0, most})]
    if 0 in counts.values():
        parts.append(f"not run: {_names(counts, 0)}")
    parts += [f"in the paper: {paper}"] if paper else []
    return textwrap.fill("; ".join(parts), NOTE_WIDTH, break_on_hyphens=False)


def as_written(texts: Iterable[Text]) -> None:
    """Show names as they are: the name of an external method may hold a $, which would start a formula."""
    for text in texts:
        text.set_parse_math(False)


def _names(counts: dict[str, int], n: int) -> str:
    return ", ".join(label for label, count in counts.items() if count == n)
