"""The experiments of the paper and of this reproduction. Each is a list of method variants to run."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from baselines.registry import METHODS
from datasets.protocol import OPEN, Protocol

Changes = tuple[tuple[str, Any], ...]
"""What a variant changes in its method's configuration: (key, value) pairs such as ("settings.alpha", 0.1)."""

MAIN_SEEDS = (0, 1, 2, 3, 4)
SWEEP_SEEDS = (0, 1)

ALPHAS = (0.0, 0.1, 0.2, 0.3, 0.4, 0.5)  # section 5.2; with 0, BT-SR is SASRec
GRID = (0.05, 0.10, 0.15, 0.20, 0.25, 0.30, 0.35, 0.40, 0.45, 0.50)  # the paper's grid, section 4
REGIMES = (0.1, 0.4)  # of alpha, in Table 3 and Figure 5
NOISES = (0.0, 0.1, 0.2, 0.4)  # shares of the training inputs that are replaced by random items

WEIGHTED: dict[str, tuple[str, ...]] = {
    "cl4srec": ("weight",),
    "duorec": ("weight",),
    "ec4srec": ("positive", "negative", "retrieval"),
    "btsr-bce": ("alpha",),
}
"""The weights of a method's auxiliary losses, for the methods that too large a weight might hurt the most."""

WEIGHT_SHARE = 0.02
"""The experiment `weights` multiplies the weights by this. An auxiliary loss acts on the last position only, while the
next-item loss is a mean over all positions. So in a sequence of 50 items, a fiftieth of the weight balances the two at
the last position as the full weight is meant to."""

WINDOWS = (0.95, 0.9, 0.85, 0.8, 0.75, 0.7, 0.65, 0.6, 0.55, 0.5)
"""The quantiles of time at which test windows begin, latest first. Each window ends where the previous one begins."""

SCALABLE = ("gowalla", "kindle-store")
"""Sweeps use the paper's best objective (section 5): SCE on these datasets, CE on all others."""


@dataclass(frozen=True)
class Variant:
    """A method with some settings changed. The label is unique within the experiment.

    `value`: the number that the experiment varies, if any. `window`: one of WINDOWS, or None for the protocol's own.
    `seeds`: the default seeds if they are fewer than the experiment's.
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
    """Build a variant of the experiment `home`. `label` begins with the method; `shape` is (width, blocks, heads)."""
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


RECBOLE = (("encoder.norm", "post"), ("encoder.padding", "masked"))  # its encoder, which DuoRec's code uses, too

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
"""For each dataset, the configurations for which others have published results of our baselines, the most expensive
last. The published numbers and their sources are in benchmark/paper/home.csv."""


@dataclass(frozen=True)
class Experiment:
    """The variants to run and the default seeds."""

    seeds: tuple[int, ...]
    variants: tuple[Variant, ...]

    def runs(self, seeds: Iterable[int] | None) -> Iterator[tuple[int, Variant]]:
        """Yield all variants with the first seed, then all with the second, and so on. `seeds` replace the default."""
        for seed in self.seeds if seeds is None else seeds:
            for variant in self.variants:
                if seeds is not None or variant.seeds is None or seed in variant.seeds:
                    yield seed, variant


DEFAULT = ("main", "objectives", "regimes")  # if the user names none: Tables 1 to 3
TRIAL_SEED = 0

WHOLE_HISTORY = 10_000
PRETRAINED, PRETRAINING_EPOCHS = ("barlow-twins-views", "dual-encoder"), 50
BATCH_SIZES = (32, 128, 512)  # in `downstream`, for pretraining and fine-tuning

PROJECTOR = "btsr-projector"
ADDED = {"windows": (PROJECTOR,), "tune": (PROJECTOR,), "downstream": PRETRAINED, "sets": ("ease", "mf", "mf-bt")}
"""The methods that an experiment runs in addition to the default methods, unless the user names methods."""


def experiments(dataset: str) -> dict[str, Experiment]:
    """Return all experiments on a dataset by name, in the order of NAMES."""
    swept = "btsr-sce" if dataset in SCALABLE else "btsr-ce"
    plain = METHODS[swept].plain or swept
    objectives = [name for name in METHODS if name.startswith(("sasrec-", "btsr-"))]
    regimes = Variant("sasrec-bce", "sasrec-bce"), *_sweep(swept, "settings.alpha", REGIMES)
    found = {
        "main": Experiment(MAIN_SEEDS, _unchanged(METHODS)),  # Table 2: BT-SR and its baselines
        "objectives": Experiment(MAIN_SEEDS, _unchanged(objectives)),  # Table 1: with and without Barlow Twins
        "regimes": Experiment(SWEEP_SEEDS, regimes),  # Table 3 and Figure 5: two regimes of alpha
        **{name: Experiment(SWEEP_SEEDS, sweep.variants(swept)) for name, sweep in SWEEPS.items()},
        "ties": Experiment(SWEEP_SEEDS, _unchanged((plain, swept))),  # does the order of simultaneous events matter?
        "windows": Experiment(SWEEP_SEEDS, tuple(_windows())),  # Table 2 in ten windows, for more test users
        "home": Experiment((TRIAL_SEED,), HOME.get(dataset, ())),  # baselines, configured as others published them
        "downstream": Experiment(MAIN_SEEDS, tuple(_downstream())),  # Barlow Twins and a dual encoder as pretraining
        "sets": Experiment(MAIN_SEEDS, tuple(_sets())),  # does Barlow Twins help beyond sequences?
        "tune": Experiment((TRIAL_SEED,), ()),  # the same number of trials for every method; planned in tuning.py
    }
    return {name: found[name] for name in NAMES}


# --- the lists ------------------------------------------------------------------------------------------------------


def _unchanged(methods: Iterable[str]) -> tuple[Variant, ...]:
    return tuple(Variant(method, method) for method in methods)


def _sweep(method: str, key: str, values: tuple[float, ...]) -> tuple[Variant, ...]:
    return tuple(Variant(f"{value:g}", method, ((key, value),), value) for value in values)


def _views(method: str) -> tuple[Variant, ...]:
    names = ("twin", "mask", "crop", "reorder", "substitute", "dropout")
    views = tuple(Variant(view, method, (("settings.view", view),)) for view in names)
    return (*views, Variant("projector", method, (("settings.projector_layers", 2),)))


def _noise(method: str) -> tuple[Variant, ...]:
    both = (METHODS[method].plain or method, method)
    return tuple(
        Variant(f"{name} {share:g}", name, (("training.noise", share),), share) for share in NOISES for name in both
    )


def _windows() -> Iterator[Variant]:
    """Every method with one seed in each window, and with two seeds if it is a SASRec or BT-SR objective."""
    for window in WINDOWS:
        for method, entry in METHODS.items():
            is_objective = entry.by_default and method.startswith(("sasrec-", "btsr-"))
            seeds = SWEEP_SEEDS if is_objective else SWEEP_SEEDS[:1]
            yield Variant(f"{window:g} {method}", method, value=window, window=window, seeds=seeds)


def all_experiments(dataset: str, protocol: Protocol) -> tuple[str, ...]:
    """List the experiments that can run, except `downstream`, which needs scikit-learn and the publisher's labels."""
    if protocol.preset == "sets":
        return ("sets",)
    return tuple(name for name in NAMES if name != "downstream" and not obstacle(name, dataset, protocol))


