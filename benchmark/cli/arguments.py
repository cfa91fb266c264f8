"""The command line of `run_all.py`: what can be said, and the checks that need no data."""

from __future__ import annotations

import argparse
import os
import re
from pathlib import Path
from typing import Any

from benchmark.plan import experiments
from benchmark.plan.config import HPARAMS, PROFILES, ConfigError, suggestion
from benchmark.runs.external import parse_externals
from benchmark.store.json_text import printable
from datasets.protocol import PRESETS
from datasets.registry import DATASETS

STAGES = ("prepare", "train", "report")
ENGINES = ("inline", "local", "ray")
OVERWRITE = ("never", "failed", "all")
MAX_MESSAGE = 500
MAX_WORKERS = 1024
ROOT = Path(__file__).resolve().parents[2]
ONCE = {
    "--interactions": "one file is worked on at a time",
    **dict.fromkeys(("--methods", "--seeds", "--experiments", "--stages"), "give one list, with commas"),
}
_TAKEN_OUT = ("--export", "--export-split", "--external")
ALONE = {
    "--dry-run": ("writes nothing", (*_TAKEN_OUT, "--import", "--recompute")),
    "--status": ("only shows what is there", (*_TAKEN_OUT, "--recompute")),
    "--recompute": ("does nothing else", _TAKEN_OUT),
    "--compare": (
        "looks at two stores, whole or of --dataset",
        (*_TAKEN_OUT, "--import", "--recompute", "--dry-run", "--status", "--claim", *ONCE),
    ),
}
"""What would not be looked at beside these: each with the reason."""
EXAMPLES = """examples:
  python run_all.py --dataset gowalla                       everything the paper says of Gowalla
  python run_all.py --dataset ml-1m,beauty --seeds 0-4 --engine local --workers 2
  python run_all.py --dataset ml-1m --methods sasrec-ce,btsr --dry-run
  python run_all.py --interactions my.csv --methods btsr-ce --set training.epochs=50
  python run_all.py --dataset ml-1m --stages report         tables and figures from finished runs alone
  python run_all.py --dataset ml-1m --external mine.csv     somebody else's recommendations beside ours
"""


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> None:  # type: ignore[override]
        raise ConfigError(f"{message}; see python run_all.py --help")


