"""What a method computes with, imported when something of it is first used.

A method's file can therefore be read for its settings and version without torch, whose import takes seconds. A method
may just as well import torch itself; then every command that looks at the registry takes as long.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch
    import torch.nn.functional as F
    from torch import Tensor

    from baselines import encoder as encoders
    from baselines import importance, kernels, regularizers, transformer, views
    from baselines.encoder import Encoder
    from baselines.training_data import TrainBatch, TrainingData
    from datasets import sequences
    from datasets.sequences import Batch, Sequences
else:

    class _Deferred:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self.name), attribute)

    torch, F, sequences = map(_Deferred, ("torch", "torch.nn.functional", "datasets.sequences"))
    encoders, importance, kernels, regularizers, transformer, views = (
        _Deferred(f"baselines.{name}")
        for name in ("encoder", "importance", "kernels", "regularizers", "transformer", "views")
    )
    Batch = Encoder = Sequences = Tensor = TrainBatch = TrainingData = Any  # for annotations alone

__all__ = ["Batch", "Encoder", "F", "Sequences", "Tensor", "TrainBatch", "TrainingData", "encoders", "importance"]
__all__ += ["kernels", "regularizers", "sequences", "torch", "transformer", "views"]
