"""A session: the store, the datasets that a command's options choose, their data and their planned runs."""

from __future__ import annotations

import re
import shlex
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.options import ROOT, ChosenDataset, chosen_dataset, chosen_datasets
from benchmark.plan.config import ConfigError
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import DEFAULT, all_experiments
from benchmark.plan.planner import PlannedRun, choose_methods, plan
from benchmark.plan.run_spec import shortened
from benchmark.plan.tuning import trial_values
from benchmark.runs.outstanding import outstanding_runs
from benchmark.store.atomic_files import StoreError, check_directory, sweep
from benchmark.store.json_text import printable
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, to_stderr
from datasets.download import MissingData
from datasets.interactions import DataError
from datasets.protocol import PAPER_PRESETS, Protocol
from datasets.registry import DATASETS, PAPER_DATASETS

if TYPE_CHECKING:
    from benchmark.runs.preparation import Prepared

DEFAULT_RULES = {"protocol": "released", "hparams": "equal", "profile": "paper"}
CACHE, REPORTS = ".cache", "reports"
MAX_NAME = 100
NO_DATASET = "there is no dataset to work with; --dataset synthetic needs no download"

Plans = dict[str, list[PlannedRun]]
Records = dict[str, list[RunRecord]]
"""Planned and stored runs by dataset."""


class Session:
    """The store below --out-dir and the datasets that the options choose; `every` is what "all" stands for.

    `prepared`: the data prepared so far, by dataset name and protocol.
    """

    def __init__(self, options: Namespace, every: Sequence[str] = PAPER_DATASETS) -> None:
        self.options, self.store = options, open_store(options.out_dir)
        self.chosen = chosen_datasets(options, self.store, every)
        self.prepared: dict[tuple[str, Protocol], Prepared] = {}
        self._printed: set[str] = set()

    def prepare(self, only: Iterable[ChosenDataset] | None = None) -> list[tuple[ChosenDataset, Prepared]]:
        """Prepare the chosen datasets under each of their protocols, or `only` some without downloading anything.

        Returns those that have data. If data is missing, raises MissingData for a dataset that the user named, and
        skips another one after printing how to get it. Raises DataError if none of all chosen ones is left.
        """
        wanted = self.chosen if only is None else only
        for dataset in wanted:
            try:
                for protocol in dict.fromkeys((dataset.protocol, *dataset.windows)):
                    self.prepared[dataset.name, protocol] = self._prepare(dataset, protocol, download=only is None)
            except MissingData as error:
                if dataset.named:
                    raise
                to_stderr(f"{dataset.name}: skipped: {error}")
        ready = [(each, self.prepared[key]) for each in wanted if (key := (each.name, each.protocol)) in self.prepared]
        if not ready and only is None:
            raise DataError(NO_DATASET)
        return ready

    def plan(self) -> Plans:
        """Plan the runs of each chosen dataset that is prepared or has a data.json in the store.

        Raises DataError for a dataset that the user named but that is neither, and if no dataset is left.
        """
        plans = {}
        for dataset in self.chosen:
            tunes = "tune" in dataset.experiments
            runs = self.planned_runs(dataset, self.store.records(dataset.name) if tunes else ())
            if runs is None and dataset.named:
                raise DataError(
                    f"{dataset.name}: the store has no data.json for this protocol; "
                    "use python run_all.py --stages prepare first"
                )
            if runs is None:
                continue
            known = sum(self.facts(dataset.name, each) is not None for each in dataset.windows)
            if known < len(dataset.windows):
                to_stderr(
                    f"{dataset.name}: {known} of {len(dataset.windows)} windows are prepared; "
                    "python run_all.py --stages prepare --experiments windows prepares the others"
                )
            plans[dataset.name] = runs
        if not plans:
            raise DataError(NO_DATASET)
        return plans

    def whole_plan(self, stored: Records) -> tuple[Plans, Records]:
        """Return the plan and the records of a report that replaces the previous one.

        They hold the planned runs and everything else that the store has under the same rules: other experiments of
        these datasets, and other datasets. `stored`: the records that have been read already.
        """
        datasets = {dataset.name: dataset for dataset in self.chosen}
        is_demo = all(name in DATASETS and DATASETS[name].is_synthetic for name in datasets)
        others = [name for name in DATASETS if name in self.store.datasets() and not DATASETS[name].is_synthetic]
        for name in others if not is_demo else ():
            with suppress(ConfigError):  # it has not been tuned, which --hparams tuned needs
                datasets.setdefault(name, chosen_dataset(name, None, False, self.options, self.store))
        plans, records = Plans(), Records()
        for name in sorted(datasets, key=[*DATASETS, *datasets].index):
            dataset = datasets[name]
            every = dict.fromkeys((*all_experiments(name, dataset.protocol), *dataset.experiments))
            known = stored[name] if name in stored else self.store.records(name)
            runs = self.planned_runs(replace(dataset, experiments=tuple(every)), known) or []
            left = {run.key for run in outstanding_runs(runs, known, "failed")}
            if dataset not in self.chosen and len(left) == len(runs):
                continue
            # Beside what was asked for, show the experiments that are complete and those with a finished run of their
            # own, which is one that no earlier experiment uses.
            begun = {next(iter(run.uses)) for run in runs if run.key not in left}
            complete = {*every} - {each for run in runs if run.key in left for each in run.uses}
            shown = tuple({*dataset.experiments} | begun | complete)
            plans[name] = self.planned_runs(replace(dataset, experiments=shown), known) or []
            records[name] = known
        return plans, records

    def planned_runs(self, dataset: ChosenDataset, records: Sequence[RunRecord]) -> list[PlannedRun] | None:
        """Plan one dataset's runs; None if it is not prepared. Tuning goes on from the trials in `records`."""
        facts, *windows = (self.facts(dataset.name, each) for each in (dataset.protocol, *dataset.windows))
        if facts is None:
            return None
        values = trial_values(records) if "tune" in dataset.experiments else {}
        known, seeds = [each for each in windows if each is not None], self.options.seeds
        return plan(dataset.configuration, facts, dataset.experiments, dataset.methods, seeds, values, known)

    def facts(self, name: str, protocol: Protocol) -> DatasetFacts | None:
        """Return what a plan needs to know about a dataset, from its data or data.json; None if both are missing."""
        ready = self.prepared.get((name, protocol))
        return ready.facts if ready else DatasetFacts.stored(self.store, name, protocol)

    def command(self, name: str, *words: str) -> str:
        """Complete the command that starts with `words` by the dataset `name` and the rules that this session has."""
        options, own = self.options, self.options.interactions if name not in DATASETS else None
        rules = ["--interactions", printable(own.name)] if own else ["--dataset", name]
        for flag, default in DEFAULT_RULES.items():
            if getattr(options, flag) != default:
                rules += [f"--{flag}", getattr(options, flag)]
        for assignment in options.set:
            rules += ["--set", assignment]
        return shlex.join([*words, *rules])

    def report_place(self) -> Path:
        """Return where a report goes: a folder of its own below reports/ if the options leave out default runs."""
        options = self.options
        if options.report_dir is not None:
            return Path(options.report_dir)
        # Protocols other than the paper's have their own experiments, each of which makes a whole report.
        experiments = set(DEFAULT) if options.protocol in PAPER_PRESETS else set[str]()
        methods = set(choose_methods(None))
        # Seeds that are named also apply to sweeps, which have fewer by default.
        if (
            options.seeds is None
            and not options.claim
            and all(experiments <= set(each.experiments) and methods <= set(each.methods) for each in self.chosen)
        ):
            return Path(options.out_dir)
        return Path(options.out_dir, REPORTS, _folder_name(options, self.chosen))

    def _prepare(self, dataset: ChosenDataset, protocol: Protocol, download: bool) -> Prepared:
        from benchmark.runs.preparation import prepare, with_labels  # imports torch, which takes seconds

        options, clock = self.options, time.perf_counter()
        before = DatasetFacts.stored(self.store, dataset.name, protocol)
        about = dataset.name, options.data_dir, dataset.interactions, protocol, options.out_dir / CACHE
        store = None if getattr(options, "dry_run", False) else self.store
        prepared = prepare(*about, store, self._print_once, download and not options.no_download)
        needs_labels = ("evaluation.downstream", True) in dataset.configuration.assignments
        if needs_labels or "downstream" in dataset.experiments:
            prepared = with_labels(prepared, options.data_dir, dataset.interactions)
        summary = prepared.summary
        if before is not None and before.fingerprint != prepared.fingerprint:
            to_stderr(
                f"{prepared.title}: {summary['source']} differs from the data of earlier runs here; "
                "those runs are kept but not reported"
            )
        to_stderr(
            f"{prepared.title} ({prepared.label}): {summary['train_users']:,} training users, "
            f"{summary['items']:,} items, {summary['train_interactions']:,} interactions; "
            f"{summary['test_users']:,} test users ({time.perf_counter() - clock:.1f} s)"
        )
        return prepared

    def _print_once(self, line: str) -> None:
        if line not in self._printed:
            self._printed.add(line)
            to_stderr(line)


