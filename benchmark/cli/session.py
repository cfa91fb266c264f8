"""What one command works on: the store, the datasets that its options choose, their data and their planned runs."""

from __future__ import annotations

import re
import shlex
import time
from argparse import Namespace
from collections.abc import Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.options import ROOT, ChosenDataset, chosen_dataset, chosen_datasets, with_experiments
from benchmark.plan.config import ConfigError
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import DEFAULT, MAIN_SEEDS, all_experiments
from benchmark.plan.planner import PlannedRun, choose_methods, plan
from benchmark.plan.run_spec import shortened
from benchmark.plan.tuning import trial_values
from benchmark.runs.outstanding import left_of
from benchmark.store.atomic_files import check_directory, sweep
from benchmark.store.json_text import printable
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, StoreError, to_stderr
from datasets.download import MissingData
from datasets.interactions import DataError
from datasets.protocol import PAPER_PRESETS, Protocol
from datasets.registry import DATASETS, PAPER_DATASETS

if TYPE_CHECKING:
    from benchmark.runs.preparation import Prepared

USUAL = {"protocol": "released", "hparams": "equal", "profile": "paper"}
CACHE, REPORTS = ".cache", "reports"
MAX_NAME = 100
NOTHING_TO_DO = "no dataset is there to work on; see the lines above, or try --dataset synthetic"

Plans = dict[str, list[PlannedRun]]
Records = dict[str, list[RunRecord]]
"""Planned runs, and stored ones, by dataset."""


class Session:
    """The store below --out-dir and the datasets that the options choose; `every` are those that "all" stands for.

    `prepared`: the data that has been prepared so far, by the dataset's name and the protocol.
    """

    def __init__(self, options: Namespace, every: Sequence[str] = PAPER_DATASETS) -> None:
        self.options, self.store = options, open_store(options.out_dir)
        self.chosen = chosen_datasets(options, self.store, every)
        self.prepared: dict[tuple[str, Protocol], Prepared] = {}
        self._told: set[str] = set()

    def prepare(
        self, chosen: Iterable[ChosenDataset] | None = None, download: bool = True
    ) -> list[tuple[ChosenDataset, Prepared]]:
        """Prepare datasets, all chosen ones by default, under their protocols; returns those whose data is there.

        Raises MissingData if the data of a named one is not there; one that was not named is left out then, and its
        instructions are shown. Raises DataError if none of all chosen ones is there.
        """
        wanted = self.chosen if chosen is None else chosen
        for dataset in wanted:
            try:
                for protocol in dict.fromkeys((dataset.protocol, *dataset.windows)):
                    self.prepared[dataset.name, protocol] = self._prepare(dataset, protocol, download)
            except MissingData as error:
                if dataset.named:
                    raise
                to_stderr(f"{dataset.name}: skipped: {error}")
        ready = [(each, self.prepared[key]) for each in wanted if (key := (each.name, each.protocol)) in self.prepared]
        if not ready and chosen is None:
            raise DataError(NOTHING_TO_DO)
        return ready

    def plan(self, seeds: Sequence[int] | None = None, chosen: Iterable[ChosenDataset] | None = None) -> Plans:
        """The runs of each dataset, all chosen ones by default, that is prepared, now or by the store's data.json.

        Raises DataError if a named dataset is not prepared, or if none is.
        """
        plans = {}
        for dataset in self.chosen if chosen is None else chosen:
            tunes = "tune" in dataset.experiments
            runs = self._planned(dataset, seeds, self.store.records(dataset.name) if tunes else ())
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
                    "python run_all.py --stages prepare --experiments windows adds the others"
                )
            plans[dataset.name] = runs
        if not plans:
            raise DataError(NOTHING_TO_DO)
        return plans

    def whole_plan(self, stored: Records, seeds: Sequence[int] | None = None) -> tuple[Plans, Records]:
        """What a report shows that takes the place of the last one: the runs that are planned and, under the same
        rules, whatever else the store has of these datasets and of others; and the records of all of them, of which
        those in `stored` have been read.
        """
        asked = {dataset.name: dataset for dataset in self.chosen}
        is_demo = all(name in DATASETS and DATASETS[name].is_synthetic for name in asked)
        others = [name for name in DATASETS if name in self.store.datasets() and not DATASETS[name].is_synthetic]
        for name in others if not is_demo else ():
            with suppress(ConfigError):  # it lacks what --hparams tuned needs
                asked.setdefault(name, chosen_dataset(name, None, False, self.options, self.store))
        plans, records = Plans(), Records()
        for name in sorted(asked, key=[*DATASETS, *asked].index):
            dataset = asked[name]
            every = dict.fromkeys((*all_experiments(name, dataset.protocol), *dataset.experiments))
            known = stored[name] if name in stored else self.store.records(name)
            runs = self._planned(with_experiments(dataset, every), seeds, known) or []
            left = {run.key for run in left_of(runs, known, "failed")}
            if dataset not in self.chosen and len(left) == len(runs):
                continue
            own = {next(iter(run.uses)) for run in runs if run.key not in left}  # other uses of a run come for free
            whole = {*every} - {each for run in runs if run.key in left for each in run.uses}
            shown = {*dataset.experiments} | own | whole
            plans[name] = self._planned(with_experiments(dataset, shown), seeds, known) or []
            records[name] = known
        return plans, records

    def _planned(
        self, dataset: ChosenDataset, seeds: Sequence[int] | None, records: Sequence[RunRecord]
    ) -> list[PlannedRun] | None:
        """None for a dataset that is not prepared; tuning goes on from the trials among its `records`."""
        facts, *windows = (self.facts(dataset.name, each) for each in (dataset.protocol, *dataset.windows))
        if facts is None:
            return None
        values = trial_values(records) if "tune" in dataset.experiments else {}
        known = [each for each in windows if each is not None]
        return plan(dataset.configuration, facts, dataset.experiments, dataset.methods, seeds, values, known)

    def facts(self, name: str, protocol: Protocol) -> DatasetFacts | None:
        """What a plan has to know of a dataset, from its data or from data.json; None if neither is there."""
        ready = self.prepared.get((name, protocol))
        return ready.facts if ready else DatasetFacts.stored(self.store, name, protocol)

    def command(self, name: str, *words: str) -> str:
        """The command that `words` begin, about one dataset and under the rules of the options."""
        options, own = self.options, self.options.interactions if name not in DATASETS else None
        rules = ["--interactions", printable(own.name)] if own else ["--dataset", name]
        for flag, default in USUAL.items():
            if getattr(options, flag, default) != default:
                rules += [f"--{flag}", getattr(options, flag)]
        for assignment in options.set:
            rules += ["--set", assignment]
        return shlex.join([*words, *rules])

    def report_place(self) -> Path:
        """Where a report goes: into a folder of its own if the options leave out some of the usual runs."""
        options = self.options
        if options.report_dir is not None:
            return Path(options.report_dir)
        # The other protocols have experiments of their own, each of which is a whole report.
        usual = set(DEFAULT) if options.protocol in PAPER_PRESETS else set[str]()
        has_usual_seeds = set(MAIN_SEEDS) <= set(options.seeds or MAIN_SEEDS) and not options.claim
        if has_usual_seeds and all(
            usual <= set(each.experiments) and set(choose_methods(None)) <= set(each.methods) for each in self.chosen
        ):
            return Path(options.out_dir)
        return Path(options.out_dir, REPORTS, narrowing(options, self.chosen))

    def _prepare(self, dataset: ChosenDataset, protocol: Protocol, download: bool) -> Prepared:
        from benchmark.runs.preparation import prepare, with_labels  # it needs torch, which takes seconds to import

        options, clock = self.options, time.perf_counter()
        before = DatasetFacts.stored(self.store, dataset.name, protocol)
        about = dataset.name, options.data_dir, dataset.interactions, protocol, options.out_dir / CACHE
        store = None if getattr(options, "dry_run", False) else self.store
        prepared = prepare(*about, store, self._tell_once, download and not options.no_download)
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
            f"{summary['test_users']:,} test users ({time.perf_counter() - clock:.1f} s)"
        )
        return prepared

    def _tell_once(self, line: str) -> None:
        if line not in self._told:
            self._told.add(line)
            to_stderr(line)


