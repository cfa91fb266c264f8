"""The usual way agrees with the fast one on losses, gradients, twins and ranks; the bench measures and writes."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.objectives import BinaryCrossEntropy, CrossEntropy, uniform_negatives
from baselines.regularizers import barlow_twins
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from baselines.transformer import Transformer
from benchmark.bench import cases as bench_cases
from benchmark.bench import laps, naive, turns
from benchmark.bench.cases import CASES
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group, compare, extrapolate, growth
from benchmark.bench.naive import NaiveEncoder, NaiveTask, PaddedBatch, PaddedUsers
from benchmark.bench.tables import to_markdown
from benchmark.bench.turns import Contender, Result, Turns
from benchmark.bench.workloads import random_cases, training_load
from benchmark.cli.commands import main as command
from benchmark.runs.evaluation import evaluate_ranks
from datasets.cases import Cases
from datasets.sequences import Batch, Sequences

REPOSITORY = Path(__file__).resolve().parents[3]
N_ITEMS, MAXLEN = 40, 9
SETTINGS = EncoderSettings(width=16, blocks=2, heads=2, dropout=0.0, maxlen=MAXLEN)
CPU = torch.device("cpu")


def training_data(users: int = 60, seed: int = 0) -> TrainingData:
    """Sequences of 1 to 20 items, so that windows are cut, filled in part, and absent."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 21, size=users)
    items = random.integers(N_ITEMS, size=lengths.sum())
    return TrainingData(Sequences.from_arrays(items, np.cumsum([0, *lengths])), N_ITEMS, MAXLEN)


def encoders(dtype: torch.dtype) -> tuple[Transformer, NaiveEncoder]:
    torch.manual_seed(0)
    fast = Transformer(N_ITEMS, SETTINGS)
    with torch.no_grad():
        for parameter in fast.parameters():  # biases and norms too, or mistakes in them would not show
            parameter.add_(0.1 * torch.randn_like(parameter))
    usual = NaiveEncoder(N_ITEMS, SETTINGS)
    usual.load_state_dict(fast.state_dict())
    return fast.to(dtype), usual.to(dtype)


