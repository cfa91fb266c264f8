"""python -m benchmark recommend: the top items of a finished run, for every user of a file or for new histories."""

from __future__ import annotations

from argparse import Namespace

from baselines.registry import METHODS
from benchmark.cli.session import CACHE, check_unpublished, open_store
from benchmark.plan.config import ConfigError
from benchmark.plan.dataset_facts import name_of
from benchmark.store.atomic_files import replacing
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, to_stderr
from datasets.interactions import DataError


def recommend(options: Namespace) -> int:
    """Write the recommendations, all of them or none."""
    import torch

    from benchmark.runs.preparation import interactions_of, prepare
    from benchmark.runs.recommending import kept_scorer, recommendations, refitted, spec_of
    from datasets.reading import read_interactions

    check_unpublished(options.out, "--out", options.out_dir)
    store = open_store(options.out_dir)
    record = _find(store, options.run)
    own, dataset = options.interactions, record.dataset
    if own is not None and name_of(own) != dataset:
        raise ConfigError(
            f"--interactions {own}: run {record.key} was made from {record.data['source']}; give that file, "
            "and others with --histories"
        )
    spec, device = spec_of(record), torch.device("cuda" if torch.cuda.is_available() else "cpu")
    prepared = prepare(
        dataset,
        options.data_dir,
        own,
        spec.protocol,
        options.out_dir / CACHE,
        store,
        to_stderr,
        download=not options.no_download,
    )
    if prepared.fingerprint != record.data["fingerprint"]:
        raise DataError(f"{prepared.summary['source']}: is not the data that run {record.key} was made from; give that")
    everything = interactions_of(dataset, options.data_dir, own)
    if options.refit:
        scorer, catalogue = refitted(spec, everything, record.selected_epoch, device)
    else:
        scorer = kept_scorer(spec, prepared, store.model(record), device)
        catalogue = prepared.split.item_labels
    histories = everything if options.histories is None else read_interactions(options.histories)
    users = 0
    with replacing(options.out, "--out") as stream:
        stream.write(b"userid,itemid,rank\n")
        for frame in recommendations(scorer, spec, histories, catalogue, options.top, device):
            users += frame["userid"].nunique()
            stream.write(frame.to_csv(index=False, header=False, lineterminator="\n").encode())
    unknown = histories.n_users - users
    print(
        f"{options.out}: {users:,} users" + (f"; {unknown:,} others have no item that the run knows" if unknown else "")
    )
    return 0


def _find(store: Store, name: str) -> RunRecord:
    """The run with this key, or whose folder has this name; ConfigError unless it is one that can recommend."""
    key = name.partition("-")[0]
    found = [record for record in store.records() if record.key == key]
    if not found:
        raise ConfigError(f"--run {name:.60}: there is no such run in {store.root}; take the name of a run's folder")
    [record] = found[:1]
    if record.external or not record.done or record.is_trial:
        what = "scores lists that were made elsewhere" if record.external else "is a trial or has not ended well"
        raise ConfigError(f"--run {name:.60}: {what}, so it has no model; name another run")
    if METHODS[record.method].method.knows_users:
        raise ConfigError(f"--run {name:.60}: {record.method} knows no users but its own; name another run")
    return record
