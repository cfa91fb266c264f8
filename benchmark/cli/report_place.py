"""Where a report goes: beside the store if it is whole, into a folder of its own if options leave runs out of it."""

from __future__ import annotations

import hashlib
import re
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from benchmark.cli.options import ChosenDataset
from benchmark.cli.planning import Plans, plan_all
from benchmark.plan.config import ConfigError
from benchmark.plan.experiments import DEFAULT
from benchmark.plan.planner import PlannedRun, choose_methods
from benchmark.store.store import Store
from datasets.protocol import Protocol

if TYPE_CHECKING:
    from benchmark.runs.preparation import Prepared

FOLDER = "reports"
MAX_NAME = 100


def likely_place(options: Namespace) -> Path:
    """Where the report will go unless the options turn out to leave nothing out."""
    if options.report_dir is not None:
        return Path(options.report_dir)
    name = narrowing(options)
    return options.out_dir / FOLDER / name if name else Path(options.out_dir)


def report_place(
    options: Namespace,
    plans: Plans,
    chosen: Sequence[ChosenDataset],
    store: Store,
    prepared: Mapping[tuple[str, Protocol], Prepared],
) -> Path:
    """Where the report of these plans goes; `options.out_dir` if none of the usual runs is left out."""
    if options.report_dir is None and narrowing(options):
        methods = choose_methods(None)
        usual = [replace(each, experiments=DEFAULT, methods=methods, windows=()) for each in chosen]
        try:
            whole = plan_all(usual, store, None, prepared)
        except ConfigError:  # an assignment that only the named methods or experiments have
            return likely_place(options)
        if all(_uses(runs) <= _uses(plans.get(name, ())) for name, runs in whole.items()):
            return Path(options.out_dir)
    return likely_place(options)


def _uses(runs: Sequence[PlannedRun]) -> set[tuple[str, int, str]]:
    return {(run.key, run.spec.seed, experiment) for run in runs for experiment in run.uses}


def narrowing(options: Namespace) -> str:
    """What the options name, as a folder: `methods-sasrec-ce+btsr_seeds-0+1`; empty if they name nothing."""
    named = {"methods": options.methods, "seeds": options.seeds, "experiments": options.experiments}
    if options.claim:
        named = {"claim": [options.claim.id], "seeds": options.seeds}
    name = "_".join(f"{flag}-{'+'.join(map(str, values))}" for flag, values in named.items() if values)
    name = re.sub(r"[^A-Za-z0-9.+_-]", "-", name)
    if len(name) > MAX_NAME:
        digest = hashlib.sha256(name.encode()).hexdigest()[:8]
        name = f"{name[: MAX_NAME - len(digest) - 1]}-{digest}"
    return name