def padded(data: TrainingData, task: NaiveTask) -> tuple[TrainBatch, PaddedBatch]:
    """The same rows as the fast path and as the usual one sees them, in the same order."""
    rows = data.trainable[:16]
    users = PaddedUsers(data, rows, task)
    samples = [users[i] for i in range(len(users))]
    return data.batch(rows), {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def fast_loss(encoder: Transformer, batch: TrainBatch, usual: PaddedBatch, task: NaiveTask) -> Tensor:
    """The fast path's loss on the draws of the usual one."""
    states, z_a = encoder(batch.inputs)
    if task.objective == "bce":
        drawn = uniform_negatives(batch, task.negatives, torch.Generator().manual_seed(3))
        usual["negatives"] = torch.zeros(*usual["inputs"].shape, task.negatives, dtype=torch.long)
        usual["negatives"][usual["inputs"] < N_ITEMS] = drawn
        objective: Any = BinaryCrossEntropy(task.negatives)
    else:
        objective = CrossEntropy()
    loss = objective(states, batch, encoder.item_table, torch.Generator().manual_seed(3))
    if task.alpha:
        lengths = usual["twin_lengths"]
        twins = Batch(usual["twins"][:, : int(lengths.max())], lengths)
        loss = loss + task.alpha * barlow_twins(z_a, encoder.last(twins), task.lambd)
    return loss


TASKS = [NaiveTask("ce"), NaiveTask("bce", negatives=5), NaiveTask("ce", alpha=0.2), NaiveTask("bce", 5, alpha=0.2)]


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("task", TASKS, ids=["ce", "bce", "ce with twins", "bce with twins"])
def test_loss_and_gradients_agree(task: NaiveTask, dtype: torch.dtype, tolerance: float) -> None:
    batch, usual = padded(training_data(), task)
    fast_encoder, naive_encoder = encoders(dtype)
    fast = fast_loss(fast_encoder, batch, usual, task)
    slow = naive.loss(naive_encoder, usual, task)
    fast.backward()
    slow.backward()
    torch.testing.assert_close(fast, slow, rtol=tolerance, atol=0.0)
    ours, theirs = (dict(encoder.named_parameters()) for encoder in (fast_encoder, naive_encoder))
    assert ours.keys() == theirs.keys()
    difference = {name: float((ours[name].grad - theirs[name].grad).norm()) for name in ours}
    whole = float(torch.cat([parameter.grad.flatten() for parameter in theirs.values()]).norm())
    assert math.hypot(*difference.values()) <= tolerance * whole
    assert max(difference.values()) <= 10 * tolerance * whole / len(ours)


def test_states_agree_where_rows_are_cut_partial_and_short() -> None:
    batch, usual = padded(training_data(), NaiveTask())
    assert {1, MAXLEN} <= set(usual["lengths"].tolist())
    fast_encoder, naive_encoder = encoders(torch.float64)
    states, z = fast_encoder(batch.inputs)
    padded_states = naive_encoder(usual["inputs"], usual["lengths"])
    torch.testing.assert_close(padded_states[usual["inputs"] < N_ITEMS], states)
    torch.testing.assert_close(naive.last_states(padded_states, usual["lengths"]), z)


def test_padding_changes_nothing() -> None:
    _, usual = padded(training_data(), NaiveTask())
    encoder = encoders(torch.float64)[1]
    before = naive.loss(encoder, usual, NaiveTask())
    real = usual["inputs"] < N_ITEMS
    usual["inputs"][~real] = 3
    torch.testing.assert_close(naive.loss(encoder, usual, NaiveTask()), before)


def test_an_epoch_of_the_loader_has_every_row_once() -> None:
    data = training_data()
    batches = list(naive.loader(data, data.trainable, NaiveTask("bce", 4, alpha=0.2), batch_size=16))
    rows = torch.cat([batch["targets"] for batch in batches])
    users = PaddedUsers(data, data.trainable, NaiveTask())
    expected = torch.stack([users[i]["targets"] for i in range(len(users))])
    assert sorted(rows.tolist()) == sorted(expected.tolist())
    assert batches[0]["negatives"].shape == (16, MAXLEN, 4)


def test_negatives_are_not_owned() -> None:
    data = training_data()
    users = PaddedUsers(data, data.trainable, NaiveTask("bce", 50))
    for i, row in enumerate(data.trainable.tolist()):
        assert not set(users[i]["negatives"].flatten().tolist()) & set(data.sequences[row].tolist())


def test_negatives_of_one_who_owns_everything_end() -> None:
    data = TrainingData(Sequences.from_arrays(np.arange(5), np.array([0, 5])), 5, MAXLEN)
    assert PaddedUsers(data, data.trainable, NaiveTask("bce", 3))[0]["negatives"].shape == (MAXLEN, 3)


def test_scanned_twins_are_those_of_the_index() -> None:
    data = training_data(300)
    index = data.same_target_index()
    lists = naive.list_twins(naive.final_items(data))
    for row, twins in enumerate(lists):
        start, size = int(index.group_starts[row]), int(index.group_sizes[row])
        assert {*twins.tolist(), row} == set(index.order[start : start + size].tolist())
        assert row not in twins
    rows = np.arange(300)
    drawn = naive.draw_twins(dict(enumerate(lists)), rows, np.random.default_rng(0))
    for row, twin in enumerate(drawn.tolist()):
        assert twin in lists[row] if len(lists[row]) else twin == row


@pytest.mark.parametrize("users_at_once", [1, 7])
def test_ranks_agree(users_at_once: int) -> None:
    cases = random_cases(50, 12, N_ITEMS)
    fast_encoder, naive_encoder = (encoder.eval() for encoder in encoders(torch.float32))
    scores = naive.score_matrix(naive_encoder, cases.histories, users_at_once)
    ranks = naive.ranks(scores, cases)
    assert (ranks == 0).any()
    np.testing.assert_array_equal(ranks, evaluate_ranks(fast_encoder.score, cases, N_ITEMS, MAXLEN))


def test_ranks_agree_where_scores_tie() -> None:
    random = np.random.default_rng(0)
    scores = random.integers(3, size=(200, 30)).astype(np.float32)
    histories = Sequences.from_arrays(random.integers(30, size=800), np.arange(201) * 4)
    cases = Cases(histories, torch.from_numpy(random.integers(30, size=200)))
    table = iter(torch.from_numpy(scores.copy()).split(512))
    expected = evaluate_ranks(lambda batch: next(table), cases, 30, MAXLEN)
    np.testing.assert_array_equal(naive.ranks(scores, cases), expected)


def test_a_load_names_whole_batches_and_counts_their_targets() -> None:
    data = training_data()
    load = training_load(data.sequences, N_ITEMS, MAXLEN, batch_size=16, steps=2)
    assert len(load.rows) == 32
    excerpt = load.to(CPU)
    assert len(excerpt.sequences) == 60
    assert load.targets(load.rows) == len(excerpt.batch(excerpt.trainable).next_items)
    assert len(training_load(data.sequences, N_ITEMS, MAXLEN, batch_size=500, steps=2).rows) == len(data.trainable)


# --- taking turns -----------------------------------------------------------------------------------------------------


def test_who_fails_or_lacks_memory_says_so_and_stops_nobody() -> None:
    final = np.arange(50)
    runners = [
        Contender("fine", partial(laps.index_ours, final), 50),
        Contender("broken", partial(laps.index_naive, None), 50),
        Contender("huge", partial(laps.index_naive, final), 50, needs_bytes=2**60),
    ]
    notes: list[str] = []
    fine, broken, huge = Turns(CPU, 1, 3).measure(runners, notes.append)
    assert (fine.status, len(fine.seconds)) == ("measured", 3)
    assert fine.peak_memory_bytes is not None
    assert fine.added_memory_bytes is not None
    assert fine.peak_memory_bytes > fine.added_memory_bytes >= 0
    assert (broken.status, broken.seconds) == ("failed", [])
    assert huge.status == "skipped"
    assert [note.split(":")[0] for note in notes] == ["broken", "huge"]


def test_a_lack_of_memory_says_what_share_of_the_free_may_be_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(turns, "free_memory", lambda device: 10 * 2.0**30)
    asks = partial(Contender, "it", partial(laps.index_ours, np.arange(5)), 5)
    assert turns.shortage(asks(needs_bytes=8 * 2**30), CPU) == ""
    expected = "needs about 9.0 GiB of memory; of the 10.0 GiB that are free a contender may take 80%"
    assert turns.shortage(asks(needs_bytes=9 * 2**30), CPU) == expected


def measured(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float], added: int) -> list[dict[str, Any]]:
    """What each contender would have needed in each group, had it been measured."""
    found: list[dict[str, Any]] = []

    def fake(
        self: BenchOptions, title: str, runners: list[Contender], unit: str, workload: dict[str, int], *_: Any
    ) -> Group:
        found.append({runner.name: runner.needs_bytes for runner in runners if not runner.lack})
        results = [
            Result(runner.name, 1, "skipped", note=runner.lack)
            if runner.lack
            else Result(runner.name, 1, seconds=[seconds.get(runner.name, 1.0)], added_memory_bytes=added)
            for runner in runners
        ]
        return Group(title, unit, True, workload, results)

    monkeypatch.setattr(BenchOptions, "measure", fake)
    return found


