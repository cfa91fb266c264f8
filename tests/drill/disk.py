"""A disk that is full or cannot be written: by injected errors, and where one can be mounted on a small tmpfs."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmark.cli.process import FAILURE
from tests.drill.evidence import compare, half_written, total
from tests.drill.plans import SHORT, Notify, Plan, Reference, reference
from tests.drill.sessions import HANG_SECONDS, Session, ended

QUICK_RETRY = {"checkpoint_seconds": 0.0, "retry_seconds": 0.2}
KEPT = "finished runs are in memory"
SHARES = (0.05, 0.2)
"""Of writes that fail, one plan for each."""

SESSIONS = 30
TMPFS_BYTES = 64 * 2**20
UNTIL_FREE_SECONDS = 2.0

Action = Callable[[], None]


def drill(scratch: Path, seed: int, notify: Notify, plan: Plan = SHORT) -> dict[str, Any]:
    """Every way of not being able to write; the counts are sums over all of them."""
    whole = reference(plan, scratch.parent, notify)
    counts, sessions = [], {}
    for share in SHARES:
        notify(f"{share:.0%} of all writes fail")
        found, sessions[f"{share:.0%}"] = _at_random(plan, whole, scratch / f"share-{share}", share, seed)
        counts.append(found)
    for name, below in (("ENOSPC", "out"), ("EROFS", "out"), ("ENOSPC", "/")):
        notify(f"{name} below {below} in the middle of the plan")
        everywhere = below == "/"
        place = scratch / (f"{name}-everywhere" if everywhere else name)
        place.mkdir(parents=True)
        flag = place / "flag"
        faults = QUICK_RETRY | {"writes": {"errno": name, "while": str(flag), "below": str(place / below)}}
        act = flag.touch, flag.unlink
        # Without a temporary directory runs cannot even begin; those that were to are done by the next session.
        counts.append(_in_the_middle(plan, whole, place, place / "out", faults, *act, sessions=1 + everywhere))
    with _tmpfs(scratch / "tmpfs") as mounted:
        if mounted:
            notify("a full tmpfs")
            place, ballast = scratch / "tmpfs", scratch / "tmpfs" / "ballast"
            fill = partial(_fill, ballast)
            counts.append(_in_the_middle(plan, whole, scratch, place / "out", QUICK_RETRY, fill, ballast.unlink))
    notify("a directory that is read-only from the beginning")
    read_only = _read_only(plan, whole, scratch / "read-only")
    return {
        "sessions_until_done_by_share_of_failing_writes": sessions,
        "tmpfs": f"{TMPFS_BYTES // 2**20} MiB" if mounted else "skipped: none can be mounted here",
        "read_only_from_the_beginning": "as expected" if read_only else "skipped: none can be mounted here",
        **total([*counts, *read_only]),
    }


def _at_random(plan: Plan, whole: Reference, place: Path, share: float, seed: int) -> tuple[dict[str, int], int]:
    """Sessions in which a `share` of the writes fail, never twice the same ones, until one of them comes to its end;
    then, with space again, one for the report. Also says how many there were.
    """
    logs, out, hangs, code = list[Path](), place / "out", 0, None
    while code != 0 and len(logs) < SESSIONS:
        writes = {"errno": "ENOSPC", "share": share, "below": str(out)}
        faults = QUICK_RETRY | {"seed": seed + len(logs), "writes": writes}
        arguments = plan.arguments(out, "--engine", "inline", "--stages", "prepare,train")
        code, hung = _session(arguments, place / f"session-{len(logs)}.log", faults, logs)
        hangs += hung
    failed = len(logs)
    _, hung = _session(plan.arguments(out), place / "report.log", None, logs)
    return compare(whole.out, out, logs) | {"hangs": hangs + hung}, failed


def _in_the_middle(
    plan: Plan,
    whole: Reference,
    place: Path,
    out: Path,
    faults: dict[str, Any],
    fill: Action,
    free: Action,
    sessions: int = 1,
) -> dict[str, int]:
    """A session whose disk is full after its first run, and free again once it has said so: it has to end well by
    itself, or after as many `sessions`, every run executed once and none recorded as failed.
    """
    log, logs = place / "session.log", list[Path]()
    session = Session(plan.arguments(out), log, faults)
    session.says("[1/")
    fill()
    noticed = session.says(KEPT)
    time.sleep(UNTIL_FREE_SECONDS)
    broken = half_written(out)
    free()
    hangs = not session.ends_within(HANG_SECONDS)
    session.end()
    code = session.process.returncode
    while code != 0 and len(logs) + 1 < sessions:
        code, hung = _session(plan.arguments(out), place / f"again-{len(logs)}.log", None, logs)
        hangs |= hung
    found = compare(whole.out, out, [log, *logs])
    found["half_written"] += broken
    found["lost"] += (code != 0) + len(ended([log], "failed"))
    return found | {"hangs": hangs, "unnoticed": not noticed}


def _read_only(plan: Plan, whole: Reference, place: Path) -> list[dict[str, int]]:
    """A started plan in a directory that cannot be written: one line that says what to do, and not a byte changed; then
    the plan goes on. An empty list where no directory can be made so.
    """
    out, logs = place / "out", list[Path]()
    with _forbidding(place, out) as forbid:
        if forbid is None:
            return []
        begun = replace(plan, methods=plan.methods[:1]).arguments(out, "--stages", "prepare,train")
        _session(begun, place / "begun.log", None, logs)
        before = _bytes(out)
        with forbid():
            code, hung = _session(plan.arguments(out), place / "refused.log", None, logs)
        lines = logs[-1].read_text(encoding="utf-8").splitlines()
        clear = code == FAILURE and len(lines) == 1 and "choose another --out-dir" in lines[0]
        changed = _bytes(out) != before
        _, hung_too = _session(plan.arguments(out), place / "resumed.log", None, logs)
        found = compare(whole.out, out, logs)
    found["differences"] += changed
    return [found | {"hangs": hung + hung_too, "unnoticed": not clear}]


def _session(
    arguments: list[str], log: Path, faults: dict[str, Any] | None, logs: list[Path]
) -> tuple[int | None, bool]:
    """From its start to its end; its exit code, and whether it hung."""
    logs.append(log)
    session = Session(arguments, log, faults)
    hung = not session.ends_within(HANG_SECONDS)
    session.end()
    return session.process.returncode, hung


def _fill(path: Path) -> None:
    """Let `path` take all the space that there is."""
    with contextlib.suppress(OSError), path.open("wb", buffering=0) as stream:
        while stream.write(bytes(2**16)):
            pass


def _bytes(root: Path) -> dict[str, bytes]:
    return {path.relative_to(root).as_posix(): path.read_bytes() for path in root.rglob("*") if path.is_file()}


@contextlib.contextmanager
def _tmpfs(place: Path) -> Iterator[bool]:
    """A small file system at `place`, if we may; says whether it is there."""
    place.mkdir(parents=True)
    mounted = _call("mount", "-t", "tmpfs", "-o", f"size={TMPFS_BYTES}", "tmpfs", str(place))
    try:
        yield mounted
    finally:
        if mounted:
            _call("umount", "--lazy", str(place))


@contextlib.contextmanager
def _forbidding(place: Path, out: Path) -> Iterator[Callable[[], AbstractContextManager[None]] | None]:
    """What makes `out` read-only as long as a block lasts: for root, whom no permission stops, on a file system of its
    own. None if that cannot be had.
    """
    if os.geteuid() != 0:
        yield partial(_between, partial(_permit, out, False), partial(_permit, out, True))
        return
    with _tmpfs(out) as mounted:
        remount = ["mount", "-o"], str(out)
        read, write = ([*remount[0], f"remount,{mode}", remount[1]] for mode in ("ro", "rw"))
        yield partial(_between, partial(_call, *read), partial(_call, *write)) if mounted else None


@contextlib.contextmanager
def _between(before: Callable[[], object], after: Callable[[], object]) -> Iterator[None]:
    before()
    try:
        yield
    finally:
        after()


def _permit(root: Path, writing: bool) -> None:
    for path in [root, *root.rglob("*")]:
        if path.is_dir():
            path.chmod(0o755 if writing else 0o555)


def _call(*command: str) -> bool:
    """Whether a command can be executed and ends well."""
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except OSError:
        return False
