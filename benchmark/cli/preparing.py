"""Opening the store, and preparing the data of the datasets that a command works on."""

from __future__ import annotations

import time
from argparse import Namespace
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.options import ChosenDataset, chosen_datasets
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.store.atomic_files import check_directory, sweep
from benchmark.store.store import Store, StoreError, to_stderr
from datasets.download import MissingData
from datasets.interactions import DataError
from datasets.protocol import Protocol

if TYPE_CHECKING:
    from benchmark.runs.preparation import Prepared

CACHE = ".cache"
NOTHING_TO_DO = "no dataset is there to work on; see the lines above, or try --dataset synthetic"


def open_store(out_dir: Path) -> Store:
    """The store below `out_dir`, after removing what killed processes left; StoreError if it cannot be a directory."""
    check_directory(out_dir, written=False)
    for name in ("tables", "figures", CACHE):
        try:
            sweep(out_dir / name)
        except StoreError as error:
            to_stderr(f"{error}; what a killed process left there stays")
    return Store(out_dir / "results")


def open_and_prepare(options: Namespace) -> tuple[Store, list[tuple[ChosenDataset, Prepared]]]:
    """The store, and each dataset that the options choose with its data; raises DataError if none is there."""
    store = open_store(options.out_dir)
    chosen = chosen_datasets(options, store)
    prepared = prepare_all(chosen, store, options)
    if not prepared:
        raise DataError(NOTHING_TO_DO)
    return store, [(each, prepared[key]) for each in chosen if (key := (each.name, each.protocol)) in prepared]


def check_places(out_dir: Path, parts: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Raise StoreError where something stands in the way, before hours of work: in results/, tables/ or figures/
    (`parts`), and in their `folders`.
    """
    for part in parts:
        for folder in ("", *([".locks"] if part == "results" else []), *folders):
            check_directory(out_dir / part / folder)


def prepare_all(
    chosen: Iterable[ChosenDataset], store: Store, options: Namespace, download: bool = True
) -> dict[tuple[str, Protocol], Prepared]:
    """Prepare each dataset under its protocol and those of its windows; by name and protocol.

    Raises MissingData if the data of a named one is not there. A dataset that was not named is left out then, and its
    instructions are shown.
    """
    prepared, said = {}, set[str]()

    def say_once(line: str) -> None:
        if line not in said:
            said.add(line)
            to_stderr(line)

    for dataset in chosen:
        try:
            for protocol in dict.fromkeys((dataset.protocol, *dataset.windows)):
                ready = _prepare(dataset, protocol, store, options, say_once, download and not options.no_download)
                prepared[dataset.name, protocol] = ready
        except MissingData as error:
            if dataset.named:
                raise
            to_stderr(f"{dataset.name}: skipped: {error}")
    return prepared


def _prepare(
    dataset: ChosenDataset,
    protocol: Protocol,
    store: Store,
    options: Namespace,
    say_once: Callable[[str], None],
    download: bool,
) -> Prepared:
    from benchmark.runs.preparation import prepare, with_labels  # it needs torch, which takes seconds to import

    clock = time.perf_counter()
    before = DatasetFacts.stored(store, dataset.name, protocol)
    prepared = prepare(
        dataset.name,
        options.data_dir,
        dataset.interactions,
        protocol,
        options.out_dir / CACHE,
        store,
        say_once,
        download=download,
    )
    judged = ("evaluation.downstream", True) in dataset.configuration.assignments
    if judged or "downstream" in dataset.experiments:
        prepared = with_labels(prepared, options.data_dir, dataset.interactions)
    summary = prepared.summary
    if before is not None and before.fingerprint != prepared.fingerprint:
        to_stderr(
            f"{prepared.title}: {summary['source']} differs from what earlier runs here used; "
            "those runs are kept but not reported"
        )
    to_stderr(
        f"{prepared.title} ({prepared.label}): {summary['train_users']:,} training users, "
        f"{summary['items']:,} items, {summary['train_interactions']:,} interactions; "
        f"{summary['test_users']:,} test users "
        f"({time.perf_counter() - clock:.1f} s)"
    )
    return prepared
