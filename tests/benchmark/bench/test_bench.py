"""The usual way agrees with ours on losses, gradients, twins and ranks; the bench measures and writes its files."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from baselines.objectives import CrossEntropy
from baselines.regularizers import barlow_twins
from baselines.settings import EncoderSettings
from baselines.training_data import TrainBatch, TrainingData
from baselines.transformer import Transformer
from benchmark.bench import cases as bench_cases
from benchmark.bench import command as command_module
from benchmark.bench import laps, naive, turns
from benchmark.bench.cases import CASES
from benchmark.bench.measures import BenchOptions, BenchRatio, CaseResult, Group, compare, growth
from benchmark.bench.naive import NaiveEncoder, PaddedBatch, PaddedUsers
from benchmark.bench.tables import to_markdown
from benchmark.bench.turns import Contender, Lap, Result, Turns
from benchmark.bench.workloads import random_cases
from benchmark.cli.commands import main as command
from benchmark.runs.evaluation import evaluate_ranks
from datasets.cases import Cases
from datasets.sequences import Batch, Sequences

REPOSITORY = Path(__file__).resolve().parents[3]
N_ITEMS, MAXLEN = 40, 9
SETTINGS = EncoderSettings(width=16, blocks=2, heads=2, dropout=0.0, maxlen=MAXLEN)
CPU = torch.device("cpu")


def training_data(users: int = 60, seed: int = 0) -> TrainingData:
    """Sequences of 1 to 20 items: longer than a window, shorter, and too short to train on."""
    random = np.random.default_rng(seed)
    lengths = random.integers(1, 21, size=users)
    items = random.integers(N_ITEMS, size=lengths.sum())
    return TrainingData(Sequences.from_arrays(items, np.cumsum([0, *lengths])), N_ITEMS, MAXLEN)


def encoders(dtype: torch.dtype) -> tuple[Transformer, NaiveEncoder]:
    torch.manual_seed(0)
    fast = Transformer(N_ITEMS, SETTINGS)
    with torch.no_grad():
        for parameter in fast.parameters():  # initial biases are 0 and norms 1, which would hide mistakes
            parameter.add_(0.1 * torch.randn_like(parameter))
    usual = NaiveEncoder(N_ITEMS, SETTINGS)
    usual.load_state_dict(fast.state_dict())
    return fast.to(dtype), usual.to(dtype)


def padded(data: TrainingData, with_twins: bool = False) -> tuple[TrainBatch, PaddedBatch]:
    """The same rows, in the same order, as batches of ours and of the usual way."""
    rows = data.trainable[:16]
    users = PaddedUsers(data, rows, with_twins)
    samples = [users[i] for i in range(len(users))]
    return data.batch(rows), {name: torch.stack([sample[name] for sample in samples]) for name in samples[0]}


def fast_loss(encoder: Transformer, batch: TrainBatch, usual: PaddedBatch, alpha: float, lambd: float) -> Tensor:
    """Our loss on the twins that the usual way drew."""
    states, z_a = encoder(batch.inputs)
    loss = CrossEntropy()(states, batch, encoder.item_table, torch.Generator())
    if alpha:
        lengths = usual["twin_lengths"]
        twins = Batch(usual["twins"][:, : int(lengths.max())], lengths)
        loss = loss + alpha * barlow_twins(z_a, encoder.last(twins), lambd)
    return loss


@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
@pytest.mark.parametrize("alpha", [0.0, 0.2], ids=["ce", "ce with twins"])
def test_loss_and_gradients_agree(alpha: float, dtype: torch.dtype, tolerance: float) -> None:
    batch, usual = padded(training_data(), with_twins=alpha > 0)
    fast_encoder, naive_encoder = encoders(dtype)
    fast = fast_loss(fast_encoder, batch, usual, alpha, 0.05)
    slow = naive.loss(naive_encoder, usual, alpha, 0.05)
    fast.backward()
    slow.backward()
    torch.testing.assert_close(fast, slow, rtol=tolerance, atol=0.0)
    ours, theirs = (dict(encoder.named_parameters()) for encoder in (fast_encoder, naive_encoder))
    assert ours.keys() == theirs.keys()
    difference = {name: float((ours[name].grad - theirs[name].grad).norm()) for name in ours}
    whole = float(torch.cat([parameter.grad.flatten() for parameter in theirs.values()]).norm())
    assert math.hypot(*difference.values()) <= tolerance * whole
    assert max(difference.values()) <= 10 * tolerance * whole / len(ours)


def test_states_agree_for_truncated_padded_and_shortest_rows() -> None:
    batch, usual = padded(training_data())
    assert {1, MAXLEN} <= set(usual["lengths"].tolist())
    fast_encoder, naive_encoder = encoders(torch.float64)
    states, z = fast_encoder(batch.inputs)
    padded_states = naive_encoder(usual["inputs"], usual["lengths"])
    torch.testing.assert_close(padded_states[usual["inputs"] < N_ITEMS], states)
    torch.testing.assert_close(naive.last_states(padded_states, usual["lengths"]), z)


def test_values_in_the_padding_do_not_change_the_loss() -> None:
    _, usual = padded(training_data())
    encoder = encoders(torch.float64)[1]
    before = naive.loss(encoder, usual)
    real = usual["inputs"] < N_ITEMS
    usual["inputs"][~real] = 3
    torch.testing.assert_close(naive.loss(encoder, usual), before)


def test_an_epoch_of_the_loader_yields_every_row_once() -> None:
    data = training_data()
    rows = torch.cat([batch["targets"] for batch in naive.loader(data, data.trainable, True, 16)])
    users = PaddedUsers(data, data.trainable, with_twins=False)
    expected = torch.stack([users[i]["targets"] for i in range(len(users))])
    assert sorted(rows.tolist()) == sorted(expected.tolist())


def test_scanning_finds_the_twins_of_the_index() -> None:
    data = training_data(300)
    index = data.same_target_index()
    lists = naive.list_twins(naive.final_items(data))
    for row, twins in enumerate(lists):
        start, size = int(index.group_starts[row]), int(index.group_sizes[row])
        assert {*twins.tolist(), row} == set(index.order[start : start + size].tolist())
        assert row not in twins


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


# --- taking turns -----------------------------------------------------------------------------------------------------


def allocate(size: int, device: torch.device, lap: Lap) -> None:
    whole = torch.empty(size, dtype=torch.uint8)
    whole[: 2**28] = 1
    while True:
        lap(0.0)


def test_a_contender_that_fails_or_runs_out_of_memory_does_not_stop_the_others() -> None:
    final = np.arange(50)
    runners = [
        Contender("fine", partial(laps.index_ours, final), 50),
        Contender("broken", partial(laps.index_naive, None), 50),
        Contender("huge", partial(allocate, 2**60), 50),
        Contender("absent", partial(laps.index_ours, final), 50, skip_reason="it is not there"),
    ]
    notes: list[str] = []
    fine, broken, huge, absent = Turns(CPU, 3).measure(runners, notes.append)
    assert (fine.status, len(fine.seconds)) == ("measured", 3)
    assert fine.peak_memory_bytes > fine.added_memory_bytes >= 0
    assert (broken.status, broken.seconds) == ("failed", [])
    assert (huge.status, absent.status) == ("skipped", "skipped")
    assert huge.note == "not enough memory (you tried to allocate 1152921504606846976 bytes)"
    assert [note.split(":")[0] for note in notes] == ["broken", "huge", "absent"]


def test_a_contender_may_use_only_a_share_of_the_free_memory() -> None:
    size = int(
        0.95 * turns.free_memory()
    )  # few of its pages are touched, so without a limit the allocation would succeed
    small, large = Turns(CPU, 1).measure([Contender(str(n), partial(allocate, n), 1) for n in (2**28, size)], print)
    assert small.added_memory_bytes >= 2**28
    assert (large.status, large.note) == ("skipped", f"not enough memory (you tried to allocate {size} bytes)")


def wait_for_another(folder: Path, name: str, device: torch.device, lap: Lap) -> None:
    """Wait in the first lap until another contender has started too."""
    (folder / name).touch()
    until = time.perf_counter() + 3
    while len(list(folder.iterdir())) < 2:
        assert time.perf_counter() < until, "no other contender started"
    while True:
        lap(0.0)


def test_contenders_can_warm_up_together(tmp_path: Path) -> None:
    contenders = [Contender(name, partial(wait_for_another, tmp_path, name), 1) for name in "ab"]
    results = Turns(CPU, 2, together=True).measure(contenders, print)
    assert [len(result.seconds) for result in results] == [2, 2]
    (tmp_path / "b").unlink()
    [alone] = Turns(CPU, 2).measure(contenders[:1], print)
    assert alone.note == "AssertionError: no other contender started"


def write_name(path: Path, name: str, device: torch.device, lap: Lap) -> None:
    """Append the contender's name to a file in every lap."""
    while True:
        with path.open("a") as stream:
            stream.write(name)
        lap(0.0)


