"""Other libraries: the files they get, how they report laps, and how their quality is measured."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from baselines.registry import METHODS
from baselines.settings import EncoderSettings
from baselines.training_data import TrainingData
from benchmark.bench import laps
from benchmark.bench.measures import compare
from benchmark.bench.peers import peers
from benchmark.bench.peers.peer_task import PeerTask
from benchmark.bench.peers.peers import (
    PEERS,
    SHARE_OF_BEST,
    PeerContender,
    export,
    learning_curve,
    ndcg_of,
    time_to_quality,
)
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.workloads import recipe, training_load
from benchmark.cli.commands import main as command
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.environment import ROOT
from benchmark.runs.training import train
from datasets import synthetic
from datasets.cases import Cases
from datasets.protocol import Protocol
from datasets.sequences import Sequences
from datasets.split import Split, split

TURNS = Turns(torch.device("cpu"), 2)


@pytest.fixture(scope="module")
def prepared() -> Split:
    return split(synthetic.generate(150, 60, 3_000), Protocol())


@pytest.fixture(autouse=True)
def environments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Look for drivers and environments of libraries in a folder where none is installed."""
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path)
    monkeypatch.setattr(peers, "DRIVERS", tmp_path)
    return tmp_path


def peer_task(folder: Path, n_items: int, **changes: Any) -> PeerTask:
    task = PeerTask(str(folder), n_items, 12, 8, 1, 1, 0.1, 1e-3, 16, "fake", batches=2)
    return replace(task, **changes)


def driver(folder: Path, body: str, name: str = "fake") -> None:
    """Install a library whose driver runs `body` for each lap, with `task`, `reporter` and `lap` (from 0) in scope."""
    python = folder / name / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    (folder / name / "pyvenv.cfg").write_text((Path(sys.prefix) / "pyvenv.cfg").read_text())
    (folder / name / "lib").symlink_to(Path(sys.prefix) / "lib")
    indented = body.replace("\n", "\n        ")
    (folder / f"drive_{name}.py").write_text(
        f"""from itertools import count
from pathlib import Path
import numpy as np
import torch
from benchmark.bench.peers.peer_task import serve

def main(task, reporter):
    print("not for the bench", flush=True)
    reporter.data_loaded()
    reporter.ready("pandas")
    for lap in count():
        {indented}

serve(main)
"""
    )


# --- the files that they get ------------------------------------------------------------------------------------------


def test_the_exported_interactions_are_the_training_sequences(prepared: Split, tmp_path: Path) -> None:
    task = peer_task(tmp_path, prepared.n_items)
    export(task, prepared)
    frame = pd.read_csv(task.interactions, sep="\t")
    assert list(frame) == ["user_id:token", "item_id:token", "timestamp:float"]
    shuffled = frame.sample(frac=1.0, random_state=0).sort_values("timestamp:float", kind="stable")
    exported = shuffled.groupby("user_id:token")["item_id:token"].agg(list)
    assert exported.to_dict() == {user: prepared.train[user].tolist() for user in range(len(prepared.train))}


def test_the_exported_histories_are_those_of_validation_without_targets(prepared: Split, tmp_path: Path) -> None:
    export(peer_task(tmp_path, prepared.n_items), prepared)
    cases = prepared.cases("validation")
    expected = [cases.histories[user].tolist() for user in range(len(cases.targets))]
    assert max(map(len, expected)) > 5
    for maxlen in (5, 10_000):
        exported = [history.tolist() for history in peer_task(tmp_path, prepared.n_items, maxlen=maxlen).histories()]
        assert exported == [history[-maxlen:] for history in expected]


@pytest.mark.parametrize("at_end", [True, False])
def test_histories_are_padded_in_the_librarys_own_numbers(prepared: Split, tmp_path: Path, at_end: bool) -> None:
    task = peer_task(tmp_path, prepared.n_items)
    export(task, prepared)
    row_of = np.arange(prepared.n_items) + 100.0
    row_of[:10] = np.nan
    x, lengths = task.padded(row_of, padding=-1, at_end=at_end)
    for row, length, history in zip(x.tolist(), lengths.tolist(), task.histories(), strict=True):
        known = [item + 100 for item in history.tolist() if item >= 10]
        padding = [-1] * (task.maxlen - length)
        assert row == (known + padding if at_end else padding + known)


def test_items_unknown_to_a_library_get_no_vector(tmp_path: Path) -> None:
    task = peer_task(tmp_path, 3)
    task.write_vectors(torch.ones(5, 2), torch.tensor([[7.0, 8.0], [9.0, 10.0]]), np.array([1.0, np.nan, 0.0]))
    with np.load(task.vectors) as vectors:
        np.testing.assert_array_equal(vectors["items"], [[9, 10], [np.nan, np.nan], [7, 8]])
        np.testing.assert_array_equal(vectors["users"], np.ones((5, 2)))


