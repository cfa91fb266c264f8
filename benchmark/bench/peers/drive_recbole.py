"""RecBole's SASRec, made to train in turns. Runs in RecBole's environment: python drive_recbole.py TASK CONNECTION

Its own dataset, data loader, model and `Trainer._train_epoch` do the work, on a lap's batches instead of an epoch's.
Settings: loss_type CE (softmax over the catalogue); width, blocks, heads, dropout, length, batch size and learning rate
of the task; the feed-forward layer as wide as ours (inner_size), with ReLU, which costs less than RecBole's GELU. Its
rows are all prefixes of the training sequences, each with one target. RecBole's default of 2,048 rows in a batch takes
as long per target (within 10 %) and more memory, and makes fewer steps in the same time. No evaluation, checkpoint or
progress bar; no worker processes, which would be more threads than the task allows.
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
from benchmark.bench.turns import LapLine


def main(task: PeerTask, line: LapLine) -> None:
    config = Config(model="SASRec", dataset=INTERACTIONS, config_dict=_settings(task))
    init_seed(config["seed"], config["reproducibility"])
    train, *_ = SequentialDataset(config).build()
    loader = TrainDataLoader(config, train, None, shuffle=True)
    line.data_is_there()
    model = SASRec(config, train)
    trainer = Trainer(config, model)
    line.ready("recbole")
    for epoch, batches in enumerate(task.laps_of(loader)):
        clock, lap = time.perf_counter(), list(batches)
        trainer._train_epoch(lap, epoch, show_progress=False)
        seconds = time.perf_counter() - clock
        if task.judged:
            _write_vectors(model, train, task)
        line.lap(seconds, targets=sum(map(len, lap)))  # each row has one target


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
