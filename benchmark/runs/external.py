"""Score recommendations made by other software: a table of users, items and ranks -> run record.

The lists have no scores. A target's rank is its place in the user's list after the items of the user's history are
removed, as our evaluation masks them, too. If the target is not in the list, the rank is 0, a miss.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from benchmark.plan.config import ConfigError
from benchmark.plan.run_spec import EVALUATION_VERSION, digest_of
from benchmark.runs.environment import seconds_since
from benchmark.runs.evaluation import TOP_ITEMS, cells_of
from benchmark.runs.preparation import Prepared, file_sha256
from benchmark.runs.probes import history_bucket_shares
from benchmark.runs.run import RunOutcome, record_of
from benchmark.runs.summary import as_small_items, summarise
from benchmark.store.json_text import printable
from benchmark.store.npz import Arrays
from benchmark.store.record import EXTERNAL, RunRecord
from datasets.interactions import DataError
from datasets.protocol import PROTOCOL_VERSION
from datasets.readers.delimited import COLUMN_NAMES, SEPARATED, layout_of, read_rows
from datasets.readers.sources import open_source
from datasets.sequences import Sequences
from datasets.split import Split

VERSIONS = {"protocol": PROTOCOL_VERSION, "evaluation": EVALUATION_VERSION, "external": 1}
"""Part of the run key. The last one is to be raised when the same file would get different results."""

COLUMNS: Mapping[str, Sequence[str]] = {"user": COLUMN_NAMES["user"], "item": COLUMN_NAMES["item"], "rank": ("rank",)}
EXPECTED = f"the first line must name the columns userid, itemid and rank, {SEPARATED}"
_NUMBER = re.compile("[0-9]{1,9}")

MAX_NAME = 60
SETTING = "external"  # in place of the hyper-parameters and profile, which are not known


@dataclass(frozen=True)
class External:
    """A file of recommendations and the name that it is shown under."""

    name: str
    path: Path

    @classmethod
    def parse(cls, text: str) -> External:
        """Parse `NAME=FILE`, or `FILE` to use its stem as the name; raise ConfigError if the name cannot be shown."""
        name, separator, file = text.partition("=")
        if not separator or "/" in name or os.path.exists(text):
            name, file = re.sub(r"(\.(csv|tsv|txt|gz))+$", "", Path(text).name, flags=re.IGNORECASE), text
        name = name.strip()
        if not file:
            raise ConfigError(f"{text!r:.200}: no file; give FILE or NAME=FILE")
        if not name[:1].isalnum() or not name.isprintable() or len(name) > MAX_NAME:
            raise ConfigError(
                f"{text!r:.200}: {name!r:.80} is not a usable name; give NAME=FILE, the name beginning with a "
                f"letter or digit, of at most {MAX_NAME} printable characters"
            )
        return cls(name, Path(file))

    @property
    def file(self) -> str:
        """The file's name without the path, which is private: records are published."""
        return printable(self.path.name)

    @property
    def method(self) -> str:
        """The method's name in the record, a path component. If characters are lost, a digest keeps it unique."""
        slug = re.sub(r"[^a-z0-9._]+", "-", self.name.lower()).strip("-._")
        if slug != self.name.lower().replace(" ", "-"):
            slug = "-".join([*([slug] if slug else []), hashlib.sha256(self.name.encode()).hexdigest()[:6]])
        return EXTERNAL + slug


def parse_externals(texts: Sequence[str]) -> list[External]:
    """Parse the command line's arguments; raise ConfigError if one is not valid or two have the same name."""
    externals: dict[str, External] = {}
    for external in map(External.parse, texts):
        if external.method in externals:
            raise ConfigError(f"two files are called '{external.name}'; give each its own as NAME=FILE")
        externals[external.method] = external
    return list(externals.values())


def check_one_history(prepared: Prepared) -> None:
    """Raise ConfigError under tie draws, where a user has several histories but would have only one list."""
    if prepared.split.tie_draws:
        raise ConfigError(
            f"{prepared.title}: under protocol.ties=draws a user has several histories, and recommendations are made "
            "for one; use --set protocol.ties=file"
        )


