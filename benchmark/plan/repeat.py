"""The command that repeats one run and nothing else, derived from the run's specification."""

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

OUT_DIR = "repeated"  # so that a repeated run does not overwrite the original


def repeat_command(record: RunRecord) -> str:
    """Return the command that repeats a stored run.

    For external runs, and for methods and protocols that are not known here, it is the command that made the record.
    """
    if record.method not in METHODS or record.spec["protocol"]["preset"] not in PRESETS:
        return record.command
    return command_of(RunSpec.from_json(record.spec), str(record.data["source"]))


def command_of(spec: RunSpec, source: str) -> str:
    """Return the command that executes a run; `source` is the name of the file with the interactions.

    Settings that differ from the method's configuration become `--set` options, no matter whether an experiment,
    tuning or the user changed them.
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
    return printable(shlex.join(["python", "run_all.py", *words, "--out-dir", OUT_DIR]))


@cache
def _plain(dataset: str, hparams: str, profile: str, method: str) -> RunSpec:
    return Configuration(dataset, hparams, profile).spec(UNKNOWN, method, 0)


def _changes(usual: Any, asked: Any) -> Iterator[str]:
    """Yield `key=value`, in TOML, for every setting that differs between `usual` and `asked`."""
    for each in fields(usual):
        before, value = getattr(usual, each.name), getattr(asked, each.name)
        if is_dataclass(before):
            yield from (f"{each.name}.{change}" for change in _changes(before, value))
        elif value != before:
            text = str(value).lower() if isinstance(value, bool) else list(value) if isinstance(value, tuple) else value
            yield f"{each.name}={text}"
