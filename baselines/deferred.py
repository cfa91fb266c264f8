"""The modules that methods compute with, each imported when something of it is first used.

A method's file can therefore be read for its settings and version without torch, whose import takes seconds. A method
may just as well import torch itself; then every command that looks at the registry takes as long.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

__all__ = [
    "F",
    "gru",
    "importance",
    "kernels",
    "regularizers",
    "sequences",
    "torch",
    "transformer",
    "user_table",
    "views",
]

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F

    from baselines import gru, importance, kernels, regularizers, transformer, user_table, views
    from datasets import sequences
else:

    class _Deferred:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self.name), attribute)

    torch, F, sequences = map(_Deferred, ("torch", "torch.nn.functional", "datasets.sequences"))
    gru, importance, kernels, regularizers, transformer, user_table, views = (
        _Deferred(f"baselines.{name}")
        for name in ("gru", "importance", "kernels", "regularizers", "transformer", "user_table", "views")
    )
