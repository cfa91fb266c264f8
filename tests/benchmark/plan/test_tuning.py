"""Tuning: what each method searches, where a search ends, and that no trial is ever tested."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any, ClassVar

import pandas as pd
import pytest

from baselines.duorec import DuoRec
from baselines.method import Entry, TrainedMethod
from baselines.registry import METHODS
from benchmark.cli.main import main
from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import ADDED, PRETRAINED
from benchmark.plan.planner import plan
from benchmark.plan.tuning import Search, searches, steps_beyond, tuned_changes
from benchmark.store.schema import RecordError
from benchmark.store.store import Store
from datasets import synthetic
from datasets.protocol import Protocol

FACTS = DatasetFacts("ML-1M", False, Protocol(), "fingerprint")
CONFIGURATION = Configuration("ml-1m", "equal", "paper")


def finished(methods: list[str], value_of: Callable[[dict[str, Any]], float]) -> dict[str, Search]:
    """Run all trials, round by round, and return the searches. `value_of` returns a trial's validation value."""
    values: dict[str, float] = {}
    while True:
        found = searches(CONFIGURATION, FACTS, methods, values)
        left = [trial for search in found.values() for trial in search.trials if trial.key not in values]
        if not left:
            return found
        values |= {trial.key: value_of(dict(trial.own)) for trial in left}


def peak_at(**places: float) -> Callable[[dict[str, Any]], float]:
    """Return a function whose values decrease with the distance of the named settings from these places."""

    def value_of(own: dict[str, Any]) -> float:
        named = {key.rpartition(".")[2]: value for key, value in own.items()}
        return 1.0 - sum(abs(named[name] / place - 1) for name, place in places.items() if name in named) / 100

    return value_of


def test_every_trained_method_has_the_same_budget_of_eight_trials() -> None:
    for name, entry in METHODS.items():
        is_tuned = issubclass(entry.method, TrainedMethod) and name not in (*PRETRAINED, *ADDED["sets"])
        expected = 8 if is_tuned else 1
        assert len(list(product(*entry.tuning_grid.values()))) == expected, name


def test_other_methods_wait_for_sasrec_and_inherit_its_choice() -> None:
    assert list(searches(CONFIGURATION, FACTS, ["duorec"], {})) == ["sasrec-ce"]
    found = finished(["duorec", "btsr-bce"], peak_at(dropout=0.5, learning_rate=0.001, negatives=64, weight=0.01))
    assert list(found) == ["sasrec-ce", "duorec", "sasrec-bce", "btsr-bce"]
    shared = {"encoder.dropout": 0.5, "training.learning_rate": 0.001}
    assert dict(found["sasrec-ce"].changes) == shared
    assert dict(found["duorec"].changes) == {**shared, "settings.weight": 0.01}
    # SASRec (BCE) searches the learning rate itself, and BT-SR (BCE) takes over what that found.
    assert dict(found["sasrec-bce"].changes) == {**shared, "settings.objective.negatives": 64}
    inherited = dict(found["btsr-bce"].inherited)
    assert inherited == {**shared, "settings.objective.negatives": 64}
    for search in found.values():
        for trial in search.trials:
            assert trial.spec.is_trial
            assert (trial.spec.training.epochs, trial.spec.training.patience) == (80, 10)
            assert trial.spec.encoder.dropout == dict(trial.own).get("encoder.dropout", 0.5)


