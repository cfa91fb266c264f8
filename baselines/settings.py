"""Settings that several methods share and the bounds of all of them; imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Interval

NEUTRAL = "neutral"
"""In a field's metadata: the value at which the setting does nothing. It is left out of the run key then, so that a
setting can be added without voiding the runs that were made before it."""

Precision = Literal["fp32", "bf16"]
"""Of the large products in training."""

Padding = Literal["masked", "attended"]
"""What real positions see of the padding before a sequence that is shorter than maxlen: nothing, or zeroed items."""

Norm = Literal["query", "post"]
"""Where a layer of the Transformer normalises: its queries and the input of its feed-forward part, as the released code
does, or the output of both its parts, as BERT and RecBole do."""

Share = Annotated[float, Interval(ge=0, le=1)]
Weight = Annotated[float, Interval(ge=0, le=1e6)]
Temperature = Annotated[float, Interval(ge=1e-6, le=1e6)]


@dataclass(frozen=True)
class EncoderSettings:
    """Sizes of the encoder; the defaults are the reproduction's shared ones."""

    width: Annotated[int, Interval(ge=1, le=4096)] = 64  # D
    blocks: Annotated[int, Interval(ge=1, le=64)] = 2
    heads: Annotated[int, Interval(ge=1, le=64)] = 1
    dropout: Annotated[float, Interval(ge=0, le=0.99)] = 0.3
    maxlen: Annotated[int, Interval(ge=1, le=10_000)] = 50  # L: of longer sequences the last items are seen
    padding: Padding = field(default="masked", metadata={NEUTRAL: "masked"})  # "attended": as in the released code
    norm: Norm = field(default="query", metadata={NEUTRAL: "query"})


@dataclass(frozen=True)
class Shares:
    """Which share of a sequence's items an operator keeps or touches."""

    crop: Share = 0.6  # the share that is kept
    mask: Share = 0.3
    reorder: Share = 0.6
    substitute: Share = 0.3


def check_bounds(settings: Any) -> None:
    """Raise TypeError unless each number among the settings, nested ones included, is declared with a lower and an
    upper bound, such as `Annotated[float, Interval(ge=0, le=1)]`.
    """
    hints = get_type_hints(type(settings), include_extras=True)
    for each in fields(settings):
        value = getattr(settings, each.name)
        if is_dataclass(value):
            check_bounds(value)
        elif not _is_bounded(hints[each.name]):
            raise TypeError(
                f"{type(settings).__qualname__}.{each.name}: a number without bounds; declare it as "
                "Annotated[float, Interval(ge=..., le=...)], or int"
            )


def _is_bounded(kind: Any) -> bool:
    """Whether a number of this type, or each number in a tuple of it, has both bounds; other types need none."""
    declared = getattr(kind, "__metadata__", ())
    if any(isinstance(each, Interval) and None not in (each.ge, each.le) for each in declared):
        return True
    return kind not in (int, float) and all(map(_is_bounded, get_args(kind)))
