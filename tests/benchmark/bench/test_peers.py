"""Other libraries beside ours: what they are given, how they are asked, how their answers are judged."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
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
from benchmark.bench.peers.peers import PEERS, Peer, PeerContender, export
from benchmark.bench.peers.quality import SHARE_OF_BEST, Learner, QualityPoint, learn, level_group, scorer
from benchmark.bench.turns import Contender, Turns
from benchmark.bench.workloads import EvaluationLoad, Recipe, whole_load
from benchmark.cli.commands import main as command
from benchmark.plan.run_spec import TrainingSettings
from benchmark.runs.environment import ROOT
from benchmark.runs.evaluation import evaluate_ranks
from benchmark.runs.training import train
from datasets import synthetic
from datasets.cases import Cases
from datasets.protocol import Protocol
from datasets.sequences import Sequences
from datasets.split import Split, split

CPU = torch.device("cpu")
TURNS = Turns(CPU, 1, 2)


@pytest.fixture(scope="module")
def prepared() -> Split:
    return split(synthetic.stand_in(150, 60, 3_000), Protocol())


def a_task(folder: Path, n_items: int, **changes: Any) -> PeerTask:
    task = PeerTask(str(folder), n_items, 12, 8, 1, 1, 0.1, 1e-3, 16, "fake", 2)
    return replace(task, **changes)


def driver(folder: Path, body: str, name: str = "fake") -> Path:
    """A driver whose laps are `body`, which sees `task`, `line` and `lap`, counted from 0."""
    path = folder / f"{name}.py"
    indented = body.replace("\n", "\n        ")
    path.write_text(
        f"""from itertools import count
from pathlib import Path
import numpy as np
from benchmark.bench.peers.peer_task import serve

def main(task, line):
    print("not for the bench")
    line.data_is_there()
    line.ready(["numpy"], {{"width": task.width}})
    for lap in count():
        line.turn()
        {indented}

