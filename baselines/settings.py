"""Settings that several methods share, and the check that every numeric setting has bounds. Imports no torch."""

from __future__ import annotations

from dataclasses import dataclass, field, fields, is_dataclass
from typing import Annotated, Any, Literal, get_args, get_type_hints

from annotated_types import Interval

NEUTRAL = "neutral"
"""Metadata key of a field: the value at which the setting has no effect. The run key leaves the setting out at that
value, so a new setting does not invalidate earlier runs."""

Precision = Literal["fp32", "bf16"]
"""The number format of the large matrix products in training."""

Padding = Literal["masked", "attended"]
"""Whether attention ignores the padding before a short sequence, or attends to it as to zeroed items."""

Norm = Literal["query", "post"]
"""Where a Transformer layer normalises: the queries and the input of the feed-forward part, as in the released code, or
the output of both parts, as in BERT and RecBole."""

Share = Annotated[float, Interval(ge=0, le=1)]
Weight = Annotated[float, Interval(ge=0, le=1e6)]
Temperature = Annotated[float, Interval(ge=1e-6, le=1e6)]


@dataclass(frozen=True)
class EncoderSettings:
    """Architecture of the encoder. The defaults are the ones that all methods share in the reproduction."""

    width: Annotated[int, Interval(ge=1, le=4096)] = 64  # D
    blocks: Annotated[int, Interval(ge=1, le=64)] = 2
    heads: Annotated[int, Interval(ge=1, le=64)] = 1
    dropout: Annotated[float, Interval(ge=0, le=0.99)] = 0.3
    maxlen: Annotated[int, Interval(ge=1, le=10_000)] = 50  # L: longer sequences are cut to their last L items
    padding: Padding = field(default="masked", metadata={NEUTRAL: "masked"})  # the released code: "attended"
    norm: Norm = field(default="query", metadata={NEUTRAL: "query"})


@dataclass(frozen=True)
class Shares:
    """The share of a sequence's items that each augmentation keeps (crop) or changes (the others)."""

    crop: Share = 0.6
    mask: Share = 0.3
    reorder: Share = 0.6
    substitute: Share = 0.3


def check_bounds(settings: Any) -> None:
    """Raise TypeError unless every number in a settings dataclass, also a nested one, declares both of its bounds."""
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
    """Return whether a type, or every type inside a tuple type, either has both bounds or is not numeric."""
    declared = getattr(kind, "__metadata__", ())
    if any(isinstance(each, Interval) and None not in (each.ge, each.le) for each in declared):
        return True
    return kind not in (int, float) and all(map(_is_bounded, get_args(kind)))