def open_store(out_dir: Path) -> Store:
    """The store below `out_dir`, after removing what killed processes left; StoreError if it cannot be a directory."""
    check_directory(out_dir, written=False)
    for name in ("tables", "figures", CACHE):
        try:
            sweep(out_dir / name)
        except StoreError as error:
            to_stderr(f"{error}; what a killed process left there stays")
    return Store(out_dir / "results")


def check_places(out_dir: Path, parts: Iterable[str], folders: Iterable[str] = ()) -> None:
    """Raise StoreError where something stands in the way, before hours of work: in results/, tables/ or figures/
    (`parts`), and in their `folders`.
    """
    for part in parts:
        for folder in ("", *([".locks"] if part == "results" else []), *folders):
            check_directory(out_dir / part / folder)


def check_unpublished(place: Path, option: str, out_dir: Path) -> None:
    """Raise ConfigError if original ids would be written among what is published of the clone or of `out_dir`."""
    place_and_above = (place.resolve(), *place.resolve().parents)
    for folder in (root / name for root in (out_dir, ROOT) for name in ("results", "tables", "figures")):
        if folder.resolve() in place_and_above:
            raise ConfigError(
                f"{option} {place}: {folder.name}/ is published, and original ids must not be published; "
                "name a place elsewhere"
            )


def narrowing(options: Namespace, chosen: Iterable[ChosenDataset]) -> str:
    """What the options name, as a folder: `ml-1m_seeds-0+1_methods-sasrec-ce+btsr`."""
    named: dict[str, Sequence[object] | None] = {"": [dataset.name for dataset in chosen]}
    for flag, usual in USUAL.items():
        named[f"{flag}-"] = [value] if (value := getattr(options, flag)) != usual else None
    named |= {"set-": options.set, "claim-": [options.claim.id] if options.claim else None, "seeds-": options.seeds}
    if not options.claim:
        named |= {"methods-": options.methods, "experiments-": options.experiments}
    name = "_".join(flag + "+".join(map(str, values)) for flag, values in named.items() if values)
    return shortened(re.sub(r"[^A-Za-z0-9.+_-]", "-", name), MAX_NAME)