def score(external: External, prepared: Prepared, command: str, known: Sequence[RunRecord]) -> tuple[RunRecord, Arrays]:
    """Score a file of recommendations on the test targets and return its record and arrays.

    `command` goes into the record. `known`: the dataset's records, to count other files scored under this name before.
    Raises DataError if the file cannot be used, and ConfigError under tie draws.
    """
    check_one_history(prepared)
    outcome, clock = RunOutcome(), time.perf_counter()
    sha256, split = file_sha256(external.path), prepared.split
    lists = read_ranked_lists(external.path, split.test_user_labels, split.item_labels)
    try:
        arrays, metrics, counts = measure(lists, split)
    except ValueError as error:
        raise DataError(f"{external.path}: {error}") from error
    same = [r for r in known if r.method == external.method and r.data["fingerprint"] == prepared.fingerprint]
    others = {str(r.spec["method"]["settings"].get("sha256")) for r in same} - {sha256}
    outcome.counts |= counts | {"other_files_before": len(others)}
    outcome.metrics["test"], outcome.timings["evaluate_seconds"] = metrics, seconds_since(clock)
    spec = {
        "dataset": prepared.name,
        "title": prepared.title,
        "synthetic": prepared.synthetic,
        "protocol": prepared.summary["protocol"],
        "hparams": SETTING,
        "profile": SETTING,
        "encoder": {},
        "training": {},
        "method": {
            "name": external.method,
            "settings": {"title": external.name, "file": external.file, "sha256": sha256},
        },
        "seed": 0,
    }
    key = key_of(external, prepared, sha256)
    return record_of(key, spec, VERSIONS, prepared, torch.device("cpu"), command, outcome), arrays


def key_of(external: External, prepared: Prepared, sha256: str) -> str:
    """Return the run key, 16 hex digits of everything that determines the results, and of the name."""
    return digest_of([external.method, sha256, prepared.fingerprint, prepared.summary["protocol"], VERSIONS])


# --- reading --------------------------------------------------------------------------------------------------------


def read_ranked_lists(path: Path, users: np.ndarray, items: np.ndarray) -> Sequences:
    """Read one list per user, best first, as indices into `items`. A user who is not in the file gets an empty list.

    `users` (N,), `items` (V,): the original ids, which the file, plain or gzip, must use as `str` formats them. Its
    rows may be in any order. Raises DataError, with file and line number, for an unknown user or item, an item that
    occurs twice in a list, ranks other than 1 to n, and a file that is not such a table.
    """
    user_index, item_index = ({str(label): i for i, label in enumerate(labels.tolist())} for labels in (users, items))
    found = array("q")  # user, item, rank and line of each recommendation
    layout = replace(layout_of(path, COLUMNS, EXPECTED), quoted=True)
    with open_source(path) as stream:
        for line, user, item, rank in read_rows(stream, layout, path):
            try:
                given = _recommendation(user.strip(), item.strip(), rank.strip(), user_index, item_index)
                found.extend((*given, line))
            except ValueError as error:
                raise DataError(f"{path}: line {line}: {error}") from error
    cells = np.array(found, dtype=np.int64).reshape(-1, 4)
    if not len(cells):
        raise DataError(f"{path}: has no recommendations; give one line with user, item and rank for each")
    listed = pd.DataFrame(cells, columns=["user", "item", "rank", "line"])
    for user, item, _, line in listed[listed.duplicated(["user", "item"])].to_numpy():
        raise DataError(
            f"{path}: line {line}: item {str(items[item])!r:.60} is in the list of user {str(users[user])!r:.60} a "
            "second time; list each item once"
        )
    listed = listed.sort_values(["user", "rank", "line"])
    listed["place"] = listed.groupby("user").cumcount() + 1
    lengths = np.bincount(listed["user"], minlength=len(users))
    for user, _, rank, line, place in listed[listed["rank"] != listed["place"]].to_numpy():
        n = lengths[user]
        raise DataError(
            f"{path}: line {line}: rank {rank} of user {str(users[user])!r:.60} stands where rank {place} should; "
            f"number the user's {n} items from 1 to {n}, each rank once"
        )
    return Sequences.from_arrays(listed["item"].to_numpy(copy=True), np.concatenate([[0], np.cumsum(lengths)]))


def _recommendation(
    user: str, item: str, rank: str, users: Mapping[str, int], items: Mapping[str, int]
) -> tuple[int, int, int]:
    """Convert user, item and rank to integers; raise ValueError if one is not valid."""
    if any("\udc80" <= letter <= "\udcff" for letter in user + item):
        raise ValueError("is not UTF-8 text; convert the file to UTF-8")
    if user not in users:
        raise ValueError(f"user {user!r:.60} is not a test user; use the ids in test_histories.csv of export-split")
    if item not in items:
        raise ValueError(f"item {item!r:.60} is not in the catalogue; use the ids in catalogue.csv of export-split")
    if not _NUMBER.fullmatch(rank) or int(rank) < 1:
        raise ValueError(f"rank {rank!r:.60} is not a whole number from 1; number each user's items 1, 2, 3, ...")
    return users[user], items[item], int(rank)


