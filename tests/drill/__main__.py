"""The fault drill's command line: what is done to the suite in one JSON file, with what must be 0."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any, NoReturn

import torch

from benchmark.cli.process import INTERRUPTED, unwinding
from benchmark.runs.environment import ROOT, code_version, hardware, package_versions
from benchmark.store.atomic_files import StoreError, write_file
from tests.drill.sessions import end_all
from tests.drill.table import to_markdown, wrong

Drill = Callable[..., dict[str, Any]]

DRILLS = {
    "kills": "kill -9 of the parent or a worker at random moments, the same command again until the plan is through",
    "signals": "Ctrl-C, SIGTERM and SIGHUP at random moments",
    "disk": "a disk that is full or read-only, at random, in the middle, from the beginning",
    "clock": "clocks that jump by hours",
    "two": "several sessions on one output directory at the same time",
    "fuzz": "garbage in every file that is read",
    "makespan": "the time that a plan takes on 1, 2, 4 and 8 workers, simulated",
    "ray": "a node of a Ray cluster killed in the middle of a plan",
}
"""In each module of that name: drill(scratch: Path, seed: int, notify: Callable[[str], None]) -> dict[str, Any]."""

OPTIONAL = ("ray",)
"""Packages without which a drill is skipped; any other that is missing is a failure."""

FAILURE, USAGE = 1, 2
MAX_REASON = 300
OUT = ROOT / "results" / "drill.json"


def main(arguments: list[str] | None = None) -> int:
    """Do the drills; the exit code is 0, 1 if something is not as it must be, 2 for wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parse(words)
    try:
        scratch = Path(tempfile.mkdtemp(prefix="drill-", dir=options.scratch)).resolve()
    except OSError as error:
        where = f"--scratch {options.scratch}" if options.scratch else "the temporary directory"
        _say(f"{where}: cannot work there ({error.strerror or error}); use --scratch DIR with one that can be written")
        return USAGE
    try:
        with unwinding():
            failed = _run(options, scratch, shlex.join(["python", "-m", "tests.drill", *_published(words)]))
    except StoreError as error:
        _say(str(error))
        return FAILURE
    except KeyboardInterrupt:
        _say("interrupted; the drills that were finished are written")
        failed = INTERRUPTED
    finally:
        end_all()
    if failed == FAILURE:
        _say(f"what was written lies in {scratch}")
    else:
        shutil.rmtree(scratch, ignore_errors=True)
    return failed


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        _say(f"{message}; see {self.prog} --help")
        sys.exit(USAGE)


def _parse(words: list[str]) -> argparse.Namespace:
    parser = _Parser(
        prog="python -m tests.drill",
        description="Kills, fills, jumps and feeds garbage, and compares what comes out with an undisturbed run.",
        epilog="drills:\n" + "\n".join(f"  {name:<10}{what}" for name, what in DRILLS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--only", default=",".join(DRILLS), metavar="NAME[,NAME]", help="(default: %(default)s)")
    parser.add_argument("--kills", type=int, default=50, help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the moments and the victims (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=OUT, metavar="FILE", help="(default: results/drill.json)")
    parser.add_argument("--scratch", type=Path, metavar="DIR", help="where to work (default: the temporary directory)")
    options = parser.parse_args(words)
    options.only = list(dict.fromkeys(word.strip() for word in options.only.split(",") if word.strip()))
    if not options.only:
        parser.error(f"--only: nothing named; known: {', '.join(DRILLS)}")
    if unknown := [word for word in options.only if word not in DRILLS]:
        parser.error(f"--only: unknown '{unknown[0]}'; known: {', '.join(DRILLS)}")
    if options.kills < 1:
        parser.error(f"--kills: {options.kills} is not a number from 1")
    return options


def _published(words: list[str]) -> list[str]:
    """Without directories, which are nobody's business."""
    kept, hidden = list[str](), False
    for word in words:
        flag, separator, _ = word.partition("=")
        if not hidden and flag not in ("--out", "--scratch"):
            kept.append(word)
        hidden = not hidden and flag in ("--out", "--scratch") and not separator
    return kept


def _run(options: argparse.Namespace, scratch: Path, command: str) -> int:
    """Each drill is written as soon as it is through; other sections of the file stay as they are."""
    _present(options.out)  # one that cannot be added to is told before hours of work
    code = 0
    for name in options.only:
        notify = partial(_note, name)
        started, clock = datetime.now(UTC), time.monotonic()
        outcome = _outcome(name, options, scratch / name, notify)
        section = {
            "what": DRILLS[name],
            **outcome,
            "seed": options.seed,
            "command": command,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 1),
            "versions": {**code_version(), **package_versions()},
            "hardware": hardware(torch.device("cpu")),
        }
        _write(options.out, name, section)
        if "skipped" in outcome:
            continue
        figures = outcome["figures"]
        found = wrong(figures)
        if "failed" not in outcome:
            notify(f"{json.dumps(figures)}; {'all as it must be' if not found else 'WRONG: ' + ', '.join(found)}")
        code = FAILURE if found or "failed" in outcome else code
    return code


def _outcome(name: str, options: argparse.Namespace, place: Path, notify: Callable[[str], None]) -> dict[str, Any]:
    """The drill's `figures`; none, and why, where it was `skipped` or has `failed`, which ends no other drill."""
    try:
        place.mkdir()
        drill: Drill = import_module(f"tests.drill.{name}").drill
        if name == "kills":
            drill = partial(drill, kills=options.kills)
        figures = drill(place, options.seed, notify)
        json.dumps(figures, allow_nan=False)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        if isinstance(error, ModuleNotFoundError) and error.name in OPTIONAL:
            reason = f"{error.name} is not installed"
            notify(f"skipped: {reason}")
            return {"figures": {}, "skipped": reason}
        kind, log = type(error).__name__, place.with_name(f"{name}.traceback")
        log.write_text(traceback.format_exc(), encoding="utf-8", errors="backslashreplace")
        notify(f"FAILED: {' '.join(f'{kind}: {error}'.split())[:MAX_REASON]} (traceback in {log})")
        end_all()
        return {"figures": {}, "failed": kind}  # what it says may name directories, which are nobody's business
    return {"figures": figures}


def _present(path: Path) -> dict[str, Any]:
    """The sections that are there; StoreError if that cannot be told."""
    try:
        present = json.loads(path.read_bytes())
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); remove it and drill again") from None
    if not isinstance(present, dict):
        raise StoreError(f"{path}: is no JSON object; remove it and drill again")
    return present


def _write(path: Path, name: str, section: Mapping[str, Any]) -> None:
    present = _present(path) | {name: section}
    ordered = {drill: present[drill] for drill in DRILLS if drill in present}
    write_file(path, (json.dumps(ordered, indent=1, allow_nan=False) + "\n").encode())
    table = ROOT / "tables" / "drill.md" if path == OUT else path.with_suffix(".md")
    write_file(table, to_markdown(ordered).encode())


def _note(name: str, line: str) -> None:
    _say(f"{name}: {line}")


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
