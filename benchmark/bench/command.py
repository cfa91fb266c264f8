"""The bench's command line: cases in, one JSON file per case and a table out."""

from __future__ import annotations

import json
import os
import shlex
import sys
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmark.bench.cases import CASES, ON_REQUEST
from benchmark.bench.peers.launch import PEERS
from benchmark.bench.race import Track
from benchmark.bench.setting import Outcome, Setting
from benchmark.bench.tables import ratio_lines, to_markdown
from benchmark.bench.workloads import SIZES
from benchmark.cli.exits import FAILURE
from benchmark.cli.options import Parser
from benchmark.plan.config import ConfigError, suggestion
from benchmark.runs.environment import ROOT, code_version, hardware, package_versions
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.json_text import parse_json

USUAL = [name for name in CASES if name not in ON_REQUEST]
DATASETS = ("ml-1m", "beauty")
EXAMPLES = """examples:
  python -m benchmark bench                                   every case not on request: some ten minutes
  python -m benchmark bench --cases training --dataset gowalla --device cuda
  python -m benchmark bench --cases preparation
  python -m benchmark bench --cases choices                   what was chosen by measurement beside what was not
  python -m benchmark bench --cases precision --dataset ml-1m --epochs 20
  python -m benchmark bench --against recbole,rectools        training beside theirs; the README says how to install
  python -m benchmark bench --against recbole --cases peers-quality --dataset ml-1m
"""


