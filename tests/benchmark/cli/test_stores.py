"""Comparing two stores: common runs are compared to the last bit, others are listed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from benchmark.cli.commands import main as command
from benchmark.cli.stores import compare
from benchmark.store.store import Store


def test_runs_with_the_same_metrics_are_equal_whatever_the_machine(handmade: Callable[..., Any]) -> None:
    one = handmade().record(test={"ndcg@10": 0.05, "hr@10": 0.1})
    other = replace(one, hardware={"device": "cuda"}, timings={"fit_seconds": 1.0}, finished=one.started)
    text, is_same = compare([one], [other])
    assert is_same
    shown = [line.split() for line in text.splitlines() if "0.0500" in line or "0.1000" in line]
    assert [words[-5:-3] for words in shown] == [["test", "hr@10"], ["test", "ndcg@10"]]
    assert "1 runs in both: 1 with exactly the same metrics, 0 with others; 0 only in A" in text


def test_one_bit_is_a_difference(handmade: Callable[..., Any]) -> None:
    one = handmade().record(test={"ndcg@10": 0.3, "mrr@10": 0.02})
    other = handmade().record(test={"ndcg@10": 0.1 + 0.2, "mrr@10": 0.02})
    text, is_same = compare([one], [other])
    assert not is_same
    (line,) = [line for line in text.splitlines() if "test ndcg@10" in line]
    assert line.split()[-3:] == ["0.300000", "0.300000", "+5.6e-17"]
    assert "mrr@10" not in text, "equal values are shown only for the main metrics"


def test_differences_are_the_second_minus_the_first(handmade: Callable[..., Any]) -> None:
    one = handmade().record(test={"ndcg@10": 0.05, "effective_rank": 40.0})
    other = handmade().record(test={"ndcg@10": 0.0475, "overlap": 0.5})
    lines = compare([one], [other])[0].splitlines()
    assert any(line.split()[-3:] == ["0.050000", "0.047500", "-0.002500"] for line in lines)
    assert any(line.split()[-5:] == ["40.000000", "-", "only", "in", "one"] for line in lines)
    assert any(line.split()[-5:] == ["-", "0.500000", "only", "in", "one"] for line in lines)


def test_a_run_that_failed_in_one_store_differs(handmade: Callable[..., Any]) -> None:
    one, other = handmade().record(), handmade().record(status="failed")
    text, is_same = compare([one], [other])
    assert not is_same
    assert any(line.split()[-4:] == ["status", "done", "failed", "differs"] for line in text.split("\n"))
    text, is_same = compare([other], [other])
    assert is_same
    assert "no metrics" in text


def test_runs_in_only_one_store_are_listed(handmade: Callable[..., Any]) -> None:
    maker = handmade()
    first, second = maker.record(seed=0), maker.record(seed=1)
    for runs, others, store in (([first, second], [first], "A"), ([first], [first, second], "B")):
        text, is_same = compare(runs, others)
        assert not is_same, "a run in only one of the stores is a difference"
        assert f"only in {store}: ml-1m sasrec-ce {second.key} seed 1 (done)" in text
        assert text.count("only in") == 3, "once in that line and twice in the summary"
    assert compare([], [])[1]


def test_the_exit_code_says_whether_stores_differ(
    tmp_path: Path, handmade: Callable[..., Any], capsys: pytest.CaptureFixture[str]
) -> None:
    one, other = Store(tmp_path / "a" / "results"), Store(tmp_path / "b" / "results")
    beauty, movies = handmade("beauty", "Beauty"), handmade()
    for store, value in ((one, 0.05), (other, 0.06)):
        store.save(beauty.record(), beauty.arrays())
        store.save(movies.record(test={"ndcg@10": value}), movies.arrays())
    paths = [str(tmp_path / "a"), str(tmp_path / "b" / "results")]
    assert command(["compare", *paths]) == 1
    assert "2 runs in both: 1 with exactly the same metrics, 1 with others" in capsys.readouterr().out
    assert command(["compare", *paths, "--dataset", "beauty"]) == 0
    assert "ml-1m" not in capsys.readouterr().out
    assert command(["compare", paths[0], str(tmp_path / "nothing")]) == 2
    assert "not a directory" in capsys.readouterr().err
    (tmp_path / "empty").mkdir()
    assert command(["compare", paths[0], str(tmp_path / "empty")]) == 2
    assert "holds no runs" in capsys.readouterr().err