def some_options(**changes: Any) -> BenchOptions:
    return BenchOptions(Turns(CPU, 1, 1), ("ml-1m",), (), Path("nowhere"), True, lambda line: None, **changes)


def test_a_larger_catalogue_needs_what_the_one_before_took_and_the_slow_are_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    needs = measured(monkeypatch, {"sasrec-ce": 40.0}, added=1000)
    smaller, larger = bench_cases.scaling(some_options()).groups
    assert needs[1] == {name: 2000 for name in needs[0] if name != "sasrec-ce"}
    assert "sasrec-ce" in needs[0]
    [left_out] = [result for result in larger.results if result.contender == "sasrec-ce"]
    assert (left_out.status, left_out.note) == ("skipped", "left out: a step would take about 80 s, 60 s are allowed")
    assert [result.status for result in smaller.results] == ["measured"] * 4


def test_twins_are_drawn_at_every_size(monkeypatch: pytest.MonkeyPatch) -> None:
    measured(monkeypatch, {}, added=1)
    groups = bench_cases.twins(some_options()).groups
    indexed = [group.workload["sequences"] for group in groups if group.unit == "sequences"]
    drawn = [group.workload["sequences"] for group in groups if group.unit == "draws"]
    assert drawn == indexed == [200, 1_000, 2_000]


def test_compare_pairs_neighbouring_laps() -> None:
    ours, usual = Result("a", 10, seconds=[1.0, 2.0, 1.0]), Result("b", 10, seconds=[4.0, 8.0, 40.0])
    assert compare(ours, usual, "speed")["value"] == 4.0
    ours.peak_memory_bytes, usual.peak_memory_bytes = 10, 200
    assert compare(ours, usual, "peak memory")["value"] == 20.0
    assert compare(ours, usual, "added memory")["value"] is None
    assert compare(ours, Result("b", 10, "skipped"), "speed")["value"] is None


def test_extrapolation_is_marked() -> None:
    far = extrapolate(Result("scan", 100, seconds=[2.0, 4.0], added_memory_bytes=5), 10, 2)
    assert (far.status, far.seconds, far.amount, far.added_memory_bytes) == ("extrapolated", [300.0], 1000, 500)
    assert compare(Result("index", 1000, seconds=[0.1]), far, "speed")["extrapolated"]
    assert extrapolate(Result("scan", 100, "failed"), 10, 2).status == "skipped"


def test_growth_finds_the_exponent() -> None:
    def group(size: int) -> Group:
        result = Result("ce", 1, seconds=[3e-6 * size**1.5], added_memory_bytes=7 * size)
        return Group("", "targets", True, {}, [result, Result("naive", 1, "skipped")])

    fits = growth([10, 1000, 100_000], [group(size) for size in (10, 1000, 100_000)])
    found = {(fit.contender, fit.quantity): round(fit.exponent, 6) for fit in fits}
    assert found == {("ce", "time per step"): 1.5, ("ce", "added memory"): 1.0}