def test_a_lap_on_prefixes_is_shorter_than_an_epoch(tmp_path: Path, prepared: Split) -> None:
    task, cases = peer_task(tmp_path, 1000, batches=0, batch_size=256), prepared.cases("validation")
    batches = {name: {each.task.batches for each in peer.contenders(task, cases)} for name, peer in PEERS.items()}
    assert batches == {"recbole": {64}, "rectools": {0}, "warprec": {64}}
    assert PEERS["recbole"].contenders(replace(task, batches=3), cases)[0].task.batches == 3
    named = {each.name: (each.ours, each.task.model) for each in PEERS["warprec"].contenders(task, cases)}
    assert named["WarpRec CL4SRec"] == ("cl4srec", "CL4SRec")
    assert all(ours in METHODS for ours, _ in named.values())


# --- how they report laps ---------------------------------------------------------------------------------------------


def measure(folder: Path, prepared: Split, **changes: Any) -> Result:
    task = peer_task(folder, prepared.n_items, **changes)
    [result] = TURNS.measure([PeerContender("fake", task, prepared.cases("validation"))], lambda line: None)
    return result


def test_the_seconds_of_laps_are_scaled_by_their_targets(prepared: Split, tmp_path: Path) -> None:
    driver(tmp_path, "assert torch.get_num_threads() == 1\nreporter.lap(2.0 + lap, targets=500)")
    result = measure(tmp_path, prepared)
    assert (result.status, result.seconds, result.amount) == (
        "measured",
        [6.0, 8.0],
        1000,
    )  # the first lap is the warm-up
    assert result.peak_memory_bytes > result.added_memory_bytes >= 0
    assert f"pandas {pd.__version__}" in result.laps[0]["versions"]
    assert (tmp_path / "fake-SASRec.log").read_text() == "not for the bench\n"


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no  such\\nthing')", "ValueError: no such thing"),
        ("reporter.lap(1.0, targets=900 // (1 - lap))", "ZeroDivisionError: integer division or modulo by zero"),
        ("raise SystemExit(3)", "its process died with exit code 3: not for the bench"),
    ],
)
def test_a_driver_that_fails_says_why(body: str, why: str, prepared: Split, tmp_path: Path) -> None:
    driver(tmp_path, body)
    result = measure(tmp_path, prepared)
    assert (result.status, result.seconds, result.note) == ("failed", [], why)


def test_a_driver_that_does_not_start_says_why(prepared: Split, tmp_path: Path) -> None:
    driver(tmp_path, "")
    (tmp_path / "drive_fake.py").write_text("import no_such_library\n")
    why = "its process died with exit code 1: ModuleNotFoundError: No module named 'no_such_library'"
    assert measure(tmp_path, prepared).note == why


# --- quality ----------------------------------------------------------------------------------------------------------


def test_vectors_rank_as_a_slow_reference_does() -> None:
    random = np.random.default_rng(0)
    n_items, width = 30, 4
    histories = [random.integers(n_items, size=n).tolist() for n in random.integers(1, 9, size=700)]
    targets = random.integers(n_items, size=len(histories))
    users, items = random.normal(size=(len(histories), width)), random.normal(size=(n_items, width))
    items[[3, 17]] = np.nan
    gains = []
    for user, (history, target) in enumerate(zip(histories, targets, strict=True)):
        scores = {item: users[user] @ items[item] for item in range(n_items) if item not in history}
        keys = {item: (np.isnan(score), -np.nan_to_num(score), item) for item, score in scores.items()}
        rank = sorted(scores, key=keys.__getitem__).index(target) + 1 if target in scores else 99
        gains.append(1 / np.log2(1 + rank) if rank <= 10 else 0.0)
    offsets = np.cumsum([0, *map(len, histories)])
    cases = Cases(Sequences.from_arrays(np.concatenate(histories), offsets), torch.from_numpy(targets))
    assert ndcg_of(users, items, cases) == pytest.approx(np.mean(gains))


def race(prepared: Split, folder: Path, seconds: float, *names: str) -> list[Result]:
    cases = prepared.cases("validation")
    tasks = [peer_task(folder, prepared.n_items, library=name, judged=True) for name in names]
    contenders = [PeerContender(task.library, task, cases) for task in tasks]
    return TURNS.measure(contenders, lambda line: None, seconds)


def test_contenders_train_in_turns_until_their_seconds_are_used_up(prepared: Split, tmp_path: Path) -> None:
    driver(tmp_path, "reporter.lap(1.0, targets=10, ndcg=[0.1, 0.4, 0.3, 0.5, 0.2, 0.1][lap])", "quick")
    driver(tmp_path, "reporter.lap(3.0, targets=70, ndcg=[0.2, 0.4][lap])", "slow")
    quick, slow = race(prepared, tmp_path, 5.5, "quick", "slow")
    assert learning_curve(quick)[:, 2].tolist() == [0.1, 0.4, 0.3, 0.5, 0.2, 0.1]
    assert learning_curve(slow).tolist() == [[3.0, 70, 0.2], [6.0, 140, 0.4]]
    group = time_to_quality("data", quick, slow, 0.1, True, {}).to_json()
    assert f"{SHARE_OF_BEST * 0.4:.4f}" in group["title"]
    assert [(result["seconds"], result["amount"]) for result in group["results"]] == [([2.0], 20), ([6.0], 140)]
    assert group["ratios"][0]["value"] == 3.0
    assert all(result["peak_memory_bytes"] > 0 for result in group["results"])