# --- scoring --------------------------------------------------------------------------------------------------------


def summary_line(record: RunRecord) -> str:
    """Summarise a scored file in one line for the terminal."""
    counts, value = record.counts, record.metrics["test"].get("ndcg@10")
    known = counts["known_cutoff"]
    return (
        f"{record.title}: {record.spec['method']['settings']['title']} (external): "
        + (f"NDCG@10 {value:.4f}" if value is not None else "NDCG@10 unknown")
        + f"; {counts['users_without_list']} of {counts['users']} test users have no list and count as misses"
        + f"; {counts['history_items_dropped']} listed items of users' own histories dropped"
        + (f"; the shortest list then has {known} items: metrics at larger K are unknown" * (known < TOP_ITEMS))
    )


def measure(lists: Sequences, split: Split) -> tuple[Arrays, dict[str, float], dict[str, Any]]:
    """Evaluate N ranked lists of catalogue indices, one per test user and possibly empty.

    Returns the record's arrays, test metrics and counts. Arrays that need scores or a model are missing. `top_items` is
    only as wide as the shortest list, because what would follow is unknown; metrics at larger K are missing, too.
    Raises ValueError if a list consists of nothing but items in the user's history.
    """
    test, n_items = split.cases("test"), split.n_items
    targets, seen = test.targets.numpy(), np.unique(cells_of(test.histories, n_items).numpy())
    listed = cells_of(lists, n_items).numpy()
    users, items = np.divmod(listed[np.isin(listed, seen, invert=True)], n_items)
    lengths = np.bincount(users, minlength=len(targets))
    places = np.arange(len(users)) - (np.cumsum(lengths) - lengths)[users]  # from 0

    known = _known_cutoff(lists, lengths, n_items - np.bincount(seen // n_items, minlength=len(targets)), split)
    ranks = np.zeros(len(targets), dtype=np.int32)
    is_hit = items == targets[users]
    ranks[users[is_hit]] = places[is_hit] + 1
    is_top = places < min(known, n_items)
    top_items = np.full((len(targets), min(known, n_items)), n_items)
    top_items[users[is_top], places[is_top]] = items[is_top]
    arrays = {
        "ranks": ranks,
        "top_items": as_small_items(top_items, n_items),
        "target_buckets": split.item_buckets[targets],
        "history_buckets": history_bucket_shares(test.histories, split.item_buckets),
    }
    counts = {
        "users": len(targets),
        "users_without_list": int((lists.lengths == 0).sum()),
        "recommendations": len(listed),
        "history_items_dropped": len(listed) - len(users),
        "known_cutoff": known,
    }
    return arrays, metrics_of(arrays, split), counts


def metrics_of(arrays: Arrays, split: Split) -> dict[str, float]:
    """Compute test metrics from the arrays of `measure`, without those at a K beyond the shortest list.

    Rank 0 does not imply that the target is masked, as it does elsewhere, so `masked_targets` comes from the split.
    """
    test, n_items = split.cases("test"), split.n_items
    width = arrays["top_items"].shape[1]
    known = TOP_ITEMS if width == n_items else width  # the whole catalogue is known at any K
    metrics = summarise([arrays], split.item_buckets, split.item_popularity)
    targets = torch.arange(len(test.targets)) * n_items + test.targets
    metrics["masked_targets"] = torch.isin(targets, cells_of(test.histories, n_items)).double().mean().item()
    cutoffs = {name: re.search(r"@(\d+)", name) for name in metrics}
    return {name: metrics[name] for name, cutoff in cutoffs.items() if not cutoff or int(cutoff[1]) <= known}


def _known_cutoff(lists: Sequences, lengths: np.ndarray, available: np.ndarray, split: Split) -> int:
    """Return the largest K up to which every list is known, at most TOP_ITEMS.

    `lengths` (N,): the lists' lengths without items of the users' histories. `available` (N,): how many items a user
    could be recommended. A list with all of them is complete, so it is known for any K.
    """
    given = lists.lengths.numpy() > 0
    reach = np.where(lengths >= available, TOP_ITEMS, lengths)
    if not reach[given].all():
        user = split.test_user_labels[given & (reach == 0)][0]
        raise ValueError(
            f"all items listed for user {str(user)!r:.60} are in the user's own history and do not count; "
            "recommend others, or leave the user out"
        )
    return int(min(TOP_ITEMS, reach[given].min()))
