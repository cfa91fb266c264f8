from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch

from baselines.registry import METHODS
from baselines.training_data import TrainingData
from benchmark.plan.config import ConfigError, Configuration
from benchmark.plan.dataset_facts import DatasetFacts
from benchmark.plan.experiments import NAMES, WINDOWS, all_experiments, experiments, window_protocols
from benchmark.plan.planner import PlannedRun, choose_methods, plan
from benchmark.plan.run_spec import TrainingSettings, run_key
from datasets.protocol import Protocol
from datasets.sequences import Sequences

ROOT = Path(__file__).parents[3]
KNOWN = DatasetFacts("ML-1M", False, Protocol(), "fingerprint")


def planned(names: list[str], hparams: str = "equal", dataset: str = "ml-1m") -> list[PlannedRun]:
    return plan(Configuration(dataset, hparams, "paper"), KNOWN, names, choose_methods(None), windows=WINDOWED)


WINDOWED = [
    replace(KNOWN, protocol=protocol, fingerprint="fingerprint" if protocol == KNOWN.protocol else f"{protocol}")
    for protocol in window_protocols(KNOWN.protocol)
]


def run_of(runs: list[PlannedRun], experiment: str, label: str, seed: int = 0) -> PlannedRun:
    (run,) = [run for run in runs if label in run.uses.get(experiment, ()) and run.spec.seed == seed]
    return run


@pytest.mark.parametrize("dataset", ["ml-1m", "gowalla"])
def test_every_experiment_has_distinct_variants_of_known_methods(dataset: str) -> None:
    found = experiments(dataset)
    assert tuple(found) == NAMES
    for experiment in found.values():
        labels = [variant.label for variant in experiment.variants]
        assert len(set(labels)) == len(labels)
        assert {variant.method for variant in experiment.variants} <= set(METHODS)
    swept = "btsr-sce" if dataset == "gowalla" else "btsr-ce"
    assert {variant.method for variant in found["lambda"].variants} == {swept}


def test_every_method_is_in_the_main_experiment_with_five_seeds() -> None:
    runs = planned(["main"])
    assert {run.spec.method for run in runs} == {name for name, entry in METHODS.items() if entry.by_default}
    assert {run.spec.seed for run in runs} == {0, 1, 2, 3, 4}
    assert [run.spec.seed for run in runs] == sorted(run.spec.seed for run in runs), "first seeds first"


def test_sweeps_have_two_seeds_unless_told_otherwise() -> None:
    assert {run.spec.seed for run in planned(["alpha"])} == {0, 1}
    other = plan(Configuration("ml-1m", "equal", "paper"), KNOWN, ["alpha"], choose_methods(None), [7])
    assert {run.spec.seed for run in other} == {7}


def test_experiments_share_their_runs() -> None:
    runs = planned(list(NAMES))
    assert len({(run.key, run.spec.seed) for run in runs}) == len(runs)
    common = run_of(runs, "main", "btsr-ce")
    uses = {"alpha": ("0.2",), "lambda": ("0.05",), "views": ("twin",), "noise": ("btsr-ce 0",), "ties": ("btsr-ce",)}
    assert uses.items() <= common.uses.items()
    assert run_of(runs, "regimes", "0.1") == run_of(runs, "alpha", "0.1")


def test_windows_follow_one_another_and_the_last_one_is_open() -> None:
    rules = window_protocols(Protocol(ties="file"))
    assert rules[0] == Protocol(ties="file")
    assert [(each.quantile, each.until) for each in rules[1:3]] == [(0.9, 0.95), (0.85, 0.9)]
    assert (rules[-1].quantile, len(rules)) == (0.5, 10)
    assert all(later.quantile == earlier.until for later, earlier in pairwise(rules))


def test_all_methods_of_a_window_come_before_the_next_and_the_objectives_have_a_second_seed() -> None:
    runs = planned(["windows"])
    usual = [method for method in METHODS if method in {*choose_methods(None), "btsr-projector"}]
    first, second = ([run.spec for run in runs if run.spec.seed == seed] for seed in (0, 1))
    assert [run.spec for run in runs] == [*first, *second]
    objectives = [f"{family}-{objective}" for family in ("sasrec", "btsr") for objective in ("bce", "ce", "sce")]
    for specs, methods in ((first, usual), (second, objectives)):
        expected = [(window, method) for window in WINDOWS for method in methods]
        assert [(spec.protocol.quantile, spec.method) for spec in specs] == expected
    assert len({run.key for run in runs}) == len(runs)


