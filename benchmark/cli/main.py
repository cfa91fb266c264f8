"""Arguments -> plan -> execute -> report."""

from __future__ import annotations

import io
import os
import shlex
import sys
import time
from argparse import Namespace

import torch

from benchmark.cli.arguments import ROOT, parse
from benchmark.cli.compare import compare_stores
from benchmark.cli.export_split import check_place, export_split
from benchmark.cli.recompute import recompute
from benchmark.cli.status import overview
from benchmark.plan.chosen_datasets import Target, targets_of
from benchmark.plan.config import ConfigError
from benchmark.plan.planner import DatasetFacts, PlannedRun, choose_methods, plan
from benchmark.plan.tuning import ALIAS, tuned
from benchmark.runs.engines.engine import Engine
from benchmark.runs.engines.inline import InlineEngine
from benchmark.runs.engines.local import LocalEngine
from benchmark.runs.execution import Execution
from benchmark.runs.external import score, summary_line
from benchmark.runs.outstanding import is_left
from benchmark.runs.preparation import Prepared, interactions_of, prepare
from benchmark.runs.signals import INTERRUPTED, SAFE, unwinding
from benchmark.runs.training import check_compiler
from benchmark.store.atomic_files import check_directory, sweep_files, writing
from benchmark.store.json_text import printable
from benchmark.store.record import RunRecord
from benchmark.store.store import Store, StoreError, to_stderr
from datasets.interactions import DataError
from datasets.registry import MissingData

FAILURE, USAGE = 1, 2
CACHE = ".cache"
NOTHING_TO_DO = "no dataset is there to work on; see the lines above, or try --dataset synthetic"


