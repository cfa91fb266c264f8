"""python -m benchmark import: take over the runs of an archive that `export` wrote on another machine."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from benchmark.cli.options import Parser
from benchmark.cli.process import FAILURE
from benchmark.cli.session import check_places, open_store


def add_arguments(parser: Parser) -> None:
    parser.add_argument("archive", type=Path, metavar="FILE", help="an archive that the command export wrote")


def run(options: Namespace) -> int:
    """Import; the exit code is 1 if a run of the archive cannot be used."""
    check_places(options.out_dir, ["results"])
    found = open_store(options.out_dir).import_archive(options.archive)
    print(
        f"imported {found['imported']} runs from {options.archive}; "
        f"{found['already done']} were here already, {found['unusable']} unusable"
    )
    return FAILURE if found["unusable"] else 0
