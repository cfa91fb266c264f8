"""python -m benchmark export-split: what another recommender needs to recommend for our test users.

These are plain files with original ids; the test targets are withheld. They hold the publisher's data, so they are
written only where the user says, and never into results/.
"""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.options import ROOT, Parser, add_datasets, add_places, add_protocol, chosen_datasets
from benchmark.cli.planning import command_about
from benchmark.cli.preparing import NOTHING_TO_DO, open_store, prepare_all
from benchmark.plan.config import ConfigError
from benchmark.runs.evaluation import TOP_ITEMS
from benchmark.runs.external import check_one_history
from benchmark.runs.preparation import Prepared, interactions_of
from benchmark.store.atomic_files import check_directory, write_directory, writing
from benchmark.store.json_text import to_json
from datasets.filtering import apply_filter
from datasets.interactions import DataError, Interactions
from datasets.sequences import Sequences
from datasets.split import Split, window

PUBLISHED = ("results", "tables", "figures")

README = """\
{title}: what it takes to recommend for our test users
{rule}

train.csv           {train_interactions:,} interactions of the {train_users:,} training users: userid,itemid,timestamp
test_histories.csv  {history_events:,} interactions of the {test_users:,} test users, same columns: what a model may see
catalogue.csv       {items:,} items: itemid; they are those of train.csv, and no others can be recommended
split.json          the protocol, the fingerprint of the split, and these counts

Ids are those of {source}, whose terms apply: do not publish these files. Timestamps are Unix seconds. The
rows of a user stand in the order that counts, also where timestamps are equal: sort them stably or not at all.

The task
  Recommend for each user of test_histories.csv what comes next: the best {wanted} items of catalogue.csv, best first,
  none that the user's own history holds. Such items are struck out before scoring; where the target is one of them,
  everyone misses it. The target, one event per user after the history, is withheld.

The rules
  Our methods are trained on train.csv alone; test users are no part of it. The last event of each history is the
  validation target: choose epochs and settings by predicting it from what stands before it. For the recommendations
  that you hand in, the whole history is the input.

The file to hand in
  A CSV or TSV file (UTF-8, plain or gzip) with the columns userid, itemid and rank, its rows in any order:

    userid,itemid,rank
{example}

  Ranks are 1, 2, 3, ... within each user, without gaps. Metrics at K are computed for K up to the length of the
  shortest list, so give {wanted} items outside the history to get all of them. Users whom the file does not name count
  as misses. It is scored by

    {command}

Fingerprint of the split: {fingerprint}
"""


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "--to", type=Path, required=True, metavar="DIR", help="a new directory; it gets a folder for each dataset"
    )
    add_datasets(parser)
    add_protocol(parser)
    add_places(parser)


def run(options: Namespace) -> int:
    """Write the split of each dataset."""
    directory = options.to
    with writing(directory, "--to"):
        check_place(directory, (options.out_dir, ROOT))
    check_directory(directory, "--to")
    store = open_store(options.out_dir)
    chosen = chosen_datasets(options, store)
    prepared = prepare_all(chosen, store, options)
    if not prepared:
        raise DataError(NOTHING_TO_DO)
    for dataset in chosen:
        if dataset.name in prepared:
            interactions = interactions_of(dataset.name, options.data_dir, dataset.interactions)
            command = command_about(dataset, options, "python", "-m", "benchmark", "score", "mine.csv")
            folder = export_split(prepared[dataset.name], interactions, command, directory)
            print(f"{prepared[dataset.name].title}: written to {folder}; README.txt there explains the files")
    return 0


def check_place(directory: Path, published_in: Iterable[Path]) -> None:
    """Raise ConfigError unless `directory` is new or empty and outside what is published of `published_in`."""
    place = directory.resolve()
    for folder in ((root / name).resolve() for root in published_in for name in PUBLISHED):
        if folder in (place, *place.parents):
            raise ConfigError(
                f"--to {directory}: {folder.name}/ is published, and original ids must not be published; "
                "name a directory elsewhere"
            )
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"--to {directory}: is not a directory; name a new directory")
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"--to {directory}: is not empty, and nothing is overwritten; name a new directory")


