"""What the user sees while runs execute: a bar and its workers on a terminal, plain lines elsewhere."""

from __future__ import annotations

import contextlib
import io
import sys
import time
from typing import Any, TextIO

from benchmark.plan.selection import METRIC
from benchmark.runs.engines.engine import Finished, Job

try:
    from tqdm import tqdm
except ImportError:  # a machine that only trains: plain lines will do
    tqdm = None

LINE_SECONDS = 60.0
"""How often a run in flight is mentioned where there is no terminal."""


class Progress:
    """Follows the runs of one dataset; use as a context manager around them."""

    def __init__(self, title: str, total: int, stream: TextIO | None = None) -> None:
        self.title, self.total, self.stream = title, total, stream or sys.stderr or io.StringIO()
        self.bar = None
        if tqdm is not None and self.stream.isatty():
            self.bar = tqdm(total=total, desc=title, unit="run", file=self.stream, dynamic_ncols=True, leave=False)
        self.in_flight: dict[str, str] = {}
        self.mentioned: dict[str, float] = {}
        self.ended = 0

    def __enter__(self) -> Progress:
        return self

    def __exit__(self, *exception: object) -> None:
        if self.bar is not None:
            self.bar.close()

    def epoch(self, job: Job, row: dict[str, Any]) -> None:
        """One epoch of one run."""
        value = row["validation"].get(METRIC)
        validation = f" {METRIC} {value:.4f}" if value is not None else ""
        self.in_flight[job.key] = f"{_name(job)} epoch {row['epoch']}{validation}"
        if self.bar is not None:
            self.bar.set_postfix_str(" | ".join(self.in_flight.values()))
            return
        now = time.monotonic()
        if now - self.mentioned.setdefault(job.key, now) >= LINE_SECONDS:
            self.mentioned[job.key] = now
            self.say(f"  {self.in_flight[job.key]} ({row['seconds']:.1f} s an epoch)")

    def finished(self, event: Finished) -> None:
        """A run ended."""
        self.in_flight.pop(event.job.key, None)
        self.ended += 1
        if self.bar is not None:
            self.bar.update()
        record = event.record
        value = record.metrics["validation"].get(METRIC)
        facts = [record.status]
        if value is not None:
            facts.append(f"validation {METRIC} {value:.4f}")
        if record.selected_epoch is not None:
            facts.append(f"epoch {record.selected_epoch} of {len(record.epochs)}")
        if "fit_seconds" in record.timings:
            facts.append(f"{record.timings['fit_seconds']:.0f} s")
        if record.error:
            facts.append(record.error["message"])
        self.say(f"[{self.ended}/{self.total}] {_name(event.job)}: {', '.join(facts)}")

    def say(self, line: str) -> None:
        """A line of its own, above the bar where there is one."""
        with contextlib.suppress(OSError):  # nobody reads any more: no reason to stop working
            if self.bar is not None:
                self.bar.write(line, file=self.stream)
            else:
                print(line, file=self.stream, flush=True)


def _name(job: Job) -> str:
    return f"{job.spec.title} {job.spec.method} seed {job.spec.seed}"