@pytest.mark.parametrize(("alone", "order"), [(False, "ababab"), (True, "aaabbb")])
def test_contenders_take_turns_unless_each_is_measured_alone(tmp_path: Path, alone: bool, order: str) -> None:
    contenders = [Contender(name, partial(write_name, tmp_path / "laps", name), 1) for name in "ab"]
    results = Turns(CPU, 2, alone=alone).measure(contenders, print)
    assert [(result.contender, len(result.seconds)) for result in results] == [("a", 2), ("b", 2)]
    assert (tmp_path / "laps").read_text() == order


def test_no_contender_starts_after_the_deadline() -> None:
    [late] = Turns(CPU, 1, deadline=0.0).measure([Contender("it", partial(allocate, 2**28), 1)], print)
    assert (late.status, late.note) == ("skipped", "left out: the time for all contenders is over")


def pretend_to_measure(monkeypatch: pytest.MonkeyPatch, seconds: dict[str, float]) -> None:
    """Let each contender take the given seconds, or one, without running it."""

    def measure(self: Turns, contenders: list[Contender], *_: Any) -> list[Result]:
        return [
            Result(each.name, 1, "skipped", note=each.skip_reason)
            if each.skip_reason
            else Result(each.name, 1, seconds=[seconds.get(each.name, 1.0)], added_memory_bytes=1)
            for each in contenders
        ]

    monkeypatch.setattr(Turns, "measure", measure)


