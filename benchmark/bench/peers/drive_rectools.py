"""RecTools' SASRec, made to train by turns. Runs in RecTools' environment: python drive_rectools.py JOB

Its own data preparation, data loader, model and Lightning loop do the work; a lap is a Lightning epoch, which
`limit_train_batches` shortens. Settings: loss "softmax" (over the catalogue), width, blocks, heads, dropout, length,
batch size and learning rate of the job, vectors for item ids alone. As by RecTools' default there are no logger, no
checkpoints, no progress bar and no worker processes, which would be more threads than the job allows; no validation.
"""

from __future__ import annotations

import sys
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

from benchmark.bench.peers.channel import INTERACTIONS, Channel, Job


def main() -> None:
    """Make laps until it is enough."""
    job, channel = Job.read(Path(sys.argv[1])), Channel()
    torch.set_num_threads(job.threads)
    seed_everything(job.seed)
    laps = _Laps(job, channel)
    model = SASRecModel(
        **laps.settings,
        item_net_block_types=(IdEmbeddingsItemNet,),
        get_trainer_func=lambda: _trainer(job, laps),
    )
    laps.model = model
    model.fit(_dataset(job))


def _settings(job: Job) -> dict[str, Any]:
    return {
        "loss": "softmax",
        "n_factors": job.width,
        "n_blocks": job.blocks,
        "n_heads": job.heads,
        "dropout_rate": job.dropout,
        "session_max_len": job.maxlen,
        "batch_size": job.batch_size,
        "lr": job.learning_rate,
        "dataloader_num_workers": 0,
    }


def _trainer(job: Job, laps: _Laps) -> Trainer:
    return Trainer(
        accelerator="cpu",
        devices=1,
        max_epochs=-1,
        limit_train_batches=job.batches or 1.0,
        callbacks=[laps],
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
    )


def _dataset(job: Job) -> Dataset:
    frame = pd.read_csv(Path(job.folder) / INTERACTIONS / f"{INTERACTIONS}.inter", sep="\t")
    frame.columns = pd.Index([Columns.User, Columns.Item, Columns.Datetime])
    frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s")
    return Dataset.construct(frame.assign(**{Columns.Weight: 1.0}))


class _Laps(Callback):  # type: ignore[misc]  # Lightning is not there where types are checked
    """Holds every epoch until it is its turn, and reports it."""

    def __init__(self, job: Job, channel: Channel) -> None:
        self.job, self.channel = job, channel
        self.settings = _settings(job)
        self.targets = 0
        self.model: SASRecModel | None = None

    def __deepcopy__(self, memo: dict[int, Any]) -> _Laps:
        return self  # RecTools trains with a copy of its trainer; the channel is one

    def on_fit_start(self, trainer: Trainer, module: Any) -> None:
        """Data and model are there, the optimiser's state is not."""
        self.channel.data_is_there()
        self.channel.ready(["rectools", "pytorch-lightning", "torch", "numpy"], self.settings)

    def on_train_epoch_start(self, trainer: Trainer, module: Any) -> None:
        """Wait."""
        self.targets = 0
        self.channel.turn()

    def on_train_batch_start(self, trainer: Trainer, module: Any, batch: dict[str, torch.Tensor], index: int) -> None:
        """Count the targets; padding is none."""
        self.targets += int(batch["y"].count_nonzero())

    def on_train_epoch_end(self, trainer: Trainer, module: Any) -> None:
        """Report."""
        seconds = self.channel.seconds()
        if self.job.judged:
            self.job.write_vectors(*self._vectors(module))
        self.channel.lap(seconds, self.targets)

    @torch.no_grad()
    def _vectors(self, module: Any) -> tuple[np.ndarray, np.ndarray]:
        """Of the validation users (N, D) and of the items (n_items, D), NaN where RecTools has none."""
        assert self.model is not None
        known = self.model.data_preparator.item_id_map.to_internal
        row_of = known.reindex(range(self.job.n_items)).to_numpy(dtype=float)  # NaN where unknown
        histories = [row_of[history] for history in self.job.histories()]
        histories = [history[~np.isnan(history)] for history in histories]
        x = torch.zeros(len(histories), self.job.maxlen, dtype=torch.long)
        for row, history in zip(x, histories, strict=True):
            row[self.job.maxlen - len(history) :] = torch.from_numpy(history).long()
        module.torch_model.eval()
        table = module.torch_model.item_model.get_all_embeddings()
        users = module.torch_model.encode_sessions({"x": x}, table)[:, -1]
        module.torch_model.train()
        items = np.full((self.job.n_items, users.shape[1]), np.nan, dtype=np.float32)
        items[~np.isnan(row_of)] = table[row_of[~np.isnan(row_of)].astype(int)].numpy()
        return users.numpy(), items


if __name__ == "__main__":
    main()
