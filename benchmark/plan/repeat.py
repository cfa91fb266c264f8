"""The command that repeats one run, and only that: derived from what its record says was asked for."""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from baselines.registry import METHODS
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import UNKNOWN, released_filter_of
from benchmark.plan.run_spec import SHARED, RunSpec
from benchmark.store.json_text import printable
from benchmark.store.record import RunRecord
from datasets.protocol import PRESETS, Protocol
from datasets.registry import DATASETS

PLACE = "repeated"
"""The folder into which a repeated run goes, so that it replaces nothing."""


def repeating(record: RunRecord) -> str:
    """The command of a record: that which it was made by if it is external, or of what is not there."""
    if record.method not in METHODS or record.spec["protocol"]["preset"] not in PRESETS:
        return record.command
    return command_of(RunSpec.of_json(record.spec), str(record.data["source"]))


def command_of(spec: RunSpec, source: str) -> str:
    """The command that makes this run from `source`, the name of the file that the interactions came from.

    What the spec has otherwise than the configuration of its method, whether an experiment, tuning or `--set` changed
    it, is set by hand.
    """
    dataset, method, preset = spec.dataset, spec.method, spec.protocol.preset
    hparams = "released" if spec.hparams == "released" else "equal"
    profile = "quick" if spec.profile.startswith("quick") else "paper"
    protocol = Protocol.of_preset(preset, released_filter_of(dataset))
    plain = _plain(dataset, hparams, profile, method)
    parts = {section: (getattr(plain, section), getattr(spec, section)) for section in SHARED}
    parts |= {"protocol": (protocol, spec.protocol), method: (plain.settings, spec.settings)}
    changes = [f"{name}.{change}" for name, both in parts.items() for change in _changes(*both)]
    changes += ["run.trial=true"] if spec.is_trial else []
    words = ["--dataset", dataset] if dataset in DATASETS else ["--interactions", source]
    words += ["--methods", method, "--seeds", str(spec.seed), "--experiments", "main"]
    words += ["--protocol", preset] if preset != "released" else []
    words += ["--hparams", hparams] if hparams != "equal" else []
    words += ["--profile", profile] if profile != "paper" else []
    words += [word for change in changes for word in ("--set", change)]
    return printable(shlex.join(["python", "run_all.py", *words, "--out-dir", PLACE]))


@cache
def _plain(dataset: str, hparams: str, profile: str, method: str) -> RunSpec:
    return Configuration(dataset, hparams, profile).spec(UNKNOWN, method, 0)


def _changes(usual: Any, asked: Any) -> Iterator[str]:
    """`key=value`, in TOML, of all settings that have another value in `asked` than in `usual`."""
    for each in fields(usual):
        before, value = getattr(usual, each.name), getattr(asked, each.name)
        if is_dataclass(before):
            yield from (f"{each.name}.{change}" for change in _changes(before, value))
        elif value != before:
            text = str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value
            yield f"{each.name}={text}"