QUICK = BenchOptions(Turns(CPU, 1), ("ml-1m",), Path("nowhere"), True, lambda line: None)


def test_a_contender_that_would_take_too_long_is_skipped_with_a_note(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_to_measure(monkeypatch, {"sasrec-ce": 40.0})
    smaller, larger = bench_cases.scaling(QUICK).groups
    assert {result.status for result in smaller.results} == {"measured"}
    [left_out] = [result for result in larger.results if result.status == "skipped"]
    assert (left_out.contender, left_out.note) == (
        "sasrec-ce",
        "left out: a lap would take about 80 s, 60 s are allowed",
    )


def test_twin_scans_that_would_take_too_long_are_skipped_but_draws_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_to_measure(monkeypatch, {"list scan": 1.0})
    found = bench_cases.twins(QUICK)
    indexed = {group.workload["sequences"]: group for group in found.groups if group.unit == "sequences"}
    drawn = [group.workload["sequences"] for group in found.groups if group.unit == "draws"]
    assert drawn == list(indexed) == [200, 1_000, 2_000]
    assert [indexed[size].results[1].status for size in drawn] == ["measured", "measured", "measured"]
    pretend_to_measure(monkeypatch, {"list scan": 20.0})  # it grows with the square: 500 s at five times the size
    again = [group.results[1].status for group in bench_cases.twins(QUICK).groups if group.unit == "sequences"]
    assert again == ["measured", "skipped", "skipped"]


def test_compare_takes_the_median_over_pairs_of_laps() -> None:
    ours, usual = Result("a", 10, seconds=[1.0, 2.0, 1.0]), Result("b", 10, seconds=[4.0, 8.0, 40.0])
    assert compare(ours, usual, "speed")["value"] == 4.0
    ours.peak_memory_bytes, usual.peak_memory_bytes = 10, 200
    assert compare(ours, usual, "peak memory")["value"] == 20.0
    assert compare(ours, usual, "added memory")["value"] is None
    assert compare(ours, Result("b", 10, "skipped"), "speed")["value"] is None


def test_growth_fits_the_exponent() -> None:
    def group(size: int) -> Group:
        result = Result("ce", 1, seconds=[3e-6 * size**1.5], added_memory_bytes=7 * size)
        return Group("", "targets", True, {}, [result, Result("naive", 1, "skipped")])

    fits = growth([10, 1000, 100_000], [group(size) for size in (10, 1000, 100_000)])
    found = {(fit["contender"], fit["quantity"]): round(fit["exponent"], 6) for fit in fits}
    assert found == {("ce", "time"): 1.5, ("ce", "added memory"): 1.0}


def test_the_table_shows_skipped_contenders_and_further_columns() -> None:
    results = [Result("ours", 10, seconds=[1.0], columns={"% of peak": 12.34}), Result("usual", 10, "skipped")]
    results[1].note = "no memory"
    group = Group("a group", "users", True, {"items": 5}, results, [BenchRatio("speed", "ours", "usual")])
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
        "breakdowns": [],
        "notes": ["Why it is so."],
    }
    text = to_markdown([document])
    assert text.endswith("\n\nWhy it is so.\n")
    assert "| speed | not measured |" in text
    assert "|  | users per s | quartiles | seconds | laps | % of peak | added MiB | peak MiB |  |" in text
    assert "| ours | 10 |  | 1 | 1 | 12.3 |  |  |  |" in text
    assert "| usual | skipped |  |  |  |  |  |  | no memory |" in text
    assert "synthetic data" in text


