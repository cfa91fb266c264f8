"""The commands of `python -m benchmark`. Only the one that is asked for is imported."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable
from importlib import import_module
from types import ModuleType

from benchmark.cli.options import Parser, add_datasets, add_output, add_places, add_protocol, add_rules, add_runs
from benchmark.cli.process import run
from benchmark.plan.config import ConfigError, suggestion

PLANNED = (add_datasets, add_runs, add_rules, add_output)
"""Options of a command about planned runs."""
PREPARED = (add_datasets, add_protocol, add_places)
"""Options of a command about data."""

COMMANDS: dict[str, tuple[str, str, tuple[Callable[[Parser], None], ...]]] = {
    "status": ("cli.status", "show which runs are done, which are left, and how long they will take", PLANNED),
    "export": ("cli.export_runs", "write finished runs to an archive", PLANNED),
    "import": ("cli.import_runs", "take over the runs of an archive", (add_output,)),
    "compare": ("cli.compare", "show the runs of two stores side by side", ()),
    "recompute": ("cli.recompute", "compute the metrics of stored runs from their arrays again", PREPARED),
    "export-split": ("cli.export_split", "write the data that another recommender needs for our test users", PREPARED),
    "score": ("cli.score", "score the recommendations that another recommender made", PREPARED),
    "recommend": ("cli.recommend", "recommend items to users with the model of a run", (add_places,)),
    "table": (
        "cli.table",
        "show methods and metrics of your choice as a table, in LaTeX for example",
        (add_datasets, add_rules, add_output),
    ),
    "audit": ("cli.audit", "check the paper's printed numbers against each other", (add_output,)),
    "bench": ("bench.command", "measure speed and memory against the usual way and other libraries", ()),
}
"""Name, module below `benchmark`, summary, and the options that the command shares with others. The module has
run(options) -> exit code and, for the options of its own, add_arguments(parser). `options.words` are the words that the
options were read from."""

PROGRAM = "python -m benchmark"


def main(arguments: list[str] | None = None) -> int:
    """Run one command; returns its exit code: 0 all that was asked for is there, 1 it is not, 2 wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    name = words[0] if words else ""
    return run(f"{PROGRAM} {name}" if name in COMMANDS else PROGRAM, lambda: _run(words))


def parse(name: str, words: list[str]) -> tuple[ModuleType, Namespace]:
    """The module of a command, and its options; raises ConfigError for what cannot be understood."""
    if name not in COMMANDS:
        raise ConfigError(f"unknown command '{name:.60}'{suggestion(name, COMMANDS)}")
    module, summary, shared = COMMANDS[name]
    command = import_module(f"benchmark.{module}")
    parser = Parser(f"{PROGRAM} {name}", f"{summary[0].upper()}{summary[1:]}.")
    for add in (*([command.add_arguments] if hasattr(command, "add_arguments") else []), *shared):
        add(parser)
    return command, parser.parse_args(words, Namespace(words=words))


def _run(words: list[str]) -> int:
    if words[:1] in ([], ["-h"], ["--help"]):
        print(f"usage: {PROGRAM} COMMAND [OPTIONS]\n")
        print("\n".join(f"  {name:<14}{summary}" for name, (_, summary, _) in COMMANDS.items()))
        print(f"\n{PROGRAM} COMMAND --help lists its options. python run_all.py prepares, trains and reports.")
        return 0 if words else 2
    command, options = parse(words[0], words[1:])
    return int(command.run(options))
