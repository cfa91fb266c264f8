"""Modules and types for methods to import from here, so that torch is loaded only once one of them is used.

Importing torch takes seconds, and many commands read nothing but a method's settings and version. A method may also
import torch directly; then every command that lists the methods takes that much longer.
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

    class _DeferredModule:
        def __init__(self, name: str) -> None:
            self.name = name

        def __getattr__(self, attribute: str) -> Any:
            return getattr(import_module(self.name), attribute)

    torch, F, sequences = map(_DeferredModule, ("torch", "torch.nn.functional", "datasets.sequences"))
    encoders, importance, kernels, regularizers, transformer, views = (
        _DeferredModule(f"baselines.{name}")
        for name in ("encoder", "importance", "kernels", "regularizers", "transformer", "views")
    )
    Batch = Encoder = Sequences = Tensor = TrainBatch = TrainingData = Any  # these only appear in annotations

__all__ = ["Batch", "Encoder", "F", "Sequences", "Tensor", "TrainBatch", "TrainingData", "encoders", "importance"]
__all__ += ["kernels", "regularizers", "sequences", "torch", "transformer", "views"]
