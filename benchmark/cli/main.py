"""run_all.py: prepare -> plan -> train -> report."""

from __future__ import annotations

import argparse
import re
import time
from argparse import Namespace
from itertools import groupby
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.options import DATASET, INTERACTIONS, PLACES, RULES, RUNS, Parser, list_option, read_number
from benchmark.cli.process import fail, run
from benchmark.cli.session import Plans, Records, Session, check_places
from benchmark.cli.status import LONG_HOURS, cores, dry_run, estimate
from benchmark.plan.config import ConfigError
from benchmark.runs.outstanding import outstanding_runs, records_of
from benchmark.store.store import to_stderr
from datasets.registry import DATASETS, PAPER_DATASETS

if TYPE_CHECKING:
    import torch

    from benchmark.runs.engines.engine import Engine

PROGRAM = "run_all.py"
STAGES = ("prepare", "train", "report")
ENGINES = ("inline", "local", "ray")
OVERWRITE = ("never", "failed", "all")

POOLED = "windows"
"""The experiment whose many test users may be pooled into the evidence on a claim."""
EXAMPLES = """examples:
  python run_all.py --dataset gowalla --dry-run             how long Tables 1 to 3 take here, from the data
  python run_all.py --dataset ml-1m --experiments all       the sweeps, windows and more
  python run_all.py --dataset ml-1m,beauty --engine local --workers 2
  python run_all.py --dataset ml-1m --methods sasrec-ce,btsr --dry-run
  python run_all.py --interactions my.csv --methods btsr-ce --set training.epochs=50
  python run_all.py --dataset ml-1m --stages report         only the tables and figures, from finished runs
  python -m benchmark --help                                the other commands: status, export, import, score, ...
"""


