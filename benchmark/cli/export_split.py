"""What an outsider needs to recommend for our test users, as plain files with original ids; test targets are withheld.

The files hold the publisher's data. They go where the user says and nowhere else, least of all into results/.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.plan.config import ConfigError
from benchmark.runs.evaluation import TOP_ITEMS
from benchmark.runs.preparation import Prepared
from benchmark.store.atomic_files import write_directory
from benchmark.store.json_text import to_json
from datasets.filtering import apply_filter
from datasets.interactions import DataError, Interactions
from datasets.sequences import Sequences
from datasets.split import Split

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


def check_place(directory: Path, published_in: Iterable[Path]) -> None:
    """Raise ConfigError unless `directory` is new or empty and outside what is published of `published_in`."""
    place = directory.resolve()
    for folder in ((root / name).resolve() for root in published_in for name in PUBLISHED):
        if folder in (place, *place.parents):
            raise ConfigError(
                f"--export-split {directory}: {folder.name}/ is published, and original ids must not be; "
                "name a directory elsewhere"
            )
    if directory.exists() and not directory.is_dir():
        raise ConfigError(f"--export-split {directory}: is a file; name a new directory")
    if directory.exists() and any(directory.iterdir()):
        raise ConfigError(f"--export-split {directory}: is not empty, and nothing is overwritten; name a new directory")


def export_split(prepared: Prepared, interactions: Interactions, command: str, directory: Path) -> Path:
    """Write the folder <directory>/<dataset>, whole or not at all, and return it.

    `interactions`: what was split, for its timestamps. `command` scores a file of recommendations. Raises DataError if
    the interactions are not those of the split, StoreError if the folder cannot be written.
    """
    split = prepared.split
    histories = split.cases("test").histories
    train_seconds, event_seconds = _moments(prepared, interactions)
    is_history = np.ones(len(event_seconds), dtype=bool)
    is_history[(histories.starts + histories.lengths).numpy()] = False  # the test targets
    events = _events(split, split.events, split.test_user_labels, event_seconds)
    facts = _facts(prepared) | {"history_events": int(is_history.sum())}
    files = {
        "train.csv": _csv(_events(split, split.train, split.train_user_labels, train_seconds)),
        "test_histories.csv": _csv(events[is_history]),
        "catalogue.csv": _csv(pd.DataFrame({"itemid": split.item_labels})),
        "split.json": to_json(facts).encode(),
        "README.txt": _readme(facts, split, command).encode(),
    }
    folder = directory / prepared.name
    write_directory(folder, files, "--export-split")
    return folder


def _events(split: Split, sequences: Sequences, users: np.ndarray, seconds: np.ndarray) -> pd.DataFrame:
    owners = np.repeat(np.arange(len(users)), sequences.lengths.numpy())
    items = split.item_labels[sequences.items.numpy()]
    return pd.DataFrame({"userid": users[owners], "itemid": items, "timestamp": seconds})


def _csv(frame: pd.DataFrame) -> bytes:
    return frame.to_csv(index=False, lineterminator="\n").encode()


def _facts(prepared: Prepared) -> dict[str, Any]:
    """split.json; nothing in it tells of targets."""
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


# --- the time of each event, which a Split does not keep --------------------------------------------------------------


def _moments(prepared: Prepared, interactions: Interactions) -> tuple[np.ndarray, np.ndarray]:
    """Unix seconds of each of the split's training items and of its events.

    Within a user both ascend, however ties are broken, so that who and what take part is all there is to find out.
    """
    split, protocol = prepared.split, prepared.summary["protocol"]
    data, _ = apply_filter(protocol["filter"], interactions)
    in_catalogue = pd.Index(data.item_labels).isin(split.item_labels)[data.item_ids]
    in_time = np.ones(len(data), dtype=bool)
    if protocol["history"] == "after-T":
        in_time = data.timestamps >= prepared.summary["threshold"]
    return (
        _ascending(data, np.ones(len(data), dtype=bool), split.train_user_labels, split.train),
        _ascending(data, in_catalogue & in_time, split.test_user_labels, split.events),
    )


def _ascending(data: Interactions, keep: np.ndarray, users: np.ndarray, sequences: Sequences) -> np.ndarray:
    rows = np.flatnonzero(keep & pd.Index(data.user_labels).isin(users)[data.user_ids])
    rows = rows[np.lexsort((data.timestamps[rows], data.user_ids[rows]))]
    lengths = np.unique(data.user_ids[rows], return_counts=True)[1]
    if not np.array_equal(lengths, sequences.lengths.numpy()):
        raise DataError("the data has changed since it was split; run the same command again")
    return data.timestamps[rows]
