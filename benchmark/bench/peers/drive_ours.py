"""Our own SASRec (CE) by the rules that hold for the others: a process that makes laps when it is told to.

`benchmark.runs.training.train` itself does the work. It validates after each epoch, so its laps include that; where the
quality is not asked for, on one user alone.
"""

from __future__ import annotations

import sys
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch

from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from benchmark.bench.peers.channel import CPU, Channel, Job
from benchmark.bench.workloads import random_cases, training_load
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.training import EpochRow, train
from datasets.sequences import Sequences
from datasets.split import Cases

METHOD = "sasrec-ce"
EPOCHS = 100_000


def main() -> None:
    """Make laps until it is enough."""
    job, channel = Job.read(Path(sys.argv[1])), Channel()
    torch.set_num_threads(job.threads)
    encoder = EncoderSettings(job.width, job.blocks, job.heads, job.dropout, job.maxlen)
    training = TrainingSettings(job.batch_size, EPOCHS, EPOCHS, job.learning_rate, job.betas)
    method = METHODS[METHOD].method(METHODS[METHOD].settings)
    data, targets = _data(job)
    validation = _validation(job)
    channel.data_is_there()
    chosen = {"batch_size": job.batch_size, "learning_rate": job.learning_rate, "betas": job.betas}
    channel.ready(["torch", "numpy"], {"method": METHOD, **asdict(encoder), **chosen})

    def on_epoch(row: EpochRow) -> None:
        channel.lap(row["seconds"], targets, ndcg=row["validation"]["ndcg@10"])
        channel.turn()

    channel.turn()
    train(method, data, validation, encoder, training, job.seed, on_epoch)


def _data(job: Job) -> tuple[TrainingData, int]:
    """The training data, and the targets of a lap (the mean, where an epoch leaves an incomplete batch out)."""
    with np.load(Path(job.folder) / "train.npz") as arrays:
        sequences = Sequences.from_arrays(arrays["items"], arrays["offsets"])
    if job.batches:
        load = training_load(sequences, job.n_items, job.maxlen, job.batch_size, job.batches)
        return load.data(CPU), load.targets(load.rows)
    data = TrainingData(sequences, job.n_items, job.maxlen)
    rows = len(data.trainable)
    kept = max(rows // job.batch_size * job.batch_size, min(rows, job.batch_size))
    targets = int((sequences.lengths - 1).clamp(0, job.maxlen).sum())
    return data, round(targets * kept / rows)


def _validation(job: Job) -> Cases:
    if not job.judged:
        return random_cases(1, 1, job.n_items)
    with np.load(Path(job.folder) / "validation.npz") as arrays:
        histories = Sequences.from_arrays(arrays["items"], arrays["offsets"])
        return Cases(histories, torch.from_numpy(arrays["targets"]))


if __name__ == "__main__":
    main()
