"""Cases for what a user waits for: whole commands, and the validation after every epoch."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from functools import partial
from resource import RUSAGE_CHILDREN, getrusage
from statistics import median
from tempfile import TemporaryDirectory

import torch

from benchmark.bench import laps, workloads
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult
from benchmark.bench.turns import Contender, Lap
from benchmark.runs.environment import ROOT

COMMANDS = {
    "run_all.py --help": "",
    "-m benchmark status --dataset ml-1m": "",
    "run_all.py --dataset ml-1m,beauty --set protocol.ties=file --stages report": "--report-dir",
    "run_all.py --dataset synthetic --profile quick --experiments main": "--out-dir",
}
"""Each with the option that names the folder it writes to, if it writes. The last is what `make demo` executes."""


def commands(options: BenchOptions) -> CaseResult:
    """Seconds until whole commands are done, and their CPU time: start-up, status, a report and the demo."""
    contenders = [
        Contender(f"python {words}", partial(execute, words.split(), option), 1) for words, option in COMMANDS.items()
    ]
    chosen, about = contenders[: 2 if options.quick else None], {"processors": os.cpu_count() or 1}
    group = options.measure("commands", chosen, "commands", about, synthetic=False)
    for result in group.results:
        result.columns = {"CPU s": median(lap["cpu"] for lap in result.laps)} if result.laps else {}
        result.peak_memory_bytes = result.added_memory_bytes = None  # those of the process that waits
    return CaseResult([group])


def execute(words: list[str], folder_option: str, device: torch.device, lap: Lap) -> None:
    """Execute a command of the suite in a lap, and report its CPU time too. It writes to an empty folder."""
    while True:
        with TemporaryDirectory() as folder:
            line = [sys.executable, *words, *([folder_option, folder] if folder_option else [])]
            clock, before = time.perf_counter(), getrusage(RUSAGE_CHILDREN)
            # The status of a dataset ends with exit code 1 while runs are outstanding.
            subprocess.run(line, cwd=ROOT, check="status" not in words, capture_output=True)
            seconds, after = time.perf_counter() - clock, getrusage(RUSAGE_CHILDREN)
            lap(seconds, cpu=after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def validation(options: BenchOptions) -> CaseResult:
    """A validation with ten draws of simultaneous events, and an epoch of SASRec (CE)."""
    groups = []
    for name in options.datasets:
        data = options.data(name, ties="draws")
        spec = workloads.lasting(workloads.recipe("sasrec-ce", name, maxlen=50), options.turns.repeats + 1)
        cases, load = data.split.cases("validation"), data.training(spec)
        rank = partial(laps.rank_ours, cases, data.split.n_items, spec.encoder, whole=False)
        contenders = [
            Contender("validation", rank, len(cases.targets)),
            Contender("an epoch", partial(laps.train_ours, load, spec, 0, None), load.targets(load.rows)),
        ]
        ratio = BenchRatio(f"validation against an epoch, {data.title}: time", "validation", "an epoch", "time")
        about = data.about(spec.training.batch_size, spec.encoder.maxlen)
        groups.append(options.measure(data.title, contenders, "targets", about, [ratio], data.synthetic))
    return CaseResult(groups)