def test_a_contender_that_dies_does_not_stop_the_others(prepared: Split, tmp_path: Path) -> None:
    driver(tmp_path, "reporter.lap(1.0, targets=10, ndcg=0.5)", "fine")
    driver(tmp_path, "reporter.lap(1.0, targets=10, ndcg=[0.4][lap])", "broken")
    results = race(prepared, tmp_path, 3, "fine", "broken")
    assert len(results[0].laps) == 3
    ours, theirs = time_to_quality("data", *results, 0.1, True, {}).results
    assert (ours.status, theirs.status) == ("measured", "failed")
    assert "IndexError" in theirs.note
    assert compare(ours, theirs, "time")["value"] is None


# --- the command ------------------------------------------------------------------------------------------------------

POPULARITY = """items = np.loadtxt(task.interactions, dtype=int, skiprows=1)[:, 1]
counts = np.bincount(items, minlength=task.n_items)[:, None]
task.write_vectors(torch.ones(len(task.histories()), 1), torch.from_numpy(counts), np.arange(task.n_items) * 1.0)
reporter.lap(1.0, targets=100)"""


@pytest.fixture
def pretended(tmp_path: Path) -> list[str]:
    """RecBole recommends what is popular, RecTools is not installed."""
    driver(tmp_path, POPULARITY, "recbole")
    words = ["--quick", "--repeats", "1", "--dataset", "ml-1m", "--against", "recbole,rectools"]
    return [*words, "--out-dir", str(tmp_path)]


def test_the_command_measures_the_peers_that_are_there(
    pretended: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["bench", *pretended]) == 0
    document = json.loads((tmp_path / "results" / "bench" / "peers.json").read_text())
    [group] = document["groups"]
    by_name = {result["contender"]: result for result in group["results"]}
    assert {name: result["status"] for name, result in by_name.items()} == {
        "sasrec-ce": "measured",
        "RecBole SASRec": "measured",
        "RecTools SASRec": "skipped",
    }
    assert by_name["RecBole SASRec"]["seconds"] == [10.0]
    assert "pandas" in by_name["RecBole SASRec"]["note"]
    values = {ratio["usual"]: ratio["value"] for ratio in group["ratios"] if ratio["quantity"] == "speed"}
    ours = by_name["sasrec-ce"]
    assert values["RecBole SASRec"] == pytest.approx(ours["amount"] / ours["seconds"][0] / (1000 / 10.0))
    assert values["RecTools SASRec"] is None
    printed = capsys.readouterr().err
    [line] = [line for line in printed.splitlines() if line.startswith("RecTools")]
    assert "docs/speed.md" in line


@pytest.mark.slow
def test_the_command_compares_quality(pretended: list[str], tmp_path: Path) -> None:
    assert command(["bench", *pretended, "--cases", "peers-quality", "--quality-seconds", "2"]) == 0
    document = json.loads((tmp_path / "results" / "bench" / "peers-quality.json").read_text())
    [group] = document["groups"]
    ours, theirs = group["results"]
    assert len(theirs["laps"]) == 2
    [ndcg] = {lap["ndcg"] for lap in theirs["laps"]}
    assert f"most popular: {ndcg:.4f}" in group["title"]
    assert ndcg > 0
    assert sum(lap["seconds"] for lap in ours["laps"]) >= 2


@pytest.mark.slow
def test_ours_trains_as_a_run_does(prepared: Split) -> None:
    cases, n_items = prepared.cases("validation"), prepared.n_items
    encoder = EncoderSettings(width=8, blocks=1, heads=1, dropout=0.1, maxlen=12)
    settings = TrainingSettings(batch_size=16, epochs=3, patience=3)
    ours = replace(recipe("sasrec-ce", "ml-1m", 12), encoder=encoder, training=settings)
    load = training_load(prepared.train, n_items, 12, batch_size=16)
    run = partial(laps.train_ours, load, ours, 0, cases)
    [result] = TURNS.measure([Contender("ours", run, 1)], lambda line: None, learning_seconds=1e-9)
    data = TrainingData(prepared.train, n_items, 12)
    trained = train(METHODS["sasrec-ce"].method(ours.settings), data, cases, encoder, settings, 0)
    [lap] = result.laps
    assert lap["ndcg"] == trained.epochs[0]["validation"]["ndcg@10"]
    assert 0 < lap["targets"] <= len(data.batch(data.trainable).next_items)


@pytest.mark.parametrize("name", PEERS)
def test_the_documentation_says_how_to_install_each_library(name: str) -> None:
    readme = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert name in readme
    assert f"install torch=={peers.TORCH} " in readme
    lines = (ROOT / "benchmark" / "bench" / "peers" / f"{name}.txt").read_text(encoding="ascii").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if not line.startswith("#")]
    assert pins[0].startswith(f"{name}==")
    assert all(pin.count("==") == 1 for pin in pins)
