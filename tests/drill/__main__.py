"""The fault drill's command line: what is done to the suite in one JSON file, with what must be 0."""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import torch

from benchmark.atomic import StoreError, write_file
from benchmark.environment import ROOT, code_version, hardware, package_versions
from benchmark.stopping import INTERRUPTED, unwinding
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

FAILURE, USAGE = 1, 2
OUT = ROOT / "results" / "drill.json"


def main(arguments: list[str] | None = None) -> int:
    """Do the drills; the exit code is 0, 1 if something is not as it must be, 2 for wrong usage."""
    words = sys.argv[1:] if arguments is None else arguments
    options = _parse(words)
    scratch = Path(tempfile.mkdtemp(prefix="drill-", dir=options.scratch))
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


def _parse(words: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
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
    options.only = [word.strip() for word in options.only.split(",") if word.strip()]
    if unknown := [word for word in options.only if word not in DRILLS]:
        parser.error(f"--only: unknown '{unknown[0]}'; known: {', '.join(DRILLS)}")
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
    code = 0
    for name in options.only:
        notify = partial(_note, name)
        try:
            drill: Drill = import_module(f"tests.drill.{name}").drill
        except ModuleNotFoundError as error:
            notify(f"skipped: {error.name} is not installed")
            continue
        if name == "kills":
            drill = partial(drill, kills=options.kills)
        started, clock = datetime.now(UTC), time.monotonic()
        place = scratch / name
        place.mkdir()
        figures = drill(place, options.seed, notify)
        section = {
            "what": DRILLS[name],
            "figures": figures,
            "seed": options.seed,
            "command": command,
            "started": started.isoformat(timespec="seconds"),
            "seconds": round(time.monotonic() - clock, 1),
            "versions": {**code_version(), **package_versions()},
            "hardware": hardware(torch.device("cpu")),
        }
        _write(options.out, name, section)
        found = wrong(figures)
        notify(f"{json.dumps(figures)}; {'all as it must be' if not found else 'WRONG: ' + ', '.join(found)}")
        code = FAILURE if found else code
    return code


def _write(path: Path, name: str, section: Mapping[str, Any]) -> None:
    try:
        present = json.loads(path.read_bytes())
    except FileNotFoundError:
        present = {}
    except (OSError, ValueError) as error:
        raise StoreError(f"{path}: cannot be read ({error}); remove it and drill again") from None
    present[name] = section
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
