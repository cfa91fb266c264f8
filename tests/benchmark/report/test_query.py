"""The questions that a report asks about its runs, with answers worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import COLUMNS, COST, Results, RunGroup
from benchmark.store.record import RunRecord

RANKS = {0: (1, 2, 0, 40), 1: (2, 2, 1, 0)}
BUCKETS = (0, 0, 2, 1)


def group(maker: Any, experiment: str, label: str, method: str, values: dict[int, float], **changes: Any) -> RunGroup:
    """Runs with these NDCG@10 by seed, and half of each in the stage `ties-2`."""
    records = []
    for seed, value in values.items():
        record = maker.record(method, seed, test={"ndcg@10": value}, settings={"label": label})
        record.metrics["ties-2"] = {"ndcg@10": value / 2}
        records.append(record)
    return RunGroup(experiment, label, method, records=tuple(records), **changes)


@pytest.fixture
def results(handmade: Callable[..., Any]) -> Results:
    """SASRec (CE) on seeds 0 to 2; BT-SR (CE) on seeds 1 and 2, 3 diverged, 4 missing; alpha 0.1 on seed 1."""
    maker = handmade()
    sasrec = group(maker, "main", "sasrec-ce", "sasrec-ce", {0: 0.05, 1: 0.06, 2: 0.07})
    btsr = group(maker, "main", "btsr-ce", "btsr-ce", {1: 0.08, 2: 0.10}, missing=(4,))
    btsr = replace(btsr, records=(*btsr.records, maker.record("btsr-ce", 3, status="diverged")))
    alpha = group(maker, "alpha", "0.1", "btsr-ce", {1: 0.09}, swept=0.1)

    def load(record: RunRecord) -> Any:
        arrays = maker.arrays(RANKS.get(record.seed, (1, 1, 1, 1)))
        return arrays | {"target_buckets": np.array(BUCKETS, dtype=np.uint8)}

    return Results("ml-1m", "ML-1M", False, RunSetting(), (sasrec, btsr, alpha), load)


def test_the_frame_has_a_row_per_run_stage_and_metric(results: Results) -> None:
    frame = results.frame
    assert tuple(frame.columns) == COLUMNS
    assert not frame.duplicated(["experiment", "variant", "seed", "stage", "metric"]).any()
    assert (frame["protocol"].unique(), frame["title"].unique()) == (["released"], ["ML-1M"])
    swept = frame[(frame["experiment"] == "alpha") & (frame["stage"] == "test")]
    expected = ("alpha", "0.1", 0.1, "btsr-ce", "sasrec-ce", 1, "ndcg@10", 0.09)
    columns = ["experiment", "variant", "swept", "method", "plain", "seed", "metric", "value"]
    assert tuple(swept.iloc[0][columns]) == expected
    diverged = frame[frame["status"] == "diverged"]
    assert diverged[["method", "seed", "stage", "metric"]].to_numpy().tolist() == [["btsr-ce", 3, "", ""]]


def test_which_runs_there_are(results: Results) -> None:
    btsr = results.method("btsr-ce")
    assert [record.seed for record in btsr.done] == [1, 2]
    assert btsr.not_done == {"diverged": [3], "missing": [4]}
    assert btsr.n_planned == 4
    assert results.method("duorec").n_planned == 0
    assert [each.name for each in results.experiment("alpha")] == ["alpha/0.1"]
    assert results.group("alpha", "0.2") is None
    assert len(results.records()) == 7
    assert len(results.records("alpha")) == 1


def test_an_experiment_of_table_2s_runs_alone_shows_nothing_of_its_own(results: Results) -> None:
    assert results.experiment_beyond_main("alpha") == results.experiment("alpha")
    shared = replace(results.method("sasrec-ce"), experiment="ties")
    groups = (*results.experiment("main"), shared)
    assert Results("ml-1m", "ML-1M", False, RunSetting(), groups, results.load).experiment_beyond_main("ties") == ()


def test_the_columns_of_table_2(results: Results) -> None:
    assert (results.baselines, results.btsr, results.other_methods) == (("sasrec-ce",), "btsr-ce", ())
    assert results.paper_methods == ("sasrec-ce", "btsr-ce")


def test_a_metric_over_seeds(results: Results) -> None:
    sasrec, btsr = results.method("sasrec-ce"), results.method("btsr-ce")
    assert results.values(btsr, "ndcg@10") == {1: 0.08, 2: 0.10}
    assert results.values(btsr, "hr@1") == {}
    summary = results.summary(sasrec, "ndcg@10")
    assert (summary.n, summary.mean, summary.deviation) == (3, pytest.approx(0.06), pytest.approx(0.01))
    assert results.summary(sasrec, "ndcg@10", "ties-2").mean == pytest.approx(0.03)
    assert results.tie_orders([sasrec, btsr]) == {"file": "test", "2": "ties-2"}
    assert results.summary(sasrec, "hr@1").n == 0
    assert results.values(sasrec, "fit_seconds", COST) == {0: 6.0, 1: 6.0, 2: 6.0}
    assert results.values(sasrec, "epochs", COST)[0] == 3


def test_pairs_are_of_the_seeds_that_both_have(results: Results) -> None:
    seeds, ours, theirs = results.paired(results.method("btsr-ce"), results.method("sasrec-ce"), "ndcg@10")
    assert seeds == [1, 2]
    assert (ours.tolist(), theirs.tolist()) == ([0.08, 0.10], [0.06, 0.07])
    test = results.difference(results.method("btsr-ce"), results.method("sasrec-ce"), "ndcg@10")
    assert (test.n, test.difference) == (2, pytest.approx(0.025))


NAN = math.nan


@pytest.mark.parametrize(
    ("candidate", "rivals", "best"),
    [
        ((1, 1), ((1, 1), (2, 0), (NAN, 1.5)), 2),
        ((1, 1), ((1, 1), (NAN, NAN), (1, 1)), 0),
        ((1, 1), ((NAN, NAN), (-3, -3), (-2, NAN)), 2),
        ((1, NAN), ((2, 0), (1, 9)), 0),
        ((1, NAN), ((NAN, 1), (NAN, 1)), None),
    ],
)
def test_the_best_rival_has_the_highest_mean_on_shared_seeds(
    handmade: Callable[..., Any],
    candidate: tuple[float, ...],
    rivals: tuple[tuple[float, ...], ...],
    best: int | None,
) -> None:
    def runs(label: str, values: tuple[float, ...]) -> RunGroup:
        by_seed = {seed: value for seed, value in enumerate(values) if not math.isnan(value)}
        return group(handmade(), "main", label, "sasrec-ce", by_seed)

    ours, others = runs("ours", candidate), [runs(str(place), values) for place, values in enumerate(rivals)]
    found = Results("ml-1m", "ML-1M", False, RunSetting(), (ours, *others), lambda _: None)
    chosen = found.against_best(ours, others, "ndcg@10")
    assert (chosen and chosen[0].label) == (None if best is None else str(best))


def test_improvement_and_test_come_from_the_same_runs(handmade: Callable[..., Any]) -> None:
    # Seeds 0 to 2 are BT-SR's alone and easy; on seeds 3 to 5, which both have, it is worse every time.
    ours = group(handmade(), "main", "btsr-ce", "btsr-ce", dict(enumerate((0.90, 0.91, 0.92, 0.30, 0.31, 0.33))))
    near = group(handmade(), "main", "sasrec-ce", "sasrec-ce", {3: 0.35, 4: 0.37, 5: 0.36})
    far = group(handmade(), "main", "duorec", "duorec", dict.fromkeys(range(6), 0.1))
    found = Results("ml-1m", "ML-1M", False, RunSetting(), (ours, near, far), lambda _: None)
    rival, test = found.against_best(ours, (near, far), "ndcg@10") or (None, None)
    assert rival is near
    assert test is not None
    assert test.improvement == pytest.approx(100 * (0.94 - 1.08) / 1.08)
    assert (test.n, test.star) == (3, False)
    assert test.difference == pytest.approx(-0.14 / 3)


def test_users_are_averaged_over_seeds(results: Results) -> None:
    sasrec, btsr = results.method("sasrec-ce"), results.method("btsr-ce")
    third = 1 / math.log2(3)
    # Users' NDCG@10 on seed 0: 1, 1/log2(3), 0, 0; on seed 1: 1/log2(3), 1/log2(3), 1, 0; on seed 2: 1, 1, 1, 1.
    assert results.users(sasrec, "ndcg@10", [0]) == pytest.approx([1, third, 0, 0])
    assert results.users(sasrec, "ndcg@10") == pytest.approx([(2 + third) / 3, (2 * third + 1) / 3, 2 / 3, 1 / 3])
    assert results.users(sasrec, "ndcg@10/bucket1", [0]) == pytest.approx([1, third])
    assert results.users(sasrec, "ndcg@10/bucket2", [0]) is None  # one user tells nothing
    assert results.users(sasrec, "cov@10") is None
    assert results.users(results.method("duorec"), "ndcg@10") is None
    differences = results.user_differences(btsr, sasrec, "ndcg@10")
    assert differences == pytest.approx([0, 0, 0, 0])


def test_arrays_are_read_once_and_a_loss_is_known(results: Results) -> None:
    read: list[int] = []

    def load(record: RunRecord) -> Any:
        read.append(record.seed)
        return None if record.seed == 1 else {"ranks": np.array([1, 2]), "singular_values": np.ones(3)}

    lossy = Results("ml-1m", "ML-1M", False, RunSetting(), results.groups, load)
    sasrec = lossy.method("sasrec-ce")
    assert len(lossy.arrays(sasrec, "ranks", "singular_values")) == 2
    assert lossy.arrays(sasrec, "ranks", "score_grid") == []
    assert lossy.users(sasrec, "ndcg@10") is None
    assert lossy.users(sasrec, "ndcg@10", [0, 2]) is not None
    assert read == [0, 1, 2]


def test_groups_have_titles(results: Results, handmade: Callable[..., Any]) -> None:
    assert [each.title for each in results.groups] == ["SASRec (CE)", "BT-SR (CE)", "alpha 0.1"]
    assert RunGroup("noise", "sasrec-ce 0.2", "sasrec-ce", 0.2).title == "SASRec (CE), noise 0.2"
    assert RunGroup("weights", "duorec 0.02", "duorec", 0.02).title == "DuoRec, weights times 0.02"
    assert RunGroup("regimes", "0.4", "btsr-ce", 0.4).title == "alpha 0.4"
    assert RunGroup("views", "twin", "btsr-ce").title == "twin"
    record = handmade().record("external-ours", settings={"title": "Ours"})
    assert RunGroup("main", "external-ours", "external-ours", records=(record,)).title == "Ours (external)"
