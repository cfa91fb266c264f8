"""Requests to stop at random moments: what is said, how the process ends, and that nothing is lost."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

from benchmark.cli.process import INTERRUPTED, SAFE
from tests.drill.evidence import compare, continued, total
from tests.drill.plans import LONG, Notify, Plan, Reference, comes_to, reference
from tests.drill.sessions import HANG_SECONDS, Session

FAULTS = {"checkpoint_seconds": 0.0}
"""Every epoch leaves a checkpoint, so that what is interrupted goes on inside a run."""

ENDS_WITHIN = 60.0
ROUNDS = 2
"""At most so many rounds for each signal; what could not be delivered in them is counted."""


def drill(scratch: Path, seed: int, notify: Notify, signals: int = 15, plan: Plan = LONG) -> dict[str, Any]:
    """Rounds of the plan, each from nothing to its end, until `signals` sessions were asked to stop while they started
    or worked; each round is compared.
    """
    whole = reference(plan, scratch.parent, notify)
    caller = _Caller(random.Random(seed), whole, signals, notify)
    counts, again = list[dict[str, int]](), 0
    while not counts or (caller.left and len(counts) < ROUNDS * signals):
        place = scratch / f"round-{len(counts)}"
        logs = _round(plan, place, caller)
        counts.append(compare(whole.out, place / "out", logs))
        again += continued(place / "out")
    return {
        "rounds": len(counts),
        "signals": sum(caller.sent.values()),
        "sent": caller.sent,
        "ended_before_the_signal": caller.ended_before,
        "continued_inside_a_run": again,
        "not_delivered": caller.left,
        "without_a_word_on_what_is_safe": caller.silent,
        "with_another_exit_code_than_130": caller.wrong_code,
        "failed_by_itself": caller.failed,
        "hangs": caller.hangs,
        **total(counts),
        "left_over_processes": caller.left_processes,
    }


class _Caller:
    """Draws the moments and asks sessions to stop, each way in turn, and counts."""

    def __init__(self, rng: random.Random, whole: Reference, signals: int, notify: Notify) -> None:
        self.rng, self.whole, self.left, self.notify = rng, whole, signals, notify
        self.sent = dict.fromkeys(WAYS, 0)
        self.silent = self.wrong_code = self.failed = self.hangs = self.ended_before = self.left_processes = 0

    def interrupt(self, session: Session) -> bool:
        """At a random moment; False if the session came to its own end before that."""
        works = session.listens(HANG_SECONDS) and comes_to(session, self.whole, self.rng, 0.0)
        if not works or not session.listens(0.0):  # the latter if it is about to leave, and takes no more signals
            self.ended_before += 1
            self.conclude(session)
            return False
        way = list(WAYS)[sum(self.sent.values()) % len(WAYS)]
        WAYS[way](session, self.rng)
        self.sent[way] += 1
        self.left -= 1
        ended = session.ends_within(ENDS_WITHIN)
        self.hangs += not ended
        self.silent += ended and SAFE not in session.text()
        self.wrong_code += ended and session.process.returncode != INTERRUPTED
        self.left_processes += session.end()
        self.notify(f"{self.left} signals left")
        return True

    def conclude(self, session: Session) -> None:
        """Let it come to its end in peace."""
        self.hangs += not session.ends_within(HANG_SECONDS)
        self.left_processes += session.end()
        self.failed += session.process.returncode != 0


def _round(plan: Plan, place: Path, caller: _Caller) -> list[Path]:
    """Start the same command again and again, until one comes to its end; returns the logs."""
    logs: list[Path] = []
    while True:
        logs.append(place / f"session-{len(logs)}.log")
        if not caller.left:
            caller.conclude(Session(plan.arguments(place / "out"), logs[-1]))
            return logs
        if not caller.interrupt(Session(plan.arguments(place / "out"), logs[-1], FAULTS)):
            return logs


def _ctrl_c(session: Session, rng: random.Random) -> None:
    session.signal_group(signal.SIGINT)


def _twice_ctrl_c(session: Session, rng: random.Random) -> None:
    session.signal_group(signal.SIGINT)
    if not session.ends_within(rng.uniform(0.0, 0.3)):
        session.signal_group(signal.SIGINT)


def _terminate(session: Session, rng: random.Random) -> None:
    session.workers()
    session.process.send_signal(signal.SIGTERM)


def _terminate_all(session: Session, rng: random.Random) -> None:
    session.signal_group(signal.SIGTERM)


def _hang_up(session: Session, rng: random.Random) -> None:
    session.signal_group(signal.SIGHUP)


WAYS = {
    "ctrl_c": _ctrl_c,
    "ctrl_c_twice": _twice_ctrl_c,
    "sigterm": _terminate,
    "sigterm_to_all": _terminate_all,
    "sighup": _hang_up,
}
