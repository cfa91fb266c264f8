"""The paper's means next to ours, and what this many test users can reveal, worked out by hand."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pandas as pd
import pytest

from benchmark.plan.run_spec import RunSetting
from benchmark.report.query import Results, RunGroup
from benchmark.report.tables.comparison import Resolution, main_comparison
from benchmark.report.tables.side_by_side import (
    MeanPair,
    mean_pairs,
    resolutions,
    side_by_side_tables,
    user_notes,
)

# NDCG@10: SASRec (CE) .05, 1.2 % above the paper's .0494; BT-SR .062, 16.1 % above its .0534.
NDCG_10 = {"sasrec-ce": (0.04, 0.05, 0.06), "btsr-ce": (0.052, 0.061, 0.073)}
RANKS = {"sasrec-ce": (2, 0, 12, 1), "btsr-ce": (1, 3, 12, 1)}


def results(maker: Any, seeds: int = 3, lost: tuple[str, ...] = ()) -> Results:
    """Two methods tested on four users. The arrays of the `lost` methods are gone."""
    groups = [
        RunGroup(
            "main",
            method,
            method,
            records=tuple(
                maker.record(method, seed, test={"ndcg@10": values[seed], "cov@10": 0.3}) for seed in range(seeds)
            ),
        )
        for method, values in NDCG_10.items()
    ]

    def load(record: Any) -> Any:
        return None if record.method in lost else maker.arrays(RANKS[record.method])

    return Results(maker.dataset, maker.title, maker.synthetic, RunSetting(), groups, load)


def pairs(made: Results) -> dict[tuple[str, str], MeanPair]:
    return {(pair["method"], pair["metric"]): pair for pair in mean_pairs(main_comparison(made), {})}


def test_differences_and_intervals(handmade: Callable[..., Any]) -> None:
    found = pairs(results(handmade()))
    assert set(found) == {(m, metric) for m in NDCG_10 for metric in ("ndcg@10", "cov@10")}
    plain, btsr = found["sasrec-ce", "ndcg@10"], found["btsr-ce", "ndcg@10"]
    assert plain["difference"] == pytest.approx(0.0006)
    assert plain["difference_percent"] == pytest.approx(100 * 0.0006 / 0.0494)
    assert (plain["within_5_percent"], btsr["within_5_percent"]) == (True, False)
    # Seeds: .05 ± 4.303 * .01 / sqrt 3. Users: 1 / log2(3), 0, 0, 1.
    assert plain["seeds_low"] == pytest.approx(0.05 - 4.3027 * 0.01 / math.sqrt(3), abs=1e-5)
    assert plain["within_seed_interval"] is True
    gains = [1 / math.log2(3), 0, 0, 1]
    variance = sum((gain - sum(gains) / 4) ** 2 for gain in gains) / 3
    assert plain["user_error"] == pytest.approx(math.sqrt(variance / 4))
    assert plain["users_high"] == pytest.approx(0.05 + 1.959964 * math.sqrt(variance / 4))
    assert plain["within_user_interval"] is True


def test_a_printed_mean_far_off_is_outside_of_everything(
    handmade: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.report.tables.side_by_side.standard_error", lambda _: 0.0001)
    monkeypatch.setitem(NDCG_10, "btsr-ce", (0.30, 0.31, 0.32))
    far = pairs(results(handmade()))["btsr-ce", "ndcg@10"]
    assert not any(far[f"within_{what}"] for what in ("5_percent", "seed_interval", "user_interval"))


def test_what_is_unknown_stays_so(handmade: Callable[..., Any]) -> None:
    found = pairs(results(handmade(), seeds=1, lost=("btsr-ce",)))
    assert found["sasrec-ce", "cov@10"]["within_user_interval"] is None
    assert found["btsr-ce", "ndcg@10"]["within_user_interval"] is None
    assert found["sasrec-ce", "ndcg@10"]["within_user_interval"] is True
    assert found["sasrec-ce", "ndcg@10"]["within_seed_interval"] is None


def test_the_tables(handmade: Callable[..., Any]) -> None:
    tables, rows = side_by_side_tables(results(handmade())) or ([], [])
    assert [table.name for table in tables] == [
        "ml-1m-users",
        "ml-1m-side-by-side",
        "ml-1m-side-by-side-sasrec-ce",
        "ml-1m-side-by-side-btsr-ce",
    ]
    (line,) = tables[2].sections[0][0][:1]
    assert [cell.text for cell in line.cells] == ["0.0500", "0.0494", "+0.0006", "+1.2%", "yes", "yes", "yes"]
    plain, btsr = ([cell.text for cell in group[0].cells] for group in tables[1].sections[0])
    # Coverage .3 against .3185 and .3189, constant over seeds.
    assert plain == ["+1.2%", "−5.8%", "1/2", "1/2", "1/1", "3"]
    assert btsr == ["+16.1%", "−5.9%", "0/2", "1/2", "1/1", "3"]
    row = pd.DataFrame(rows).set_index(["method", "metric"]).loc[("sasrec-ce", "ndcg@10")]
    assert row["detectable"] > 0
    assert row["paper_mean"] == 0.0494


def test_without_printed_figures_the_users_are_left(handmade: Callable[..., Any]) -> None:
    made = results(handmade("synthetic", "ML-1M", synthetic=True))
    ((table,), rows) = side_by_side_tables(made) or ([], [])
    assert table.name == "synthetic-users"
    assert table.caption.startswith("SYNTHETIC DATA")
    assert table.notes[0].endswith("The paper prints nothing for this dataset.")
    assert rows[0]["metric"] == "hr@1"
    gone = results(handmade("synthetic", "ML-1M", synthetic=True), lost=tuple(NDCG_10))
    assert side_by_side_tables(gone) is None
    nothing = Results(made.dataset, made.title, True, RunSetting(), (), lambda _: None)
    assert side_by_side_tables(nothing) is None


def test_what_the_users_can_reveal(handmade: Callable[..., Any]) -> None:
    made = results(handmade())
    found = {r.metric: r for r in resolutions(main_comparison(made))}["ndcg@10"]
    assert (found.method, found.rival) == ("btsr-ce", "sasrec-ce")
    # Users' differences: 1 - 1/log2(3), 1/2, 0, 0; both tails and the power: 1.960 + .842.
    differences = [1 - 1 / math.log2(3), 0.5, 0, 0]
    variance = sum((d - sum(differences) / 4) ** 2 for d in differences) / 3
    assert found.detectable == pytest.approx(2.80159 * math.sqrt(variance / 4), rel=1e-4)
    assert found.difference == pytest.approx(0.012)
    assert found.printed_lead == pytest.approx(0.0534 - 0.0503)


def resolution(metric: str, error: float, detectable: float, lead: float) -> Resolution:
    return Resolution(metric, "btsr-ce", error, "sasrec-ce", detectable, 0.01, lead)


def test_the_words_follow_the_numbers(handmade: Callable[..., Any]) -> None:
    runs = results(handmade())
    blind = [resolution("hr@1", 0.006, 0.008, 0.0027), resolution("ndcg@10", 0.0067, 0.0079, 0.0031)]
    text = " ".join(user_notes(runs, blind))
    assert "2 of the 2 accuracy leads that the paper prints for ML-1M are smaller than the sampling error" in text
    assert "2 of these 2 lie below what is detectable here (NDCG@10: 0.0031 against 0.0079): these users cannot" in text
    sharp = [resolution("hr@1", 0.001, 0.002, 0.0027), resolution("ndcg@10", 0.001, 0.002, 0.0031)]
    text = " ".join(user_notes(runs, sharp))
    assert "0 of the 2 accuracy leads that the paper prints for ML-1M are smaller" in text
    assert (
        "0 of these 2 lie below what is detectable here (NDCG@10: 0.0031 against 0.0020): the test users suffice"
        in (text)
    )
    mixed = [resolution("hr@1", 0.001, 0.002, 0.0027), resolution("hr@10", 0.01, 0.02, 0.0012)]
    text = " ".join(user_notes(runs, [*mixed, resolution("ndcg@50", 0.01, 0.02, -0.01)]))
    assert "of the 2 accuracy leads" in text
    assert text.endswith("could settle it for those metrics.")
    unknown = [resolution("ndcg@10", 0.001, math.nan, 0.0031)]
    assert "detectable here" not in " ".join(user_notes(runs, unknown))