def test_table_says_what_is_missed_skipped_and_extrapolated() -> None:
    results = [Result("ours", 10, seconds=[1.0]), Result("usual", 10, "skipped", note="no memory")]
    group = Group("a group", "users", True, {"items": 5}, results, [BenchRatio("speed", "ours", "usual", target=2.0)])
    document = {
        "case": "evaluation",
        "description": "What it is.",
        "quick": False,
        "command": "python -m benchmark bench",
        "finished": "2026-01-02T03:04:05+00:00",
        "hardware": {"name": "a machine", "device": "cpu", "threads": 1, "platform": "Linux x86_64"},
        "versions": {"torch": "2", "numpy": "2", "python": "3", "code": "unknown", "code_dirty": True},
        "groups": [group.to_json()],
        "fits": [],
        "notes": ["Why it is so."],
    }
    text = to_markdown([document])
    assert text.endswith("\n\nWhy it is so.\n")
    assert "| speed | not measured | 2 | open |" in text
    assert "| usual | skipped | | | | | | no memory |" in text
    assert "synthetic data" in text
    results[1] = extrapolate(Result("usual", 5, seconds=[0.75]), 2, 1)
    document["groups"] = [group.to_json()]
    assert "| speed | 1.5 extrapolated | 2 | missed |" in to_markdown([document])


@pytest.mark.parametrize(
    "words",
    [
        ["--cases", "trainig"],
        ["--cases", ","],
        ["--dataset", "netflix"],
        ["--repeats", "0"],
        ["--repeats", "many"],
        ["--maxlen", "50,-1"],
        ["--threads", "1.5"],
        ["--device", "abacus"],
        ["--unknown"],
    ],
)
def test_bad_input_is_one_line_and_code_2(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert command(["bench", *words]) == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.count("\n") == 1
    assert printed.err.startswith("python -m benchmark bench: ")


FOREIGN = [
    "{}",
    "[]",
    "{",
    "\xff",
    '{"case": "memory", "groups": [{"ratios": [{}]}]}',
    '{"case": "memory", "groups": {}, "groups": []}',
]


@pytest.mark.parametrize("content", FOREIGN)
def test_foreign_json_is_one_line_before_anything_is_measured(
    content: str, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    measured: list[str] = []
    outcome = CaseResult([Group("a group", "users", True, {}, [Result("ours", 10, seconds=[1.0])])])
    monkeypatch.setitem(CASES, "twins", lambda options: measured.append("twins") or outcome)
    path = tmp_path / "results" / "bench" / "memory.json"
    path.parent.mkdir(parents=True)
    path.write_bytes(content.encode("latin-1"))
    assert command(["bench", "--quick", "--cases", "twins", "--out-dir", str(tmp_path)]) == 1
    printed = capsys.readouterr()
    assert not measured
    assert printed.err.count("\n") == 1
    assert "memory.json" in printed.err
    path.rename(path.with_name("twins.json"))  # which is about to be written anew
    assert command(["bench", "--quick", "--cases", "twins", "--out-dir", str(tmp_path)]) == 0
    assert measured == ["twins"]


@pytest.mark.parametrize(
    "cases",
    [
        "memory,twins",
        pytest.param("training,evaluation,scaling,preparation,precision", marks=pytest.mark.slow),
    ],
)
def test_the_command_writes_json_and_a_table(cases: str, tmp_path: Path) -> None:
    words = ["--quick", "--repeats", "1", "--cases", cases]
    line = [sys.executable, "-m", "benchmark", "bench", *words, "--out-dir", str(tmp_path)]
    done = subprocess.run(line, cwd=REPOSITORY, capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    table = (tmp_path / "tables" / "bench.md").read_text()
    for case in cases.split(","):
        document = json.loads((tmp_path / "results" / "bench" / f"{case}.json").read_text())
        assert document["command"] == f"python -m benchmark bench {' '.join(words)}"
        assert document["quick"]
        assert document["hardware"]["threads"] == 1
        assert {"code", "torch", "numpy"} <= document["versions"].keys()
        for group in document["groups"]:
            for result in group["results"]:
                assert result["status"] in ("measured", "extrapolated"), result
                assert result["rate"]["median"] > 0
                assert result["status"] == "extrapolated" or result["peak_memory_bytes"] > 0
            for ratio in group["ratios"]:
                assert ratio["value"] is not None
                assert ratio["label"] in table
    assert str(tmp_path) not in table
    assert "USDT" not in done.stderr
