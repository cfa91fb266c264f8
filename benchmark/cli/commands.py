"""The commands of `python -m benchmark`. Only the one that is asked for is imported."""

from __future__ import annotations

import sys
from argparse import Namespace
from importlib import import_module
from types import ModuleType

from benchmark.cli.exits import run
from benchmark.cli.options import Parser
from benchmark.plan.config import ConfigError, suggestion

COMMANDS = {
    "status": ("benchmark.cli.status", "show which runs are done, which are left, and how long they will take"),
    "export": ("benchmark.cli.export_runs", "write finished runs to an archive"),
    "import": ("benchmark.cli.import_runs", "take over the runs of an archive"),
    "compare": ("benchmark.cli.compare", "show the runs of two stores side by side"),
    "recompute": ("benchmark.cli.recompute", "compute the metrics of stored runs from their arrays again"),
    "export-split": ("benchmark.cli.export_split", "write the data that another recommender needs for our test users"),
    "score": ("benchmark.cli.score", "score the recommendations that another recommender made"),
    "recommend": ("benchmark.cli.recommend", "recommend items to users with the model of a run"),
    "table": (
        "benchmark.cli.table",
        "show methods and metrics of your choice as a table, in LaTeX for example",
    ),
    "audit": ("benchmark.cli.audit", "check the paper's printed numbers against each other"),
    "bench": ("benchmark.bench.command", "measure speed and memory against the usual way and other libraries"),
}
"""Name, module and summary. The module has add_arguments(parser) and run(options) -> exit code;
`options.words` are the words that the options were read from."""

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
    module, summary = COMMANDS[name]
    command = import_module(module)
    parser = Parser(f"{PROGRAM} {name}", f"{summary[0].upper()}{summary[1:]}.")
    command.add_arguments(parser)
    return command, parser.parse_args(words, Namespace(words=words))


def _run(words: list[str]) -> int:
    if words[:1] in ([], ["-h"], ["--help"]):
        print(f"usage: {PROGRAM} COMMAND [OPTIONS]\n")
        print("\n".join(f"  {name:<14}{summary}" for name, (_, summary) in COMMANDS.items()))
        print(f"\n{PROGRAM} COMMAND --help lists its options. python run_all.py prepares, trains and reports.")
        return 0 if words else 2
    command, options = parse(words[0], words[1:])
    return int(command.run(options))