def test_the_committed_table_follows_from_the_committed_json() -> None:
    documents = command_module._documents(REPOSITORY / "results" / "bench")
    assert to_markdown(documents) == (REPOSITORY / "tables" / "bench.md").read_text()


@pytest.mark.parametrize(
    "words",
    [
        ["--cases", "trainig"],
        ["--cases", ","],
        ["--dataset", "netflix"],
        ["--repeats", "0"],
        ["--repeats", "many"],
        ["--variants", "fp16"],
        ["--device", "abacus"],
        ["--unknown"],
        ["--against", "recbowl"],
        ["--against", ""],
        ["--quality-seconds", "0"],
    ],
)
def test_wrong_usage_is_one_line(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
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
def test_unusable_json_stops_the_bench_before_anything_is_measured(
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
    path.rename(path.with_name("twins.json"))  # a file that the bench is about to overwrite is not read
    assert command(["bench", "--quick", "--cases", "twins", "--out-dir", str(tmp_path)]) == 0
    assert measured == ["twins"]


@pytest.mark.parametrize(
    "cases",
    [
        "memory,twins",
        "validation,commands",
        pytest.param("training,evaluation,scaling", marks=pytest.mark.slow),
    ],
)
def test_the_command_writes_json_and_a_table(cases: str, tmp_path: Path) -> None:
    words = ["--quick", "--repeats", "1", "--cases", cases]
    words += ["--dataset", "beauty"] if {"training", "validation"} & set(cases.split(",")) else []
    words += ["--variants", "bf16"] if "training" in cases else []
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
                assert result["status"] == "measured", result
                assert result["rate"]["median"] > 0
                assert (result["peak_memory_bytes"] or 0) > 0 or (case == "commands" and result["columns"]["CPU s"] > 0)
            for ratio in group["ratios"]:
                assert ratio["value"] is not None
                assert ratio["label"] in table
    assert str(tmp_path) not in table
    assert "USDT" not in done.stderr
