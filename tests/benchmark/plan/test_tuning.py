"""Equal tuning: who searches what, where a search ends, and that no trial is ever tested."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from baselines.method import TrainedMethod
from baselines.registry import METHODS
from benchmark.cli.main import main
from benchmark.cli.options import chosen_datasets
from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.planner import plan
from benchmark.plan.run_spec import RunSetting
from benchmark.plan.tuning import ALIAS, Search, searches, steps_beyond, stored_changes, tuned
from benchmark.store.record import RecordError
from benchmark.store.store import Store
from datasets.protocol import Protocol

FACTS = DatasetFacts("ML-1M", False, Protocol(), "fingerprint")
CONFIGURATION = Configuration("ml-1m", "equal", "paper")


def finished(methods: list[str], value_of: Callable[[dict[str, Any]], float]) -> dict[str, Search]:
    """The searches after all trials were run, round by round; `value_of` gives a trial's validation value."""
    values: dict[str, float] = {}
    while True:
        found = searches(CONFIGURATION, FACTS, methods, values)
        left = [trial for search in found.values() for trial in search.trials if trial.key not in values]
        if not left:
            return found
        values |= {trial.key: value_of(dict(trial.own)) for trial in left}


def peak_at(**places: float) -> Callable[[dict[str, Any]], float]:
    """Values that fall with the distance of the named settings from these places."""

    def value_of(own: dict[str, Any]) -> float:
        named = {key.rpartition(".")[2]: value for key, value in own.items()}
        return 1.0 - sum(abs(named[name] / place - 1) for name, place in places.items() if name in named) / 100

    return value_of


def test_every_trained_method_has_the_same_budget_of_eight_trials() -> None:
    for name, entry in METHODS.items():
        expected = 8 if issubclass(entry.method, TrainedMethod) else 1
        assert len(list(product(*entry.searched.values()))) == expected, name


def test_others_wait_for_sasrec_and_take_over_what_it_found() -> None:
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


def test_a_search_goes_on_beyond_the_edges_until_the_best_lies_between_worse_ones() -> None:
    weights = [dict(trial.own)["settings.weight"] for trial in finished(["duorec"], peak_at(weight=2))["duorec"].trials]
    assert weights[:8] == [0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3]
    assert weights[8:] == [0.9, 2.7, 8.1]
    search = finished(["duorec"], peak_at(weight=0.01))["duorec"]
    assert (len(search.trials), search.extended) == (8, 0)
    assert finished(["duorec"], peak_at(weight=2))["duorec"].extended == 3


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
def test_a_grid_of_one_value_or_with_zero_can_be_searched_too(values: tuple[float, ...], steps: list[float]) -> None:
    grid = {"settings.weight": values}
    tried = [(("settings.weight", value),) for value in values]
    assert [dict(step)["settings.weight"] for step in steps_beyond(grid, tried, tried[-1])] == steps


def test_the_choice_is_kept_only_where_all_trials_are_done(tmp_path: Path) -> None:
    values: dict[str, float] = {}
    for _ in range(9):
        found = searches(CONFIGURATION, FACTS, ["sasrec-ce", "duorec"], values)
        values |= {trial.key: 0.1 for search in found.values() for trial in search.trials}
    found = searches(CONFIGURATION, FACTS, ["sasrec-ce", "duorec"], values)
    del values[found["duorec"].trials[3].key]
    found = searches(CONFIGURATION, FACTS, ["sasrec-ce", "duorec"], values)
    choices = tuned(found, values)
    assert set(choices) == {"sasrec-ce"}
    assert choices["sasrec-ce"]["choice"] == found["sasrec-ce"].trials[0].label  # the first of equal ones
    assert len(choices["sasrec-ce"]["trials"]) == 8 + choices["sasrec-ce"]["extended"]

    store = Store(tmp_path / "results", print)
    store.write_selection("ml-1m", RunSetting().name, ALIAS, choices)
    changes = stored_changes(store, "ml-1m", RunSetting().name, ["sasrec-ce", "popularity"])
    spec = Configuration("ml-1m", "tuned", "paper", tuned=changes).spec("ML-1M", False, Protocol(), "sasrec-ce", 0)
    assert spec.encoder.dropout == dict(found["sasrec-ce"].trials[0].own)["encoder.dropout"]
    assert (spec.hparams, spec.profile, spec.is_trial) == ("tuned", "paper", False)
    with pytest.raises(ConfigError, match=r"no complete tuning of duorec.*--experiments tune"):
        stored_changes(store, "ml-1m", RunSetting().name, ["sasrec-ce", "duorec"])


