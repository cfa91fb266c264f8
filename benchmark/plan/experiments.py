"""The experiments that the paper consists of, each a list of variants of the methods."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from baselines.registry import METHODS
from datasets.protocol import OPEN, Protocol

Changes = tuple[tuple[str, Any], ...]
"""(key, value) pairs such as ("settings.alpha", 0.1): what a variant changes of its method's configuration."""

MAIN_SEEDS = (0, 1, 2, 3, 4)
SWEEP_SEEDS = (0, 1)

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)
"""Section 5.2; 0 is SASRec."""

GRID = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50)
"""The values that the paper searches for alpha and lambda (section 4)."""

REGIMES = (0.1, 0.4)
"""The values of alpha in Table 3 and Figure 5."""

NOISES = (0.0, 0.1, 0.2, 0.4)
"""Shares of the training inputs that are replaced by random items."""

WEIGHTED: dict[str, tuple[str, ...]] = {
    "cl4srec": ("weight",),
    "duorec": ("weight",),
    "ec4srec": ("positive", "negative", "retrieval"),
    "btsr-bce": ("alpha",),
}
"""The weights of the terms that a method adds to the next-item loss, for the methods that they might cost the most."""

WEIGHT_SHARE = 0.02
"""The share of these weights that is tried. An added term acts on the last position alone, while the next-item loss is
a mean over all positions: in a sequence that fills a window of 50, a fiftieth of the weight gives, at that position,
the balance that the weight itself means.
"""

PROJECTOR_LAYERS = 2

WINDOWS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
"""The quantiles at which the windows of test events begin, the latest first: each ends where the one before begins."""

SCALABLE = ("gowalla", "kindle-store")
"""The datasets where the paper finds SCE the best objective; elsewhere it is CE (section 5). Sweeps use the best."""


@dataclass(frozen=True)
class Variant:
    """A method with some settings changed; `label` tells it from the others of its experiment, `value` is the number
    that the experiment varies, if there is one.

    `window`: one of WINDOWS, None for the protocol's own. `seeds`: which of the experiment's it is usually run with,
    None for all.
    """

    label: str
    method: str
    changes: Changes = ()
    value: float | None = None
    window: float | None = None
    seeds: tuple[int, ...] | None = None


def _published(
    label: str,
    rows: str,
    mask_seen: bool,
    shape: tuple[int, int, int],
    dropout: float,
    maxlen: int,
    batch_size: int,
    *more: tuple[str, Any],
) -> Variant:
    """A configuration of the experiment `home`; the label begins with the method, `shape`: width, blocks and heads."""
    width, blocks, heads = shape
    common = {
        "training.rows": rows,
        "training.batch_size": batch_size,
        "evaluation.mask_seen": mask_seen,
        "encoder.width": width,
        "encoder.blocks": blocks,
        "encoder.heads": heads,
        "encoder.dropout": dropout,
        "encoder.maxlen": maxlen,
    }
    return Variant(label, label.partition(" ")[0], (*common.items(), *more))


RECBOLE = (("encoder.norm", "post"), ("encoder.padding", "masked"))
"""The encoder of RecBole, on which DuoRec's code is built too."""

HOME = {
    "beauty": (
        _published("sasrec-ce prefix", "prefix", False, (64, 2, 2), 0.5, 50, 256, *RECBOLE),
        _published("duorec prefix", "prefix", False, (64, 2, 2), 0.5, 50, 256, *RECBOLE, ("settings.weight", 0.1)),
        _published("cl4srec prefix", "prefix", False, (64, 2, 2), 0.5, 50, 256, *RECBOLE, ("settings.weight", 0.1)),
        _published("sasrec-ce wide", "user", True, (256, 3, 1), 0.3, 128, 256),
    ),
    "ml-1m": (
        _published("sasrec-ce", "user", True, (64, 2, 1), 0.1, 200, 128),
        _published("sasrec-bce", "user", True, (64, 2, 1), 0.1, 200, 128, ("settings.objective.negatives", 1)),
        _published("sasrec-ce wide", "user", True, (256, 3, 1), 0.3, 128, 256),
    ),
}
"""By dataset the configurations under which others published numbers of our baselines, the most expensive last; the
numbers and their sources are in benchmark/paper/home.csv."""