def obstacle(name: str, dataset: str, protocol: Protocol) -> str:
    """Explain why a dataset or protocol rules out an experiment, and what to do; empty if it does not."""
    if name == "windows" and protocol.is_leave_one_out:
        return "leave-one-out does not split by time; choose another --protocol"
    if name == "windows" and protocol not in window_protocols(protocol)[:1]:
        return "sets the time windows itself; leave out --set protocol.quantile and --set protocol.until"
    if name == "downstream" and protocol.is_leave_one_out:
        return "needs test users who are not trained on; choose another --protocol"
    if name == "sets" and protocol.preset != "sets":
        return "ignores the order of items; add --protocol sets"
    if name == "home" and protocol.preset != "leave-one-out":
        return "its numbers were published under leave-one-out; add --protocol leave-one-out"
    if name == "home" and dataset not in HOME:
        return f"no published numbers are known for {dataset}; use --dataset {', '.join(HOME)}"
    return ""


def window_protocols(protocol: Protocol) -> tuple[Protocol, ...]:
    """Return the variant of `protocol` for each of the WINDOWS."""
    if protocol.is_leave_one_out:  # it does not split by time
        return ()
    ends = (OPEN, *WINDOWS)
    return tuple(replace(protocol, quantile=begin, until=end) for begin, end in zip(WINDOWS, ends, strict=False))


def _downstream() -> Iterator[Variant]:
    evaluated = ("evaluation.downstream", True)
    yield Variant("popularity", "popularity", (evaluated,))  # stands for no representation at all
    for size in BATCH_SIZES:
        for method in PRETRAINED:
            changes = (evaluated, ("training.batch_size", size), ("training.epochs", PRETRAINING_EPOCHS))
            yield Variant(f"{method} {size}", method, changes, size)


def _sets() -> Iterator[Variant]:
    whole = (("encoder.maxlen", WHOLE_HISTORY),)
    for method in ("popularity", "ease"):
        yield Variant(method, method, whole, seeds=MAIN_SEEDS[:1])  # they do not depend on the seed
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
    """An experiment that varies one thing and gets a table of its own, with one line per variant.

    `shown`: the rest of the table's caption after the dataset's name. `variants`: takes the BT-SR method that the paper
    sweeps on a dataset, such as `btsr-ce`. A sweep of another method ignores it.
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
"""The sweeps, in the order of their tables."""

_ORDER = (*DEFAULT, "alpha", "views", "noise", "lambda", "ties", "weights", *SWEEPS)
NAMES = (*dict.fromkeys(_ORDER), "windows", "home", "downstream", "sets", "tune")
"""All experiments, the most important first. Sweeps that a user adds come after the paper's."""
