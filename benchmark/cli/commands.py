"""The commands of `python -m benchmark`. Only the one that is asked for is imported."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from benchmark.cli.options import (
    DATASET,
    INTERACTIONS,
    OUT_DIR,
    PLACES,
    PROTOCOL,
    RULES,
    RUNS,
    Option,
    Parser,
    option,
    read_list,
    read_number,
)
from benchmark.cli.process import run
from benchmark.plan.config import ConfigError, suggestion

FORMATS = ("latex", "markdown", "text")

PLANNED = (DATASET, INTERACTIONS, *RUNS, *RULES, OUT_DIR)
"""Options of a command about planned runs."""
PREPARED = (DATASET, INTERACTIONS, *PROTOCOL, *PLACES)
"""Options of a command about data."""


class Command(NamedTuple):
    """A command: the function below `benchmark` that takes its options and returns an exit code, what it does in words,
    and its options; `options.words` are the words that they were read from.
    """

    function: str
    summary: str
    options: Sequence[Option]


COMMANDS: dict[str, Command] = {
    "status": Command(
        "cli.status.status", "show which runs are done, which are left, and how long they will take", PLANNED
    ),
    "export": Command(
        "cli.stores.export_runs",
        "write finished runs to an archive",
        (option("--to", type=Path, required=True, metavar="FILE", help="the archive, such as runs.tar.gz"), *PLANNED),
    ),
    "import": Command(
        "cli.stores.import_runs",
        "take over the runs of an archive",
        (option("archive", type=Path, metavar="FILE", help="an archive that the command export wrote"), OUT_DIR),
    ),
    "compare": Command(
        "cli.stores.compare_stores",
        "show the runs of two stores side by side",
        (option("stores", nargs=2, type=Path, metavar="STORE", help="an --out-dir or a results directory"), DATASET),
    ),
    "recompute": Command(
        "cli.recompute.recompute_runs", "compute the metrics of stored runs from their arrays again", PREPARED
    ),
    "export-split": Command(
        "cli.other_recommenders.export_split",
        "write the data that another recommender needs for our test users",
        (
            option("--to", type=Path, required=True, metavar="DIR", help="a new directory; it gets a folder a dataset"),
            *PREPARED,
        ),
    ),
    "score": Command(
        "cli.other_recommenders.score_lists",
        "score the recommendations that another recommender made",
        (
            option(
                "files",
                nargs="+",
                metavar="[NAME=]FILE",
                help="a table with the columns userid, itemid and rank, and the name under which reports show it",
            ),
            *PREPARED,
        ),
    ),
    "recommend": Command(
        "cli.recommend.recommend",
        "recommend items to users with the model of a run",
        (
            option("--run", required=True, metavar="KEY", help="the run, by its folder below results/<dataset>/runs/"),
            option("--interactions", type=Path, metavar="FILE", help="your own file that the run was made from, if so"),
            option("--histories", type=Path, metavar="FILE", help="such a file of new users (default: all of the run)"),
            option("--top", type=read_number(10_000), default=10, metavar="N", help="items a user (default: 10)"),
            option("--out", type=Path, required=True, metavar="FILE", help="the list: userid, itemid, rank"),
            option("--refit", action="store_true", help="train on all users first, for as many epochs as the run had"),
            *PLACES,
        ),
    ),
    "table": Command(
        "cli.tables.table",
        "show methods and metrics of your choice as a table, in LaTeX for example",
        (
            option(
                "--methods",
                type=read_list(),
                metavar="NAME[,NAME]",
                help="the columns: methods, families such as btsr, names that score was given (default: all)",
            ),
            option(
                "--metrics",
                type=read_list(),
                default=["hr@10", "ndcg@10"],
                metavar="NAME[,NAME]",
                help="such as hr@10,gini@10",
            ),
            option("--format", choices=FORMATS, default="latex", help="(default: latex, for the package booktabs)"),
            option("--to", type=Path, metavar="FILE", help="gets the table (default: standard output)"),
            DATASET,
            INTERACTIONS,
            *RULES,
            OUT_DIR,
        ),
    ),
    "audit": Command("cli.tables.audit", "check the paper's printed numbers against each other", (OUT_DIR,)),
    "bench": Command("bench.command.run", "measure speed and memory against the usual way and other libraries", ()),
}
"""All commands by name. Only the module of `bench` knows its options, and adds them with `add_arguments`."""

USUAL = dict.fromkeys(("methods", "experiments", "workers")) | {
    "hparams": "equal",
    "profile": "paper",
    "device": "auto",
    "overwrite": "never",
}
"""What stands for options that a command does not have."""

PROGRAM = "python -m benchmark"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 all that was asked for is there, 1 it is not, 2 wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words else ""
    return run(f"{PROGRAM} {name}" if name in COMMANDS else PROGRAM, lambda: _run(words))


def parse(name: str, words: list[str]) -> tuple[Callable[[Namespace], int], Namespace]:
    """The function of a command, and its options; raises ConfigError for what cannot be understood."""
    if name not in COMMANDS:
        raise ConfigError(f"unknown command '{name:.60}'{suggestion(name, COMMANDS)}")
    command = COMMANDS[name]
    module, _, function = command.function.rpartition(".")
    place = import_module(f"benchmark.{module}")
    parser = Parser(f"{PROGRAM} {name}", f"{command.summary[0].upper()}{command.summary[1:]}.")
    for add in command.options or [place.add_arguments]:
        add(parser)
    return getattr(place, function), Namespace(**USUAL | vars(parser.parse_args(words)), words=words)


def _run(words: list[str]) -> int:
    if words[:1] in ([], ["-h"], ["--help"]):
        print(f"usage: {PROGRAM} COMMAND [OPTIONS]\n")
        print("\n".join(f"  {name:<14}{command.summary}" for name, command in COMMANDS.items()))
        print(f"\n{PROGRAM} COMMAND --help lists its options. python run_all.py prepares, trains and reports.")
        return 0 if words else 2
    function, options = parse(words[0], words[1:])
    return function(options)
