"""Train RecTools' SASRec in laps. Runs in RecTools' environment: python drive_rectools.py TASK CONNECTION

RecTools' own data preparation, data loader, model and Lightning loop do the work. Settings: loss "softmax" (over the
catalogue); the task's width, blocks, heads, dropout, length, batch size and learning rate; item vectors from ids alone.
There are no worker processes, which is RecTools' default; they would add threads that the task does not allow.
"""

from __future__ import annotations

from typing import Any

import pandas as pd
from pytorch_lightning import Trainer, seed_everything
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import SASRecModel
from rectools.models.nn.item_net import IdEmbeddingsItemNet

from benchmark.bench.peers.lightning_laps import Laps
from benchmark.bench.peers.peer_task import PeerTask, serve
from benchmark.bench.turns import LapReporter


def main(task: PeerTask, reporter: LapReporter) -> None:
    seed_everything(task.seed)
    settings = {
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

    def targets_of(batch: Any) -> int:
        return int(batch["y"].count_nonzero())  # padding is 0

    def write_vectors(module: Any) -> None:
        known = model.data_preparator.item_id_map.to_internal
        row_of = known.reindex(range(task.n_items)).to_numpy(dtype=float)  # NaN where unknown
        x, _ = task.padded(row_of, padding=0, at_end=False)
        table = module.torch_model.item_model.get_all_embeddings()
        task.write_vectors(module.torch_model.encode_sessions({"x": x}, table)[:, -1], table, row_of)

    laps = Laps(task, reporter, ["rectools", "pytorch-lightning"], targets_of, write_vectors)
    nets = (IdEmbeddingsItemNet,)
    model = SASRecModel(**settings, item_net_block_types=nets, get_trainer_func=lambda: Trainer(**laps.trainer()))
    model.fit(_dataset(task))


def _dataset(task: PeerTask) -> Dataset:
    frame = pd.read_csv(task.interactions, sep="\t")
    frame.columns = pd.Index([Columns.User, Columns.Item, Columns.Datetime])
    frame[Columns.Datetime] = pd.to_datetime(frame[Columns.Datetime], unit="s")
    return Dataset.construct(frame.assign(**{Columns.Weight: 1.0}))


if __name__ == "__main__":
    serve(main)