def test_the_equal_choice_of_tuning_is_what_hparams_tuned_runs(tmp_path: Path) -> None:
    store = Store(tmp_path / "results", print)
    choice = {"duorec": {"changes": {"settings.weight": 0.05}}}
    store.write_selection("ml-1m", "released-equal-paper-training.epochs-3", ALIAS, choice)
    options = Namespace(dataset=["ml-1m"], interactions=None)
    options.protocol, options.profile, options.set = "released", "paper", ["training.epochs=3"]
    weights = []
    for hparams in ("equal", "tuned"):
        options.hparams = hparams
        (chosen,) = chosen_datasets(options, store, ["duorec"])
        assert chosen.setting == RunSetting("released", hparams, "paper-training.epochs-3")
        spec = chosen.configuration.spec("ML-1M", False, chosen.protocol, "duorec", 0)
        weights.append(spec.settings.weight)
    assert weights == [0.1, 0.05]


def test_a_plan_holds_the_trials_of_each_search_under_keys_of_their_own() -> None:
    runs = plan(CONFIGURATION, FACTS, ["main", "tune"], ["sasrec-ce"])
    trials = [run for run in runs if "tune" in run.uses]
    assert len(trials) == 8
    assert len({run.key for run in runs}) == 5 + 8  # a seed is part of the key
    assert all(run.spec.seed == 0 for run in trials)


def test_a_record_of_a_trial_with_a_test_number_is_refused(handmade: Callable[..., Any]) -> None:
    record = handmade().record("sasrec-ce", 0)
    record.spec["trial"] = True
    with pytest.raises(RecordError, match=r"metrics\.test: a trial of tuning must not be tested"):
        record.to_json()


def test_the_whole_search_runs_and_its_records_hold_no_test_number_and_no_array(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("baselines.sasrec.SASRec.grid", {"encoder.dropout": (0.1, 0.3)})
    monkeypatch.setattr("baselines.duorec.DuoRec.grid", {"settings.weight": (0.001, 0.01)})

    def no_test(*_: object) -> None:
        raise AssertionError("a trial was evaluated on test")

    monkeypatch.setattr("benchmark.runs.run.evaluate", no_test)
    words = ["--dataset", "synthetic", "--profile", "quick", "--methods", "duorec", "--out-dir", str(tmp_path)]
    words += ["--engine", "inline", "--device", "cpu", "--set", "training.epochs=2", "--experiments", "tune"]
    assert main([*words, "--stages", "prepare,train"]) == 0
    folders = [path.parent for path in (tmp_path / "results").glob("synthetic/runs/*/*/record.json")]
    records = [json.loads((folder / "record.json").read_text()) for folder in folders]
    assert {record["spec"]["method"]["name"] for record in records} == {"sasrec-ce", "duorec"}
    assert len(records) >= 6, "both grids, and a step beyond an edge of each"
    for folder, record in zip(folders, records, strict=True):
        assert [path.name for path in folder.iterdir()] == ["record.json"]
        assert set(record["metrics"]) == {"test", "validation"}
        assert record["metrics"]["test"] == {}
        best = max(row["validation"]["ndcg@10"] for row in record["epochs"])
        assert record["metrics"]["validation"]["ndcg@10"] == best
    selection = json.loads((tmp_path / "results/synthetic/selection.json").read_text())
    (chosen,) = selection["settings"].values()
    assert set(chosen[ALIAS]) == {"sasrec-ce", "duorec"}
    assert main([*words, "--stages", "train"]) == 0
    assert len(list((tmp_path / "results").glob("synthetic/runs/*/*/record.json"))) == len(records), (
        "nothing is repeated"
    )

    store, other = Store(tmp_path / "results", print), Store(tmp_path / "other" / "results", print)
    assert store.export_archive(tmp_path / "trials.tar.gz") == len(records)
    assert len(other.import_archive(tmp_path / "trials.tar.gz").imported) == len(records)