serve(main)
"""
    )
    return path


# --- what they are given ----------------------------------------------------------------------------------------------


def test_the_exported_interactions_are_the_training_sequences(prepared: Split, tmp_path: Path) -> None:
    export(tmp_path, prepared)
    frame = pd.read_csv(tmp_path / "train" / "train.inter", sep="\t")
    assert list(frame) == ["user_id:token", "item_id:token", "timestamp:float"]
    shuffled = frame.sample(frac=1.0, random_state=0).sort_values("timestamp:float", kind="stable")
    told = shuffled.groupby("user_id:token")["item_id:token"].agg(list)
    assert told.to_dict() == {user: prepared.train[user].tolist() for user in range(len(prepared.train))}


def test_the_exported_histories_are_those_of_validation_and_hold_no_target(prepared: Split, tmp_path: Path) -> None:
    export(tmp_path, prepared)
    cases = prepared.cases("validation")
    expected = [cases.histories[user].tolist() for user in range(len(cases.targets))]
    assert max(map(len, expected)) > 5
    for maxlen in (5, 10_000):
        told = [history.tolist() for history in a_task(tmp_path, prepared.n_items, maxlen=maxlen).histories()]
        assert told == [history[-maxlen:] for history in expected]


def test_a_task_survives_its_file(tmp_path: Path) -> None:
    task = a_task(tmp_path, 7)
    (tmp_path / "task.json").write_text(json.dumps(asdict(task)))
    assert asdict(PeerTask.read(tmp_path / "task.json")) == asdict(task)


def test_a_peer_of_prefixes_is_looked_at_before_its_epoch_ends(tmp_path: Path) -> None:
    task, pythons = a_task(tmp_path, 1000, batches=0, batch_size=256), dict.fromkeys(PEERS, Path(sys.executable))
    recbole, rectools = (PEERS[name].contender(pythons, task) for name in PEERS)
    assert (recbole.task.batches, rectools.task.batches) == (64, 0)
    assert rectools.needs_bytes == task.maxlen * recbole.needs_bytes
    assert PEERS["recbole"].contender(pythons, replace(task, batches=3)).task.batches == 3


# --- how they are asked -----------------------------------------------------------------------------------------------


def test_laps_count_by_their_targets(tmp_path: Path) -> None:
    path = driver(tmp_path, "line.lap(2.0 + lap, targets=500)")
    contender = PeerContender("fake", Path(sys.executable), path, a_task(tmp_path, 7))
    [result] = TURNS.measure([contender], print)
    assert (result.status, result.seconds, result.amount) == ("measured", [6.0, 8.0], 1000)  # the first one warms up
    assert result.peak_memory_bytes is not None
    assert result.added_memory_bytes is not None
    assert result.peak_memory_bytes > result.added_memory_bytes >= 0
    assert contender.about["settings"] == {"width": 8}
    assert contender.about["versions"]["numpy"] == np.__version__


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("raise ValueError('no  such\\nthing')", "ValueError: no such thing"),
        ("line.lap(1.0, targets=900 // (1 - lap))", "ZeroDivisionError: integer division or modulo by zero"),
        ("raise SystemExit(3)", "its process died with exit code 3"),
    ],
)
def test_a_contender_that_fails_says_why(body: str, why: str, tmp_path: Path) -> None:
    contender = PeerContender("fake", Path(sys.executable), driver(tmp_path, body), a_task(tmp_path, 7))
    [result] = TURNS.measure([contender], lambda line: None)
    assert (result.status, result.seconds, result.note) == ("failed", [], why)


def test_a_driver_that_does_not_even_start_says_why(tmp_path: Path) -> None:
    path = tmp_path / "broken.py"
    path.write_text("import no_such_library\n")
    contender = PeerContender("fake", Path(sys.executable), path, a_task(tmp_path, 7))
    [result] = TURNS.measure([contender], lambda line: None)
    assert result.note == ("its process died with exit code 1: ModuleNotFoundError: No module named 'no_such_library'")


# --- how they are judged ----------------------------------------------------------------------------------------------


def test_vectors_rank_as_a_slow_reference_does() -> None:
    random = np.random.default_rng(0)
    n_items, width = 30, 4
    histories = [random.integers(n_items, size=n).tolist() for n in random.integers(1, 9, size=700)]
    targets = random.integers(n_items, size=len(histories))
    users, items = random.normal(size=(len(histories), width)), random.normal(size=(n_items, width))
    items[[3, 17]] = np.nan
    ranks = []
    for user, (history, target) in enumerate(zip(histories, targets, strict=True)):
        scores = {item: users[user] @ items[item] for item in range(n_items) if item not in history}
        keys = {item: (np.isnan(score), -np.nan_to_num(score), item) for item, score in scores.items()}
        ranks.append(sorted(scores, key=keys.__getitem__).index(target) + 1 if target in scores else 0)
    offsets = np.cumsum([0, *map(len, histories)])
    cases = Cases(Sequences.from_arrays(np.concatenate(histories), offsets), torch.from_numpy(targets))
    score = scorer(torch.from_numpy(users), torch.from_numpy(items))
    np.testing.assert_array_equal(evaluate_ranks(score, cases, n_items, maxlen=3), ranks)


def a_learner(driver_path: Path, task: PeerTask, cases: Cases, name: str) -> Learner:
    return Learner(PeerContender(name, Path(sys.executable), driver_path, replace(task, name=name)), cases)


def test_they_learn_by_turns_until_their_seconds_are_spent(prepared: Split, tmp_path: Path) -> None:
    task, cases = a_task(tmp_path, prepared.n_items), prepared.cases("validation")
    quick = driver(tmp_path, "line.lap(1.0, targets=10, ndcg=[0.1, 0.4, 0.3, 0.5, 0.2, 0.1][lap])", "quick")
    slow = driver(tmp_path, "line.lap(3.0, targets=70, ndcg=[0.2, 0.4][lap])", "slow")
    learners = [a_learner(quick, task, cases, "quick"), a_learner(slow, task, cases, "slow")]
    learn(learners, TURNS, lambda line: None, 5.5)
    assert [point.ndcg for point in learners[0].points] == [0.1, 0.4, 0.3, 0.5, 0.2, 0.1]
    assert learners[1].points == [QualityPoint(3.0, 70, 0.2), QualityPoint(6.0, 140, 0.4)]
    group = level_group("data", *learners, 0.1).to_json()
    assert group["details"]["level"] == SHARE_OF_BEST * 0.4
    assert [(result["seconds"], result["amount"]) for result in group["results"]] == [([2.0], 20), ([6.0], 140)]
    assert group["ratios"][0]["value"] == 3.0
    assert all(result["peak_memory_bytes"] > 0 for result in group["results"])


def test_a_learner_without_memory_is_not_started(prepared: Split, tmp_path: Path) -> None:
    task, cases = a_task(tmp_path, prepared.n_items), prepared.cases("validation")
    learner = a_learner(tmp_path / "nothing.py", task, cases, "huge")
    learner.contender.needs_bytes = 2**60
    learn([learner], TURNS, lambda line: None, 3)
    assert learner.failure.startswith("needs about ")
    assert learner.points == []


def test_a_learner_that_dies_leaves_the_others_alone(prepared: Split, tmp_path: Path) -> None:
    task, cases = a_task(tmp_path, prepared.n_items), prepared.cases("validation")
    fine = driver(tmp_path, "line.lap(1.0, targets=10, ndcg=0.5)", "fine")
    broken = driver(tmp_path, "line.lap(1.0, targets=10, ndcg=[0.4][lap])", "broken")
    learners = [a_learner(fine, task, cases, "fine"), a_learner(broken, task, cases, "broken")]
    learn(learners, TURNS, lambda line: None, 3)
    assert len(learners[0].points) == 3
    ours, theirs = level_group("data", *learners, 0.1).results
    assert (ours.status, theirs.status) == ("measured", "failed")
    assert "IndexError" in theirs.note
    assert compare(ours, theirs, "time")["value"] is None


# --- the command ------------------------------------------------------------------------------------------------------

POPULARITY = """items = np.loadtxt(Path(task.folder) / "train" / "train.inter", dtype=int, skiprows=1)[:, 1]
counts = np.bincount(items, minlength=task.n_items)
task.write_vectors(np.ones((len(task.histories()), 1)), counts[:, None].astype(float))
line.lap(1.0, targets=100)"""


@pytest.fixture
def pretended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """RecBole recommends what is popular, RecTools is not installed."""
    path = driver(tmp_path, POPULARITY)
    monkeypatch.setitem(PEERS, "recbole", Peer("recbole", "RecBole", path, prefixes=True, wanted=3.0))
    monkeypatch.setattr(peers, "ENVIRONMENTS", tmp_path / "nowhere")
    words = ["--quick", "--repeats", "1", "--dataset", "ml-1m", "--against", "recbole,rectools"]
    return [*words, "--peer-python", f"recbole={sys.executable}", "--out-dir", str(tmp_path)]


def test_the_command_measures_the_peers_that_are_there(
    pretended: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert command(["bench", *pretended]) == 0
    document = json.loads((tmp_path / "results" / "bench" / "peers.json").read_text())
    [group] = document["groups"]
    by_name = {result["contender"]: result for result in group["results"]}
    assert {name: result["status"] for name, result in by_name.items()} == {
        "sasrec-ce": "measured",
        "RecBole": "measured",
        "RecTools": "skipped",
    }
    assert by_name["RecBole"]["seconds"] == [10.0]
    assert sys.executable not in document["command"]
    assert group["details"]["sasrec-ce"]["settings"]["width"] == 64
    values = {ratio["usual"]: ratio["value"] for ratio in group["ratios"] if ratio["quantity"] == "speed"}
    ours = by_name["sasrec-ce"]
    assert values["RecBole"] == pytest.approx(ours["amount"] / ours["seconds"][0] / (1000 / 10.0))
    assert values["RecTools"] is None
    printed = capsys.readouterr().err
    [line] = [line for line in printed.splitlines() if line.startswith("RecTools")]
    assert "pip install --no-deps -r benchmark/bench/peers/rectools.txt" in line


@pytest.mark.slow
def test_the_command_compares_quality(pretended: list[str], tmp_path: Path) -> None:
    assert command(["bench", *pretended, "--cases", "peers-quality", "--quality-seconds", "2"]) == 0
    document = json.loads((tmp_path / "results" / "bench" / "peers-quality.json").read_text())
    [group] = document["groups"]
    looks = group["details"]["looks"]
    assert len(looks["RecBole"]) == 2
    assert {look["ndcg"] for look in looks["RecBole"]} == {group["details"]["most_popular"]}
    assert group["details"]["most_popular"] > 0
    assert looks["sasrec-ce"][-1]["seconds"] >= 2


@pytest.mark.slow
def test_ours_learns_as_a_run_does(prepared: Split) -> None:
    cases, n_items = prepared.cases("validation"), prepared.n_items
    entry, encoder = METHODS["sasrec-ce"], EncoderSettings(width=8, blocks=1, heads=1, dropout=0.1, maxlen=12)
    ours = Recipe("sasrec-ce", entry.settings, encoder, TrainingSettings(batch_size=16, epochs=3, patience=3))
    load = whole_load(prepared.train, n_items, 12)
    run = partial(laps.learn_ours, load, ours, EvaluationLoad(cases, n_items, encoder))
    learner = Learner(Contender("ours", run, 1))
    learn([learner], TURNS, lambda line: None, 1e-9)
    data = TrainingData(prepared.train, n_items, 12)
    trained = train(entry.method(entry.settings), data, cases, encoder, ours.training, 0)
    [point] = learner.points
    assert point.ndcg == trained.epochs[0]["validation"]["ndcg@10"]
    assert 0 < point.targets <= len(data.batch(data.trainable).next_items)


@pytest.mark.parametrize("name", PEERS)
def test_the_documentation_says_how_to_install(name: str) -> None:
    readme = (ROOT / "docs" / "speed.md").read_text(encoding="utf-8")
    assert name in readme
    assert f"install torch=={peers.TORCH} " in readme
    lines = (ROOT / "benchmark" / "bench" / "peers" / f"{name}.txt").read_text(encoding="ascii").splitlines()
    pins = [line.split("#")[0].strip() for line in lines if not line.startswith("#")]
    assert pins[0].startswith(f"{name}==")
    assert all(pin.count("==") == 1 for pin in pins)


@pytest.mark.parametrize(
    "words",
    [
        ["--against", "recbowl"],
        ["--against", ""],
        ["--peer-python", "recbole"],
        ["--peer-python", "recbole=/no/such/python"],
        ["--peer-python", f"netflix={sys.executable}"],
        ["--peer-python", f"recbole,rectools={sys.executable}"],
        ["--quality-seconds", "0"],
    ],
)
def test_bad_input_is_one_line_and_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