def test_a_search_continues_beyond_the_edges_until_the_best_trial_has_worse_neighbours() -> None:
    weights = [dict(trial.own)["settings.weight"] for trial in finished(["duorec"], peak_at(weight=2))["duorec"].trials]
    assert weights[:8] == [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
    assert weights[8:] == [0.9, 2.7, 8.1]
    search = finished(["duorec"], peak_at(weight=0.01))["duorec"]
    assert len(search.trials) == 8


def test_a_step_continues_the_grid_and_stays_within_the_bounds_of_the_setting() -> None:
    grid = {"settings.alpha": (0.01, 0.05, 0.2, 0.4), "settings.lambd": (0.05, 0.2)}
    tried = [tuple(zip(grid, point, strict=True)) for point in product(*grid.values())]
    best = (("settings.alpha", 0.01), ("settings.lambd", 0.2))
    assert [dict(step) for step in steps_beyond(grid, tried, best)] == [
        {"settings.alpha": 0.002, "settings.lambd": 0.2},
        {"settings.alpha": 0.01, "settings.lambd": 0.8},
    ]
    for peak, tried_dropouts in ((5, {0.1, 0.3, 0.5, 0.7, 0.9}), (0.01, {0, 0.1, 0.3, 0.5, 0.7})):
        trials = finished(["sasrec-ce"], peak_at(dropout=peak))["sasrec-ce"].trials
        # Equal differences go on as such: upwards 1.1 is not a dropout, and downwards the last step ends at 0.
        assert {dict(trial.own)["encoder.dropout"] for trial in trials} == tried_dropouts


@pytest.mark.parametrize(("values", "steps"), [((0.1,), []), ((0.0, 0.1), [0.2]), ((0.1, 0.2), [0.4])])
def test_grids_with_one_value_or_with_zero_can_be_searched(values: tuple[float, ...], steps: list[float]) -> None:
    grid = {"settings.weight": values}
    tried = [(("settings.weight", value),) for value in values]
    assert [dict(step)["settings.weight"] for step in steps_beyond(grid, tried, tried[-1])] == steps


def all_equal(methods: list[str]) -> dict[str, float]:
    """Give all trials the same value, so that each search chooses its first trial."""
    values: dict[str, float] = {}
    for _ in range(9):
        found = searches(CONFIGURATION, FACTS, methods, values)
        values |= {trial.key: 0.1 for search in found.values() for trial in search.trials}
    return values


def test_a_choice_needs_all_trials_to_be_done() -> None:
    values = all_equal(["sasrec-ce", "duorec"])
    found = searches(CONFIGURATION, FACTS, ["sasrec-ce", "duorec"], values)
    del values[found["duorec"].trials[3].key]
    changes = tuned_changes(CONFIGURATION, FACTS, ["sasrec-ce", "popularity"], values)
    assert list(changes) == ["sasrec-ce"]
    spec = Configuration("ml-1m", "tuned", "paper", tuned=changes).spec(
        DatasetFacts("ML-1M", False, Protocol(), "f"), "sasrec-ce", 0
    )
    assert spec.encoder.dropout == dict(found["sasrec-ce"].trials[0].own)["encoder.dropout"]
    assert (spec.hparams, spec.profile, spec.is_trial) == ("tuned", "paper", False)
    for facts in (FACTS, None):
        with pytest.raises(ConfigError, match=r"no complete tuning of .*duorec.*--experiments tune"):
            tuned_changes(CONFIGURATION, facts, ["sasrec-ce", "duorec"], values)


def test_the_inherited_settings_are_part_of_the_choice() -> None:
    changes = tuned_changes(CONFIGURATION, FACTS, ["duorec"], all_equal(["duorec"]))
    assert list(changes) == ["sasrec-ce", "duorec"]
    assert dict(changes["duorec"]).items() > dict(changes["sasrec-ce"]).items()


def test_trials_have_other_keys_than_the_runs_of_experiments() -> None:
    runs = plan(CONFIGURATION, FACTS, ["main", "tune"], ["sasrec-ce"])
    trials = [run for run in runs if "tune" in run.uses]
    assert len(trials) == 8
    assert len({run.key for run in runs}) == 5 + 8  # a seed is part of the key
    assert all(run.spec.seed == 0 for run in trials)


def test_a_trial_with_test_metrics_is_refused(handmade: Callable[..., Any]) -> None:
    record = handmade().record("sasrec-ce", 0)
    record.spec["trial"] = True
    with pytest.raises(RecordError, match=r"metrics\.test: a trial of tuning must not be tested"):
        record.to_json()


def test_a_users_method_is_tuned_if_its_class_has_a_grid(monkeypatch: pytest.MonkeyPatch) -> None:
    class Mine(DuoRec):
        grid: ClassVar = {"settings.weight": (0.5, 1.0)}

    monkeypatch.setitem(METHODS, "mine", Entry("Mine", Mine, Mine.Settings()))
    values = all_equal(["mine"])
    changes = dict(tuned_changes(CONFIGURATION, FACTS, ["mine"], values)["mine"])
    assert changes["settings.weight"] == 0.5
    assert {"encoder.dropout", "training.learning_rate"} < changes.keys(), "taken over from SASRec"


def test_a_users_data_is_tuned_without_testing_and_then_run_with_the_choice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.sasrec.SASRec.grid", {"encoder.dropout": (0.1, 0.3)})
    monkeypatch.setattr("baselines.duorec.DuoRec.grid", {"settings.weight": (0.001, 0.01)})

    def no_test(*_: object) -> None:
        raise AssertionError("a trial was evaluated on test")

    data = synthetic.generate(200, 40, 2_500, seed=1)
    table = {"userid": data.user_ids, "itemid": data.item_ids, "timestamp": data.timestamps}
    pd.DataFrame(table).to_csv(tmp_path / "my.csv", index=False)
    words = ["--interactions", str(tmp_path / "my.csv"), "--profile", "quick", "--methods", "duorec"]
    words += ["--engine", "inline", "--device", "cpu", "--set", "training.epochs=2", "--out-dir", str(tmp_path)]
    with monkeypatch.context() as patched:
        patched.setattr("benchmark.runs.run.evaluate", no_test)
        assert main([*words, "--experiments", "tune", "--stages", "prepare,train"]) == 0
    runs = tmp_path / "results" / "my" / "runs"
    folders = [path.parent for path in runs.glob("*/*/record.json")]
    records = [json.loads((folder / "record.json").read_text()) for folder in folders]
    assert {record["spec"]["method"]["name"] for record in records} == {"sasrec-ce", "duorec"}
    assert len(records) >= 6, "both grids, and a step beyond an edge of each"
    for folder, record in zip(folders, records, strict=True):
        assert [path.name for path in folder.iterdir()] == ["record.json"]
        assert set(record["metrics"]) == {"test", "validation"}
        assert record["metrics"]["test"] == {}
        best = max(row["validation"]["ndcg@10"] for row in record["epochs"])
        assert record["metrics"]["validation"]["ndcg@10"] == best
    assert main([*words, "--experiments", "tune", "--stages", "train"]) == 0
    assert len(list(runs.glob("*/*/record.json"))) == len(records), "nothing is repeated"

    store, other = Store(tmp_path / "results", print), Store(tmp_path / "other" / "results", print)
    assert store.export_archive(tmp_path / "trials.tar.gz") == len(records)
    assert other.import_archive(tmp_path / "trials.tar.gz")["imported"] == len(records)

    assert main([*words, "--hparams", "tuned", "--experiments", "main", "--seeds", "0", "--stages", "train"]) == 0
    (tested,) = (record for record in store.records() if not record.is_trial)
    assert tested.spec["hparams"] == "tuned"
    trials = [record for record in store.records() if record.is_trial and record.method == "duorec"]
    best = max(record.metrics["validation"]["ndcg@10"] for record in trials)
    assert (tested.spec["encoder"], tested.spec["method"]) in [
        (trial.spec["encoder"], trial.spec["method"])
        for trial in trials
        if trial.metrics["validation"]["ndcg@10"] == best
    ]
