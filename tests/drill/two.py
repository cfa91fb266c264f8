"""Several sessions on one output directory: they share the work, and what a dead one held is taken over."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.drill.evidence import compare, total
from tests.drill.plans import LONG, SHORT, Notify, Plan, Reference, look, reference
from tests.drill.sessions import HANG_SECONDS, Session, ended

FAULTS = {"checkpoint_seconds": 0.0}
"""Checkpoints all the time, for their temporary files are what one that starts must not take from another."""


def drill(
    scratch: Path, seed: int, notify: Notify, plan: Plan = LONG, crowd_plan: Plan = SHORT, crowd: int = 5
) -> dict[str, Any]:
    """Two in peace, the second a little later; then `crowd` of them, the first of which is killed."""
    rng = random.Random(seed)
    whole, small = (reference(each, scratch.parent, notify) for each in (plan, crowd_plan))
    notify("two at the same time")
    pair = _together(plan, whole, scratch / "two", 2, rng, kill_first=False)
    notify(f"{crowd} at the same time, and the first one is killed")
    many = _together(crowd_plan, small, scratch / "many", crowd, rng, kill_first=True)
    shares = pair.pop("shares"), many.pop("shares")
    return {"runs_of_each_of_two": shares[0], f"runs_of_each_of_{crowd}": shares[1], **total([pair, many])}


def _together(
    plan: Plan, whole: Reference, place: Path, number: int, rng: random.Random, kill_first: bool
) -> dict[str, Any]:
    """Start them one after the other, within the time that one needs to start."""
    out = place / "out"
    logs = [place / f"session-{index}.log" for index in range(number)]
    sessions = []
    for log in logs:
        sessions.append(Session(plan.arguments(out), log, FAULTS))
        sessions[-1].ends_within(rng.uniform(0.0, whole.startup / number))
    if kill_first:
        sessions[0].says("[")
        sessions[0].kill()
    hangs = sum(not session.ends_within(HANG_SECONDS) for session in sessions)
    left_processes = sum(session.end() for session in sessions)
    others = sessions[1:] if kill_first else sessions
    look(plan, out, place / "look.log")
    found: dict[str, Any] = compare(whole.out, out, logs)
    found["lost"] += sum(session.process.returncode != 0 for session in others)
    return found | {
        "hangs": hangs,
        "left_over_processes": left_processes,
        "shares": [len(ended([log])) for log in logs],
    }
