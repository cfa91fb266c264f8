"""python -m benchmark recommend: write the top items of a finished run for its own users or for new histories.

The lists have original ids. results/ holds none, so the dataset is read again from its source.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

import numpy as np
import pandas as pd
import torch

from baselines.method import Scorer, TrainedMethod
from baselines.registry import METHODS
from benchmark.cli.session import CACHE, check_unpublished, open_store
from benchmark.plan.config import ConfigError
from benchmark.plan.dataset_facts import dataset_name_for
from benchmark.plan.repeat import repeat_command
from benchmark.plan.run_spec import RunSpec, run_key
from benchmark.runs.evaluation import top_lists
from benchmark.runs.preparation import interactions_of, prepare
from benchmark.runs.run import training_data
from benchmark.runs.training import train
from benchmark.store.atomic_files import replacing
from benchmark.store.npz import Arrays
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, to_stderr
from datasets.filtering import apply_filter
from datasets.interactions import DataError, Interactions
from datasets.protocol import Protocol
from datasets.registry import DATASETS, read_interactions
from datasets.sequences import Sequences
from datasets.split import in_protocol_order, pack


def recommend(options: Namespace) -> int:
    """Write the recommendations to --out; the file appears complete or not at all."""
    check_unpublished(options.out, "--out", options.out_dir)
    store = open_store(options.out_dir)
    record = _find(store, options.run)
    own, dataset = options.interactions, record.dataset
    if own is None and dataset not in DATASETS:
        raise ConfigError(
            f"--run {record.key}: was trained on {record.data['source']}; add --interactions with that file"
        )
    if own is not None and dataset_name_for(own) != dataset:
        raise ConfigError(
            f"--interactions {own}: run {record.key} was trained on {record.data['source']}; give that file, "
            "and pass others with --histories"
        )
    spec, device = RunSpec.from_json(record.spec), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if run_key(spec, record.data["fingerprint"]) != record.key:
        raise DataError(f"run {record.key}: was made by an earlier version of {spec.method}; repeat it with run_all.py")
    cache, download = options.out_dir / CACHE, not options.no_download
    prepared = prepare(dataset, options.data_dir, own, spec.protocol, cache, store, to_stderr, download)
    if prepared.fingerprint != record.data["fingerprint"]:
        raise DataError(f"{prepared.summary['source']}: is not the data that run {record.key} was trained on; use that")
    interactions = interactions_of(dataset, options.data_dir, own)
    weights = None if options.refit else store.model(record)
    catalogue, sequences = prepared.split.item_labels, prepared.split.train
    if options.refit:  # hold nothing out: train on all users and on every item that passes the protocol's filter
        torch.set_num_threads(1)  # as in runs: several threads get in each other's way
        kept, _ = apply_filter(spec.protocol.filter, interactions)
        catalogue, (_, sequences) = kept.item_labels, _histories(kept, kept.item_labels, spec.protocol)
    elif weights is None and issubclass(METHODS[spec.method].method, TrainedMethod):
        command = repeat_command(record)
        raise DataError(
            f"run {record.key}: its weights were not kept; use --refit, or make it again with {command} --keep-models "
            "and add --out-dir repeated here"
        )
    scorer = _scorer(spec, sequences, len(catalogue), weights, record.selected_epoch, device)
    histories = interactions if options.histories is None else read_interactions(options.histories)
    users = 0
    with replacing(options.out, "--out") as stream:
        stream.write(b"userid,itemid,rank\n")
        for frame in _recommendations(scorer, spec, histories, catalogue, options.top, device):
            users += frame["userid"].nunique()
            stream.write(frame.to_csv(index=False, header=False, lineterminator="\n").encode())
    unknown = histories.n_users - users
    others = f"; {unknown:,} others have no item in the catalogue" if unknown else ""
    print(f"{options.out}: {users:,} users{others}")
    return 0


def _find(store: Store, name: str) -> RunRecord:
    """Find a run by its key or its folder's name; raises ConfigError if there is none, or if it cannot recommend."""
    key = name.partition("-")[0]
    record = next((record for record in store.records() if record.key == key), None)
    if record is None:
        raise ConfigError(f"--run {name:.60}: there is no such run in {store.root}; take the name of a run's folder")
    if record.external or not record.done or record.is_trial:
        what = "scores lists that were made elsewhere" if record.external else "is a trial or did not finish"
        raise ConfigError(f"--run {name:.60}: {what}, so it has no model; name another run")
    if METHODS[record.method].method.known_users_only:
        raise ConfigError(f"--run {name:.60}: {record.method} only knows the users it trained on; name another run")
    return record


def _scorer(
    spec: RunSpec, sequences: Sequences, n_items: int, weights: Arrays | None, epochs: int | None, device: torch.device
) -> Scorer:
    """Return the scorer of the run's method: with these weights, or trained on `sequences` for `epochs` epochs if there
    are none. A method that is fitted rather than trained is always fitted to `sequences`.
    """
    method = METHODS[spec.method].method(spec.settings)
    if isinstance(method, TrainedMethod) and weights is not None:
        encoder = method.build_encoder(n_items, spec.encoder, spec.training.precision)
        try:
            encoder.load_state_dict({name: torch.from_numpy(array) for name, array in weights.items()})
        except RuntimeError:
            raise DataError("the weights in results/ beside this run are those of another model; use --refit") from None
        return encoder.to(device).eval().score
    data = training_data(spec, sequences, n_items, device)
    if isinstance(method, TrainedMethod):
        assert epochs is not None
        return train(method, data, epochs, spec.encoder, spec.training, spec.seed).encoder.score
    return method.fit(data)


def _histories(interactions: Interactions, catalogue: np.ndarray, protocol: Protocol) -> tuple[np.ndarray, Sequences]:
    """Return the original ids of N users, (N,), and their items in time order as positions in `catalogue`, (V,) ids.

    Simultaneous items are in the order of the protocol. Items outside the catalogue are dropped, and so are users who
    have no others.
    """
    interactions = in_protocol_order(interactions, protocol)
    index = pd.Index(catalogue.astype(str)).get_indexer(pd.Index(interactions.item_labels.astype(str)))
    items = index[interactions.item_ids]  # (n,), -1 for items outside the catalogue
    rows, users, offsets = pack(interactions, items >= 0)
    return interactions.user_labels[users], Sequences.from_arrays(items[rows], offsets)


def _recommendations(
    scorer: Scorer, spec: RunSpec, histories: Interactions, catalogue: np.ndarray, top: int, device: torch.device
) -> Iterator[pd.DataFrame]:
    """Yield the `top` best items of a few users at a time, with the columns userid, itemid and rank (from 1). Items of
    a user's own history are left out if the run's evaluation masked them too.
    """
    users, sequences = _histories(histories, catalogue, spec.protocol)
    if not len(users):
        raise DataError("no history has an item of the run's catalogue; use the item ids of the data it was trained on")
    mask_seen, done = spec.evaluation.mask_seen, 0
    for batch in top_lists(scorer, sequences.to(device), len(catalogue), spec.encoder.maxlen, top, mask_seen):
        lists = batch.cpu().numpy()  # (B, top), filled up with V
        rows, ranks = np.nonzero(lists < len(catalogue))
        yield pd.DataFrame({"userid": users[done + rows], "itemid": catalogue[lists[rows, ranks]], "rank": ranks + 1})
        done += len(lists)