def add_arguments(parser: Parser) -> None:
    """What to measure, and how."""
    parser.epilog = EXAMPLES
    parser.add_argument(
        "--cases",
        metavar="NAME[,NAME]",
        help=f"of {', '.join(CASES)} (default: {','.join(USUAL)}; with --against: peers)",
    )
    parser.add_argument(
        "--dataset",
        default=",".join(DATASETS),
        metavar="NAME[,NAME]",
        help=f"of {', '.join(SIZES)}; absent ones are generated; evaluation takes the first (default: %(default)s)",
    )
    parser.add_argument("--maxlen", metavar="N[,N]", help="lengths to train at (default: the dataset's)")
    parser.add_argument("--repeats", default="5", help="laps of each contender (default: 5)")
    parser.add_argument("--threads", default="1", help="threads of each contender (default: 1, as a run's)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    parser.add_argument("--against", metavar="NAME[,NAME]", help=f"peers to race, of {', '.join(PEERS)} (default: all)")
    parser.add_argument(
        "--peer-python",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="the interpreter of a peer's environment (default: .peers/NAME/bin/python in the clone)",
    )
    parser.add_argument(
        "--quality-seconds", default="600", help="how long each learns in the case peers-quality (default: 600)"
    )
    parser.add_argument("--epochs", default="20", help="how many to train for in the case precision (default: 20)")
    parser.add_argument("--data-dir", type=Path, default=ROOT / "data", help="raw data (default: data/ in the clone)")
    parser.add_argument("--out-dir", type=Path, default=ROOT, help="holds results/ and tables/ (default: the clone)")
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to see that it works")


def run(options: Namespace) -> int:
    """Measure the cases; the exit code is 1 if a contender failed."""
    _check(options)
    return _run(options, _command(options.words))


def _check(options: Namespace) -> None:
    cases = options.cases if options.cases is not None else "peers" if options.against is not None else ",".join(USUAL)
    options.cases = _known("--cases", cases, list(CASES))
    options.against = _known("--against", options.against, list(PEERS)) if options.against is not None else tuple(PEERS)
    options.peer_python = dict(map(_interpreter, options.peer_python))
    options.quality_seconds = _numbers("--quality-seconds", options.quality_seconds, 86_400)[0]
    options.epochs = _numbers("--epochs", options.epochs, 100_000)[0]
    options.dataset = _known("--dataset", options.dataset, list(SIZES))
    options.maxlen = _numbers("--maxlen", options.maxlen, 10_000) if options.maxlen is not None else ()
    options.repeats = _numbers("--repeats", options.repeats, 100)[0]
    options.threads = _numbers("--threads", options.threads, 1024)[0]
    if options.device == "cuda" and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this machine or this torch has no CUDA; use --device cpu")
    if options.device == "cuda" and set(options.cases) & {"choices", "peers", "peers-quality"}:
        raise ConfigError("--device cuda: choices, peers and peers-quality run on the CPU; use --device cpu")


def _interpreter(text: str) -> tuple[str, Path]:
    name, _, path = text.partition("=")
    if name not in PEERS:
        raise ConfigError(f"--peer-python: unknown '{name}'{suggestion(name, list(PEERS))}")
    if not os.access(path, os.X_OK) or Path(path).is_dir():
        raise ConfigError(f"--peer-python {text}: no interpreter at '{path}'; give NAME=PATH to its bin/python")
    return name, Path(path).absolute()


def _known(flag: str, text: str, known: Sequence[str]) -> tuple[str, ...]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    for word in words:
        if word not in known:
            raise ConfigError(f"{flag}: unknown '{word}'{suggestion(word, known)}")
    if not words:
        raise ConfigError(f"{flag}: nothing named; use {', '.join(known)}")
    return tuple(dict.fromkeys(words))


def _numbers(flag: str, text: str, largest: int) -> tuple[int, ...]:
    words = [word.strip() for word in text.split(",")]
    for word in words:
        if not (word.isascii() and word.isdecimal() and 1 <= int(word[:9]) <= largest and len(word) < 10):
            raise ConfigError(f"{flag}: '{word}' is not a whole number from 1 to {largest:,}")
    return tuple(map(int, words))


def _command(words: Sequence[str]) -> str:
    """The command without its directories: records are published, and paths are nobody's business."""
    kept, hidden = [], ("--data-dir", "--out-dir", "--peer-python")
    skip = False
    for word in words:
        if not skip and not word.startswith(tuple(f"{flag}=" for flag in hidden)) and word not in hidden:
            kept.append(word)
        skip = not skip and word in hidden
    return shlex.join(["python", "-m", "benchmark", "bench", *kept])


def _run(options: Namespace, command: str) -> int:
    device = torch.device(options.device)
    torch.set_num_threads(options.threads)
    track = Track(device, options.threads, options.repeats)
    setting = Setting(
        track,
        options.dataset,
        options.maxlen,
        options.data_dir,
        options.quick,
        _note,
        options.against,
        options.peer_python,
        options.quality_seconds,
        options.epochs,
    )
    directory: Path = options.out_dir / "results" / "bench"
    _documents(directory, [name for name in CASES if name not in options.cases])  # may the table be written in the end?
    code = 0
    for name in options.cases:
        started = datetime.now(UTC)
        outcome = CASES[name](setting)
        document = _document(name, outcome, options, command, started)
        write_file(directory / f"{name}.json", (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
        for line in ratio_lines(document):
            print(line, flush=True)
        if any(result.status == "failed" for group in outcome.groups for result in group.results):
            code = FAILURE
    table = options.out_dir / "tables" / "bench.md"
    write_file(table, to_markdown(_documents(directory, list(CASES))).encode())
    print(f"figures {directory}\ntable   {table}")
    return code


def _document(name: str, outcome: Outcome, options: Namespace, command: str, started: datetime) -> dict[str, Any]:
    return {
        "case": name,
        "description": " ".join((CASES[name].__doc__ or "").split()),
        "quick": options.quick,
        "repeats": options.repeats,
        "command": command,
        "started": started.isoformat(timespec="seconds"),
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": hardware(torch.device(options.device)),
        "versions": {**code_version(), **package_versions()},
        "groups": [group.to_json() for group in outcome.groups],
        "fits": [asdict(fit) for fit in outcome.fits],
        "breakdowns": [asdict(breakdown) for breakdown in outcome.breakdowns],
        "notes": outcome.notes,
    }


def _documents(directory: Path, cases: Sequence[str]) -> list[dict[str, Any]]:
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


def _note(line: str) -> None:
    print(line, file=sys.stderr, flush=True)
