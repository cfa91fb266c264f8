"""python -m benchmark bench: cases in, one JSON file per case and a table out."""

from __future__ import annotations

import argparse
import json
import os
import shlex
from argparse import Namespace
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmark.bench.cases import CASES, ON_REQUEST
from benchmark.bench.measures import BenchOptions, CaseResult
from benchmark.bench.peers.peers import PEERS
from benchmark.bench.tables import ratio_lines, to_markdown
from benchmark.bench.turns import Turns
from benchmark.bench.workloads import SIZES
from benchmark.cli.exits import FAILURE
from benchmark.cli.options import Parser, add_data_dir, add_list, add_output, read_number
from benchmark.plan.config import ConfigError, suggestion
from benchmark.runs.environment import code_version, hardware, package_versions
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.json_text import parse_json
from benchmark.store.store import to_stderr

DATASETS = ["ml-1m", "beauty"]
USUAL = [name for name in CASES if name not in ON_REQUEST]
EXAMPLES = """examples:
  python -m benchmark bench                                   every case not on request: some ten minutes
  python -m benchmark bench --cases training --dataset gowalla --device cuda
  python -m benchmark bench --cases preparation
  python -m benchmark bench --cases precision --dataset ml-1m --epochs 20
  python -m benchmark bench --against recbole,rectools        see docs/speed.md for how to install them
  python -m benchmark bench --against recbole --cases peers-quality --dataset ml-1m
"""


def add_arguments(parser: Parser) -> None:
    """What to measure, and how."""
    parser.epilog = EXAMPLES
    add_list(parser, "--cases", CASES, f"from {', '.join(CASES)} (default: {','.join(USUAL)}; with --against: peers)")
    about = f"from {', '.join(SIZES)}; absent ones are generated; evaluation takes the first"
    add_list(parser, "--dataset", SIZES, f"{about} (default: {','.join(DATASETS)})")
    parser.add_argument(
        "--maxlen", type=_lengths, default=[], metavar="N[,N]", help="lengths to train at (default: the dataset's)"
    )
    parser.add_argument("--repeats", type=read_number(100), default=5, help="laps of each contender (default: 5)")
    parser.add_argument(
        "--threads", type=read_number(1024), default=1, help="of each contender (default: 1, as in a run)"
    )
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    add_list(parser, "--against", PEERS, f"peers, from {', '.join(PEERS)} (default: all)")
    parser.add_argument(
        "--peer-python",
        action="append",
        type=_interpreter,
        default=[],
        metavar="NAME=PATH",
        help="the interpreter of a peer's environment (default: .peers/NAME/bin/python in the clone)",
    )
    parser.add_argument(
        "--quality-seconds",
        type=read_number(86_400),
        default=600,
        help="how long each learns in the case peers-quality (default: 600)",
    )
    parser.add_argument(
        "--epochs",
        type=read_number(100_000),
        default=20,
        help="how many to train for in the case precision (default: 20)",
    )
    add_data_dir(parser)
    add_output(parser)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")


def _lengths(text: str) -> list[int]:
    return [read_number(10_000)(word.strip()) for word in text.split(",")]


def _interpreter(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if name not in PEERS:
        raise argparse.ArgumentTypeError(f"unknown '{name:.60}'{suggestion(name, list(PEERS))}")
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise argparse.ArgumentTypeError(f"no interpreter at '{path:.200}'; give NAME=PATH to its bin/python")
    return name, Path(path).absolute()


def run(options: Namespace) -> int:
    """Measure the cases; the exit code is 1 if a contender failed."""
    cases = options.cases or (["peers"] if options.against else USUAL)
    if options.device == "cuda":
        if not torch.cuda.is_available():
            raise ConfigError("--device cuda: this machine or this torch has no CUDA; use --device cpu")
        if set(cases) & {"peers", "peers-quality"}:
            raise ConfigError("--device cuda: peers and peers-quality run on the CPU; use --device cpu")
    torch.set_num_threads(options.threads)
    given = BenchOptions(
        Turns(torch.device(options.device), options.threads, options.repeats),
        options.dataset or DATASETS,
        options.maxlen,
        options.data_dir,
        options.quick,
        to_stderr,
        options.against or list(PEERS),
        dict(options.peer_python),
        options.quality_seconds,
        options.epochs,
    )
    directory: Path = options.out_dir / "results" / "bench"
    _documents(directory, [name for name in CASES if name not in cases])  # may the table be written in the end?
    code = 0
    for name in cases:
        started = datetime.now(UTC)
        found = CASES[name](given)
        document = _document(name, found, options, started)
        write_file(directory / f"{name}.json", (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
        for line in ratio_lines(document):
            print(line, flush=True)
        if any(result.status == "failed" for group in found.groups for result in group.results):
            code = FAILURE
    table = options.out_dir / "tables" / "bench.md"
    write_file(table, to_markdown(_documents(directory, CASES)).encode())
    print(f"figures {directory}\ntable   {table}")
    return code


def _command(words: Sequence[str]) -> str:
    """The command without its directories, because records are published."""
    private = Parser("", "")
    for flag in ("--data-dir", "--out-dir", "--peer-python"):
        private.add_argument(flag, action="append")
    _, kept = private.parse_known_args(words)
    return shlex.join(["python", "-m", "benchmark", "bench", *kept])


def _document(name: str, found: CaseResult, options: Namespace, started: datetime) -> dict[str, Any]:
    return {
        "case": name,
        "description": " ".join((CASES[name].__doc__ or "").split()),
        "quick": options.quick,
        "repeats": options.repeats,
        "command": _command(options.words),
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(torch.device(options.device)),
        "versions": {**code_version(), **package_versions()},
        "groups": [group.to_json() for group in found.groups],
        "fits": [asdict(fit) for fit in found.fits],
        "breakdowns": [asdict(breakdown) for breakdown in found.breakdowns],
        "notes": found.notes,
    }


def _documents(directory: Path, cases: Iterable[str]) -> list[dict[str, Any]]:
    """What was measured of these cases, now or earlier; StoreError where the table cannot be made of it."""
    found = []
    for path in (directory / f"{name}.json" for name in cases):
        try:
            if path.exists():
                found.append(parse_json(path.read_bytes()))
                to_markdown(found[-1:])
        except OSError as error:
            raise StoreError(f"{path}: cannot be read ({error.strerror}); remove it and measure again") from None
        except (ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            why = f"{type(error).__name__}: {error}"
            raise StoreError(f"{path}: not as this bench writes it ({why}); remove it and measure again") from None
    return found
