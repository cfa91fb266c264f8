"""Train RecBole's SASRec in laps. Runs in RecBole's environment: python drive_recbole.py TASK CONNECTION

RecBole's own dataset, data loader, model and `Trainer._train_epoch` do the work, on the batches of a lap instead of an
epoch. Settings: loss_type CE (softmax over the catalogue); the task's width, blocks, heads, dropout, length, batch size
and learning rate; a feed-forward layer as wide as ours (inner_size), with ReLU, which is cheaper than RecBole's GELU.
Its rows are all prefixes of the training sequences, with one target each. RecBole's default of 2,048 rows per batch
takes as long per target (within 10 %), more memory, and makes fewer steps in the same time. There is no evaluation,
checkpoint or progress bar, and there are no worker processes, which would add threads that the task does not allow.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import torch
from recbole.config import Config
from recbole.data.dataloader import TrainDataLoader
from recbole.data.dataset import SequentialDataset
from recbole.model.sequential_recommender import SASRec
from recbole.trainer import Trainer
from recbole.utils import init_seed

from benchmark.bench.peers.peer_task import INTERACTIONS, PeerTask, serve
from benchmark.bench.turns import LapReporter


def main(task: PeerTask, reporter: LapReporter) -> None:
    config = Config(model="SASRec", dataset=INTERACTIONS, config_dict=_settings(task))
    init_seed(config["seed"], config["reproducibility"])
    train, *_ = SequentialDataset(config).build()
    loader = TrainDataLoader(config, train, None, shuffle=True)
    reporter.data_loaded()
    model = SASRec(config, train)
    trainer = Trainer(config, model)
    reporter.ready("recbole")
    for epoch, batches in enumerate(task.laps_of(loader)):
        clock, lap = time.perf_counter(), list(batches)
        trainer._train_epoch(lap, epoch, show_progress=False)
        seconds = time.perf_counter() - clock
        if task.judged:
            _write_vectors(model, train, task)
        reporter.lap(seconds, targets=sum(map(len, lap)))  # each row has one target


def _settings(task: PeerTask) -> dict[str, Any]:
    return {
        "data_path": task.folder,
        "loss_type": "CE",
        "train_neg_sample_args": None,
        "hidden_size": task.width,
        "inner_size": task.width,
        "hidden_act": "relu",
        "n_layers": task.blocks,
        "n_heads": task.heads,
        "hidden_dropout_prob": task.dropout,
        "attn_dropout_prob": task.dropout,
        "MAX_ITEM_LIST_LENGTH": task.maxlen,
        "train_batch_size": task.batch_size,
        "learner": "adam",
        "learning_rate": task.learning_rate,
        "worker": 0,
        "use_gpu": False,
        "seed": task.seed,
        "reproducibility": False,
        "state": "ERROR",
        "load_col": {"inter": ["user_id", "item_id", "timestamp"]},
        "eval_args": {"split": {"RS": [1.0, 0.0, 0.0]}, "order": "TO", "group_by": None, "mode": "full"},
    }


@torch.no_grad()
def _write_vectors(model: SASRec, train: SequentialDataset, task: PeerTask) -> None:
    ids = train.field2token_id[train.iid_field]
    row_of = np.array([ids.get(str(item), np.nan) for item in range(task.n_items)])
    model.eval()
    users = model.forward(*task.padded(row_of, padding=0, at_end=True))
    task.write_vectors(users, model.item_embedding.weight, row_of)


if __name__ == "__main__":
    serve(main)