def test_the_last_window_is_the_main_experiment() -> None:
    assert {run.key for run in planned(["windows"]) if run.spec.protocol.quantile == 0.95} >= {
        run.key for run in planned(["main"]) if run.spec.seed == 0
    }
    shared = run_of(planned(["main", "windows"]), "main", "btsr-ce", seed=1)
    assert shared.uses["windows"] == ("0.95 btsr-ce",)


def test_windows_that_are_not_prepared_are_left_out() -> None:
    runs = plan(Configuration("ml-1m", "equal", "paper"), KNOWN, ["windows"], ["markov"], windows=WINDOWED[:2])
    assert [run.spec.protocol.quantile for run in runs] == [0.95, 0.9]


def test_all_experiments_that_the_protocol_allows_are_listed_except_downstream() -> None:
    usual = set(NAMES) - {"downstream", "sets"}  # which need labels and another package, or a protocol of its own
    assert usual - set(all_experiments("ml-1m", Protocol())) == {"home"}
    home = Protocol.of_preset("leave-one-out", "none")
    assert usual - set(all_experiments("ml-1m", home)) == {"windows"}
    assert usual - set(all_experiments("yelp", home)) == {"windows", "home"}
    assert usual - set(all_experiments("yelp", Protocol(quantile=0.9))) == {"windows", "home"}
    assert all_experiments("yelp", Protocol.of_preset("sets", "none")) == ("sets",)


def test_seeds_that_the_user_names_apply_to_every_method_in_every_window() -> None:
    configuration = Configuration("ml-1m", "equal", "paper")
    runs = plan(configuration, KNOWN, ["windows"], ["markov", "btsr-ce"], [3, 4], windows=WINDOWED)
    assert len(runs) == 2 * 2 * 10
    assert {run.spec.seed for run in runs} == {3, 4}


def test_alpha_zero_shares_the_run_of_sasrec_if_all_else_is_equal() -> None:
    assert run_of(planned(["alpha", "main"]), "alpha", "0").uses["main"] == ("sasrec-ce",)
    released = run_of(planned(["alpha", "main"], "released"), "alpha", "0")
    assert (released.spec.method, released.spec.settings.alpha) == ("btsr-ce", 0.0)
    assert "main" not in released.uses, "its dropout is not SASRec's there"


def test_a_neutral_setting_is_not_part_of_the_key() -> None:
    spec = run_of(planned(["main"]), "main", "sasrec-ce").spec
    assert "noise" not in spec.identity()["training"]
    assert spec.to_json()["training"]["noise"] == 0.0
    noisy = replace(spec, training=replace(spec.training, noise=0.1))
    assert noisy.identity()["training"]["noise"] == 0.1
    assert run_key(noisy, "f") != run_key(spec, "f")


def test_the_weights_experiment_uses_a_fiftieth_and_changes_nothing_else() -> None:
    runs = planned(["main", "weights"])
    usual, small = (run_of(runs, "weights", f"ec4srec {share}").spec for share in ("1", "0.02"))
    assert run_of(runs, "main", "ec4srec").spec == usual
    settings = {"positive": 0.002, "negative": 0.001, "retrieval": 0.002}
    assert small == replace(usual, settings=replace(usual.settings, **settings))
    assert run_of(runs, "weights", "btsr-bce 0.02").spec.settings.alpha == 0.004


# --- noise ------------------------------------------------------------------------------------------------------------


@pytest.fixture
def data() -> TrainingData:
    lengths = torch.tensor([2, 7, 1, 12, 5])
    items = torch.arange(int(lengths.sum()))  # every item occurs once, so that a change shows
    return TrainingData(Sequences(items, lengths.cumsum(0) - lengths, lengths), 1000, 8)


@pytest.mark.parametrize("share", [0.1, 0.5, 1.0])
def test_noise_replaces_a_share_of_the_inputs_and_no_target(data: TrainingData, share: float) -> None:
    noisy = data.with_noise(share, seed=3)
    clean_batch, batch = data.batch(data.trainable), noisy.batch(data.trainable)
    assert torch.equal(batch.targets, clean_batch.targets)
    assert torch.equal(batch.inputs.mask(), clean_batch.inputs.mask())
    positions = int((data.sequences.lengths - 1).sum())
    assert noisy.noisy is not None
    changed = noisy.noisy.items != data.sequences.items
    assert round(share * positions) - 1 <= int(changed.sum()) <= round(share * positions), (
        "a draw may hit the same item"
    )
    finals = data.sequences.starts + data.sequences.lengths - 1
    assert not changed[finals].any()
    assert torch.equal(noisy.inputs[3], noisy.noisy.without_last(1)[3]), "twins see the same inputs"


