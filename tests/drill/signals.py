"""Requests to stop at random moments: what is said, how the process ends, and that nothing is lost."""

from __future__ import annotations

import random
import signal
from pathlib import Path
from typing import Any

from benchmark.stopping import INTERRUPTED, SAFE
from tests.drill.evidence import compare, continued
from tests.drill.plans import LONG, Notify, Plan, comes_to, reference
from tests.drill.sessions import HANG_SECONDS, Session

EARLIEST = 0.5
"""Seconds from which on a signal is expected to be heard; before that Python itself is being started."""

ENDS_WITHIN = 60.0


def drill(scratch: Path, seed: int, notify: Notify, signals: int = 15, plan: Plan = LONG) -> dict[str, Any]:
    """`signals` sessions that are asked to stop while they start or work, and one that may end."""
    whole = reference(plan, scratch.parent, notify)
    rng, out = random.Random(seed), scratch / "out"
    sent = dict.fromkeys(WAYS, 0)
    logs: list[Path] = []
    silent = wrong_code = hangs = ended_before = left = 0
    for number in range(signals):
        way = list(WAYS)[number % len(WAYS)]
        logs.append(scratch / f"session-{number}.log")
        session = Session(plan.arguments(out), logs[-1], {"checkpoint_seconds": 0.0})
        if not comes_to(session, whole, rng, EARLIEST):
            ended_before += 1
            continue
        WAYS[way](session, rng)
        sent[way] += 1
        ended = session.ends_within(ENDS_WITHIN)
        hangs += not ended
        silent += ended and SAFE not in session.text()
        wrong_code += ended and session.process.returncode != INTERRUPTED
        left += session.end()
        notify(f"{number + 1} of {signals} signals")
    logs.append(scratch / "last.log")
    last = Session(plan.arguments(out), logs[-1])
    hangs += not last.ends_within(HANG_SECONDS)
    left += last.end()
    return {
        "signals": sum(sent.values()),
        "sent": sent,
        "ended_before_the_signal": ended_before,
        "without_a_word_on_what_is_safe": silent,
        "with_another_exit_code_than_130": wrong_code,
        "continued_inside_a_run": continued(out),
        "hangs": hangs,
        **compare(whole.out, out, logs),
        "left_over_processes": left,
    }


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
