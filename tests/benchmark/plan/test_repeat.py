"""The command shown with a run plans exactly this run, for all experiments, tuning and protocols."""

from __future__ import annotations

import re
import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from baselines.registry import METHODS
from benchmark.cli.main import main, parse
from benchmark.cli.options import chosen_datasets
from benchmark.plan.config import Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import window_protocols
from benchmark.plan.planner import PlannedRun, choose_methods, plan
from benchmark.plan.repeat import command_of, repeat_command
from benchmark.plan.run_spec import RunSpec
from benchmark.store.record import RunRecord
from benchmark.store.store import Store
from datasets.protocol import Protocol
from tests.benchmark.plan.test_run_key import RESULTS, spec_of

HOME = Protocol(preset="leave-one-out")


def planned_by(command: str) -> list[PlannedRun]:
    """Plan what a command would run on a dataset with fingerprint "f"."""
    options = parse(shlex.split(command)[2:])
    (dataset,) = chosen_datasets(options, Store(Path("nowhere")))
    facts = DatasetFacts("", False, dataset.protocol, "f")
    return plan(dataset.configuration, facts, dataset.experiments, dataset.methods, options.seeds)


def plans(dataset: str, experiment: str, protocol: Protocol, *sets: str, hparams: str = "equal") -> list[RunSpec]:
    """Return the specs of an experiment's runs with one seed."""
    configuration = Configuration(dataset, hparams, "paper", sets)
    facts = [DatasetFacts("", False, each, "f") for each in (protocol, *window_protocols(protocol))]
    every = tuple(name for name, entry in METHODS.items() if not entry.method.known_users_only)
    methods = every if experiment == "main" else choose_methods(None)
    values: dict[str, float] = {}
    for _ in range(3):  # the results of trials determine the next trials
        runs = plan(configuration, facts[0], [experiment], methods, [1], values, facts[1:])
        values = {run.key: 1.0 - place / len(runs) for place, run in enumerate(runs)}
    return [run.spec for run in runs]


CHOSEN = {"btsr-ce": (("settings.alpha", 0.05), ("encoder.dropout", 0.5))}
TUNED = Configuration("ml-1m", "tuned", "paper", (), CHOSEN)

KINDS = {
    "main": plans("ml-1m", "main", Protocol()),
    "released": plans("beauty", "main", Protocol(), hparams="released"),
    "tuned": [TUNED.spec(DatasetFacts("ML-1M", False, Protocol(), "f"), "btsr-ce", 2)],
    "text": plans("ml-1m", "main", Protocol(preset="text", filter="core")),
    "views": plans("gowalla", "views", Protocol(filter="one-pass")),
    "alpha": plans("ml-1m", "alpha", Protocol(), "training.epochs=7", "protocol.ties=shuffle:3"),
    "noise": plans("beauty", "noise", Protocol()),
    "window": plans("ml-1m", "windows", Protocol()),
    "home": plans("beauty", "home", HOME) + plans("ml-1m", "home", HOME),
    "sets": plans("beauty", "sets", Protocol.of_preset("sets", "core")),
    "trial": plans("beauty", "tune", Protocol()),
}


@pytest.mark.parametrize("kind", KINDS)
def test_the_command_of_a_run_plans_only_that_run(kind: str) -> None:
    assert KINDS[kind]
    for spec in KINDS[kind]:
        (again,) = planned_by(command_of(spec, ""))
        assert again.spec.identity() == spec.identity()
    assert (kind == "trial") == all(spec.is_trial for spec in KINDS[kind])


def test_the_commands_of_committed_runs_plan_these_runs() -> None:
    seen = set()
    for path in sorted(RESULTS.glob("*/runs/*/*/record.json")):
        record = RunRecord.from_json(path.read_bytes(), path.name)
        spec = spec_of(record)
        (again,) = planned_by(repeat_command(record))
        assert again.spec.identity() == spec.identity(), path
        seen.add((spec.dataset, spec.method, spec.hparams, spec.is_trial))
    assert len(seen) > 20


@pytest.mark.parametrize("kind", KINDS)
def test_a_dry_run_of_the_command_shows_only_that_run_and_the_command(
    kind: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    spec = KINDS[kind][-1]
    rules = {"protocol": spec.protocol.to_json(), "fingerprint": "f"}
    Store(tmp_path / "results").write_data(spec.dataset, "rules", rules, title="A title", synthetic=False)
    command = command_of(spec, "")
    (again,) = planned_by(command)
    assert main([*shlex.split(command)[2:-1], str(tmp_path), "--dry-run"]) == 0
    printed = capsys.readouterr().out
    assert ": 1 run, 0 ended, 1 left" in printed
    assert f"  The first run is {again.key}. This command runs only that one: {command}\n" in printed


def test_a_tuned_run_is_repeated_without_what_tuning_stored() -> None:
    (spec,) = KINDS["tuned"]
    command = command_of(spec, "")
    assert "--hparams" not in command
    assert "--set btsr-ce.alpha=0.05" in command


def test_a_command_names_the_users_file_and_a_separate_folder() -> None:
    spec = replace(KINDS["main"][0], dataset="my-shop")
    command = command_of(spec, "My Shop.csv")
    assert command.startswith("python run_all.py --interactions 'My Shop.csv' --methods ")
    assert command.endswith(" --out-dir repeated")


def test_unknown_methods_and_protocols_keep_the_command_of_the_record() -> None:
    path = next(RESULTS.glob("ml-1m/runs/markov/*/record.json"))
    record = RunRecord.from_json(path.read_bytes(), path.name)
    for changes in ({"method": {"name": "external-theirs", "settings": {}}}, {"protocol": {"preset": "ours"}}):
        assert repeat_command(replace(record, spec=record.spec | changes)) == record.command
    assert re.search("--experiments main .*--out-dir repeated", repeat_command(record))