def test_noise_depends_on_the_seed_and_a_share_of_zero_changes_nothing(data: TrainingData) -> None:
    assert data.with_noise(0.0, seed=1) is data
    first, same, other = (data.with_noise(0.5, seed).noisy for seed in (1, 1, 2))
    assert first is not None
    assert same is not None
    assert other is not None
    assert torch.equal(first.items, same.items)
    assert not torch.equal(first.items, other.items)


@pytest.mark.parametrize("device", ["cpu", "meta"])
def test_noise_moves_to_the_device_with_the_data(data: TrainingData, device: str) -> None:
    noisy = data.with_noise(0.5, seed=1)
    moved = noisy.to(torch.device(device))
    assert noisy.noisy is not None
    assert moved.noisy is not None
    for there, here in ((moved.sequences, noisy.sequences), (moved.noisy, noisy.noisy)):
        assert there.items.device.type == there.starts.device.type == there.lengths.device.type == device
        assert device == "meta" or torch.equal(there.items, here.items)  # there are no values on "meta"
    assert (moved.n_items, moved.maxlen) == (data.n_items, data.maxlen)
    assert data.to(torch.device(device)).noisy is None


def test_noise_is_a_share() -> None:
    assert TrainingSettings().noise == 0
    with pytest.raises(ConfigError, match="not allowed; use a number from 0 to 1"):
        Configuration("ml-1m", "equal", "paper", ["training.noise=1.5"])


def plan_with(
    assignment: str, methods: list[str], experiment: str = "main", dataset: str = "ml-1m"
) -> list[PlannedRun]:
    return plan(Configuration(dataset, "equal", "paper", [assignment]), KNOWN, [experiment], methods, [0])


@pytest.mark.parametrize(
    ("assignment", "methods", "experiment"),
    [
        ("btsr.alpha=0.9", ["sasrec-ce"], "main"),
        ("btsr-sce.alpha=0.9", ["btsr-ce"], "main"),
        ("btsr.alpha=0.9", ["btsr-ce"], "alpha"),
        ("btsr-bce.alpha=0.9", ["btsr-bce", "btsr-ce"], "alpha"),
        ("training.noise=0.3", ["btsr-ce", "sasrec-ce"], "noise"),
        ("duorec.weight=0.3", ["duorec"], "tune"),
        ("training.rows='prefix'", ["popularity", "markov"], "main"),
    ],
)
def test_a_setting_that_no_planned_run_uses_is_an_error(assignment: str, methods: list[str], experiment: str) -> None:
    key = assignment.partition("=")[0]
    with pytest.raises(ConfigError, match=rf"--set {key}: no planned run of ml-1m uses it; .*--methods"):
        plan_with(assignment, methods, experiment)


@pytest.mark.parametrize(
    ("assignment", "methods", "experiment"),
    [
        ("btsr.alpha=0.9", ["sasrec-ce", "btsr-ce"], "main"),
        ("btsr.alpha=0", ["btsr-ce"], "main"),
        ("btsr.lambd=0.9", ["btsr-ce"], "alpha"),
        ("btsr.alpha=0.3", ["btsr-ce"], "alpha"),
        ("training.epochs=3", ["popularity", "sasrec-ce"], "main"),
        ("protocol.quantile=0.9", ["popularity"], "main"),
        ("training.rows='prefix'", ["popularity", "sasrec-ce"], "main"),
    ],
)
def test_a_setting_that_some_planned_run_uses_is_accepted(assignment: str, methods: list[str], experiment: str) -> None:
    assert plan_with(assignment, methods, experiment)


def test_prefix_rows_do_not_change_runs_of_fitted_methods() -> None:
    methods = ["popularity", "sasrec-ce"]
    usual, prefixes = plan_with("training.rows='user'", methods), plan_with("training.rows='prefix'", methods)
    assert {run.spec.method: run.spec.training.rows for run in prefixes} == {
        "popularity": "user",
        "sasrec-ce": "prefix",
    }
    spec = Configuration("ml-1m", "equal", "paper", ["training.rows='prefix'"]).spec(
        DatasetFacts("ML-1M", False, Protocol(), "f"), "mf", 0
    )
    assert spec.training.rows == "user", "it knows users"
    kept = {run.key for run in usual} & {run.key for run in prefixes}
    assert kept == {run.key for run in usual if run.spec.method == "popularity"}


def test_a_plan_needs_neither_torch_nor_pandas() -> None:
    code = (
        "import sys; from benchmark.plan import planner, tuning; from benchmark.plan.config import Configuration; "
        "from datasets.protocol import Protocol; facts = planner.DatasetFacts('ML-1M', False, Protocol(), 'f'); "
        "runs = planner.plan(Configuration('ml-1m', 'equal', 'paper'), facts, ['main'], planner.choose_methods(None)); "
        "print(len(runs), sorted({'torch', 'pandas', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout == "60 []\n", done.stderr
