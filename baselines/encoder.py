"""What every encoder of item sequences offers; transformer.py and gru.py hold the two that there are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence

from torch import Tensor, nn

from baselines.settings import EncoderSettings, Precision
from datasets.sequences import Batch


class Encoder(nn.Module, ABC):
    """Item sequences in, one state per position out; scores are dot products with the (tied) item table.

    The table has V + 2 rows: the items, padding and the mask token. Only the first V ever compete as answers. No row
    of a batch may be empty.

    `precision`: "bf16" hands the states to the loss in bfloat16 while training. Weights, z and scores are float32.
    """

    def __init__(self, n_items: int, settings: EncoderSettings, precision: Precision = "fp32") -> None:
        super().__init__()
        self.n_items, self.settings, self.precision = n_items, settings, precision
        self.items = nn.Embedding(n_items + 2, settings.width)

    def initialise(self) -> None:
        """Xavier-uniform for every matrix, embeddings included; called when all of them are there."""
        for parameter in self.parameters():
            if parameter.dim() > 1:
                nn.init.xavier_uniform_(parameter)

    @property
    def item_table(self) -> Tensor:
        """(V, D) the vectors of the real items."""
        return self.items.weight[: self.n_items]

    @property
    def is_coarse(self) -> bool:
        """Whether the states are wanted in bfloat16."""
        return self.training and self.precision == "bf16"

    @abstractmethod
    def encode(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """The states of the T real positions, (T, D), in the order of `batch.positions`, and z (B, D), those of each
        row's last item. A state depends on its own item and those before it alone.
        """

    def last(self, batch: Batch) -> Tensor:
        """z (B, D) alone."""
        return self.encode(batch)[1]

    def forward(self, batch: Batch, last_only: bool = False) -> tuple[Tensor, Tensor]:
        """As `encode`; with `last_only` the states are those of the last items as well."""
        if last_only:
            states = z = self.last(batch)
        else:
            states, z = self.encode(batch)
        return states.bfloat16() if self.is_coarse else states, z

    def last_of_each(self, batches: Sequence[Batch]) -> tuple[Tensor, ...]:
        """z (B, D) of each of several batches of B rows, such as the views of one, in a single pass."""
        return self.last(Batch.concatenate(batches, pad_id=self.n_items)).chunk(len(batches))

    def score(self, histories: Batch) -> Tensor:
        """Scores of the whole catalogue after each history, (B, V)."""
        return self.last(histories) @ self.item_table.T

    def compiled_parts(self) -> Iterable[nn.Module]:
        """The parts that `training.compile` translates."""
        return ()