def main(arguments: list[str] | None = None) -> int:
    """Run the command line; returns the exit code: 0 all that was asked for is there, 1 it is not, 2 wrong usage."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="replace")  # a terminal that lacks a character shows a question mark for it
    try:
        with unwinding():
            options = parse(arguments)
            code = _compare(options) if options.compare else Session(options).run()
            if sys.stdout is not None:
                sys.stdout.flush()
            return code
    except ConfigError as error:
        return _fail(str(error), USAGE)
    except (DataError, StoreError) as error:
        return _fail(str(error), FAILURE)
    except KeyboardInterrupt:
        return _fail(f"interrupted; {SAFE}", INTERRUPTED)
    except BrokenPipeError:  # the reader of our output left, as `| head` does
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FAILURE
    except OSError as error:
        return _fail(f"{error.filename or 'input or output'}: {error.strerror or error}", FAILURE)


def _compare(options: Namespace) -> int:
    first, second = options.compare
    text, same = compare_stores(first, second, options.named_datasets, _note)
    print(text, end="")
    return 0 if same else FAILURE


def _fail(line: str, code: int) -> int:
    _note(f"run_all.py: {line}")
    return code


class Session:
    """One call of run_all.py."""

    def __init__(self, options: Namespace) -> None:
        self.options = options
        self.methods = choose_methods(options.methods)
        self.device = _device(options.device, options.engine)
        self.deadline = None if options.time_budget is None else time.monotonic() + options.time_budget
        self._check_places(".locks")
        self.store = Store(options.out_dir / "results")
        self._sweep()
        self.targets = targets_of(options, self.store, self.methods)
        self._check_places(*(target.name for target in self.targets))

    def run(self) -> int:
        """All stages."""
        options = self.options
        if options.import_file:
            self._import()
        if options.dry_run or options.status:
            return self._show_plans()
        needs_data = {"prepare", "train"} & set(options.stages) or options.external or options.export_split
        prepared = self._prepare(self.targets) if needs_data or options.recompute else {}
        if options.recompute:
            return self._recompute(prepared)
        plans = self._plans(prepared)
        if not plans:
            raise DataError(NOTHING_TO_DO)
        if options.export_split:
            self._export_split(prepared)
        if options.external:
            self._score_external(prepared)
        late = self._train(plans, prepared) if "train" in options.stages else set()
        if "report" in options.stages:
            self._report(plans)
        if options.export:
            keys = [run.key for runs in plans.values() for run in runs]
            keys += [record.key for name in plans for record in self.store.records(name) if record.external]
            count = self.store.export_archive(options.export, keys)
            print(f"exported {count} finished runs to {options.export}")
        return self._conclude(plans, late)

    def _check_places(self, *folders: str) -> None:
        """Whether what is to be written can be, as far as that shows before hours of work."""
        options = self.options
        check_directory(options.out_dir, written=False)
        if options.export_split:
            with writing(options.export_split, "--export-split"):
                check_place(options.export_split, (options.out_dir, ROOT))
            check_directory(options.export_split, "--export-split")
        if options.export:
            check_directory(options.export.parent, "--export")
        if options.dry_run or options.status or options.recompute:
            return
        reports = "report" in options.stages and not options.claim
        if reports or "train" in options.stages or options.external or options.import_file:
            for place in ("", *folders):
                check_directory(options.out_dir / "results" / place)
        for name in ("tables", "figures") if reports else ():
            for place in ("", *folders):
                check_directory(options.out_dir / name / place)

    def _sweep(self) -> None:
        """Remove what killed processes left outside of the store."""
        for name in ("tables", "figures", CACHE):
            try:
                sweep_files(self.options.out_dir / name)
            except StoreError as error:
                _note(f"{error}; what a killed process left there stays")

    # --- what to work on --------------------------------------------------------------------------------------

    def _prepare(self, targets: list[Target]) -> dict[str, Prepared]:
        """The targets' data; one that nobody named and that is not there is skipped with its instructions."""
        prepared = {}
        for target in targets:
            try:
                prepared[target.name] = self._prepare_one(target)
            except MissingData as error:
                if target.named:
                    raise
                _note(f"{target.name}: skipped: {error}")
        return prepared

    def _prepare_one(self, target: Target) -> Prepared:
        options = self.options
        clock = time.perf_counter()
        before = DatasetFacts.stored(self.store, target.name, target.protocol)
        prepared = prepare(
            target.name,
            options.data_dir,
            target.interactions,
            target.protocol,
            options.out_dir / CACHE,
            self.store,
            _note,
            download=not (options.no_download or options.dry_run or options.status),
        )
        summary = prepared.summary
        if before is not None and before.fingerprint != prepared.fingerprint:
            _note(f"{prepared.title}: {summary['source']} is not what earlier runs here saw; they stay, unreported")
        _note(
            f"{prepared.title} ({prepared.label}): {summary['train_users']:,} training users, "
            f"{summary['items']:,} items, {summary['train_interactions']:,} interactions; "
            f"{summary['test_users']:,} test users "
            f"({time.perf_counter() - clock:.1f} s)"
        )
        return prepared

    def _plans(self, prepared: dict[str, Prepared]) -> dict[str, list[PlannedRun]]:
        """The runs of each target whose data, or data.json, is there."""
        plans = {}
        for target in self.targets:
            facts = self._known(target, prepared)
            if facts is not None:
                plans[target.name] = plan(
                    target.configuration, facts, self.options.experiments, self.methods, self.options.seeds
                )
            elif target.named:
                raise DataError(f"{target.name}: no data.json for this protocol in results; run --stages prepare first")
        return plans

    def _known(self, target: Target, prepared: dict[str, Prepared]) -> DatasetFacts | None:
        if target.name in prepared:
            return prepared[target.name].facts
        return DatasetFacts.stored(self.store, target.name, target.protocol)

    # --- stages -------------------------------------------------------------------------------------------------

    def _train(self, plans: dict[str, list[PlannedRun]], prepared: dict[str, Prepared]) -> set[str]:
        """Execute all plans; returns the keys of the runs that the time budget kept from starting."""
        if any(run.spec.training.compile for runs in plans.values() for run in runs):
            check_compiler(self.device)
        execution = Execution(self.store, self._engine(), self.options.overwrite, self.deadline)
        for name, runs in plans.items():
            commands = {run.key: self._command(run) for run in runs}
            execution.run(runs, prepared[name], commands)
        self._keep_tuned(plans)
        every = [run for runs in plans.values() for run in runs] if execution.out_of_time else []
        return {run.key for run in every if run.key not in execution.attempted and self._is_left(run)}

    def _is_left(self, run: PlannedRun) -> bool:
        return is_left(self._record(run), self.options.overwrite)

    def _keep_tuned(self, plans: dict[str, list[PlannedRun]]) -> None:
        """Write what tuning chose, for --hparams tuned to read."""
        for target in self.targets:
            if choices := tuned(plans.get(target.name, []), self.store.records(target.name)):
                self.store.write_selection(target.name, target.setting.name, ALIAS, choices)

    def _engine(self) -> Engine:
        if self.options.engine == "ray":
            return self._ray_engine()
        workers = self.options.workers or _default_workers(self.device)
        kind = self.options.engine or ("local" if workers > 1 else "inline")
        if kind == "inline" and workers > 1 and self.options.workers:
            _note(f"--workers {workers}: not used, --engine inline does one run at a time; use --engine local")
        return InlineEngine(self.device) if kind == "inline" else LocalEngine(self.device, workers)

    def _ray_engine(self) -> Engine:
        try:
            from benchmark.runs.engines.ray import RayEngine  # not at the top: Ray is optional
        except ImportError as error:
            raise ConfigError(
                f'--engine ray: {error.name} is not installed; use pip install -e ".[ray]", or --engine local'
            ) from None
        return RayEngine(self.options.ray_address, self.options.device, self.options.workers)

    def _report(self, plans: dict[str, list[PlannedRun]]) -> None:
        try:
            # not at the top: training machines need no plotting packages
            from benchmark.report.report import claim_findings, report
        except ImportError as error:
            raise ConfigError(
                f"the report needs {error.name}; install requirements.lock, or use --stages prepare,train"
            ) from None
        if self.options.claim:
            for finding in claim_findings(self.store, list(plans), plans, self.options.claim, _note):
                print(finding.as_text())
            return
        rendered = report(self.store, self.options.out_dir, list(plans), plans, _note)
        for text in rendered.plain:
            print(text)
        for path in rendered.tables:
            print(f"table   {path}")
        for path in rendered.figures:
            if path.suffix == ".png":
                print(f"figure  {path}")
        print(f"page    {rendered.page}")

    def _import(self) -> None:
        summary = self.store.import_archive(self.options.import_file)
        print(
            f"imported {len(summary.imported)} runs from {self.options.import_file}; "
            f"{len(summary.already_done)} were here already, {len(summary.unusable)} unusable"
        )

    # --- recommendations made elsewhere -------------------------------------------------------------------------

    def _export_split(self, prepared: dict[str, Prepared]) -> None:
        for target in self.targets:
            if target.name in prepared:
                interactions = interactions_of(target.name, self.options.data_dir, target.interactions)
                command = self._call(target.name, "--external", "mine.csv")
                folder = export_split(prepared[target.name], interactions, command, self.options.export_split)
                print(f"{prepared[target.name].title}: written to {folder}; README.txt there says what is what")

    def _score_external(self, prepared: dict[str, Prepared]) -> None:
        """Score all files before any is stored; their one dataset has been prepared."""
        [data] = prepared.values()
        known, runs = self.store.records(data.name), []
        for external in self.options.external:
            command = self._call(data.name, "--external", f"{external.name}={external.file}")
            runs.append(score(external, data, command, known))
        for record, arrays in runs:
            self.store.save(record, arrays, overwrite=True)
            _note(summary_line(record))

    def _recompute(self, prepared: dict[str, Prepared]) -> int:
        differing = 0
        for data in prepared.values():
            found = recompute(self.store, data, _note)
            print(
                f"{data.title}: {found.checked} finished runs checked, {found.completed} got metrics that they lacked, "
                f"{found.differing} say something else"
            )
            differing += found.differing
        return FAILURE if differing else 0

    # --- what is there ------------------------------------------------------------------------------------------

    def _show_plans(self) -> int:
        """--dry-run and --status; the exit code is 0 if nothing is left."""
        unknown = [
            target for target in self.targets if DatasetFacts.stored(self.store, target.name, target.protocol) is None
        ]
        plans = self._plans(self._prepare(unknown))
        if not plans:
            raise DataError(NOTHING_TO_DO)
        total_left = 0
        for runs in plans.values():
            workers = self.options.workers or _default_workers(self.device)
            lines, left = overview(self.store, runs, self.options.overwrite, self.device.type, workers)
            print("\n".join(lines))
            if self.options.dry_run and left:
                print(f"  first: {self._command(left[0])}")
            total_left += len(left)
        return FAILURE if self.options.status and total_left else 0

    def _conclude(self, plans: dict[str, list[PlannedRun]], late: set[str]) -> int:
        """Say what is missing; 0 if nothing that the stages should have given is."""
        if "train" not in self.options.stages and (self.options.external or "report" not in self.options.stages):
            return 0
        missing = [run for runs in plans.values() for run in runs if run.key in late or not _done(self._record(run))]
        if not missing:
            return 0
        reason = "see --status"
        if late:
            goes = "begins with the first again" if self.options.overwrite == "all" else "goes on"
            reason = f"the time budget ended; the same command {goes}"
        statuses = {record.status for run in missing if (record := self._record(run)) is not None}
        if "interrupted" in statuses:
            reason += "; interrupted runs are continued by the same command"
        if statuses & {"diverged", "failed"}:
            reason += "; diverged or failed runs are done again with --overwrite failed"
        return _fail(f"{len(missing)} of {sum(map(len, plans.values()))} planned runs are not done: {reason}", FAILURE)

    def _record(self, run: PlannedRun) -> RunRecord | None:
        return self.store.find(run.spec.dataset, run.spec.method, run.key, run.spec.seed)

    def _command(self, run: PlannedRun) -> str:
        """The literal command that regenerates one run."""
        return self._call(run.spec.dataset, "--methods", run.spec.method, "--seeds", str(run.spec.seed))

    def _call(self, dataset: str, *what: str) -> str:
        """A command about one dataset under the rules of this one."""
        options, words = self.options, ["python", "run_all.py"]
        target = next(t for t in self.targets if t.name == dataset)
        own = target.interactions
        words += ["--interactions", printable(own.name)] if own else ["--dataset", dataset]
        words += what
        for flag, default in (("protocol", "released"), ("hparams", "equal"), ("profile", "paper")):
            if getattr(options, flag) != default:
                words += [f"--{flag}", getattr(options, flag)]
        for assignment in options.set:
            words += ["--set", assignment]
        return shlex.join(words)


def _done(record: RunRecord | None) -> bool:
    return record is not None and record.done


_note = to_stderr


def _device(choice: str, engine: str | None) -> torch.device:
    """Where runs execute; on a cluster that is a guess, for estimates, until the engine has asked the cluster."""
    available = torch.cuda.is_available() or (engine == "ray" and choice == "cuda")
    if choice == "cuda" and not available:
        raise ConfigError(
            "--device cuda: this machine or this torch has no CUDA; use --device cpu or install a CUDA build"
        )
    return torch.device("cuda" if available and choice != "cpu" else "cpu")


def _default_workers(device: torch.device) -> int:
    if device.type == "cuda":
        return torch.cuda.device_count()
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
