"""Settings of the evaluation protocol. Imports neither torch nor pandas."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from typing import Annotated, Any, Literal, cast, get_args

from annotated_types import Interval

PROTOCOL_VERSION = 1
"""Part of run and cache keys. Raise it whenever reading, filtering or splitting gives different numbers."""

Preset = Literal["released", "text", "leave-one-out", "sets"]
Filter = Literal["none", "core", "one-pass"]
History = Literal["after-T", "full"]
PRESETS: tuple[Preset, ...] = get_args(Preset)
PAPER_PRESETS = ("released", "text")

TIE_DRAWS = 10
"""With ties="draws", results are averaged over this many draws of each test user's targets."""

OPEN = 1.0
"""The value of `until` for a window of test events that has no end."""

N_BUCKETS = 3
"""The number of popularity buckets of the catalogue."""


@dataclass(frozen=True)
class Protocol:
    """How interactions become a split. An impossible value raises a one-line ValueError that names its key.

    The presets "released" and "text" divide the data at a time T. In "leave-one-out" every user trains, and their last
    two items are the targets. "sets" is the same for items without an order: two random distinct items are the targets.

    The filter "core" repeatedly drops users and items with fewer than 5 interactions; "one-pass" drops items with fewer
    than 5 users and then users with fewer than 20 items.

    `ties` orders simultaneous events: "file" keeps the order of the file, "item" sorts by item id, and "shuffle:<seed>"
    draws an order once. "draws" draws both targets of a test user TIE_DRAWS times from the last simultaneous events and
    averages every metric over the draws.
    """

    preset: Preset = "released"
    filter: Filter = "none"
    history: History = "after-T"  # drop a test user's events before T, or use them as input to the model ("full")
    ties: str = "draws"
    quantile: Annotated[float, Interval(ge=0.01, le=0.999999)] = 0.95  # of all timestamps, where T is
    until: Annotated[float, Interval(ge=0.01, le=OPEN)] = OPEN  # the quantile where the window of test events ends
    min_events: Annotated[int, Interval(ge=3, le=1000)] = 3  # of a test user, within the window if there is one

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
        """Return the protocol of a preset for a dataset whose released preprocessing applies `released_filter`.

        Leave-one-out keeps simultaneous events in file order, like the publications that report it.
        """
        chosen = "core" if preset == "text" else released_filter
        ties = {"leave-one-out": "file", "sets": "shuffle:0"}.get(preset, "draws")
        return cls(preset=cast(Preset, preset), filter=cast(Filter, chosen), ties=ties)

    def to_json(self) -> dict[str, Any]:
        """Convert for keys, records and data.json. An open `until` is left out, since older ones do not have it."""
        table = asdict(self)
        if self.until == OPEN:
            del table["until"]
        return table

    def label(self, released_filter: str) -> str:
        """Return the preset's name and all settings that differ from it, such as "released,history=full"."""
        defaults = asdict(Protocol.of_preset(self.preset, released_filter))
        differences = [f"{key}={value}" for key, value in asdict(self).items() if value != defaults[key]]
        return ",".join([self.preset, *differences])

    @property
    def is_leave_one_out(self) -> bool:
        """Whether two items of every user are the targets, instead of some users' events after a time T."""
        return self.preset in ("leave-one-out", "sets")

    @property
    def tie_seed(self) -> int | None:
        """The seed of "shuffle:<seed>", or None if no order is drawn."""
        return int(self.ties.removeprefix("shuffle:")) if self.ties.startswith("shuffle:") else None


def _require(condition: bool, key: str, value: object, allowed: str) -> None:
    if not condition:
        raise ValueError(f"protocol.{key}: {value!r} is not possible; give {allowed}")
