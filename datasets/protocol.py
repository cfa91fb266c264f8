"""The evaluation protocol's settings: how interactions become a split. Imports neither torch nor pandas."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast, get_args

from annotated_types import Interval

PROTOCOL_VERSION = 1
"""Part of run and cache keys: raise it whenever reading, filtering or splitting gives other numbers."""

Preset = Literal["released", "text", "leave-one-out", "sets"]
Filter = Literal["none", "core", "one-pass"]
History = Literal["after-T", "full"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
PAPER_PRESETS = ("released", "text")

TIE_DRAWS = 10
"""How many draws of a test user's targets "draws" averages over."""

OPEN = 1.0
"""The value of `until` that stands for a window without an end."""

N_BUCKETS = 3
"""Into how many popularity thirds the catalogue is divided."""


@dataclass(frozen=True)
class Protocol:
    """How interactions become a split. An impossible value raises ValueError: one line that names its key.

    `preset`: where the other values come from; "leave-one-out" is another split besides: every user trains and is
    tested on their last two items, so that `history`, `quantile` and `until` have no meaning. "sets" is the same for
    users whose items have no order: two of their distinct items, drawn at random, are the targets. `filter`: "none";
    "core": users and items with fewer than 5 interactions go, repeatedly; "one-pass": items with fewer than 5 users
    go, then users with fewer than 20 items. `history`: what a test user did before T is dropped ("after-T") or is
    model input ("full"). `ties`: both targets of a test user are drawn TIE_DRAWS times from the last simultaneous
    events and every metric is the mean over the draws ("draws"), simultaneous events stay in file order ("file") or go
    by ascending item id ("item", the order that files sorted by item have), or their order is drawn once
    ("shuffle:<seed>"). `quantile`: where T lies in the sorted timestamps. `until`: where the window of test events ends
    in them, OPEN if it has no end. `min_events`: how many events within the window, or under leave-one-out in all, a
    test user needs.
    """

    preset: Preset = "released"
    filter: Filter = "none"
    history: History = "after-T"
    ties: str = "draws"
    quantile: Annotated[float, Interval(ge=0.01, le=0.999999)] = 0.95
    until: Annotated[float, Interval(ge=0.01, le=OPEN)] = OPEN
    min_events: Annotated[int, Interval(ge=3, le=1000)] = 3

    def __post_init__(self) -> None:
        for key, kind in (("preset", Preset), ("filter", Filter), ("history", History)):
            _require(getattr(self, key) in get_args(kind), key, getattr(self, key), " or ".join(get_args(kind)))
        is_tie_rule = re.fullmatch(r"file|item|draws|shuffle:[0-9]{1,18}", self.ties) is not None
        _require(is_tie_rule, "ties", self.ties, "draws, file, item or shuffle:<seed>")
        _require(0 < self.quantile < 1, "quantile", self.quantile, "a number between 0 and 1")
        _require(0 < self.until <= OPEN, "until", self.until, "a number above 0 and up to 1, which means no end")
        _require(self.min_events >= 3, "min_events", self.min_events, "3 or more: history and two targets")
        if self.preset == "sets":
            _require(self.tie_seed is not None, "ties", self.ties, "shuffle:<seed>: the items of a set have no order")
        if self.is_leave_one_out:
            for key, default in (("history", "after-T"), ("quantile", 0.95), ("until", OPEN)):
                value = getattr(self, key)
                _require(value == default, key, value, f"{default}: {self.preset} has no time T")

    @classmethod
    def of_preset(cls, preset: str, released_filter: str) -> Protocol:
        """What a preset means for a dataset, whose released preprocessing applies `released_filter`.

        Under leave-one-out the order of the file decides between simultaneous events, as where its numbers were
        published.
        """
        chosen = "core" if preset == "text" else released_filter
        ties = {"leave-one-out": "file", "sets": "shuffle:0"}.get(preset, "draws")
        return cls(preset=cast(Preset, preset), filter=cast(Filter, chosen), ties=ties)

    def to_json(self) -> dict[str, Any]:
        """As keys, records and data.json have it: without `until` where it is OPEN, as they were before windows."""
        table = asdict(self)
        if self.until == OPEN:
            del table["until"]
        return table

    def label(self, released_filter: str) -> str:
        """The preset's name and every departure from what it means, such as "released,history=full"."""
        meaning = asdict(Protocol.of_preset(self.preset, released_filter))
        departures = [f"{key}={value}" for key, value in asdict(self).items() if value != meaning[key]]
        return ",".join([self.preset, *departures])

    @property
    def is_leave_one_out(self) -> bool:
        """Whether two items of every user are the targets, instead of what some users did from a time T on."""
        return self.preset in ("leave-one-out", "sets")

    @property
    def tie_seed(self) -> int | None:
        """The seed of "shuffle:<seed>", else None: no order is drawn."""
        return int(self.ties.removeprefix("shuffle:")) if self.ties.startswith("shuffle:") else None


def _require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise ValueError(f"protocol.{key}: {value!r} is not possible; give {allowed}")
