"""kill -9 of the parent or of a worker at random moments; the same command goes on until the plan is through."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from tests.drill.evidence import compare, continued, half_written, total
from tests.drill.plans import LONG, Notify, Plan, Reference, comes_to, look, reference
from tests.drill.sessions import HANG_SECONDS, Session

FAULTS = {"checkpoint_seconds": 0.0}
"""Every epoch leaves a checkpoint, so that what is killed goes on inside a run."""


def drill(scratch: Path, seed: int, notify: Notify, kills: int = 50, plan: Plan = LONG) -> dict[str, Any]:
    """Rounds of the plan, each from nothing to its end, until there were `kills`; each round is compared."""
    whole = reference(plan, scratch.parent, notify)
    killer = _Killer(random.Random(seed), whole, kills, notify)
    counts, again = list[dict[str, int]](), 0
    while killer.left or not counts:
        place = scratch / f"round-{len(counts)}"
        out = place / "out"
        logs = _round(plan, place, killer)
        look(plan, out, place / "look.log")
        counts.append(compare(whole.out, out, logs))
        again += continued(out)
    found = total(counts)
    found["half_written"] += killer.half_written
    return {
        "rounds": len(counts),
        "kills": killer.parents + killer.workers,
        "kills_of_the_parent": killer.parents,
        "kills_of_a_worker": killer.workers,
        "restarts": len(killer.past) - len(counts),
        "continued_inside_a_run": again,
        "hangs": killer.hangs,
        **found,
        "left_over_processes": killer.left_processes(),
    }


class _Killer:
    """Draws the moments and the victims, and counts."""

    def __init__(self, rng: random.Random, whole: Reference, kills: int, notify: Notify) -> None:
        self.rng, self.whole, self.left, self.notify = rng, whole, kills, notify
        self.parents = self.workers = self.hangs = self.half_written = 0
        self.past: list[Session] = []

    def disturb(self, session: Session, out: Path) -> None:
        """Kill until the session has ended, by itself or not."""
        self.past.append(session)
        earliest: float | None = 0.0
        while self.left:
            if not comes_to(session, self.whole, self.rng, earliest):
                return
            self.left -= 1
            if self.rng.random() < 0.5 and session.kill_worker(self.rng):
                self.workers += 1
                earliest = None
            else:
                session.kill()
                self.parents += 1
                self.half_written += half_written(out)
            if self.left % 5 == 0:
                self.notify(f"{self.left} kills left")
            if session.process.returncode is not None:
                return
        if not session.ends_within(HANG_SECONDS):
            self.hangs += 1
            session.kill()

    def left_processes(self) -> int:
        """Those that outlived their parent; they are ended."""
        return sum(session.end() for session in self.past)


def _round(plan: Plan, place: Path, killer: _Killer) -> list[Path]:
    """Start the same command again and again, until it says that all is done; returns the logs."""
    logs: list[Path] = []
    while True:
        logs.append(place / f"session-{len(logs)}.log")
        session = Session(plan.arguments(place / "out"), logs[-1], FAULTS)
        killer.disturb(session, place / "out")
        if session.process.returncode == 0:
            return logs
        if len(logs) > 20 and not killer.left:
            raise RuntimeError(f"the plan does not come to its end: {session.text()[-500:]}")
