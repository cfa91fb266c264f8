"""Bars are means over seeds with the sample deviation; the shares of users' choices come from the runs' arrays."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure

from benchmark.report.methods import style_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import FIGURES

Build = Callable[..., Results]
Draw = Callable[[str, Results], Figure]

SHOWN = {"shown@10/bucket1": 0.2, "shown@10/bucket2": 0.3, "shown@10/bucket3": 0.5}


def bars(axis: Axes) -> dict[str, Any]:
    return {container.get_label(): container for container in axis.containers}


def test_bars_are_the_means_over_seeds(results_of: Build, handmade: Callable[..., Any], draw: Draw) -> None:
    maker = handmade()
    tests = [{f"hr@{k}/bucket{b}": b / 10 + seed / 100 for k in (1, 10) for b in (1, 2, 3)} for seed in range(2)]
    groups = [
        RunGroup("main", method, method, records=tuple(maker.record(method, s, test=t) for s, t in enumerate(tests)))
        for method in ("popularity", "sasrec-ce", "btsr-ce")
    ]
    left, right = draw("figure1-buckets", results_of(maker, groups)).axes
    assert (left.get_ylabel(), right.get_ylabel()) == ("HR@1", "HR@10")
    assert set(bars(left)) == {"SASRec (CE)", "BT-SR (CE)"}
    drawn = bars(left)["BT-SR (CE)"]
    assert [bar.get_height() for bar in drawn] == pytest.approx([0.105, 0.205, 0.305])
    assert to_hex(drawn[0].get_facecolor()) == style_of("btsr-ce").colour.lower()
    assert [bar.get_hatch() for bar in drawn] == [style_of("btsr-ce").hatch] * 3
    ends = [line.get_ydata() for line in left.lines]
    assert [np.nanmax(y) - np.nanmin(y) for y in ends] == pytest.approx([0.01 * 2**0.5] * 6)


def test_a_bar_of_nothing_is_a_zero(results_of: Build, handmade: Callable[..., Any], draw: Draw) -> None:
    maker = handmade()
    record = maker.record("duorec", test={"hr@1/bucket1": 0.2, "hr@1/bucket3": 0.0})
    left, _ = draw("figure1-buckets", results_of(maker, [RunGroup("main", "duorec", "duorec", records=(record,))])).axes
    assert [(text.get_text(), text.xy[0]) for text in left.texts if text.get_text()] == [("0", pytest.approx(2))]


def hits(first: float, ndcg: float) -> dict[str, float]:
    return {"hr@1/bucket1": first, "hr@1/bucket2": 0.02, "hr@1/bucket3": 0.01, "ndcg@20": ndcg}


REGIMES = {
    "sasrec-bce": ("sasrec-bce", None, [hits(0.04, 0.0170), hits(0.06, 0.0180)]),
    "0.1": ("btsr-ce", 0.1, [hits(0.07, 0.0180)]),
    "0.4": ("btsr-ce", 0.4, [hits(0.03, 0.0182)]),
}


def regimes(maker: Any, variants: Mapping[str, tuple[str, float | None, list[dict[str, float]]]]) -> list[RunGroup]:
    return [
        RunGroup(
            "regimes",
            label,
            method,
            alpha,
            records=tuple(maker.record(method, seed, test=test) for seed, test in enumerate(tests)),
        )
        for label, (method, alpha, tests) in variants.items()
    ]


def test_two_regimes_stand_beside_sasrec(results_of: Build, handmade: Callable[..., Any], draw: Draw) -> None:
    maker = handmade()
    figure = draw("figure5-regimes", results_of(maker, regimes(maker, REGIMES)))
    drawn = bars(figure.axes[0])
    heights = {label: [float(bar.get_height()) for bar in container] for label, container in drawn.items()}
    assert heights == {
        "SASRec (BCE)\nNDCG@20 0.0175 ± 0.0007": pytest.approx([0.05, 0.02, 0.01]),
        "BT-SR (CE), α = 0.1\nNDCG@20 0.0180": pytest.approx([0.07, 0.02, 0.01]),
        "BT-SR (CE), α = 0.4\nNDCG@20 0.0182": pytest.approx([0.03, 0.02, 0.01]),
    }
    hatches = [container[0].get_hatch() for container in list(drawn.values())[1:]]
    assert hatches[0] != hatches[1]
    assert [text.get_text() for text in figure.legends[0].get_texts()] == list(heights)
    alone = regimes(maker, {"sasrec-bce": REGIMES["sasrec-bce"], "0.1": ("btsr-ce", 0.1, [])})
    assert FIGURES["figure5-regimes"](results_of(maker, alone)) is None
    partial = regimes(maker, REGIMES | {"0.4": ("btsr-ce", 0.4, [])})
    note = draw("figure5-regimes", results_of(maker, partial)).legends[0].get_title()
    assert "not run: BT-SR (CE), α = 0.4" in note.get_text()


def tasteful(maker: Any, shown: Mapping[str, float]) -> list[RunGroup]:
    """Two seeds of two methods, with divergences of 1 and 2."""
    return [
        RunGroup(
            "main",
            method,
            method,
            records=tuple(maker.record(method, s, test={"popularity_kl@10": 1.0 + s} | shown) for s in range(2)),
        )
        for method in ("popularity", "sasrec-ce")
    ]


def test_divergence_stands_beside_what_users_choose_row_by_row(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    arrays = {
        "history_buckets": np.array([[1, 0, 0], [0.5, 0, 0.5], [0, 0, 0]]),  # the last history is empty
        "target_buckets": np.array([0, 2, 2]),
    }
    left, right = draw("popularity-calibration", results_of(maker, tasteful(maker, SHOWN), lambda _: arrays)).axes
    rows = ["users' histories", "users' targets", "SASRec (CE)", "Most popular"]
    assert [label.get_text() for label in left.get_yticklabels()] == rows
    assert left.get_ylim() == right.get_ylim()
    assert left.get_ylim()[0] > left.get_ylim()[1], "from the top down"
    middles = {label: [bar.get_y() + bar.get_height() / 2 for bar in drawn] for label, drawn in bars(left).items()}
    assert middles == {"SASRec (CE)": pytest.approx([2]), "Most popular": pytest.approx([3])}
    assert [bar.get_y() + bar.get_height() / 2 for bar in right.containers[0]] == pytest.approx([0, 1, 2, 3])
    assert [bar.get_width() for drawn in bars(left).values() for bar in drawn] == pytest.approx([1.5, 1.5])
    widths = {label: [bar.get_width() for bar in drawn] for label, drawn in bars(right).items()}
    assert widths["most popular"] == pytest.approx([0.75, 1 / 3, 0.2, 0.2])  # histories, targets, the two methods
    assert widths["middle"] == pytest.approx([0, 0, 0.3, 0.3])
    assert widths["least popular"] == pytest.approx([0.25, 2 / 3, 0.5, 0.5])
    assert [bar.get_x() for bar in right.containers[2]] == pytest.approx([0.75, 1 / 3, 0.5, 0.5])


def test_runs_without_shares_leave_the_divergence_alone(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    assert len(draw("popularity-calibration", results_of(maker, tasteful(maker, {}))).axes) == 1


def test_rows_are_level_where_a_method_has_no_shares(
    results_of: Build, handmade: Callable[..., Any], draw: Draw
) -> None:
    maker = handmade()
    (popular, without), (_, shared) = tasteful(maker, SHOWN), tasteful(maker, {})
    groups = [popular, RunGroup("main", "sasrec-bce", "sasrec-bce", records=shared.records), without]
    left, right = draw("popularity-calibration", results_of(maker, groups)).axes
    assert [label.get_text() for label in left.get_yticklabels()] == ["SASRec (BCE)", "SASRec (CE)", "Most popular"]
    assert [bar.get_y() + bar.get_height() / 2 for bar in right.containers[0]] == pytest.approx([1, 2])
