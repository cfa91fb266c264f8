"""python -m benchmark score: recommendations that another recommender made, scored by our metrics and stored."""

from __future__ import annotations

from argparse import Namespace

from benchmark.cli.options import Parser, add_datasets, add_places, add_protocol, chosen_datasets
from benchmark.cli.planning import command_about
from benchmark.cli.preparing import check_places, open_store, prepare_all
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
    add_datasets(parser)
    add_protocol(parser)
    add_places(parser)


def run(options: Namespace) -> int:
    """Score all files before any is stored; the next report shows them."""
    externals = parse_externals(options.files)
    for assignment in options.set:
        if assignment.strip().startswith("evaluation."):
            raise ConfigError(
                f"--set {assignment:.60}: lists are scored with the users' histories masked; leave it out"
            )
    store = open_store(options.out_dir)
    chosen = chosen_datasets(options, store)
    if len(chosen) != 1:
        raise ConfigError("a file is about one dataset; name it with --dataset or --interactions")
    [dataset] = chosen
    check_places(options.out_dir, ["results"], [dataset.name])
    data, known, runs = (
        prepare_all([dataset], store, options)[dataset.name, dataset.protocol],
        store.records(dataset.name),
        [],
    )
    for external in externals:
        words = ["python", "-m", "benchmark", "score", f"{external.name}={external.file}"]
        runs.append(score(external, data, command_about(dataset, options, *words), known))
    for record, arrays in runs:
        store.save(record, arrays, overwrite=True)
        to_stderr(summary_line(record))
    print(f"to see them in the tables: {command_about(dataset, options, 'python', 'run_all.py', '--stages', 'report')}")
    return 0