@dataclass(frozen=True)
class Experiment:
    """One question: the seeds it is usually answered with, and what has to be run."""

    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]

    def runs(self, seeds: Iterable[int] | None) -> Iterator[tuple[int, Variant]]:
        """Every variant with its first seed, then with its second, ...; `seeds` stand for the usual ones."""
        for seed in self.seeds if seeds is None else seeds:
            for variant in self.variants:
                if seeds is not None or variant.seeds is None or seed in variant.seeds:
                    yield seed, variant


DEFAULT = ("main", "objectives", "regimes")
"""The experiments that are run where none is named: Tables 1 to 3."""

TRIAL_SEED = 0

WHOLE_HISTORY = 10_000
PRETRAINED, PRETRAINING_EPOCHS = ("barlow-twins-views", "dual-encoder"), 50
BATCH_SIZES = (32, 128, 512)
"""The sizes in `downstream`, for pretraining and fine-tuning; popularity stands for no representation at all."""

PROJECTOR = "btsr-projector"
ADDED = {"windows": (PROJECTOR,), "tune": (PROJECTOR,), "downstream": PRETRAINED, "sets": ("ease", "mf", "mf-bt")}
"""The methods that an experiment has beside the usual ones, where the user names none."""


def experiments(dataset: str) -> dict[str, Experiment]:
    """By name, in the order of NAMES."""
    swept = "btsr-sce" if dataset in SCALABLE else "btsr-ce"
    plain = METHODS[swept].plain or swept
    objectives = [name for name in METHODS if name.startswith(("sasrec-", "btsr-"))]
    regimes = Variant("sasrec-bce", "sasrec-bce"), *_sweep(swept, "settings.alpha", REGIMES)
    found = {
        "main": Experiment(MAIN_SEEDS, _as_they_are(METHODS)),  # Table 2: BT-SR against its baselines
        "objectives": Experiment(MAIN_SEEDS, _as_they_are(objectives)),  # Table 1: with and without Barlow Twins
        "regimes": Experiment(SWEEP_SEEDS, regimes),  # Table 3 and Figure 5: two regimes of alpha
        **{name: Experiment(SWEEP_SEEDS, sweep.variants(swept)) for name, sweep in SWEEPS.items()},
        "ties": Experiment(SWEEP_SEEDS, _as_they_are((plain, swept))),  # file order of simultaneous events and draws
        "windows": Experiment(SWEEP_SEEDS, tuple(_windows())),  # Table 2 in ten windows, for more test users
        "home": Experiment((TRIAL_SEED,), HOME.get(dataset, ())),  # baselines as where their numbers were published
        "downstream": Experiment(MAIN_SEEDS, tuple(_downstream())),  # Barlow Twins and a dual encoder as pretraining
        "sets": Experiment(MAIN_SEEDS, tuple(_sets())),  # does Barlow Twins help beyond sequences?
        "tune": Experiment((TRIAL_SEED,), ()),  # a search on validation with the same budget for every method
    }
    return {name: found[name] for name in NAMES}


# --- the lists ------------------------------------------------------------------------------------------------------


def _as_they_are(methods: Iterable[str]) -> tuple[Variant, ...]:
    return tuple(Variant(method, method) for method in methods)


def _sweep(method: str, key: str, values: tuple[float, ...]) -> tuple[Variant, ...]:
    return tuple(Variant(f"{value:g}", method, ((key, value),), value) for value in values)


def _views(method: str) -> tuple[Variant, ...]:
    others = ("twin", "mask", "crop", "reorder", "substitute", "dropout")
    views = tuple(Variant(view, method, (("settings.view", view),)) for view in others)
    return (*views, Variant("projector", method, (("settings.projector_layers", PROJECTOR_LAYERS),)))


def _noise(method: str) -> tuple[Variant, ...]:
    both = (METHODS[method].plain or method, method)
    return tuple(
        Variant(f"{name} {share:g}", name, (("training.noise", share),), share) for share in NOISES for name in both
    )


def _windows() -> Iterator[Variant]:
    """Every method once in each window, the three objectives with and without Barlow Twins twice."""
    for window in WINDOWS:
        for method, entry in METHODS.items():
            is_objective = entry.by_default and method.startswith(("sasrec-", "btsr-"))
            seeds = SWEEP_SEEDS if is_objective else SWEEP_SEEDS[:1]
            yield Variant(f"{window:g} {method}", method, value=window, window=window, seeds=seeds)


