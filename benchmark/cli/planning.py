"""The planned runs of the datasets that a command works on, their records, and the commands about them."""

from __future__ import annotations

import shlex
from argparse import Namespace
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING

from benchmark.cli.options import ChosenDataset, chosen_datasets
from benchmark.cli.preparing import NOTHING_TO_DO, open_store
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.planner import PlannedRun, plan
from benchmark.plan.repeat import command_of
from benchmark.plan.tuning import trial_values
from benchmark.runs.outstanding import is_left
from benchmark.store.json_text import printable
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, to_stderr
from datasets.interactions import DataError
from datasets.protocol import Protocol
from datasets.registry import DATASETS

if TYPE_CHECKING:
    from benchmark.runs.preparation import Prepared

Plans = dict[str, list[PlannedRun]]
Records = dict[str, list[RunRecord]]
"""Planned runs by dataset."""


def open_and_plan(options: Namespace) -> tuple[Store, Plans]:
    """The store, and the runs that the options ask for, judging by the store's data.json alone."""
    store = open_store(options.out_dir)
    return store, plan_all(chosen_datasets(options, store), store, options.seeds)


def plan_all(
    chosen: Iterable[ChosenDataset],
    store: Store,
    seeds: Sequence[int] | None,
    prepared: Mapping[tuple[str, Protocol], Prepared] = MappingProxyType({}),
) -> Plans:
    """The runs of each dataset that is prepared, now or according to the store's data.json.

    Raises DataError if a named dataset is not, or if none is.
    """
    plans = {}
    for dataset in chosen:
        facts, *windows = (_facts(store, dataset.name, each, prepared) for each in (dataset.protocol, *dataset.windows))
        if facts is None and dataset.named:
            raise DataError(
                f"{dataset.name}: the store has no data.json for this protocol; "
                "use python run_all.py --stages prepare first"
            )
        if facts is not None:
            values = trial_values(store.records(dataset.name)) if "tune" in dataset.experiments else {}
            known = [each for each in windows if each is not None]
            if len(known) < len(windows):
                to_stderr(
                    f"{dataset.name}: {len(known)} of {len(windows)} windows are prepared; "
                    "python run_all.py --stages prepare --experiments windows adds the others"
                )
            plans[dataset.name] = plan(
                dataset.configuration, facts, dataset.experiments, dataset.methods, seeds, values, known
            )
    if not plans:
        raise DataError(NOTHING_TO_DO)
    return plans


def _facts(
    store: Store, name: str, protocol: Protocol, prepared: Mapping[tuple[str, Protocol], Prepared]
) -> DatasetFacts | None:
    ready = prepared.get((name, protocol))
    return DatasetFacts.stored(store, name, protocol) if ready is None else ready.facts


def records_of(runs: Iterable[PlannedRun], records: Iterable[RunRecord]) -> dict[str, RunRecord]:
    """The records, out of one dataset's `records`, of planned runs, by the run's key."""
    found = {(record.key, record.seed): record for record in records}
    return {run.key: found[run.key, run.spec.seed] for run in runs if (run.key, run.spec.seed) in found}


def left_of(runs: Iterable[PlannedRun], records: Iterable[RunRecord], overwrite: str) -> list[PlannedRun]:
    """Those of one dataset's planned runs that have to be executed, as its `records` stand."""
    known = records_of(runs, records)
    return [run for run in runs if is_left(known.get(run.key), overwrite)]


def command_repeating(run: PlannedRun, dataset: ChosenDataset) -> str:
    """The command that makes this one run and nothing else, in a folder of its own."""
    own = dataset.interactions
    return command_of(run.spec.to_json(), printable(own.name) if own else "")


def command_about(dataset: ChosenDataset, options: Namespace, *words: str) -> str:
    """The command that `words` give, about one dataset and under the rules of `options`."""
    return shlex.join([*words, *rules_about(dataset.name, options)])


def rules_about(name: str, options: Namespace) -> list[str]:
    """The words that say which dataset this is and under which rules of `options` its runs are made."""
    own = options.interactions if name not in DATASETS else None
    every = ["--interactions", printable(own.name)] if own else ["--dataset", name]
    for flag, default in (("protocol", "released"), ("hparams", "equal"), ("profile", "paper")):
        if getattr(options, flag, default) != default:
            every += [f"--{flag}", getattr(options, flag)]
    for assignment in options.set:
        every += ["--set", assignment]
    return every
