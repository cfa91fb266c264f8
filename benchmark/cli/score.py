"""python -m benchmark score: recommendations that another recommender made, scored by our metrics and stored."""

from __future__ import annotations

from argparse import Namespace

from benchmark.cli.options import Parser
from benchmark.cli.session import Session, check_places
from benchmark.plan.config import ConfigError
from benchmark.runs.external import parse_externals, score, summary_line
from benchmark.store.store import to_stderr


def add_arguments(parser: Parser) -> None:
    parser.add_argument(
        "files",
        nargs="+",
        metavar="[NAME=]FILE",
        help="a table with the columns userid, itemid and rank, and the name under which reports show it",
    )


def run(options: Namespace) -> int:
    """Score all files before any is stored; the next report shows them."""
    externals = parse_externals(options.files)
    for assignment in options.set:
        if assignment.strip().startswith("evaluation."):
            raise ConfigError(
                f"--set {assignment:.60}: lists are scored with the users' histories masked; leave it out"
            )
    session = Session(options)
    if len(session.chosen) != 1:
        raise ConfigError("a file is about one dataset; name it with --dataset or --interactions")
    name = session.chosen[0].name
    check_places(options.out_dir, ["results"], [name])
    [(_, data)] = session.prepare()
    known, runs = session.store.records(name), []
    for external in externals:
        words = ("python", "-m", "benchmark", "score", f"{external.name}={external.file}")
        runs.append(score(external, data, session.command(name, *words), known))
    for record, arrays in runs:
        session.store.save(record, arrays, overwrite=True)
        to_stderr(summary_line(record))
    print(f"to see them in the tables: {session.command(name, 'python', 'run_all.py', '--stages', 'report')}")
    return 0
