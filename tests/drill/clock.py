"""Clocks that jump by hours: the wall clock, as it may, and even those that never should."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.drill.evidence import compare, continued, total
from tests.drill.plans import SHORT, Notify, Plan, comes_to, reference
from tests.drill.sessions import HANG_SECONDS, Session

WALL, ALL = ["time"], ["time", "monotonic", "perf_counter"]
BETWEEN_CHECKPOINTS = 3600.0
"""Seconds; far more than the plan takes, so that only a jump brings one about."""


def drill(scratch: Path, seed: int, notify: Notify, plan: Plan = SHORT) -> dict[str, Any]:
    """With the wall clock jumping under a time budget that must not end; then with all clocks jumping and two times
    kill -9, so that checkpoints are there and used.
    """
    whole = reference(plan, scratch.parent, notify)
    notify("the wall clock jumps")
    out, log = scratch / "wall" / "out", scratch / "wall" / "session.log"
    budget = Session(plan.arguments(out, "--time-budget", "10h"), log, {"seed": seed, "clocks": WALL})
    hangs, code = _ended(budget)
    counts = [compare(whole.out, out, [log])]
    counts[0]["lost"] += code != 0

    notify("all clocks jump")
    rng, place = random.Random(seed), scratch / "all"
    faults = {"seed": seed, "clocks": ALL, "checkpoint_seconds": BETWEEN_CHECKPOINTS}
    logs = [place / f"session-{number}.log" for number in range(3)]
    for log in logs:
        session = Session(plan.arguments(place / "out"), log, faults)
        if log != logs[-1]:
            comes_to(session, whole, rng)
            session.end()
    hung, code = _ended(session)
    counts.append(compare(whole.out, place / "out", logs))
    counts[1]["lost"] += code != 0
    return {"hangs": hangs + hung, "continued_inside_a_run": continued(place / "out"), **total(counts)}


def _ended(session: Session) -> tuple[bool, int | None]:
    hung = not session.ends_within(HANG_SECONDS)
    session.end()
    return hung, session.process.returncode
