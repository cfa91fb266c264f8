"""The estimate of what is left."""

from __future__ import annotations

from benchmark.cli.status import _estimate, likely_device


def test_an_estimate_is_divided_by_the_runs_at_a_time() -> None:
    assert "about 2.0 h for what is left, 4 runs at a time" in _estimate([3_600.0, 25_200.0], 4)
    assert "no estimate" in _estimate([None], 2)


def test_a_device_that_is_asked_for_is_the_one_of_the_estimate() -> None:
    assert likely_device("cpu")[0] == "cpu"
    assert likely_device("cuda")[0] == "cuda"
    assert all(likely_device(choice)[1] >= 1 for choice in ("auto", "cpu", "cuda"))
