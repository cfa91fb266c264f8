"""Progress of runs: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from typing import Any, TextIO

from benchmark.plan.selection import METRIC
from benchmark.runs.engines.engine import FinishedRun, RunJob
from benchmark.runs.outstanding import seconds_of

try:
    from tqdm import tqdm
except ImportError:  # a machine that only trains does not need it
    tqdm = None

LINE_SECONDS = 60.0  # between two lines about a run, without a terminal


class Progress:
    """Shows the progress of a dataset's runs. Use it as a context manager around them."""

    def __init__(self, title: str, total: int, stream: TextIO | None = None) -> None:
        self.title, self.total, self.stream = title, total, stream or sys.stderr or io.StringIO()
        self.bar = None
        if tqdm is not None and self.stream.isatty():
            self.bar = tqdm(total=total, desc=title, unit="run", file=self.stream, dynamic_ncols=True, leave=False)
        self.under_way: dict[str, str] = {}
        self.mentioned: dict[str, float] = {}
        self.ended = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def follow(self, job: RunJob, news: dict[str, Any] | str) -> None:
        """Show the news of a run: the row of an epoch, or a description of what it is doing."""
        what, aside = news, ""
        if isinstance(news, dict):
            value = news["validation"].get(METRIC)
            what = f"epoch {news['epoch']}" + (f" {METRIC} {value:.4f}" if value is not None else "")
            aside = f" ({news['seconds']:.1f} s an epoch)"
        self.under_way[job.key] = f"{_name(job)} {what}"
        if self.bar is not None:
            self.bar.set_postfix_str(" | ".join(self.under_way.values()))
            return
        now = time.monotonic()
        if now - self.mentioned.setdefault(job.key, now) >= LINE_SECONDS:
            self.mentioned[job.key] = now
            self.say(f"  {self.under_way[job.key]}{aside}")

    def finished(self, run: FinishedRun) -> None:
        """Show how a run ended."""
        self.under_way.pop(run.job.key, None)
        self.ended += 1
        if self.bar is not None:
            self.bar.update()
        record = run.record
        value = record.metrics["validation"].get(METRIC)
        facts: list[str] = [record.status]
        if value is not None:
            facts.append(f"validation {METRIC} {value:.4f}")
        if record.selected_epoch is not None:
            facts.append(f"epoch {record.selected_epoch} of {len(record.epochs)}")
        if record.timings:
            facts.append(f"{seconds_of(record):.0f} s")
        if record.error:
            facts.append(record.error["message"])
        self.say(f"[{self.ended}/{self.total}] {_name(run.job)}: {', '.join(facts)}")

    def say(self, line: str) -> None:
        """Print a line, above the bar if there is one."""
        with contextlib.suppress(OSError):  # a closed terminal must not stop the work
            if self.bar is not None:
                self.bar.write(line, file=self.stream)
            else:
                print(line, file=self.stream, flush=True)


def _name(job: RunJob) -> str:
    return f"{job.spec.title} {job.spec.method} seed {job.spec.seed}"
