"""Train WarpRec's SASRec, CL4SRec or DuoRec in laps: python drive_warprec.py TASK CONNECTION

Runs in WarpRec's environment, which needs Python 3.12. WarpRec's own dataset, data loader and model do the work in the
Lightning loop that its pipelines use, but without the pipelines, which would start processes with Ray. Settings: no
negatives (softmax over the catalogue), no regularisation; the task's width, blocks, heads, dropout, length, batch size
and learning rate; a feed-forward layer as wide as ours; our weights and temperatures of the contrasts. Its rows are all
prefixes of the training sequences, with one target each. There are no worker processes.
"""

from __future__ import annotations

from typing import Any

import lightning
import numpy as np
import pandas as pd
from warprec.data.dataset import Dataset
from warprec.recommenders import sequential_recommender

from benchmark.bench.peers.lightning_laps import Laps
from benchmark.bench.peers.peer_task import PeerTask, serve
from benchmark.bench.turns import LapReporter

CONTRASTS = {
    "SASRec": {},
    "CL4SRec": {"ssl_lambda": 0.1, "tau": 1.0, "sim_type": "dot", "crop_eta": 0.6, "mask_gamma": 0.3}
    | {"reorder_beta": 0.6},
    "DuoRec": {"ssl_type": "us_x", "ssl_lambda": 0.1, "ssl_lambda_sem": 0.1, "tau": 1.0, "sim_type": "dot"},
}


def main(task: PeerTask, reporter: LapReporter) -> None:
    settings = {
        "embedding_size": task.width,
        "inner_size": task.width,
        "n_layers": task.blocks,
        "n_heads": task.heads,
        "dropout_prob": task.dropout,
        "attn_dropout_prob": task.dropout,
        "max_seq_len": task.maxlen,
        "batch_size": task.batch_size,
        "learning_rate": task.learning_rate,
        "neg_samples": 0,
        "reg_weight": 0.0,
        "weight_decay": 0.0,
        "epochs": 1,  # the trainer decides how many
        **CONTRASTS[task.model],
    }
    frame = pd.read_csv(task.interactions, sep="\t", header=0, names=["user_id", "item_id", "timestamp"])
    dataset = Dataset(frame, timestamp_label="timestamp")
    model = getattr(sequential_recommender, task.model)(settings, dataset.info(), seed=task.seed)
    loader = model.get_dataloader(dataset.train_set, dataset.train_session, num_workers=0, seed=task.seed)

    def write_vectors(module: Any) -> None:
        numbers = dataset.get_mappings()[1]
        row_of = np.array([numbers.get(item, np.nan) for item in range(task.n_items)])
        x, lengths = task.padded(row_of, padding=module.n_items, at_end=True)
        task.write_vectors(module(x, lengths), module.item_embedding.weight, row_of)

    laps = Laps(task, reporter, ["warprec", "lightning"], lambda batch: len(batch[2]), write_vectors)
    lightning.Trainer(**laps.trainer()).fit(model, train_dataloaders=loader)


if __name__ == "__main__":
    serve(main)
