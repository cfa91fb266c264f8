"""python -m benchmark export: the finished runs of a plan as one archive."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from benchmark.cli.exits import FAILURE
from benchmark.cli.options import Parser, add_datasets, add_output, add_rules, add_runs
from benchmark.cli.planning import open_and_plan
from benchmark.plan.config import ConfigError
from benchmark.store.atomic_files import check_directory


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the archive, such as runs.tar.gz")
    add_datasets(parser)
    add_runs(parser)
    add_rules(parser)
    add_output(parser)


def run(options: Namespace) -> int:
    """Write the archive: the finished runs of the plan, and all runs of these datasets that were scored only."""
    path = options.to
    if path.name in ("", "..") or (os.path.lexists(path) and not os.path.isfile(path)):
        raise ConfigError(f"--to {path}: cannot be written as a file; name one such as runs.tar.gz")
    check_directory(path.parent, "--to")
    store, plans = open_and_plan(options)
    keys = [run.key for runs in plans.values() for run in runs]
    keys += [record.key for name in plans for record in store.records(name) if record.external]
    count = store.export_archive(path, keys)
    print(f"exported {count} finished runs to {path}")
    return 0 if count else FAILURE
