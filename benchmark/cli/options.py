"""Options that several commands share, how their values are parsed, and the datasets that they choose."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from baselines.registry import METHODS
from benchmark.plan.config import ConfigError, Configuration, suggestion
from benchmark.plan.dataset_facts import DatasetFacts, dataset_name_for, released_filter_of
from benchmark.plan.experiments import DEFAULT, HOME, NAMES, all_experiments, obstacle, window_protocols
from benchmark.plan.planner import choose_methods, has_runs, methods_of
from benchmark.plan.run_spec import HPARAMS, PROFILES
from benchmark.plan.tuning import trial_values, tuned_changes
from benchmark.store.json_text import printable
from benchmark.store.store import Store
from datasets.protocol import PRESETS, Protocol
from datasets.registry import DATASETS, PAPER_DATASETS

ALL = "all"

MAX_MESSAGE = 500
MAX_SEEDS = 1000
ROOT = Path(__file__).resolve().parents[2]

Option = Callable[[argparse._ActionsContainer], object]
"""Adds one option to a parser or to a group of options."""


class Parser(argparse.ArgumentParser):
    """A parser that raises its errors as ConfigError, in one printable line."""

    def __init__(self, program: str, description: str, epilog: str | None = None) -> None:
        raw = argparse.RawDescriptionHelpFormatter
        super().__init__(prog=program, description=description, epilog=epilog, formatter_class=raw, allow_abbrev=False)

    def error(self, message: str) -> NoReturn:
        remedy = "" if "; " in message else f"; see {self.prog} --help"
        message, half = printable(message), MAX_MESSAGE // 2  # it quotes user input, which may hold anything
        if len(message) > MAX_MESSAGE:  # keep the start, which says what is wrong, and the end, which says what to do
            message = f"{message[:half]} ... {message[-half:]}"
        raise ConfigError(message + remedy)


class Once(argparse.Action):
    """Rejects an option that is given twice; argparse would silently ignore all but the last value."""

    def __call__(self, parser: argparse.ArgumentParser, found: Any, values: Any, option: str | None = None) -> None:
        if getattr(found, self.dest) is not None:
            parser.error(f"argument {option}: given more than once; give it once, several values with commas")
        setattr(found, self.dest, values)


# --- parsing of values ----------------------------------------------------------------------------------------------


def read_list(known: Collection[str] | None = None) -> Callable[[str], list[str]]:
    """Return a parser of comma-separated words, which must be in `known` if that is given."""

    def read(text: str) -> list[str]:
        words = [word.strip() for word in text.split(",") if word.strip()]
        if not words:
            raise argparse.ArgumentTypeError("nothing named; leave it out for the default, or give names with commas")
        for word in words:
            if known is not None and word not in known:
                raise argparse.ArgumentTypeError(f"unknown {word!r:.60}{suggestion(word, known)}")
        return words

    return read


def read_seeds(text: str) -> list[int]:
    """Parse seeds and ranges of seeds, such as 0,1 or 0-4; duplicates are dropped."""
    seeds: list[int] = []
    for word in read_list()(text):
        match = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", word, re.ASCII)
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (0, -1)
        if not 0 <= last - first <= MAX_SEEDS:
            raise argparse.ArgumentTypeError(f"'{word:.60}' is neither a seed nor a range of them; use 0,1 or 0-4")
        seeds.extend(range(first, last + 1))
    return list(dict.fromkeys(seeds))


def read_number(largest: int) -> Callable[[str], int]:
    """Return a parser of whole numbers from 1 to `largest`."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,9}", text, re.ASCII) or not 1 <= int(text) <= largest:
            raise argparse.ArgumentTypeError(f"'{text:.60}' is not a whole number; use one from 1 to {largest:,}")
        return int(text)

    return read


# --- options --------------------------------------------------------------------------------------------------------


def option(*flags: str, **about: Any) -> Option:
    """Define an option; the arguments are those of `add_argument`."""
    return lambda parser: parser.add_argument(*flags, **about)


def list_option(flag: str, known: Collection[str] | None, about: str) -> Option:
    """Define an option that takes comma-separated words, which must be in `known` if that is given."""
    return option(flag, action=Once, type=read_list(known), metavar="NAME[,NAME]", help=about)