def all_experiments(dataset: str, protocol: Protocol) -> tuple[str, ...]:
    """Every experiment that can be run on a dataset under a protocol, but for `downstream`, which needs another package
    and the publisher's labels.
    """
    if protocol.preset == "sets":
        return ("sets",)
    return tuple(name for name in NAMES if name != "downstream" and not obstacle(name, dataset, protocol))


def obstacle(name: str, dataset: str, protocol: Protocol) -> str:
    """Why an experiment cannot be run on a dataset under a protocol, and what to do; empty if it can."""
    if name == "windows" and protocol.is_leave_one_out:
        return "leave-one-out has no time to divide; choose another --protocol"
    if name == "windows" and protocol not in window_protocols(protocol)[:1]:
        return "has its own times; leave out --set protocol.quantile and --set protocol.until"
    if name == "downstream" and protocol.is_leave_one_out:
        return "needs test users who never train; choose another --protocol"
    if name == "sets" and protocol.preset != "sets":
        return "asks about users without an order of items; add --protocol sets"
    if name == "home" and protocol.preset != "leave-one-out":
        return "its numbers were published under leave-one-out; add --protocol leave-one-out"
    if name == "home" and dataset not in HOME:
        return f"no published numbers are known for {dataset}; use --dataset {', '.join(HOME)}"
    return ""


def window_protocols(protocol: Protocol) -> tuple[Protocol, ...]:
    """The protocol of each of the WINDOWS; all else is as in `protocol`. Leave-one-out has no time and so none."""
    if protocol.is_leave_one_out:
        return ()
    ends = (OPEN, *WINDOWS)
    return tuple(replace(protocol, quantile=begin, until=end) for begin, end in zip(WINDOWS, ends, strict=False))


def _downstream() -> Iterator[Variant]:
    judged = ("evaluation.downstream", True)
    yield Variant("popularity", "popularity", (judged,))
    for size in BATCH_SIZES:
        for method in PRETRAINED:
            changes = (judged, ("training.batch_size", size), ("training.epochs", PRETRAINING_EPOCHS))
            yield Variant(f"{method} {size}", method, changes, size)


def _sets() -> Iterator[Variant]:
    """Histories are not cut; what is fitted gives the same with every seed."""
    whole = (("encoder.maxlen", WHOLE_HISTORY),)
    for method in ("popularity", "ease"):
        yield Variant(method, method, whole, seeds=MAIN_SEEDS[:1])
    for method in ("mf", "mf-bt"):
        yield Variant(method, method, whole)


def _weights() -> Iterator[Variant]:
    for method, names in WEIGHTED.items():
        yield Variant(f"{method} 1", method, value=1)
        usual, share = METHODS[method].settings, WEIGHT_SHARE
        changes = tuple((f"settings.{name}", round(share * getattr(usual, name), 6)) for name in names)
        yield Variant(f"{method} {share:g}", method, changes, share)


@dataclass(frozen=True)
class Sweep:
    """An experiment that varies something and is shown in a table of its own, one line per variant.

    `shown`: how the table's caption goes on after the name of the dataset. `variants`: from the BT-SR that the paper's
    sweeps use on a dataset, such as `btsr-ce`; a sweep of another method leaves that aside.
    """

    shown: str
    variants: Callable[[str], tuple[Variant, ...]]


SWEEPS: dict[str, Sweep] = {
    "alpha": Sweep(  # Figures 3, 4, 6 and 8
        "with other values of alpha, the weight of Barlow Twins",
        lambda swept: _sweep(swept, "settings.alpha", ALPHAS),
    ),
    "lambda": Sweep(  # Figures 7 and 9
        "with other values of lambda, the weight of the off-diagonal terms",
        lambda swept: _sweep(swept, "settings.lambd", (0.0, *GRID)),
    ),
    # Section 5.2: views other than twins.
    "views": Sweep("with other second views, and with a projector instead of L2 normalisation", _views),
    "noise": Sweep("with random items in place of a share of the training inputs", _noise),
    "weights": Sweep(
        "with other weights of what is added to the next-item loss, as shares of the usual ones",
        lambda _: tuple(_weights()),
    ),
}
"""The sweeps by name, in the order of their tables."""

_ORDER = (*DEFAULT, "alpha", "views", "noise", "lambda", "ties", "weights", *SWEEPS)
NAMES = (*dict.fromkeys(_ORDER), "windows", "home", "downstream", "sets", "tune")
"""All experiments, the most important first, other sweeps after the paper's. What `tune` has to run depends on what its
earlier trials gave, and so is found in tuning.py."""
