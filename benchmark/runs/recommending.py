"""What a finished run recommends, to the users of its data or for new histories: lists of original ids.

The ids come from the source, which is read again; results/ holds none.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from baselines.method import FittedMethod, Scorer, TrainedMethod
from baselines.registry import METHODS
from benchmark.plan.run_spec import RunSpec, run_key
from benchmark.runs.evaluation import top_lists
from benchmark.runs.preparation import Prepared
from benchmark.runs.run import training_data
from benchmark.runs.training import train
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord
from datasets.filtering import apply_filter
from datasets.interactions import DataError, Interactions
from datasets.sequences import Sequences
from datasets.split import pack


def spec_of(record: RunRecord) -> RunSpec:
    """The specification that a record is about; DataError if the code has changed what it means."""
    spec = RunSpec.of_json(record.spec)
    if run_key(spec, record.data["fingerprint"]) != record.key:
        raise DataError(
            f"run {record.key}: was made by an earlier version of {spec.method}; do it again with run_all.py"
        )
    return spec


def kept_scorer(spec: RunSpec, prepared: Prepared, weights: Arrays | None, device: torch.device) -> Scorer:
    """The run's model: the kept weights of one that was trained; one that counts is fitted again."""
    method = METHODS[spec.method].method(spec.settings)
    if isinstance(method, FittedMethod):
        return method.fit(training_data(spec, prepared.split.train, prepared.split.n_items, device))
    if weights is None:
        raise DataError(
            "the weights of this run were not kept; use --refit, or do the run again with --keep-models --overwrite all"
        )
    encoder = method.build_encoder(prepared.split.n_items, spec.encoder, spec.training.precision)
    encoder.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
    score: Scorer = encoder.to(device).eval().score
    return score


def refitted(
    spec: RunSpec, interactions: Interactions, epochs: int | None, device: torch.device
) -> tuple[Scorer, np.ndarray]:
    """The run's method trained on all users, for the number of epochs that was selected; and the catalogue's original
    ids, (V,): nothing is held out, so it is every item that the protocol's filter leaves.
    """
    kept, _ = apply_filter(spec.protocol.filter, interactions)
    _, sequences = histories_of(kept, kept.item_labels)
    data = training_data(spec, sequences, kept.n_items, device)
    method = METHODS[spec.method].method(spec.settings)
    if isinstance(method, TrainedMethod):
        assert epochs is not None
        trained = train(method, data, epochs, spec.encoder, spec.training, spec.seed)
        return trained.encoder.score, kept.item_labels
    return method.fit(data), kept.item_labels


def histories_of(interactions: Interactions, catalogue: np.ndarray) -> tuple[np.ndarray, Sequences]:
    """Each user's items in time order, file order where simultaneous, as positions in `catalogue` (V,) of original ids;
    and the users' original ids, (N,). Items that are not in the catalogue are left out, and users who have no other.
    """
    index = pd.Index(catalogue.astype(str)).get_indexer(pd.Index(interactions.item_labels.astype(str)))
    items = index[interactions.item_ids]  # (n,), -1 for what the model does not know
    rows, users, offsets = pack(interactions, items >= 0)
    return interactions.user_labels[users], Sequences.from_arrays(items[rows], offsets)


def recommendations(
    scorer: Scorer, spec: RunSpec, histories: Interactions, catalogue: np.ndarray, top: int, device: torch.device
) -> Iterator[pd.DataFrame]:
    """The best items of a few users at a time: a row with userid, itemid and rank (from 1) for each, best first.

    Items of a user's own history are left out where the run left them out of its rankings.
    """
    users, sequences = histories_of(histories, catalogue)
    if not len(users):
        raise DataError("none of the histories has an item that the run knows; use the item ids of its own data")
    mask_seen, done = spec.evaluation.mask_seen, 0
    for lists in top_lists(scorer, sequences.to(device), len(catalogue), spec.encoder.maxlen, top, mask_seen):
        rows, ranks = np.nonzero(lists.cpu().numpy() < len(catalogue))
        items = catalogue[lists.cpu().numpy()[rows, ranks]]
        yield pd.DataFrame({"userid": users[done + rows], "itemid": items, "rank": ranks + 1})
        done += len(lists)