DATASET = option(
    "--dataset",
    action="extend",
    type=read_list([*DATASETS, ALL]),
    metavar="NAME[,NAME]",
    help=f"{', '.join(PAPER_DATASETS)}; {ALL}: all of these, the paper's (default); synthetic; "
    "or another one listed in docs/running.md, such as ml-20m",
)
INTERACTIONS = option(
    "--interactions",
    action=Once,
    type=Path,
    metavar="FILE",
    help="your own file with columns userid, itemid, timestamp, or user,item,rating,timestamp without a header",
)
RUNS = (
    list_option("--methods", None, "methods or families such as btsr (default: all)"),
    option("--seeds", action=Once, type=read_seeds, help="such as 0,1 or 0-4 (default: 0-4, for the sweeps 0,1)"),
    list_option(
        "--experiments",
        [*NAMES, ALL],
        f"from {', '.join(NAMES)}; {ALL}: every one that the --protocol allows, except downstream "
        f"(default: {','.join(DEFAULT)}: Tables 1 to 3)",
    ),
)
PROTOCOL = (
    option(
        "--protocol", choices=PRESETS, default="released", help="how data is filtered and split (default: released)"
    ),
    option(
        "--set", action="append", default=[], metavar="KEY=VALUE", help="such as training.epochs=50 or btsr.alpha=0.3"
    ),
)
RULES = (
    *PROTOCOL,
    option(
        "--hparams",
        choices=HPARAMS,
        default="equal",
        help="equal: the same for all methods; released: as published; tuned: as chosen on validation by "
        "--experiments tune (default: equal)",
    ),
    option("--profile", choices=PROFILES, default="paper", help="quick: few epochs (default: paper)"),
)
OUT_DIR = option("--out-dir", type=Path, default=ROOT, help="holds results/, tables/ and figures/ (default: the clone)")
DATA_DIR = option("--data-dir", type=Path, default=ROOT / "data", help="raw data (default: data/ in the clone)")
PLACES = (DATA_DIR, OUT_DIR, option("--no-download", action="store_true", help="never fetch missing data"))


# --- chosen datasets ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ChosenDataset:
    """A dataset to work on, its configuration, and the experiments and methods to run on it.

    `interactions`: the path, if it is the user's own file. `named`: whether the user asked for it by name.
    """

    name: str
    interactions: Path | None
    named: bool
    configuration: Configuration
    protocol: Protocol
    experiments: tuple[str, ...]
    methods: tuple[str, ...]

    @property
    def windows(self) -> tuple[Protocol, ...]:
        """The protocols of the experiment `windows`, if it was chosen; the data must be prepared under each."""
        return window_protocols(self.protocol) if "windows" in self.experiments else ()

    @property
    def file(self) -> str:
        """The name of the user's own file, or "" for a registered dataset."""
        return printable(self.interactions.name) if self.interactions else ""


def chosen_datasets(
    options: argparse.Namespace, store: Store, every: Sequence[str] = PAPER_DATASETS
) -> list[ChosenDataset]:
    """Return the datasets that the options choose; `every` is what "all" stands for.

    Raises ConfigError if the configuration is invalid, if --hparams tuned is given before a method has been tuned, and
    if the experiments have no run of the methods.
    """
    words, own = options.dataset or [], options.interactions
    names = dict.fromkeys((name for name in words if name != ALL), True)
    if ALL in words or not (words or own):
        names |= {name: name in names for name in every}
    chosen = [chosen_dataset(name, None, named, options, store) for name, named in names.items()]
    chosen += [chosen_dataset(dataset_name_for(own), own, True, options, store)] if own else []
    if not any(has_runs(each.name, each.experiments, each.methods) for each in chosen):
        methods, asked = (", ".join(each) for each in (options.methods or (), chosen[0].experiments))
        raise ConfigError(f"--methods {methods}: not part of the experiments {asked}; change one of the two options")
    return chosen


def chosen_dataset(
    name: str, own: Path | None, named: bool, options: argparse.Namespace, store: Store
) -> ChosenDataset:
    """Configure the dataset `name` by the options; `own` is its file if it is the user's own."""
    equal = Configuration(name, "equal", options.profile, options.set)
    protocol = equal.protocol(Protocol.of_preset(options.protocol, released_filter_of(name)))
    names = _experiments(options.experiments, name, named, protocol)
    methods, changes = choose_methods(options.methods), {}
    for method in methods:
        if METHODS[method].method.known_users_only and protocol.preset != "sets":
            raise ConfigError(f"--methods {method}: can only recommend to users seen in training; add --protocol sets")
    if options.hparams == "tuned":
        needed = dict.fromkeys(method for each in names for method in methods_of(each, methods))
        facts = DatasetFacts.stored(store, name, protocol)
        changes = tuned_changes(equal, facts, list(needed), trial_values(store.records(name)))
    configuration = Configuration(name, options.hparams, options.profile, options.set, changes)
    return ChosenDataset(name, own, named, configuration, protocol, names, methods)


def _experiments(words: Sequence[str] | None, dataset: str, named: bool, protocol: Protocol) -> tuple[str, ...]:
    """Return the experiments that `words` name; raises ConfigError for one that the protocol does not allow."""
    words = DEFAULT if words is None else words
    if ALL in words:
        return all_experiments(dataset, protocol)
    for word in words:
        # `home` needs published numbers. A dataset that the user did not name may lack them: it then has no such runs.
        if why := obstacle(word, dataset if named else next(iter(HOME)), protocol):
            raise ConfigError(f"--experiments {word}: {why}")
    return tuple(words)