def main(arguments: list[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 success, 1 something is missing or failed, 2 wrong usage."""
    return run(PROGRAM, lambda: _reproduce(parse(arguments)))


def parse(arguments: list[str] | None) -> Namespace:
    """Parse the arguments; raises ConfigError for wrong usage."""
    parser = Parser(
        "python run_all.py",
        "Reproduces 'Barlow Twins for Sequential Recommendation': prepare, train, evaluate, report.",
        EXAMPLES,
    )
    what = parser.add_argument_group("what to run")
    for add in (DATASET, INTERACTIONS, *RUNS):
        add(what)
    what.add_argument("--claim", metavar="ID", help="run only what this claim (see claims.md) needs, and judge it")
    list_option("--stages", STAGES, f"from {', '.join(STAGES)} (default: all)")(what)
    rules, places = parser.add_argument_group("rules"), parser.add_argument_group("directories")
    for add in RULES:
        add(rules)
    for add in PLACES:
        add(places)
    places.add_argument(
        "--report-dir",
        type=Path,
        metavar="DIR",
        help="where to write the report, only reading the store (default: the --out-dir, or a folder in its reports/ "
        "with --seeds or --claim, and if --methods or --experiments leave runs out)",
    )
    where = parser.add_argument_group("where to run")
    where.add_argument(
        "--engine", choices=ENGINES, help="inline: this process; local: worker processes; ray: a Ray cluster"
    )
    where.add_argument(
        "--workers",
        type=read_number(1024),
        metavar="N",
        help="runs at a time (default: one per core or GPU; with ray, those of the cluster)",
    )
    where.add_argument("--ray-address", metavar="A", help="address of the cluster, such as auto or 10.0.0.1:6379")
    where.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    how = parser.add_argument_group("how to run")
    how.add_argument("--overwrite", choices=OVERWRITE, default="never", help="which finished runs to repeat")
    how.add_argument("--time-budget", type=_seconds, metavar="150m", help="start no run that would end later than this")
    how.add_argument("--keep-models", action="store_true", help="keep the weights of new runs, for recommend")
    how.add_argument("--dry-run", action="store_true", help="show what is done and left, and an estimate of the time")
    options = parser.parse_args(arguments)
    if options.ray_address is not None and options.engine != "ray":
        parser.error("--ray-address: needs --engine ray; add that, or leave --ray-address out")
    if options.claim is not None:
        _use_claim(options)
    options.stages = options.stages or list(STAGES)
    return options


def _use_claim(options: Namespace) -> None:
    """Look up the claim that --claim names, and set the methods and experiments that it needs."""
    from benchmark.paper.claims import find_claim

    if options.methods is not None or options.experiments not in (None, [POOLED]):
        raise ConfigError(
            "--claim: determines the methods and experiments; leave out --methods and --experiments; "
            f"{POOLED} may be added"
        )
    options.claim = find_claim(options.claim)
    for name in options.dataset or ():
        if name != "all" and name not in options.claim.datasets and not DATASETS[name].is_synthetic:
            about = ", ".join(options.claim.datasets)
            raise ConfigError(f"--claim {options.claim.id}: is about {about}, not about {name}; leave {name} out")
    options.methods = list(options.claim.methods)
    options.experiments = [options.claim.rule.experiment, *(options.experiments or [])]


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text, re.ASCII)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text:.60}' is not a duration; use for example 90s, 150m or 6h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "": 60}[match[2]]


# --- the stages -----------------------------------------------------------------------------------------------------


def _reproduce(options: Namespace) -> int:
    deadline = None if options.time_budget is None else time.monotonic() + options.time_budget
    session = Session(options, options.claim.datasets if options.claim else PAPER_DATASETS)
    if options.dry_run:
        return dry_run(session)
    is_trained, is_reported = "train" in options.stages, "report" in options.stages
    names, place = [dataset.name for dataset in session.chosen], session.report_place()
    if is_trained or (is_reported and place == options.out_dir):
        check_places(options.out_dir, ["results"], names)
    if is_reported:
        check_places(place, ["tables", "figures"], names)
    device = _device(options) if is_trained else None

    if is_trained or "prepare" in options.stages:
        session.prepare()
    plans = session.plan()
    not_started = _train(session, plans, device, deadline) if device else set()
    if not is_trained and not is_reported:
        return 0
    stored = {name: session.store.records(name) for name in plans}
    if is_reported:
        _report(session, plans, stored)
    return _exit_code(options, plans, stored, not_started)


def _train(session: Session, plans: Plans, device: torch.device, deadline: float | None) -> set[str]:
    """Execute all plans; return the keys of the runs that were not started because the time budget ran out."""
    from benchmark.runs.execution import Execution
    from benchmark.runs.training import check_compiler

    if any(run.spec.training.compile for runs in plans.values() for run in runs):
        check_compiler(device)
    options, store = session.options, session.store
    execution = Execution(store, _engine(options, device), options.overwrite, deadline, options.keep_models)
    not_started = set()
    for dataset in session.chosen:
        if (dataset.name, dataset.protocol) not in session.prepared:
            continue  # the store knows the dataset, but its data is not here
        stored = store.records(dataset.name)
        left = outstanding_runs(plans[dataset.name], stored, options.overwrite)
        if options.keep_models and (kept := len(plans[dataset.name]) - len(left)):
            to_stderr(f"{dataset.name}: {kept} of the runs are done; --keep-models only keeps the weights of new runs")
        if left and not left[0].spec.synthetic:
            lines, hours = estimate(session, dataset, stored, left)
            for line in lines if hours >= LONG_HOURS else ():
                to_stderr(line.strip())
        while runs := plans[dataset.name]:
            known = {run.key for run in runs}
            for protocol, window in groupby(runs, key=lambda run: run.spec.protocol):
                if not execution.out_of_time:
                    execution.run(list(window), session.prepared[dataset.name, protocol])
            if "tune" in dataset.experiments:  # finished trials decide which trials come next
                plans[dataset.name] = session.planned_runs(dataset, store.records(dataset.name)) or []
            if execution.out_of_time or {run.key for run in plans[dataset.name]} <= known:
                break
        if execution.out_of_time:
            left = outstanding_runs(plans[dataset.name], store.records(dataset.name), options.overwrite)
            not_started |= {run.key for run in left} - execution.attempted
    return not_started


def _device(options: Namespace) -> torch.device:
    """Return the device to train on; with Ray, a guess for estimates until the engine has asked the cluster."""
    import torch

    is_available = torch.cuda.is_available() or (options.engine == "ray" and options.device == "cuda")
    if options.device == "cuda" and not is_available:
        raise ConfigError("--device cuda: this machine or this torch has no CUDA; use --device cpu")
    return torch.device("cuda" if is_available and options.device != "cpu" else "cpu")


def _engine(options: Namespace, device: torch.device) -> Engine:
    import torch

    from benchmark.runs.engines.engine import InlineEngine
    from benchmark.runs.engines.local import LocalEngine

    if options.engine == "ray":
        try:
            from benchmark.runs.engines.ray import RayEngine
        except ImportError as error:
            raise ConfigError(
                f'--engine ray: {error.name} is not installed; use pip install -e ".[ray]", or --engine local'
            ) from None
        return RayEngine(options.ray_address, options.device, options.workers)
    workers = options.workers or (torch.cuda.device_count() if device.type == "cuda" else cores())
    kind = options.engine or ("local" if workers > 1 else "inline")
    if kind == "inline" and workers > 1 and options.workers:
        to_stderr(f"--workers {workers}: not used, because --engine inline does one run at a time; use --engine local")
    return InlineEngine(device) if kind == "inline" else LocalEngine(device, workers)


def _report(session: Session, plans: Plans, stored: Records) -> None:
    try:  # a machine that only trains may lack the plotting packages
        from benchmark.report.report import claim_findings, report
    except ImportError as error:
        raise ConfigError(
            f"the report needs {error.name}; install requirements.lock, or use --stages prepare,train"
        ) from None

    options, store = session.options, session.store
    if options.claim:
        for finding in claim_findings(store, plans, stored, options.claim, session.command):
            print(finding.as_text())
    place = session.report_place()
    is_whole = place == options.out_dir
    if is_whole:
        plans, stored = session.whole_plan(stored)
    rendered = report(store, place, plans, stored, to_stderr, session.command, is_whole=is_whole)
    lines = [*rendered.plain, *(f"table   {path}" for path in rendered.tables)]
    lines += [f"figure  {path}" for path in rendered.figures if path.suffix == ".png"]
    print("\n".join([*lines, f"page    {rendered.page}"]))


def _exit_code(options: Namespace, plans: Plans, stored: Records, not_started: set[str]) -> int:
    """Return 0 if all planned runs are done; else print how many are not and why, and return 1."""
    keys = [planned.key for runs in plans.values() for planned in runs]
    records = {key: each for name in plans for key, each in records_of(plans[name], stored[name]).items()}
    missing = [key for key in keys if key in not_started or key not in records or not records[key].done]
    if not missing:
        return 0
    statuses = {records[key].status for key in missing if key in records}
    reason = "see python -m benchmark status"
    if not_started:
        then = "starts again with the first run" if options.overwrite == "all" else "goes on from there"
        reason = f"the time budget is used up; the same command {then}"
    if "interrupted" in statuses:
        reason += "; the same command continues interrupted runs"
    if statuses & {"diverged", "failed"}:
        reason += "; --overwrite failed repeats diverged and failed runs"
    return fail(PROGRAM, f"{len(missing)} of {len(keys)} planned runs are not done: {reason}")