def export_split(prepared: Prepared, interactions: Interactions, command: str, directory: Path) -> Path:
    """Write the folder <directory>/<dataset>, completely or not at all, and return it.

    `interactions` are those that were split; their timestamps are written. `command` scores a file of recommendations.
    Raises DataError if the interactions are not those of the split, ConfigError under tie draws or leave-one-out,
    StoreError if the folder cannot be written.
    """
    check_one_history(prepared)
    if prepared.summary["protocol"]["preset"] == "leave-one-out":
        raise ConfigError(
            f"{prepared.title}: under leave-one-out the training data are the histories of the test users, which the "
            "files of export-split keep apart; choose another --protocol"
        )
    split = prepared.split
    histories = split.cases("test").histories
    train_timestamps, event_timestamps = _timestamps(prepared, interactions)
    is_history = np.ones(len(event_timestamps), dtype=bool)
    is_history[(histories.starts + histories.lengths).numpy()] = False  # the test targets
    events = _events(split, split.events, split.test_user_labels, event_timestamps)
    facts = _facts(prepared) | {"history_events": int(is_history.sum())}
    files = {
        "train.csv": _csv(_events(split, split.train, split.train_user_labels, train_timestamps)),
        "test_histories.csv": _csv(events[is_history]),
        "catalogue.csv": _csv(pd.DataFrame({"itemid": split.item_labels})),
        "split.json": to_json(facts).encode(),
        "README.txt": _readme(facts, split, command).encode(),
    }
    folder = directory / prepared.name
    write_directory(folder, files, "--to")
    return folder


def _events(split: Split, sequences: Sequences, users: np.ndarray, timestamps: np.ndarray) -> pd.DataFrame:
    owners = np.repeat(np.arange(len(users)), sequences.lengths.numpy())
    items = split.item_labels[sequences.items.numpy()]
    return pd.DataFrame({"userid": users[owners], "itemid": items, "timestamp": timestamps})


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _facts(prepared: Prepared) -> dict[str, Any]:
    """The content of split.json; nothing in it reveals the targets."""
    names = ("source", "sha256", "fingerprint", "protocol", "threshold")
    counts = ("train_users", "train_interactions", "items", "test_users")
    return {
        "dataset": prepared.name,
        "title": prepared.title,
        "synthetic": prepared.synthetic,
        "protocol_label": prepared.label,
        "test_targets": "withheld",
        "validation_target": "the last event of each history",
        "recommendations": {"columns": ["userid", "itemid", "rank"], "per_user": TOP_ITEMS},
        **{name: prepared.summary[name] for name in (*names, *counts)},
    }


def _readme(facts: dict[str, Any], split: Split, command: str) -> str:
    user, items = split.test_user_labels[0], split.item_labels[:2]
    example = _csv(pd.DataFrame({"userid": [user] * len(items), "itemid": items, "rank": range(1, len(items) + 1)}))
    lines = example.decode().splitlines()[1:]
    return README.format(
        rule="=" * (len(facts["title"]) + 52),
        wanted=min(TOP_ITEMS, split.n_items),
        example="\n".join(f"    {line}" for line in lines),
        command=command,
        **facts,
    )


# --- timestamps, which a Split does not keep --------------------------------------------------------------------------


def _timestamps(prepared: Prepared, interactions: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """The timestamp of each of the split's training items, and of each of its events.

    Within a user timestamps ascend however ties are broken, so it is enough to know which rows are in the split.
    """
    split, protocol = prepared.split, prepared.facts.protocol
    data, _ = apply_filter(protocol.filter, interactions)
    in_catalogue = pd.Index(data.item_labels).isin(split.item_labels)[data.item_ids]
    begin, end = window(data.timestamps, protocol)
    is_event = in_catalogue & (data.timestamps < end)
    if protocol.history == "after-T":
        is_event &= data.timestamps >= begin
    return (
        _ascending(data, data.timestamps < begin, split.train_user_labels, split.train),
        _ascending(data, is_event, split.test_user_labels, split.events),
    )


def _ascending(data: Interactions, keep: np.ndarray, users: np.ndarray, sequences: Sequences) -> np.ndarray:
    rows = np.flatnonzero(keep & pd.Index(data.user_labels).isin(users)[data.user_ids])
    rows = rows[np.lexsort((data.timestamps[rows], data.user_ids[rows]))]
    lengths = np.unique(data.user_ids[rows], return_counts=True)[1]
    if not np.array_equal(lengths, sequences.lengths.numpy()):
        raise DataError("the data has changed since it was split; run the same command again")
    timestamps = data.timestamps[rows]
    return timestamps if data.ticks_per_second == 1 else timestamps / data.ticks_per_second
