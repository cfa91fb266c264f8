"""A node of a Ray cluster and the driver are killed -9 by turns, at random moments. The nodes are processes on this
machine, but use of it nothing that nodes elsewhere would lack.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ray
from ray.cluster_utils import Cluster

from tests.drill.evidence import compare, continued, total
from tests.drill.plans import Notify, Plan, Reference, reference
from tests.drill.sessions import HANG_SECONDS, Session

PLAN = Plan("ray", ("sasrec-ce", "ec4srec", "two-stage", "btsr-sce"), 6)
"""With BT-SR (SCE), for what is claimed of BT-SR (CE) depends on the clock."""

FAULTS = {"checkpoint_seconds": 0.0}
"""Every epoch sends a checkpoint, so that what is killed goes on inside a run."""

ROUNDS = 2
"""At most so many rounds for each kill; what could not be delivered in them is counted."""

TORCH_CACHE = "torchinductor_"
"""What torch keeps in the temporary directory for its next start."""

NODE = {"num_cpus": 1, "include_dashboard": False}


def drill(scratch: Path, seed: int, notify: Notify, kills: int = 6, plan: Plan = PLAN) -> dict[str, Any]:
    """Rounds of the plan on a cluster of two nodes, one of which is killed and replaced, or the driver killed and
    started again, `kills` times by turns; each compared with the same plan on this machine without Ray.
    """
    whole = reference(plan, scratch.parent, notify)
    killer = _Killer(random.Random(seed), whole, kills, notify)
    counts, again, restarts = list[dict[str, int]](), 0, 0
    with _temporary_files_in(scratch / "temporary") as temporary, two_nodes() as cluster:
        while not counts or (killer.left and len(counts) < ROUNDS * kills):
            place = scratch / f"round-{len(counts)}"
            logs = _round(plan, place, cluster, killer)
            counts.append(compare(whole.out, place / "out", logs))
            again += continued(place / "out")
            restarts += len(logs) - 2
        left = [path for path in temporary.iterdir() if not path.name.startswith(TORCH_CACHE)]
    found = total(counts)
    found["left_over"] += len(left)
    return {
        "rounds": len(counts),
        "kills_of_a_node": killer.nodes,
        "kills_of_the_driver": killer.drivers,
        "restarts": restarts,
        "continued_inside_a_run": again,
        "not_delivered": killer.left,
        "failed_by_itself": killer.failed,
        "hangs": killer.hangs,
        **found,
    }


class _Killer:
    """Draws the moments, kills by turns, and counts."""

    def __init__(self, rng: random.Random, whole: Reference, kills: int, notify: Notify) -> None:
        self.rng, self.left, self.notify = rng, kills, notify
        self.latest = whole.seconds / kills
        self.nodes = self.drivers = self.failed = self.hangs = 0

    def disturb(self, session: Session, out: Path, cluster: Cluster) -> bool:
        """Kill until the session has ended; whether the plan is through, for a run that lost its workers too often is
        left to the next start.
        """
        while self.left and _is_at_work(session, out) and not session.ends_within(self.rng.uniform(0.0, self.latest)):
            self.left -= 1
            self.notify(f"{self.left} kills left")
            if self.nodes > self.drivers:
                session.kill()
                self.drivers += 1
                return False
            replace_node(cluster)
            self.nodes += 1
        return self.concludes(session)

    def concludes(self, session: Session) -> bool:
        """Let it come to its end in peace; whether the plan is through."""
        self.hangs += not session.ends_within(HANG_SECONDS)
        session.end()
        return session.process.returncode == 0


def _round(plan: Plan, place: Path, cluster: Cluster, killer: _Killer) -> list[Path]:
    """Start the same command again and again, until one comes to its end, and once more with nothing left to do, for
    what killed workers left has to be gone after the next start; returns the logs.
    """
    out, logs = place / "out", list[Path]()
    arguments = plan.arguments(out, "--engine", "ray", "--ray-address", cluster.address)
    through = False
    while not through:
        logs.append(place / f"session-{len(logs)}.log")
        session = Session(arguments, logs[-1], FAULTS)
        through = killer.disturb(session, out, cluster)
        if len(logs) > 20 and not through:
            raise RuntimeError(f"the plan does not come to its end: {session.text()[-500:]}")
    logs.append(place / "look.log")
    killer.failed += not killer.concludes(Session(arguments, logs[-1]))
    return logs


@contextmanager
def _temporary_files_in(folder: Path) -> Iterator[Path]:
    """For the processes that are started within. Ray's own stay where they were: a socket's path has to be short."""
    folder.mkdir(parents=True)
    before = {name: os.environ.get(name) for name in ("TMPDIR", "RAY_TMPDIR")}
    os.environ["RAY_TMPDIR"] = before["RAY_TMPDIR"] or tempfile.gettempdir()
    os.environ["TMPDIR"] = str(folder)
    try:
        yield folder
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


@contextmanager
def two_nodes() -> Iterator[Cluster]:
    """A head, where the driver is, and another node; each executes one run at a time."""
    # Ray's workers are so nice by default that a busy machine does not let them work at all.
    cluster = Cluster(initialize_head=True, head_node_args={**NODE, "_system_config": {"worker_niceness": 0}})
    try:
        cluster.add_node(**NODE)
        yield cluster
    finally:
        ray.shutdown()
        cluster.shutdown()


def replace_node(cluster: Cluster) -> None:
    """Kill the node that is not the head, and have another one join."""
    [node] = cluster.worker_nodes
    cluster.remove_node(node, allow_graceful=False)
    cluster.add_node(**NODE)


def _is_at_work(session: Session, out: Path) -> bool:
    """Wait until a run in flight has sent a checkpoint; False if the session ends before that."""
    deadline = time.monotonic() + HANG_SECONDS
    while not list(out.glob("results/.checkpoints/*.pt")):
        if session.ends_within(0.05) or time.monotonic() > deadline:
            return False
    return session.process.poll() is None
