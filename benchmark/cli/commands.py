"""The commands of `python -m benchmark` and their options. Only the module of the chosen command is imported."""

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
from benchmark.plan.config import ConfigError, unknown_name

FORMATS = ("latex", "markdown", "text")

PLANNED = (DATASET, INTERACTIONS, *RUNS, *RULES, OUT_DIR)
"""Options of commands that work on planned runs."""
PREPARED = (DATASET, INTERACTIONS, *PROTOCOL, *PLACES)
"""Options of commands that read the data."""


class Command(NamedTuple):
    """A command. `function` is its path below `benchmark`; it takes the parsed options and returns an exit code."""

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
        "import the runs of an archive",
        (option("archive", type=Path, metavar="FILE", help="an archive written by the command export"), OUT_DIR),
    ),
    "compare": Command(
        "cli.stores.compare_stores",
        "show the runs of two stores side by side",
        (option("stores", nargs=2, type=Path, metavar="STORE", help="an --out-dir or a results directory"), DATASET),
    ),
    "recompute": Command(
        "cli.recompute.recompute_runs", "recompute the metrics of stored runs from their arrays", PREPARED
    ),
    "export-split": Command(
        "cli.other_recommenders.export_split",
        "write the data that another recommender needs for our test users",
        (
            option("--to", type=Path, required=True, metavar="DIR", help="a new directory, for one folder per dataset"),
            *PREPARED,
        ),
    ),
    "score": Command(
        "cli.other_recommenders.score_lists",
        "score the recommendations of another recommender",
        (
            option(
                "files",
                nargs="+",
                metavar="[NAME=]FILE",
                help="a table with the columns userid, itemid and rank, and the name that reports give it",
            ),
            *PREPARED,
        ),
    ),
    "recommend": Command(
        "cli.recommend.recommend",
        "recommend items to users with the model of a run",
        (
            option("--run", required=True, metavar="KEY", help="key or folder of a run in results/<dataset>/runs/"),
            option("--interactions", type=Path, metavar="FILE", help="the file of the run, if it was one of your own"),
            option("--histories", type=Path, metavar="FILE", help="a file of other users (default: all of the run's)"),
            option("--top", type=read_number(10_000), default=10, metavar="N", help="items per user (default: 10)"),
            option("--out", type=Path, required=True, metavar="FILE", help="the list: userid, itemid, rank"),
            option("--refit", action="store_true", help="first train on all users, for as many epochs as the run did"),
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
                help="the columns: methods, families such as btsr, names given to score (default: all)",
            ),
            option(
                "--metrics",
                type=read_list(),
                default=["hr@10", "ndcg@10"],
                metavar="NAME[,NAME]",
                help="such as hr@10,gini@10",
            ),
            option("--format", choices=FORMATS, default="latex", help="(default: latex, for the package booktabs)"),
            option("--to", type=Path, metavar="FILE", help="where to write the table (default: standard output)"),
            DATASET,
            INTERACTIONS,
            *RULES,
            OUT_DIR,
        ),
    ),
    "audit": Command("cli.tables.audit", "check the paper's printed numbers against each other", (OUT_DIR,)),
    "bench": Command("bench.command.run", "measure speed and memory against the usual way and other libraries", ()),
}
"""All commands by name. `bench` has no options here: its module adds them with `add_arguments`."""

DEFAULTS = dict.fromkeys(("methods", "experiments", "seeds", "workers")) | {
    "hparams": "equal",
    "profile": "paper",
    "device": "auto",
    "overwrite": "never",
}
"""Values of the options that a command does not have but a session needs."""

PROGRAM = "python -m benchmark"


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit code: 0 success, 1 something is missing or failed, 2 wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words else ""
    return run(f"{PROGRAM} {name}" if name in COMMANDS else PROGRAM, lambda: _run(words))


def parse(name: str, words: list[str]) -> tuple[Callable[[Namespace], int], Namespace]:
    """Return a command's function and its options; raises ConfigError for an unknown command or wrong usage."""
    if name not in COMMANDS:
        raise ConfigError(unknown_name("command", name, COMMANDS))
    command = COMMANDS[name]
    module, _, function = command.function.rpartition(".")
    imported = import_module(f"benchmark.{module}")
    parser = Parser(f"{PROGRAM} {name}", f"{command.summary[0].upper()}{command.summary[1:]}.")
    for add in command.options or [imported.add_arguments]:
        add(parser)
    return getattr(imported, function), Namespace(**DEFAULTS | vars(parser.parse_args(words)), words=words)


def _run(words: list[str]) -> int:
    if words[:1] in ([], ["-h"], ["--help"]):
        print(f"usage: {PROGRAM} COMMAND [OPTIONS]\n")
        print("\n".join(f"  {name:<14}{command.summary}" for name, command in COMMANDS.items()))
        print(f"\n{PROGRAM} COMMAND --help lists its options. python run_all.py prepares, trains and reports.")
        return 0 if words else 2
    function, options = parse(words[0], words[1:])
    return function(options)
