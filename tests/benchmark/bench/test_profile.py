"""Profilers count the work of a lap and split its time by kind of operation, without counting anything twice."""

from __future__ import annotations

import pytest
import torch

from benchmark.bench.measures import CaseResult, Group
from benchmark.bench.profile import BETWEEN, REST, WorkCounter, kind_of, peaks
from benchmark.bench.tables import _breakdown
from benchmark.bench.turns import Contender, Lap, Result, Turns

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("operation", "kind"),
    [
        ("aten::mm", "matrix products"),
        ("aten::addmm_", "matrix products"),
        ("aten::_log_softmax_backward_data", "softmax and its parts"),
        ("aten::exp_", "softmax and its parts"),
        ("_LinearCrossEntropy", "softmax and its parts"),
        ("aten::random_", "random numbers"),
        ("aten::_index_put_impl_", "gathering and scattering"),
        ("aten::copy_", "filling and copying"),
        ("aten::native_layer_norm_backward", "layer norm"),
        ("aten::_fused_adam_", "optimiser"),
        ("aten::mul", REST),
        ("aten::topk", REST),
    ],
)
def test_the_kind_of_an_operation(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


def test_flops_and_bytes_of_operations() -> None:
    a, b, c = torch.ones(3, 5), torch.ones(5, 7, requires_grad=True), torch.ones(3, 7)
    table, rows = torch.ones(1000, 4), torch.tensor([3, 9])
    with WorkCounter(CPU) as counter:
        product = a @ b
        product.sum().backward()  # one more product, of (5, 3) and (3, 7)
    assert counter.flops == 2 * (2 * 3 * 5 * 7)
    with WorkCounter(CPU) as counter:
        torch.mm(a, b.detach().T.T, out=c).addmm_(a, b.detach())  # views are not counted
    read, written = (15 + 35) * 4, 21 * 4
    assert (counter.flops, counter.bytes) == (2 * 210, (read + 2 * written) + (read + 2 * written))
    with WorkCounter(CPU) as counter:
        torch.nn.functional.embedding(rows, table)
    assert counter.bytes == 2 * 8 + 2 * 4 * 4, "only the rows that are read count, not the table"


def test_the_peaks_of_a_device() -> None:
    found = peaks(CPU, quick=True)
    assert found.keys() == {"fp32", "bf16", "bytes"}
    assert all(value > 1e6 for value in found.values())


def products(device: torch.device, lap: Lap) -> None:
    x = torch.ones(64, 64)
    torch.rand(1000)
    lap(0.1)
    for times in range(1, 99):
        for _ in range(20 * times):
            x @ x
        lap(0.5, targets=1)


def test_profiled_laps_come_last_and_are_not_timed() -> None:
    [result] = Turns(CPU, 2).measure([Contender("ours", products, 1, profilers=("count", "profile"))], print)
    assert result.seconds == [0.5, 0.5]
    assert result.seen["flops"] == 60 * 2 * 64**3
    assert result.seen["bytes"] == 60 * 3 * 64**2 * 4
    assert "random numbers" not in result.seen["kinds"]
    assert set(result.seen["kinds"]) >= {"matrix products", BETWEEN}
    [table] = CaseResult([Group("products", "targets", True, {}, [result, Result("other", 1)])]).breakdowns()
    assert sum(table["shares"]["ours"].values()) == pytest.approx(1)
    assert list(table["shares"]["ours"].values()) == sorted(table["shares"]["ours"].values(), reverse=True)
    assert table["seconds"] == {"ours": pytest.approx(0.5)}


def test_the_breakdown_follows_the_order_of_the_first_contender() -> None:
    shares = {"ours": {"matrix products": 0.75, "layer norm": 0.25}, "theirs": {"layer norm": 0.5, "optimiser": 0.5}}
    found = {"title": "D, maxlen 50", "synthetic": True, "seconds": {"ours": 2.0, "theirs": 8.0}, "shares": shares}
    title, *table = _breakdown(found).splitlines()
    assert "D, maxlen 50 (synthetic data)" in title
    assert table[1:] == [
        "|  | ours | theirs |",
        "|:--|--:|--:|",
        "| matrix products | 1.5 (75%) | 0 (0%) |",
        "| layer norm | 0.5 (25%) | 4 (50%) |",
        "| optimiser | 0 (0%) | 4 (50%) |",
    ]
