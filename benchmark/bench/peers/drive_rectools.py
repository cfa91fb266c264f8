"""RecTools' SASRec, made to train in turns. Runs in RecTools' environment: python drive_rectools.py TASK CONNECTION

Its own data preparation, data loader, model and Lightning loop do the work; a lap is a Lightning epoch, which
`limit_train_batches` shortens. Settings: loss "softmax" (over the catalogue), width, blocks, heads, dropout, length,
batch size and learning rate of the task, vectors for item ids alone. As by RecTools' default there are no logger, no
checkpoints, no progress bar and no worker processes, which would be more threads than the task allows; no validation.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from pytorch_lightning import Callback, Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet

from benchmark.bench.lap_line import LapLine
from benchmark.bench.peers.peer_task import INTERACTIONS, PeerTask, serve


def main(task: PeerTask, line: LapLine) -> None:
    """Make laps until it is enough."""
    seed_everything(task.seed)
    laps = _Laps(task, line)
    model = SASRecModel(
        **laps.settings,
        item_net_block_types=(IdEmbeddingsItemNet,),
        get_trainer_func=lambda: _trainer(task, laps),
    )
    laps.model = model
    model.fit(_dataset(task))


def _settings(task: PeerTask) -> dict[str, Any]:
    return {
        "loss": "softmax",
        "n_factors": task.width,
        "n_blocks": task.blocks,
        "n_heads": task.heads,
        "dropout_rate": task.dropout,
        "session_max_len": task.maxlen,
        "batch_size": task.batch_size,
        "lr": task.learning_rate,
        "dataloader_num_workers": 0,
    }


def _trainer(task: PeerTask, laps: _Laps) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        limit_train_batches=task.batches or 1.0,
        callbacks=[laps],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _dataset(task: PeerTask) -> Dataset:
    frame = pd.read_csv(Path(task.folder) / INTERACTIONS / f"{INTERACTIONS}.inter", sep="\t")
    frame.columns = pd.Index([Columns.User, Columns.Item, Columns.Datetime])
    frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s")
    return Dataset.construct(frame.assign(**{Columns.Weight: 1.0}))


class _Laps(Callback):  # type: ignore[misc]  # Lightning is not there where types are checked
    """Holds every epoch until it is its turn, and reports it."""

    def __init__(self, task: PeerTask, line: LapLine) -> None:
        self.task, self.line = task, line
        self.settings = _settings(task)
        self.targets = 0
        self.model: SASRecModel | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Laps:
        return self  # RecTools trains with a copy of its trainer, but there is one line

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        """Data and model are there, the optimiser's state is not."""
        self.line.data_is_there()
        self.line.ready(["rectools", "pytorch-lightning", "torch", "numpy"], self.settings)

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        self.targets = 0
        self.line.turn()

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: dict[str, torch.Tensor], index: int) -> None:
        """Count the targets, which padding is not."""
        self.targets += int(batch["y"].count_nonzero())

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        seconds = self.line.seconds()
        if self.task.judged:
            self.task.write_vectors(*self._vectors(module))
        self.line.lap(seconds, targets=self.targets)

    @torch.no_grad()
    def _vectors(self, module: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of the validation users (N, D) and of the items (n_items, D), NaN where RecTools has none."""
        assert self.model is not None
        known = self.model.data_preparator.item_id_map.to_internal
        row_of = known.reindex(range(self.task.n_items)).to_numpy(dtype=float)  # NaN where unknown
        histories = [row_of[history] for history in self.task.histories()]
        histories = [history[~np.isnan(history)] for history in histories]
        x = torch.zeros(len(histories), self.task.maxlen, dtype=torch.long)
        for row, history in zip(x, histories, strict=True):
            row[self.task.maxlen - len(history) :] = torch.from_numpy(history).long()
        module.torch_model.eval()
        table = module.torch_model.item_model.get_all_embeddings()
        users = module.torch_model.encode_sessions({"x": x}, table)[:, -1]
        module.torch_model.train()
        items = np.full((self.task.n_items, users.shape[1]), np.nan, dtype=np.float32)
        items[~np.isnan(row_of)] = table[row_of[~np.isnan(row_of)].astype(int)].numpy()
        return users.numpy(), items


if __name__ == "__main__":
    serve(main)