def parse(arguments: list[str] | None) -> argparse.Namespace:
    """Arguments to a namespace; ConfigError for what cannot be understood."""
    parser = _Parser(
        prog="run_all.py",
        description="Reproduces 'Barlow Twins for Sequential Recommendation': prepare, train, evaluate, report.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    what = parser.add_argument_group("what to run")
    what.add_argument(
        "--dataset",
        action="append",
        metavar="NAME[,NAME]",
        help=f"{', '.join(DATASETS)}, or all: the paper's five (default: all)",
    )
    what.add_argument(
        "--interactions", action="append", type=Path, metavar="FILE", help="your own userid,itemid,timestamp file"
    )
    what.add_argument(
        "--methods", action="append", metavar="NAME[,NAME]", help="methods or families such as btsr (default: all)"
    )
    what.add_argument("--seeds", action="append", help="such as 0,1 or 0-4 (default: 0-4, for sweeps 0,1)")
    what.add_argument(
        "--claim",
        metavar="ID",
        help="run just what one claim of the paper needs, and give its verdict (tables/claims.md)",
    )
    what.add_argument(
        "--experiments",
        action="append",
        help=f"of {', '.join(experiments.NAMES)} (default: all but {', '.join(experiments.ON_REQUEST)})",
    )
    what.add_argument(
        "--stages",
        action="append",
        help=f"of {', '.join(STAGES)} (default: all; report with --export, --import or --external; "
        "prepare with --export-split or --recompute)",
    )
    others = parser.add_argument_group("recommendations made elsewhere")
    others.add_argument(
        "--export-split",
        type=Path,
        metavar="DIR",
        help="write what it takes to recommend for our test users into a new directory: training interactions, "
        "histories, catalogue; with original ids",
    )
    others.add_argument(
        "--external",
        action="append",
        default=[],
        metavar="[NAME=]FILE",
        help="score a table of userid, itemid and rank and show it beside the others; may be repeated",
    )
    how = parser.add_argument_group("under which rules")
    how.add_argument("--protocol", choices=PRESETS, default="released", help="filtering preset (default: released)")
    how.add_argument(
        "--hparams",
        choices=HPARAMS,
        default="equal",
        help="hyper-parameters: the same for all methods, as released, or the same but for what --experiments tune "
        "has chosen on validation (default: equal)",
    )
    how.add_argument("--profile", choices=PROFILES, default="paper", help="quick: few epochs (default: paper)")
    how.add_argument(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="such as training.epochs=50 or btsr.alpha=0.3"
    )
    where = parser.add_argument_group("where")
    where.add_argument("--data-dir", type=Path, default=ROOT / "data", help="raw data (default: data/ in the clone)")
    where.add_argument(
        "--out-dir", type=Path, default=ROOT, help="holds results/ tables/ figures/ (default: the clone)"
    )
    where.add_argument("--no-download", action="store_true", help="never fetch missing data")
    where.add_argument(
        "--engine", choices=ENGINES, help="inline: this process; local: worker processes; ray: a Ray cluster"
    )
    where.add_argument(
        "--workers", type=_workers, help="runs at a time (default: one per core, or per GPU; with ray, of the cluster)"
    )
    where.add_argument("--ray-address", metavar="A", help="of the cluster, such as auto or 10.0.0.1:6379")
    where.add_argument("--device", choices=("auto", "cpu", "cuda"), default="auto", help="(default: auto)")
    flow = parser.add_argument_group("flow")
    flow.add_argument("--overwrite", choices=OVERWRITE, default="never", help="which ended runs to do again")
    flow.add_argument("--time-budget", type=_seconds, metavar="150m", help="start no run that would end later")
    flow.add_argument("--dry-run", action="store_true", help="show the plan: done, left, an estimate")
    flow.add_argument("--status", action="store_true", help="show what the store holds for this plan")
    flow.add_argument("--export", type=Path, metavar="FILE", help="write this plan's finished runs to an archive")
    flow.add_argument("--import", type=Path, metavar="FILE", dest="import_file", help="take over runs from an archive")
    flow.add_argument(
        "--recompute",
        action="store_true",
        help="compute the metrics of all finished runs from their arrays again: adds what they lack; the exit code is "
        "1 if one of them says something else",
    )
    flow.add_argument(
        "--compare",
        nargs=2,
        type=Path,
        metavar=("STORE_A", "STORE_B"),
        help="show two stores' runs side by side (of --dataset, if named); the exit code is 1 if they differ",
    )
    try:
        options = parser.parse_args(arguments)
        _settle(options)
    except ConfigError as error:
        message = printable(str(error))  # what was typed may be anything
        raise ConfigError(_shortened(message)) from None
    return options


def _shortened(message: str) -> str:
    """Without its middle, where it is long: the beginning says what is wrong, the end what to do."""
    half = MAX_MESSAGE // 2
    return message if len(message) <= MAX_MESSAGE else f"{message[:half]} ... {message[-half:]}"


def _settle(options: argparse.Namespace) -> None:
    if options.ray_address is not None and options.engine != "ray":
        raise ConfigError("--ray-address: says where --engine ray runs; add that, or leave both out")
    _check_once(options)
    _check_alone(options)
    if options.export is not None and not _may_be_file(options.export):
        raise ConfigError(f"--export {options.export}: is no file that could be written; name one such as runs.tar.gz")
    _split_lists(options)


def _check_once(options: argparse.Namespace) -> None:
    """Each of ONCE as its one value, None without any; of several all but the last would not be looked at."""
    for flag, remedy in ONCE.items():
        values = _value(options, flag) or [None]
        if len(values) > 1:
            raise ConfigError(f"{flag}: given {len(values)} times; {remedy}")
        setattr(options, flag.strip("-"), values[0])


def _check_alone(options: argparse.Namespace) -> None:
    for flag, (reason, others) in ALONE.items():
        for other in others if _value(options, flag) else ():
            if _value(options, other) not in (None, False, []):
                raise ConfigError(f"{flag}: {reason}; leave out {other}, or {flag}")


def _value(options: argparse.Namespace, flag: str) -> Any:
    return options.import_file if flag == "--import" else getattr(options, flag.strip("-").replace("-", "_"))


def _may_be_file(path: Path) -> bool:
    return path.name not in ("", "..") and (os.path.isfile(path) or not os.path.lexists(path))


def _split_lists(options: argparse.Namespace) -> None:
    options.named_datasets = [name for name in _words(options.dataset or []) if name != "all"]
    options.all_datasets = "all" in _words(options.dataset or []) or not (options.dataset or options.interactions)
    if options.dataset and not _words(options.dataset):
        raise ConfigError("--dataset: nothing named; leave it out for the paper's five")
    for name in options.named_datasets:
        if name not in DATASETS:
            raise ConfigError(f"--dataset: unknown dataset '{name:.60}'{suggestion(name, [*DATASETS, 'all'])}")
    if options.methods is not None:
        options.methods = _words([options.methods])
        if not options.methods:
            raise ConfigError("--methods: nothing named; leave it out to run all")
    options.external = parse_externals(options.external)
    if options.external and (options.all_datasets or len(options.named_datasets) + bool(options.interactions) != 1):
        raise ConfigError("--external: a file is about one dataset; name it with --dataset or --interactions")
    if options.stages is None:
        options.stages = _usual_stages(options)
    options.stages = _known("--stages", options.stages, STAGES)
    _take_claim(options)
    if options.experiments is None:
        options.experiments = ",".join(name for name in experiments.NAMES if name not in experiments.ON_REQUEST)
    options.experiments = _known("--experiments", options.experiments, experiments.NAMES)
    options.seeds = None if options.seeds is None else _seeds(options.seeds)


def _take_claim(options: argparse.Namespace) -> None:
    """The claim that is asked for, in the place of its name, and the experiments and methods that it needs."""
    if options.claim is None:
        return
    from benchmark.paper.claims import find_claim  # not at the top: training machines need no table packages

    if options.methods is not None or options.experiments is not None:
        raise ConfigError("--claim: says itself which methods and experiments; leave out --methods and --experiments")
    options.claim = find_claim(options.claim)
    for name in options.named_datasets:
        if name not in options.claim.datasets and not DATASETS[name].is_synthetic:
            about = ", ".join(options.claim.datasets)
            raise ConfigError(f"--claim {options.claim.id}: does not speak of {name}, only of {about}")
    options.methods = list(options.claim.methods)
    options.experiments = options.claim.rule.experiment


def _usual_stages(options: argparse.Namespace) -> str:
    """All, unless runs are moved or others' work is taken in or helped on: those are tasks of their own."""
    if options.export or options.import_file or options.external:
        return "report"
    return "prepare" if options.export_split or options.recompute else ",".join(STAGES)


def _words(texts: list[str]) -> list[str]:
    return [word.strip() for text in texts for word in text.split(",") if word.strip()]


def _known(flag: str, text: str, known: object) -> list[str]:
    words, allowed = _words([text]), list(known)  # type: ignore[call-overload]
    for word in words:
        if word not in allowed:
            raise ConfigError(f"{flag}: unknown '{word:.60}'{suggestion(word, allowed)}")
    if not words:
        raise ConfigError(f"{flag}: nothing named; use {', '.join(allowed)}")
    return words


def _seeds(text: str) -> list[int]:
    seeds: list[int] = []
    for word in _words([text]):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", word)
        if not match:
            raise ConfigError(f"--seeds: '{word:.60}' is neither a number nor a range; use for example 0,1 or 0-4")
        first, last = int(match[1]), int(match[2] or match[1])
        if last < first or last - first > 1000:
            raise ConfigError(f"--seeds: '{word:.60}' is no usable range; use for example 0-4")
        seeds.extend(range(first, last + 1))
    if not seeds:
        raise ConfigError("--seeds: none given; use for example 0,1 or 0-4")
    return list(dict.fromkeys(seeds))


def _workers(text: str) -> int:
    if not re.fullmatch(r"\d{1,9}", text) or not 1 <= int(text) <= MAX_WORKERS:
        raise argparse.ArgumentTypeError(f"'{text:.60}' is not a whole number from 1 to {MAX_WORKERS:,}")
    return int(text)


def _seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smh]?)", text)
    if not match:
        raise argparse.ArgumentTypeError(f"'{text:.60}' is no duration; use for example 90s, 150m or 6h")
    return float(match[1]) * {"s": 1, "m": 60, "h": 3600, "": 60}[match[2]]
