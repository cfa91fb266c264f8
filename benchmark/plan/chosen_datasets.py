"""What a command works on: datasets, each with its configuration and protocol, and the name of somebody's own file."""

from __future__ import annotations

import re
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmark.plan.config import HPARAMS, PROFILES, Configuration, RunSetting
from benchmark.plan.tuning import stored_changes
from benchmark.store.store import Store
from datasets.protocol import Protocol
from datasets.registry import DATASETS

BENCH, FILES = "bench", ("html", "json", "md", "csv", "tex")
"""What stands beside the folders of datasets in results/ and tables/: a folder, and files that end so."""
SETTINGS = rf"-({'|'.join(HPARAMS)})-({'|'.join(PROFILES)})"
"""In the name of each folder in tables/ that is about several datasets."""


@dataclass(frozen=True)
class Target:
    """One dataset to work on, with its configuration; `named` if the user asked for this one."""

    name: str
    interactions: Path | None
    named: bool
    configuration: Configuration
    protocol: Protocol
    setting: RunSetting


def targets_of(options: Namespace, store: Store, methods: Sequence[str]) -> list[Target]:
    """The datasets that parsed arguments ask for; raises ConfigError for a configuration that is none, or if
    --hparams tuned lacks what tuning chose.
    """
    names: dict[str, tuple[Path | None, bool]] = dict.fromkeys(options.named_datasets, (None, True))
    if options.all_datasets:
        every = options.claim.datasets if options.claim else [name for name in DATASETS if name != "synthetic"]
        names |= {name: (None, name in names) for name in every}
    if options.interactions:
        names[name_of(options.interactions)] = (options.interactions, True)
    return [_target(name, path, named, options, store, methods) for name, (path, named) in names.items()]


def _target(
    name: str, path: Path | None, named: bool, options: Namespace, store: Store, methods: Sequence[str]
) -> Target:
    configuration = Configuration(name, options.hparams, options.profile, options.set)
    released_filter = DATASETS[name].released_filter if path is None else "none"
    protocol = configuration.protocol(Protocol.of_preset(options.protocol, released_filter))
    setting = RunSetting(protocol.label(released_filter), options.hparams, configuration.profile)
    if options.hparams == "tuned":
        chosen = stored_changes(store, name, replace(setting, hparams="equal").name, methods)
        configuration = Configuration(name, options.hparams, options.profile, options.set, chosen)
    return Target(name, path, named, configuration, protocol, setting)


def name_of(path: Path) -> str:
    """A dataset name for somebody's own file; never that of one of ours, or of what else stands beside datasets."""
    stem = re.sub(r"(\.(csv|tsv|inter|txt|data|gz))+$", "", path.name.lower())
    slug = re.sub(r"[^a-z0-9._-]+", "-", stem).strip("-._") or "interactions"
    slug = re.sub(rf"\.({'|'.join(FILES)})$", r"-\1", slug)
    return f"own-{slug}" if slug in {*DATASETS, BENCH} or re.search(SETTINGS, slug) else slug
