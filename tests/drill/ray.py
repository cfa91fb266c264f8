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

from tests.drill.evidence import compare, continued
from tests.drill.plans import Notify, Plan, reference
from tests.drill.sessions import HANG_SECONDS, Session

PLAN = Plan("ray", ("sasrec-ce", "ec4srec", "two-stage", "btsr-sce"), 6)
"""With BT-SR (SCE), for what is claimed of BT-SR (CE) depends on the clock."""

FAULTS = {"checkpoint_seconds": 0.0}
"""Every epoch sends a checkpoint, so that what is killed goes on inside a run."""

TORCH_CACHE = "torchinductor_"
"""What torch keeps in the temporary directory for its next start."""

NODE = {"num_cpus": 1, "include_dashboard": False}


def drill(scratch: Path, seed: int, notify: Notify, kills: int = 6, plan: Plan = PLAN) -> dict[str, Any]:
    """The plan on a cluster of two nodes, one of which is killed and replaced, or the driver killed and started again,
    `kills` times by turns; compared with the same plan on this machine without Ray.
    """
    whole = reference(plan, scratch.parent, notify)
    out, rng, logs = scratch / "out", random.Random(seed), list[Path]()
    figures = {"kills_of_a_node": 0, "kills_of_the_driver": 0, "hangs": 0}
    with _temporary_files_in(scratch / "temporary") as temporary, two_nodes() as cluster:
        while True:
            logs.append(scratch / f"session-{len(logs)}.log")
            arguments = plan.arguments(out, "--engine", "ray", "--ray-address", cluster.address)
            session = Session(arguments, logs[-1], FAULTS)
            while (killed := sum(figures.values())) < kills and _is_at_work(session, out):
                if session.ends_within(rng.uniform(0.0, whole.seconds / kills)):
                    break
                if killed % 2:
                    session.kill()
                    figures["kills_of_the_driver"] += 1
                else:
                    replace_node(cluster)
                    figures["kills_of_a_node"] += 1
                notify(f"{kills - killed - 1} kills left")
            if not session.ends_within(HANG_SECONDS):
                session.kill()
                figures["hangs"] += 1
                break
            if session.process.returncode == 0:
                break
            if len(logs) > 20 and killed >= kills:
                raise RuntimeError(f"the plan does not come to its end: {session.text()[-500:]}")
        # One more start, with nothing left to do: what killed workers left has to be gone afterwards.
        again = {"restarts": len(logs) - 1, "continued_inside_a_run": continued(out)}
        logs.append(scratch / "look.log")
        last = Session(arguments, logs[-1])
        figures["hangs"] += not last.ends_within(HANG_SECONDS)
        last.end()
        left = [path for path in temporary.iterdir() if not path.name.startswith(TORCH_CACHE)]
    found = compare(whole.out, out, logs)
    found["lost"] += last.process.returncode != 0
    found["left_over"] += len(left)
    return {**figures, **again, **found}


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
