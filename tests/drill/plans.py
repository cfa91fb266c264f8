"""The drill's plans: tiny runs on synthetic data, and how they end if nobody disturbs them."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from tests.drill.sessions import HANG_SECONDS, Session, ended

Notify = Callable[[str], None]

STARTING_SHARE, RUNS_BETWEEN = 0.3, 5
"""Of the moments at which a session is disturbed, those before its first run; and the runs until then at most."""

TINY = ("encoder.width=8", "encoder.blocks=1", "encoder.maxlen=10")


@dataclass(frozen=True)
class Plan:
    """Methods with one run per seed."""

    name: str
    methods: tuple[str, ...]
    seeds: int

    @property
    def runs(self) -> int:
        """How many."""
        return len(self.methods) * self.seeds

    def arguments(self, out: Path, *more: str) -> list[str]:
        """The command line; prepare, train and report, with two workers unless `more` says otherwise."""
        settings = [word for setting in TINY for word in ("--set", setting)]
        where = ["--device", "cpu", "--engine", "local", "--workers", "2", "--out-dir", str(out)]
        what = ["--methods", ",".join(self.methods), "--seeds", f"0-{self.seeds - 1}", "--experiments", "main"]
        return ["--dataset", "synthetic", "--profile", "quick", *what, *settings, *where, *more]


LONG = Plan("long", ("popularity", "markov", "sasrec-ce", "ec4srec", "two-stage"), 6)
SHORT = Plan("short", ("markov", "ec4srec", "sasrec-ce"), 2)


@dataclass(frozen=True)
class Reference:
    """A plan's uninterrupted end, in `out`; `startup`, until its first run had ended, and `seconds` in all."""

    out: Path
    startup: float
    seconds: float


def comes_to(session: Session, whole: Reference, rng: random.Random, earliest: float | None = None) -> bool:
    """Wait until a random moment: with `earliest`, seconds from its start, perhaps while the session is starting; else
    up to three seconds after some of its runs have ended. Says whether the session still lives then.

    To count runs and not only seconds makes the moments fall into the work, however busy the machine is.
    """
    if earliest is not None and rng.random() < STARTING_SHARE:
        return not session.ends_within(rng.uniform(earliest, whole.startup))
    more = len(ended([session.log])) + rng.randrange(earliest is not None, RUNS_BETWEEN)
    deadline = time.monotonic() + HANG_SECONDS
    while len(ended([session.log])) < more and time.monotonic() < deadline:
        if session.ends_within(0.05):
            return False
    return not session.ends_within(rng.uniform(0.0, 3.0))


def look(plan: Plan, out: Path, log: Path) -> None:
    """Start once more without doing anything; what killed processes left has to be gone afterwards."""
    session = Session(plan.arguments(out, "--dry-run"), log)
    session.ends_within(HANG_SECONDS)
    session.end()


_made: dict[tuple[Plan, Path], Reference] = {}


def reference(plan: Plan, folder: Path, notify: Notify) -> Reference:
    """Execute the plan in peace, once for each `folder`. Raises RuntimeError if even so it is not done."""
    if (plan, folder) not in _made:
        notify(f"the {plan.name} plan, {plan.runs} runs, without any disturbance")
        out, started = folder / f"reference-{plan.name}", time.monotonic()
        session = Session(plan.arguments(out), folder / f"reference-{plan.name}.log")
        session.says("[1/")
        startup = time.monotonic() - started
        if not session.ends_within(HANG_SECONDS) or session.process.returncode:
            session.end()
            raise RuntimeError(f"the plan is not done even if nobody disturbs it: {session.text()[-500:]}")
        _made[plan, folder] = Reference(out, startup, time.monotonic() - started)
    return _made[plan, folder]
