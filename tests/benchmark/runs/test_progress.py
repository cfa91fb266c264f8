"""Progress: lines without a terminal, a bar on a terminal."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmark.runs.engines.engine import FinishedRun, RunJob
from benchmark.runs.progress import LINE_SECONDS, Progress


class Spec:
    title, method, seed = "ML-1M", "sasrec-ce", 3


JOB = RunJob("0123456789abcdef", Spec(), Path())  # type: ignore[arg-type]
ROW = {"epoch": 7, "seconds": 1.25, "loss": 0.5, "terms": {}, "validation": {"ndcg@10": 0.12345}}


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that time.monotonic returns, as the only element of a list."""
    now = [1000.0]
    monkeypatch.setattr("time.monotonic", lambda: now[0])
    return now


def test_a_line_is_printed_from_time_to_time(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("ML-1M", 2, stream) as progress:
        progress.follow(JOB, ROW)
        clock[0] += LINE_SECONDS - 1
        progress.follow(JOB, ROW)
        assert stream.getvalue() == ""
        clock[0] += 1
        progress.follow(JOB, ROW)
        progress.follow(JOB, ROW)
        assert stream.getvalue() == "  ML-1M sasrec-ce seed 3 epoch 7 ndcg@10 0.1235 (1.2 s an epoch)\n"


def test_a_long_evaluation_is_shown_too(clock: list[float]) -> None:
    stream = io.StringIO()
    with Progress("ML-1M", 2, stream) as progress:
        progress.follow(JOB, "evaluating validation")
        clock[0] += LINE_SECONDS
        progress.follow(JOB, "evaluating test")
    assert stream.getvalue() == "  ML-1M sasrec-ce seed 3 evaluating test\n"


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({}, "done, validation ndcg@10 0.0600, epoch 2 of 3, 211 s"),
        ({"timings": {"fit_seconds": 0.0, "evaluate_seconds": 205.0}, "selected_epoch": None, "epochs": []}, "205 s"),
        ({"status": "failed", "timings": {}, "error": {"type": "E", "message": "no luck"}}, "failed, epoch 2 of 3, no"),
    ],
)
def test_the_time_of_a_run_includes_its_evaluation(
    handmade: Callable[..., Any], changes: dict[str, Any], line: str
) -> None:
    stream = io.StringIO()
    record = handmade().record(**({"timings": {"fit_seconds": 6.0, "evaluate_seconds": 205.0}} | changes))
    with Progress("ML-1M", 2, stream) as progress:
        progress.finished(FinishedRun(JOB, record, {}))
    assert stream.getvalue().startswith("[1/2] ML-1M sasrec-ce seed 3: ")
    assert line in stream.getvalue()


def test_on_a_terminal_a_bar_shows_every_active_run(handmade: Callable[..., Any]) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    stream = Terminal()
    with Progress("ML-1M", 2, stream) as progress:
        progress.follow(JOB, ROW)
        progress.follow(RunJob("other", Spec(), Path()), "evaluating test")  # type: ignore[arg-type]
        assert progress.bar is not None
        assert "epoch 7 ndcg@10 0.1235 | ML-1M sasrec-ce seed 3 evaluating test" in progress.bar.postfix
        progress.finished(FinishedRun(JOB, handmade().record(), {}))
        assert progress.bar.n == 1
        assert list(progress.under_way) == ["other"]
    assert "[1/2] ML-1M" in stream.getvalue()
