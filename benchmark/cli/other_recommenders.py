"""python -m benchmark export-split and score: let another recommender compete on our split.

`export-split` writes the training data, the test histories and the catalogue as plain files with original ids, without
the test targets. These files hold the publisher's data, so they go only where the user says and never into results/.
`score` evaluates the recommendations that come back by our metrics.
"""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from benchmark.cli.session import Session, check_places, check_unpublished
from benchmark.plan.config import ConfigError
from benchmark.runs.evaluation import TOP_ITEMS
from benchmark.runs.external import check_one_history, parse_externals, score, summary_line
from benchmark.runs.preparation import Prepared, interactions_of
from benchmark.store.atomic_files import check_directory, write_directory, writing
from benchmark.store.json_text import to_json
from benchmark.store.store import to_stderr
from datasets.interactions import DataError, Interactions
from datasets.sequences import Sequences
from datasets.split import Split, split_timestamps

README = Path(__file__).with_name("export_split.txt").read_text(encoding="utf-8")


def export_split(options: Namespace) -> int:
    """Write the split of each dataset into a folder of its own below --to."""
    directory = options.to
    with writing(directory, "--to"):
        check_unpublished(directory, "--to", options.out_dir)
        if directory.exists() and (not directory.is_dir() or any(directory.iterdir())):
            raise ConfigError(
                f"--to {directory}: is not an empty directory, and nothing is overwritten; name a new one"
            )
    check_directory(directory, "--to")
    session = Session(options)
    for dataset, data in session.prepare():
        interactions = interactions_of(dataset.name, options.data_dir, dataset.interactions)
        command = session.command(dataset.name, "python", "-m", "benchmark", "score", "mine.csv")
        folder = write_split(data, interactions, command, directory)
        print(f"{data.title}: written to {folder}; its README.txt explains the files")
    return 0


def score_lists(options: Namespace) -> int:
    """Score every file, then store the results, which the next report shows."""
    externals = parse_externals(options.files)
    for assignment in options.set:
        if assignment.strip().startswith("evaluation."):
            raise ConfigError(
                f"--set {assignment:.60}: lists are scored with the users' histories masked; leave it out"
            )
    session = Session(options)
    if len(session.chosen) != 1:
        raise ConfigError("lists are scored on one dataset; name it with --dataset or --interactions")
    name = session.chosen[0].name
    check_places(options.out_dir, ["results"], [name])
    [(_, data)] = session.prepare()
    known, runs = session.store.records(name), []
    for external in externals:
        words = ("python", "-m", "benchmark", "score", f"{external.name}={external.file}")
        runs.append(score(external, data, session.command(name, *words), known))
    for record, arrays in runs:
        session.store.save(record, arrays, overwrite=True)
        to_stderr(summary_line(record))
    print(f"to see them in the tables: {session.command(name, 'python', 'run_all.py', '--stages', 'report')}")
    return 0


# --- the files of export-split --------------------------------------------------------------------------------------


def write_split(prepared: Prepared, interactions: Interactions, command: str, directory: Path) -> Path:
    """Write the folder <directory>/<dataset>, completely or not at all, and return its path.

    `interactions` must be those that were split, because their timestamps are written too. `command`, quoted in the
    README, scores a file of recommendations. Raises DataError if the interactions do not match the split, ConfigError
    under tie draws or leave-one-out, and StoreError if the folder cannot be written.
    """
    check_one_history(prepared)
    if prepared.facts.protocol.is_leave_one_out:
        raise ConfigError(
            f"{prepared.title}: under {prepared.facts.protocol.preset} the histories of the test users are the "
            "training data, but export-split separates the two; choose another --protocol"
        )
    split = prepared.split
    histories = split.cases("test").histories
    train_timestamps, event_timestamps = split_timestamps(interactions, prepared.facts.protocol)
    if [len(train_timestamps), len(event_timestamps)] != [len(split.train.items), len(split.events.items)]:
        raise DataError("the data has changed since it was split; run the same command again")
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
    """Return the content of split.json, which must not reveal the targets."""
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
