"""What is written in figures about runs: how many seeds are behind a mean, and a number with its deviation."""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable

from matplotlib.text import Text

from benchmark.report.query import RunGroup
from benchmark.report.significance import SeedSummary
from benchmark.report.tables.numbers import count

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
    """Show names as they are: the name of an external method may hold a $, which would start a formula."""
    for text in texts:
        text.set_parse_math(False)
