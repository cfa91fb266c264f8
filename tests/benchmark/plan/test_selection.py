"""The objective that represents BT-SR is chosen on validation only."""

from __future__ import annotations

import pandas as pd

from benchmark.plan.selection import choose

CANDIDATES = ("btsr-bce", "btsr-ce", "btsr-sce")


def frame(*rows: tuple[str, int, str, str, float]) -> pd.DataFrame:
    """Build the frame from rows of (method, seed, status, stage, NDCG@10)."""
    table = pd.DataFrame(rows, columns=["method", "seed", "status", "stage", "value"])
    return table.assign(metric="ndcg@10")


def test_the_highest_mean_on_validation_wins_whatever_test_says() -> None:
    rows = frame(
        ("btsr-bce", 0, "done", "test", 0.9),
        ("btsr-bce", 0, "done", "validation", 0.1),
        ("btsr-ce", 1, "done", "validation", 0.1),
        ("btsr-ce", 0, "done", "validation", 0.4),
        ("btsr-ce", 0, "done", "test", 0.0),
        ("sasrec-ce", 0, "done", "validation", 0.8),
    )
    choice = choose(rows, CANDIDATES)
    assert choice is not None
    assert choice.to_json() == {
        "choice": "btsr-ce",
        "stage": "validation",
        "metric": "ndcg@10",
        "evidence": {
            "btsr-bce": {"seeds": [0], "values": [0.1], "mean": 0.1},
            "btsr-ce": {"seeds": [0, 1], "values": [0.4, 0.1], "mean": 0.25},
        },
    }


def test_other_metrics_and_runs_that_are_not_done_do_not_count() -> None:
    rows = frame(
        ("btsr-ce", 0, "done", "validation", 0.2),
        ("btsr-sce", 0, "diverged", "validation", 0.9),
        ("btsr-bce", 0, "done", "validation", 0.1),
    )
    other = frame(("btsr-bce", 0, "done", "validation", 0.9)).assign(metric="hr@10")
    choice = choose(pd.concat([rows, other]), CANDIDATES)
    assert choice is not None
    assert choice.choice == "btsr-ce"
    assert set(choice.evidence) == {"btsr-bce", "btsr-ce"}


def test_the_first_of_equal_candidates_is_chosen() -> None:
    rows = frame(("btsr-sce", 0, "done", "validation", 0.2), ("btsr-ce", 0, "done", "validation", 0.2))
    choice = choose(rows, CANDIDATES)
    assert choice is not None
    assert choice.choice == "btsr-ce"


def test_without_a_finished_candidate_there_is_no_choice() -> None:
    assert choose(frame(("sasrec-ce", 0, "done", "validation", 0.2)), CANDIDATES) is None
    assert choose(frame(), CANDIDATES) is None
