"""A lap's time is divided among kinds of operations, and nothing of it is counted twice or lost."""

from __future__ import annotations

import pytest
import torch

from benchmark.bench.lap_line import Lap
from benchmark.bench.profile import BETWEEN, REST, breakdown, kind_of
from benchmark.bench.tables import _breakdown


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
def test_an_operation_has_its_kind(operation: str, kind: str) -> None:
    assert kind_of(operation) == kind


def test_only_the_lap_after_the_warm_up_is_profiled() -> None:
    x = torch.ones(64, 64)
    laps = []

    def run(lap: Lap) -> None:
        torch.rand(1000)  # to warm up: in no share
        lap(0.0)
        for _ in range(20):
            laps.append(x @ x)
        lap(0.0)
        raise AssertionError("a third lap")

    found = breakdown("products", True, {"ours": run})
    assert len(laps) == 20
    assert set(found.shares["ours"]) >= {"matrix products", BETWEEN}
    assert "random numbers" not in found.shares["ours"]
    assert sum(found.shares["ours"].values()) == pytest.approx(1, abs=0.02)
    assert list(found.shares["ours"].values()) == sorted(found.shares["ours"].values(), reverse=True)
    assert found.seconds["ours"] > 0


def test_the_table_has_seconds_and_shares_in_the_order_of_the_first_contender() -> None:
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
