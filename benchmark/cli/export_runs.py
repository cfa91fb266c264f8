"""python -m benchmark export: the finished runs of a plan as one archive."""

from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

from benchmark.cli.options import Parser
from benchmark.cli.process import FAILURE
from benchmark.cli.session import Session
from benchmark.plan.config import ConfigError
from benchmark.store.atomic_files import check_directory


def add_arguments(parser: Parser) -> None:
    parser.add_argument("--to", type=Path, required=True, metavar="FILE", help="the archive, such as runs.tar.gz")


def run(options: Namespace) -> int:
    """Write the archive: the finished runs of the plan, and all runs of these datasets that were scored only."""
    path = options.to
    if path.name in ("", "..") or (os.path.lexists(path) and not os.path.isfile(path)):
        raise ConfigError(f"--to {path}: cannot be written as a file; name one such as runs.tar.gz")
    check_directory(path.parent, "--to")
    session = Session(options)
    plans = session.plan(options.seeds)
    keys = [planned.key for runs in plans.values() for planned in runs]
    keys += [record.key for name in plans for record in session.store.records(name) if record.external]
    count = session.store.export_archive(path, keys)
    print(f"exported {count} finished runs to {path}")
    return 0 if count else FAILURE
