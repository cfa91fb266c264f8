"""Settings that several methods share, and the encoder's version; imports no torch, so that a plan needs none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

ENCODER_VERSION = 2
"""Part of the run key: raise it whenever the numbers of encoder.py change."""

Precision = Literal["fp32", "bf16"]
"""Of the large products in training."""


@dataclass(frozen=True)
class EncoderSettings:
    """Sizes of the encoder; the defaults are the reproduction's shared ones (d = 64, 2 blocks, 1 head, maxlen 50)."""

    width: int = 64
    blocks: int = 2
    heads: int = 1
    dropout: float = 0.3
    maxlen: int = 50


@dataclass(frozen=True)
class Shares:
    """Which share of a sequence's items an operator keeps (`crop`) or touches (the others)."""

    crop: float = 0.6
    mask: float = 0.3
    reorder: float = 0.6
    substitute: float = 0.3
