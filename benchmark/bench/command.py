"""python -m benchmark bench: run cases, and write one JSON file per case and a table of all of them."""

from __future__ import annotations

import json
import re
import shlex
import time
from argparse import Namespace
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import torch

from benchmark.bench.cases import CASES, ON_REQUEST, VARIANTS
from benchmark.bench.measures import BenchOptions, CaseResult
from benchmark.bench.peers.peers import PEERS
from benchmark.bench.tables import ratio_lines, to_markdown
from benchmark.bench.turns import THREADS, Turns
from benchmark.bench.workloads import SIZES
from benchmark.cli.options import DATA_DIR, OUT_DIR, Parser, list_option, read_number
from benchmark.cli.process import FAILURE
from benchmark.plan.config import ConfigError
from benchmark.runs.environment import code_version, hardware, package_versions
from benchmark.store.atomic_files import StoreError, write_file
from benchmark.store.json_text import parse_json
from benchmark.store.store import to_stderr

DATASETS, GPU_DATASETS = ("ml-1m", "beauty"), ("gowalla", "ml-1m", "beauty")
DEFAULT_CASES = [name for name in CASES if name not in ON_REQUEST]
GPU_SECONDS, GPU_SECONDS_EACH = 270.0, 2.0
"""Limits on a GPU, which may be on loan for a few minutes: start no contender after the former (the last one may take
another minute to compile), and give none a further turn after the latter."""
EXAMPLES = """examples:
  python -m benchmark bench                                   the default cases, in less than half an hour
  python -m benchmark bench --cases training,evaluation,scaling --device cuda             six minutes
  python -m benchmark bench --cases training --dataset ml-1m --variants bf16,compiled
  python -m benchmark bench --against recbole,rectools        docs/speed.md says how to install them
  python -m benchmark bench --against recbole --cases peers-quality --dataset ml-1m
"""


def add_arguments(parser: Parser) -> None:
    """Add the options of `bench` to the parser."""
    parser.epilog = EXAMPLES
    about = f"from {', '.join(CASES)} (default: {','.join(DEFAULT_CASES)}; with --against: peers)"
    list_option("--cases", CASES, about)(parser)
    about = f"from {', '.join(SIZES)}; generated if absent; evaluation uses ml-1m or the first"
    default = f"{','.join(DATASETS)}; on a GPU {','.join(GPU_DATASETS)}"
    list_option("--dataset", SIZES, f"{about} (default: {default})")(parser)
    parser.add_argument("--repeats", type=read_number(100), default=5, help="laps per contender (default: 5)")
    parser.add_argument("--device", choices=("cpu", "cuda"), default="cpu", help="(default: cpu)")
    about = f"other ways to train SASRec (CE, SCE) in the case training, from {', '.join(VARIANTS)}"
    list_option("--variants", VARIANTS, f"{about} (default: none; on a GPU all)")(parser)
    list_option("--against", PEERS, f"peers, from {', '.join(PEERS)} (default: all)")(parser)
    parser.add_argument(
        "--quality-seconds",
        type=read_number(86_400),
        default=600,
        help="how long each contender trains in the case peers-quality (default: 600)",
    )
    DATA_DIR(parser)
    OUT_DIR(parser)
    parser.add_argument("--quick", action="store_true", help="tiny sizes, to check that everything runs")


def run(options: Namespace) -> int:
    """Measure the cases; the exit code is 1 if a contender failed."""
    cases = options.cases or (["peers"] if options.against else DEFAULT_CASES)
    bench_options, folder, table = _options(options, cases), Path("results", "bench"), "bench.md"
    if bench_options.on_gpu:  # write files named after the GPU beside those of the CPU
        name = re.sub(r"[^a-z0-9]+", "-", hardware(bench_options.turns.device)["name"].lower()).strip("-")
        folder, table = folder / name, f"bench-{name}.md"
        cases = sorted(cases, key=lambda case: case == "training")  # last, because it uses all the time that is left
    torch.set_num_threads(THREADS)
    code_version()  # cached now, because files may be edited while this runs
    directory: Path = options.out_dir / folder
    _documents(directory, without=cases)  # fail now, not after hours, if the table cannot be rendered
    code = 0
    for name in cases:
        started = datetime.now(UTC)
        found = CASES[name](bench_options)
        document = _document(name, found, options, started)
        write_file(directory / f"{name}.json", (json.dumps(document, indent=1, allow_nan=False) + "\n").encode())
        for label, times in ratio_lines(document):
            print(f"{label}: {times}", flush=True)
        if any(result.status == "failed" for group in found.groups for result in group.results):
            code = FAILURE
    path = options.out_dir / "tables" / table
    write_file(path, to_markdown(_documents(directory)).encode())
    print(f"figures {directory}\ntable   {path}")
    return code


def _options(options: Namespace, cases: Sequence[str]) -> BenchOptions:
    on_gpu = options.device == "cuda"
    if on_gpu and not torch.cuda.is_available():
        raise ConfigError("--device cuda: this machine or this torch has no CUDA; use --device cpu")
    if on_gpu and set(cases) & {"peers", "peers-quality"}:
        raise ConfigError("--device cuda: peers and peers-quality run on the CPU; use --device cpu")
    limits = (GPU_SECONDS_EACH, time.perf_counter() + GPU_SECONDS, True) if on_gpu else ()
    return BenchOptions(
        Turns(torch.device(options.device), options.repeats, *limits),
        options.dataset or (GPU_DATASETS if on_gpu else DATASETS),
        options.data_dir,
        options.quick,
        to_stderr,
        options.variants or (list(VARIANTS) if on_gpu else []),
        options.against or list(PEERS),
        options.quality_seconds,
    )


def _command(words: Sequence[str]) -> str:
    """Return the command line without directories, because records are published."""
    private = Parser("", "")
    for flag in ("--data-dir", "--out-dir"):
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
        "fits": found.fits,
        "breakdowns": found.breakdowns(),
        "notes": found.notes,
    }


def _documents(directory: Path, without: Collection[str] = ()) -> list[dict[str, Any]]:
    """Read the JSON files in `directory`; raises StoreError for one that cannot be rendered."""
    found = []
    for path in (directory / f"{name}.json" for name in CASES if name not in without):
        try:
            if path.exists():
                found.append(parse_json(path.read_bytes()))
                to_markdown(found[-1:])
        except (OSError, ValueError, LookupError, TypeError, AttributeError, ArithmeticError) as error:
            why = f"{type(error).__name__}: {error}"
            raise StoreError(f"{path}: is not a file of this bench ({why}); remove it and measure again") from None
    return found