def open_store(out_dir: Path) -> Store:
    """Open the store below `out_dir` and clean up after killed processes; StoreError if that cannot be a directory."""
    check_directory(out_dir, written=False)
    for name in ("tables", "figures", CACHE):
        try:
            sweep(out_dir / name)
        except StoreError as error:
            to_stderr(f"{error}; temporary files that a killed process left there stay")
    return Store(out_dir / "results")


def check_places(out_dir: Path, parts: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Raise StoreError now, rather than after hours of work, if a folder cannot be written.

    `parts`: some of results, tables and figures, below `out_dir`. `folders`: folders in each of them.
    """
    for part in parts:
        for folder in ("", *([".locks"] if part == "results" else []), *folders):
            check_directory(out_dir / part / folder)


def check_unpublished(place: Path, option: str, out_dir: Path) -> None:
    """Raise ConfigError if `place`, which gets original ids, is inside a published folder of the clone or `out_dir`."""
    place_and_above = (place.resolve(), *place.resolve().parents)
    for folder in (root / name for root in (out_dir, ROOT) for name in ("results", "tables", "figures")):
        if folder.resolve() in place_and_above:
            raise ConfigError(
                f"{option} {place}: {folder.name}/ is published, and original ids must not be published; "
                "name a place elsewhere"
            )


def _folder_name(options: Namespace, chosen: Iterable[ChosenDataset]) -> str:
    """Name a folder after what the options choose, such as `ml-1m_seeds-0+1_methods-sasrec-ce+btsr`."""
    named: dict[str, Sequence[object] | None] = {"": [dataset.name for dataset in chosen]}
    for flag, default in DEFAULT_RULES.items():
        named[f"{flag}-"] = [value] if (value := getattr(options, flag)) != default else None
    named |= {"set-": options.set, "claim-": [options.claim.id] if options.claim else None, "seeds-": options.seeds}
    if not options.claim:
        named |= {"methods-": options.methods, "experiments-": options.experiments}
    name = "_".join(flag + "+".join(map(str, values)) for flag, values in named.items() if values)
    return shortened(re.sub(r"[^A-Za-z0-9.+_-]", "-", name), MAX_NAME)
