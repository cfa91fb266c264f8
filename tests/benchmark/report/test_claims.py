"""Every rule in every verdict on runs made by hand, the paper's claims, and what a report shows of them."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli.arguments import parse
from benchmark.cli.main import Session, main
from benchmark.paper.claims import PAPER_DATASETS, Claim, claims, find_claim, read_claims
from benchmark.plan.config import ConfigError, RunSetting
from benchmark.plan.experiments import experiments
from benchmark.plan.selection import Choice
from benchmark.report.claims.evidence import Judgement, lead, series
from benchmark.report.claims.findings import claims as findings_on
from benchmark.report.claims.findings import claims_tables
from benchmark.report.claims.rules import apply, check_rule
from benchmark.report.comparison import MainComparison
from benchmark.report.material import ExperimentRuns, Material, VariantRuns
from benchmark.report.report import report
from benchmark.report.rows import RunSet
from benchmark.report.tables.latex import to_latex
from benchmark.report.tables.markdown import to_markdown
from benchmark.store.store import Store

USERS = 40
HIT, MISS = (1,), (0,)
MIXED = (1, 0), (0, 1)
"""Two rankings over users, each right where the other is wrong."""

Sides = Mapping[str, Sequence[Mapping[str, float] | None]]
SURE = (0.040, 0.061, 0.082)  # ahead of BASE by .010, .011, .012: t = 19.05, p = .0027
BASE = (0.030, 0.050, 0.070)
UNSURE = (0.040, 0.070, 0.100)  # ahead by .01, .02, .03: t = 3.464, p = .074


class Bench:
    """Makes a Material of sides such as `alpha:0.1` with the test metrics of seeds 0, 1, ...; None is no run."""

    def __init__(self, maker: Any) -> None:
        self.maker = maker

    def __call__(self, sides: Sides, ranks: Mapping[str, tuple[int, ...]] | None = None, **changes: Any) -> Material:
        arrays: dict[tuple[str, int], Any] = {}
        main_records: list[Any] = []
        variants: dict[str, list[VariantRuns]] = {}
        labels = {name: {v.label: v.method for v in e.variants} for name, e in experiments(self.maker.dataset).items()}
        for side, values in sides.items():
            experiment, _, label = side.partition(":")
            method, records = labels[experiment][label], []
            for seed, test in enumerate(values):
                if test is not None:
                    validation = {"ndcg@10": test.get("validation", test.get("ndcg@10", 0.1))}
                    settings = {} if experiment == "main" else {"side": side}
                    record = self.maker.record(
                        method, seed, test=test, validation=validation, settings=settings, **changes
                    )
                    records.append(record)
                    if side in (ranks or {}):
                        arrays[record.key, seed] = self.maker.arrays((ranks or {})[side])
            if experiment == "main":
                main_records += records
            else:
                variants.setdefault(experiment, []).append(VariantRuns(label, method, tuple(records), {}))
        return assemble(self.maker, main_records, variants, arrays)


def assemble(maker: Any, records: Sequence[Any], variants: Mapping[str, Any], arrays: Mapping[Any, Any]) -> Material:
    runs = RunSet(maker.dataset, maker.title, maker.synthetic, RunSetting(), tuple(records))

    def load(record: Any) -> Any:
        return arrays.get((record.key, record.seed))

    found = {name: ExperimentRuns(name, name, tuple(each)) for name, each in variants.items()}
    return Material(runs, compared(runs), found, load)


def compared(runs: RunSet) -> MainComparison | None:
    """All that claims take from a comparison is who represents BT-SR."""
    if not any(record.method == "btsr-ce" for record in runs.records):
        return None
    return MainComparison(runs, Choice("btsr-ce", {}), (), (), (), None)


@pytest.fixture
def bench(handmade: Callable[..., Any]) -> Bench:
    return Bench(handmade(users=USERS))


def of(metric: str, values: Sequence[float]) -> list[dict[str, float]]:
    return [{metric: value} for value in values]


def verdict(rule: str, material: Material, **parameters: Any) -> str:
    return apply(rule, material, parameters, "test").verdict


# --- comparisons ----------------------------------------------------------------------------------------------------


def test_three_seeds_are_tested_over_seeds(bench: Bench) -> None:
    material = bench({"views:twin": of("ndcg@10", UNSURE), "views:mask": of("ndcg@10", BASE)})
    reading = lead(series(material, "views:twin", "ndcg@10"), series(material, "views:mask", "ndcg@10"), "ndcg@10")
    t = 0.02 / (0.01 / math.sqrt(3))
    assert reading.lead == pytest.approx(0.02)
    assert reading.p == pytest.approx(1 - t / math.sqrt(t * t + 2))
    # (t_{.975} + t_{.8}) with two degrees of freedom are 4.3027 + 1.0607; times .01 / sqrt(3)
    assert reading.text == (
        "ndcg@10: view twin 0.0700, view mask 0.0500, difference +0.0200; paired t-test over 3 seeds, p = .074; "
        "detectable: 0.0310 over 3 seeds"
    )


def test_two_seeds_that_agree_are_read_over_users(bench: Bench) -> None:
    sides = {"views:twin": of("hr@10", (1, 1)), "views:mask": of("hr@10", (0, 0))}
    reading = two_sides(bench(sides, {"views:twin": HIT, "views:mask": MISS}))
    assert reading.p == pytest.approx(2 / 2001)  # no resample of users is ever on the other side
    assert "2 seeds, too few for a test over seeds; bootstrap over 40 users, p < .001" in reading.text
    assert math.isnan(two_sides(bench(sides)).p)  # without ranks there is nothing else to read


def test_seeds_that_disagree_and_a_single_seed_decide_nothing(bench: Bench) -> None:
    ranks = {"views:twin": HIT, "views:mask": MISS}
    apart = two_sides(bench({"views:twin": of("hr@10", (1, 0.4)), "views:mask": of("hr@10", (0, 0.5))}, ranks))
    assert math.isnan(apart.p)
    assert "but the seeds disagree" in apart.text
    single = two_sides(bench({"views:twin": of("hr@10", (1,)), "views:mask": of("hr@10", (0,))}, ranks))
    assert math.isnan(single.p)
    assert "1 seed, too few" in single.text


def test_sides_without_a_common_seed(bench: Bench) -> None:
    reading = two_sides(bench({"views:twin": [{"hr@10": 1.0}], "views:mask": [None, {"hr@10": 0.0}]}))
    assert (reading.ran, math.isnan(reading.p)) == (True, True)
    assert "no seed in common" in reading.text


def two_sides(material: Material) -> Any:
    return lead(series(material, "views:twin", "hr@10"), series(material, "views:mask", "hr@10"), "hr@10")


def test_users_of_a_bucket(bench: Bench) -> None:
    maker = bench.maker
    record = maker.record("btsr-ce", 0, test={"hr@10/bucket2": 0.5}, settings={"side": "x"})
    arrays = maker.arrays((1, 0, 0, 0)) | {"target_buckets": np.arange(USERS) % 2}  # of bucket 2 nobody is hit
    runs = {"views": [VariantRuns("twin", "btsr-ce", (record,), {})]}
    material = assemble(maker, [], runs, {(record.key, 0): arrays})
    first, second = (series(material, "views:twin", f"hr@10/bucket{i}").users([0]) for i in (1, 2))
    assert np.array_equal(np.asarray(first), [1.0, 0.0] * 10)
    assert np.array_equal(np.asarray(second), [0.0] * 20)


def test_ahead_in_all_verdicts(bench: Bench) -> None:
    pairs = {"pairs": [["views:twin", "views:mask"]], "metrics": ["ndcg@10"]}

    def outcome(twin: Sequence[float], mask: Sequence[float], **more: float) -> str:
        sides = {"views:twin": of("ndcg@10", twin), "views:mask": of("ndcg@10", mask)}
        return verdict("ahead", bench({side: runs for side, runs in sides.items() if runs}), **pairs, **more)

    assert outcome(SURE, BASE) == "confirmed"
    assert outcome(BASE, SURE) == "contradicted"
    assert outcome(UNSURE, BASE) == "inconclusive"
    assert outcome(SURE, ()) == outcome((), BASE) == "not run"
    # a drop of 6 % of .1 leaves .094
    assert outcome((0.1, 0.1, 0.1), (0.0929, 0.0930, 0.0931), margin=0.06) == "confirmed"
    assert outcome((0.1, 0.1, 0.1), (0.0949, 0.0950, 0.0951), margin=0.06) == "contradicted"


def test_one_number_of_several_contradicts_only_after_holm(bench: Bench) -> None:
    pairs = [["views:twin", f"views:{other}"] for other in ("mask", "crop", "reorder")]
    behind = {"views:twin": of("ndcg@10", BASE), "views:mask": of("ndcg@10", (0.04, 0.0615, 0.083))}
    undecided = {side: of("ndcg@10", UNSURE) for side in ("views:crop", "views:reorder")}
    # behind by .010, .0115, .013: t = 13.28, p = .0056, times three = .017; the others p = .074
    assert verdict("ahead", bench(behind | undecided), pairs=pairs, metrics=["ndcg@10"]) == "contradicted"
    weaker = behind | {"views:mask": of("ndcg@10", (0.04, 0.062, 0.085))}  # by .010, .012, .015: p = .014, times 3 .041
    assert verdict("ahead", bench(weaker | undecided), pairs=pairs, metrics=["ndcg@10"]) == "contradicted"
    weakest = behind | {
        "views:mask": of("ndcg@10", (0.04, 0.063, 0.087))
    }  # by .010, .013, .017: p = .023, times 3 .068
    assert verdict("ahead", bench(weakest | undecided), pairs=pairs, metrics=["ndcg@10"]) == "inconclusive"


SIX = ("sasrec-bce", "sasrec-ce", "sasrec-sce", "cl4srec", "duorec", "ec4srec")


def table_2(btsr: Sequence[float], best: Sequence[float], metric: str = "ndcg@10", names: Sequence[str] = SIX) -> Sides:
    """The best baseline is SASRec (CE); the others have 0.001, 0.002, 0.003."""
    others = {f"main:{name}": of(metric, (0.001, 0.002, 0.003)) for name in names}
    return others | {"main:sasrec-ce": of(metric, best), "main:btsr-ce": of(metric, btsr)}


def test_against_baselines_in_all_verdicts(bench: Bench) -> None:
    def outcome(sides: Sides, **parameters: Any) -> Judgement:
        return apply("against_baselines", bench(sides), {"metrics": ["ndcg@10"]} | parameters, "test")

    assert outcome(table_2(SURE, BASE)).verdict == "confirmed"
    assert outcome(table_2(UNSURE, BASE)).verdict == "inconclusive"
    behind = outcome(table_2(BASE, SURE))
    assert behind.verdict == "contradicted"
    assert "(times 6, as the best of as many: = .016); printed +6.2%" in behind.numbers[0]  # .0027 times 6
    # behind by .010, .012, .015: p = .014 is not enough for the best of six
    assert outcome(table_2(BASE, (0.04, 0.062, 0.085))).verdict == "inconclusive"
    some = outcome(table_2(SURE, BASE, names=["sasrec-ce", "duorec"]))
    assert some.verdict == "inconclusive"
    assert "2 of 6 baselines were run" in some.numbers[0]
    assert outcome({"main:btsr-ce": of("ndcg@10", SURE)}).verdict == "not run"
    assert outcome({}).verdict == "not run"
    assert outcome(table_2(BASE, SURE), place="behind").verdict == "confirmed"
    assert outcome(table_2(SURE, BASE), place="behind").verdict == "contradicted"
    assert outcome(table_2(BASE, SURE), rivals=["duorec"]).verdict == "confirmed"


def test_slightly_behind_is_not_far_behind(bench: Bench) -> None:
    def outcome(btsr: float) -> str:
        sides = table_2([btsr, btsr + 1e-5, btsr - 1e-5], (0.1, 0.1, 0.1))
        return verdict("against_baselines", bench(sides), metrics=["ndcg@10"], place="behind", at_most=0.1)

    assert [outcome(0.095), outcome(0.085), outcome(0.105)] == ["confirmed", "contradicted", "contradicted"]


def test_lower_is_better_where_said(bench: Bench) -> None:
    sides = {f"main:{name}": of("overlap", (0.5, 0.5, 0.5)) for name in SIX}
    sides |= {"main:btsr-ce": of("overlap", (0.399, 0.400, 0.401))}
    assert verdict("against_baselines", bench(sides), metrics=["overlap"], better="lower") == "confirmed"
    assert verdict("against_baselines", bench(sides), metrics=["overlap"]) == "contradicted"


def test_printed_cells_alone_are_looked_at(bench: Bench, handmade: Callable[..., Any]) -> None:
    yelp, values = Bench(handmade("yelp", "Yelp", users=USERS)), [{"hr@5": 0.1, "hr@10": 0.1}] * 3
    sides = {f"main:{name}": values for name in (*SIX, "btsr-ce")}
    found = apply("against_baselines", yelp(sides), {"metrics": ["hr@5", "hr@10"], "printed": "lead"}, "test")
    assert [text.partition(":")[0] for text in found.numbers] == ["hr@5"]  # printed -1.4 % at hr@10


def test_stars_need_seeds(bench: Bench) -> None:
    sides = table_2((1.0, 1.0), (0.0, 0.0), "hr@10")
    material = bench(sides, {"main:btsr-ce": HIT} | {f"main:{name}": MISS for name in SIX})
    assert verdict("against_baselines", material, metrics=["hr@10"], rivals=["sasrec-ce"]) == "confirmed"
    assert (
        verdict("against_baselines", material, metrics=["hr@10"], rivals=["sasrec-ce"], seeds_alone=True)
        == "inconclusive"
    )


# --- sweeps ---------------------------------------------------------------------------------------------------------

ALPHAS = ("0", "0.1", "0.2", "0.3", "0.4", "0.5")


def alphas(metric: str, curve: Sequence[float], seeds: int = 3) -> dict[str, list[dict[str, float]]]:
    """A curve whose seeds lie .01 apart, all alike but for a thousandth of that."""
    wiggle = [(0, 1e-5, -1e-5), (1e-5, 0, -1e-5)]
    return {
        f"alpha:{label}": of(metric, [y + 0.01 * seed + wiggle[i % 2][seed] for seed in range(seeds)])
        for i, (label, y) in enumerate(zip(ALPHAS, curve, strict=False))
    }


def test_peaks_in_all_verdicts(bench: Bench) -> None:
    def outcome(curve: Sequence[float], seeds: int = 3) -> str:
        material = bench(alphas("hr@1", curve, seeds))
        return verdict("peaks", material, experiment="alpha", at=["0", "0.1"], metrics=["hr@1"])

    assert outcome((0.1, 0.3, 0.2, 0.1, 0.1, 0.1)) == "confirmed"
    assert outcome((0.1, 0.2, 0.3, 0.1, 0.1, 0.1)) == "contradicted"
    assert outcome((0.1, 0.2, 0.2, 0.1, 0.1, 0.1)) == "inconclusive"
    assert outcome((0.1, 0.3, 0.2, 0.1, 0.1)) == "inconclusive"  # who knows what 0.5 would have shown
    assert outcome((0.1, 0.3, 0.2, 0.1, 0.1, 0.1), seeds=1) == "inconclusive"
    assert outcome((0.1, 0.2)) == outcome(()) == "not run"


def test_trend_in_all_verdicts(bench: Bench) -> None:
    def outcome(curve: Sequence[float], seeds: int = 3) -> str:
        return verdict(
            "trend", bench(alphas("cov@10", curve, seeds)), experiment="alpha", metrics=["cov@10"], rises=True
        )

    up = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert outcome(up) == outcome((0.1, 0.3, 0.2, 0.4, 0.5, 0.6)) == "confirmed"  # one swap of 15 pairs: p = .017
    assert outcome((0.1, 0.3, 0.2, 0.5, 0.4, 0.6)) == "inconclusive"  # two swaps: p = .056
    assert outcome(up[::-1]) == "contradicted"
    assert outcome(up, seeds=1) == "inconclusive"
    assert outcome(up[:4]) == "inconclusive"  # four values in order have p = 2/24
    assert outcome(up[:1]) == outcome(()) == "not run"
    found = apply(
        "trend", bench(alphas("cov@10", up)), {"experiment": "alpha", "metrics": ["cov@10"], "rises": True}, "test"
    )
    assert "Kendall's tau +1.00 over 6 of 6 values, p = .003" in found.numbers[0]  # 2/720


def test_ratio_in_all_verdicts(bench: Bench) -> None:
    parameters = {"experiment": "alpha", "start": "0", "end": "0.5", "metric": "cov@10", "at_least": 1.75, "below": 1.5}

    def outcome(last: Sequence[float]) -> str:
        sides = {"alpha:0": of("cov@10", (0.1, 0.2)), "alpha:0.5": of("cov@10", last)}
        return verdict("ratio", bench(sides), **parameters)

    assert outcome((0.18, 0.36)) == "confirmed"
    assert outcome((0.14, 0.22)) == "contradicted"
    assert outcome((0.18, 0.22)) == outcome((0.16, 0.32)) == "inconclusive"
    assert outcome((0.18,)) == "inconclusive"  # one seed
    assert outcome(()) == "not run"


def test_grows_in_all_verdicts(bench: Bench) -> None:
    def outcome(first: Sequence[float], last: Sequence[float]) -> str:
        sides = {"alpha:0": of("cov@10", first), "alpha:0.5": of("cov@10", last)}
        return verdict(
            "grows",
            bench(sides),
            experiment="alpha",
            start="0",
            end="0.5",
            metric="cov@10",
            zero=0.0005,
            at_least=0.0075,
        )

    assert outcome((0, 0.0004), (0.016, 0.008)) == "confirmed"
    assert outcome((0.01, 0.001), (0.016, 0.008)) == "contradicted"  # never from 0
    assert outcome((0, 0), (0.001, 0.0)) == "contradicted"  # never far
    assert outcome((0, 0.001), (0.016, 0.008)) == "inconclusive"
    assert outcome((0,), (0.016,)) == "inconclusive"
    assert outcome((), (0.016,)) == "not run"


def test_drops_in_all_verdicts(bench: Bench, handmade: Callable[..., Any]) -> None:
    parameters = {
        "experiment": "alpha",
        "start": ["0", "0.1"],
        "end": "0.5",
        "metric": "hr@1",
        "low": 0.015,
        "high": 0.035,
    }
    yelp = apply("drops", Bench(handmade("yelp", "Yelp"))({}), parameters, "test")
    assert yelp == Judgement("contradicted", ("hr@1: Table 2 prints at most 0.0049, less than 0.0150",))
    assert verdict("drops", bench({}), **parameters) == "not run"

    def outcome(low: Sequence[float], high: Sequence[float]) -> str:
        sides = {"alpha:0": of("hr@1", [0.01] * 3), "alpha:0.1": of("hr@1", low), "alpha:0.5": of("hr@1", high)}
        return verdict("drops", bench(sides), **parameters)

    assert outcome((0.05, 0.06, 0.07), (0.026, 0.035, 0.044)) == "confirmed"  # by .024, .025, .026
    assert outcome((0.05, 0.06, 0.07), (0.04, 0.051, 0.062)) == "contradicted"  # by .01, .009, .008
    assert outcome((0.05, 0.06, 0.07), (0.04, 0.02, 0.07)) == "inconclusive"  # by .01, .04, 0
    assert outcome((0.05,), (0.025,)) == "inconclusive"


def test_a_drop_over_users_where_seeds_are_few(bench: Bench) -> None:
    sides = {"alpha:0": of("hr@1", (0.5, 0.5)), "alpha:0.5": of("hr@1", (0.5, 0.5))}
    parameters = {"experiment": "alpha", "start": ["0"], "end": "0.5", "metric": "hr@1", "low": 0.015, "high": 0.035}
    same = apply("drops", bench(sides, {"alpha:0": HIT, "alpha:0.5": HIT}), parameters, "test")
    assert same.verdict == "contradicted"  # no user differs, so no resample does
    mixed = apply("drops", bench(sides, {"alpha:0": MIXED[0], "alpha:0.5": MIXED[1]}), parameters, "test")
    assert mixed.verdict == "inconclusive"
    assert "over users (2 seeds, too few for an interval over seeds)" in mixed.numbers[0]


def test_hurts_takes_the_value_that_validation_chooses(bench: Bench) -> None:
    def outcome(zero: Sequence[float], chosen: Sequence[float], others: Sequence[str] = ALPHAS[2:]) -> str:
        sides = {"alpha:0": of("ndcg@10", zero)}
        sides["alpha:0.1"] = [{"ndcg@10": value, "validation": 0.9} for value in chosen]
        # better on test, worse on validation: never taken
        sides |= {f"alpha:{label}": [{"ndcg@10": 0.9, "validation": 0.1}] * 3 for label in others}
        return verdict("hurts", bench(sides), experiment="alpha", label="0", metric="ndcg@10")

    assert outcome(BASE, SURE) == "confirmed"
    assert outcome(SURE, BASE) == "contradicted"
    assert outcome(SURE, BASE, ["0.2"]) == "inconclusive"  # another value might have been chosen
    assert outcome(BASE, UNSURE) == "inconclusive"
    assert outcome((), SURE) == outcome(BASE, (), []) == "not run"


def test_balance_in_all_verdicts(bench: Bench) -> None:
    def outcome(ndcg: Sequence[float], cov: Sequence[float]) -> str:
        sides = {
            f"alpha:{label}": [{"ndcg@10": n + wiggle, "cov@10": c} for wiggle in (-1e-5, 0, 1e-5 * (1 + i))]
            for i, (label, n, c) in enumerate(zip(ALPHAS, ndcg, cov, strict=False))
        }
        return verdict(
            "balance", bench(sides), experiment="alpha", at=["0.2", "0.3", "0.4"], metrics=["ndcg@10", "cov@10"]
        )

    flat = (0.1,) * 6
    # shares of the highest: .95 and .9 at 0.2 against 1 and .5 at 0, .5 and 1 at 0.5
    assert outcome((0.1, 0.1, 0.095, 0.09, 0.08, 0.05), (0.1, 0.1, 0.18, 0.18, 0.18, 0.2)) == "confirmed"
    assert outcome((0.1, 0.09, 0.08, 0.07, 0.06, 0.05), (0.2, 0.1, 0.1, 0.1, 0.1, 0.1)) == "contradicted"
    assert outcome(flat, flat) == "inconclusive"
    assert outcome((), ()) == outcome((0.1,), (0.1,)) == "not run"


# --- other rules ----------------------------------------------------------------------------------------------------


def test_loses_less_in_all_verdicts(bench: Bench) -> None:
    def outcome(btsr: Sequence[float], plain: Sequence[float]) -> str:
        sides = {f"noise:{method} 0": of("ndcg@10", (0.1, 0.2, 0.3)) for method in ("btsr-ce", "sasrec-ce")}
        sides |= {"noise:btsr-ce 0.4": of("ndcg@10", btsr), "noise:sasrec-ce 0.4": of("ndcg@10", plain)}
        pairs = {
            name: [f"noise:{method} 0", f"noise:{method} 0.4"]
            for name, method in {"robust": "btsr-ce", "other": "sasrec-ce"}.items()
        }
        return verdict("loses_less", bench(sides), metric="ndcg@10", **pairs)

    less, more = (0.09, 0.19, 0.29), (0.05, 0.151, 0.249)
    assert (outcome(less, more), outcome(more, less)) == ("confirmed", "contradicted")
    assert outcome(less, less) == "inconclusive"
    assert outcome(less, ()) == "not run"


def test_steadier_in_all_verdicts(bench: Bench) -> None:
    def outcome(twin: Sequence[float], projector: Sequence[float]) -> str:
        sides = {"views:twin": of("ndcg@10", twin), "views:projector": of("ndcg@10", projector)}
        return verdict("steadier", bench(sides), steady="views:twin", other="views:projector", metric="ndcg@10")

    calm, wild = (0.100, 0.101, 0.102), (0.05, 0.10, 0.15)  # F = 50^2 with (2, 2): p = 2 / (1 + 2500)
    assert (outcome(calm, wild), outcome(wild, calm)) == ("confirmed", "contradicted")
    assert outcome(calm, (0.1, 0.102, 0.104)) == "inconclusive"  # F = 4: p = .4
    assert outcome(calm[:2], wild[:2]) == outcome((0.1, 0.1, 0.1), wild) == "inconclusive"
    assert outcome(calm, ()) == "not run"


def test_slower_in_all_verdicts(bench: Bench, handmade: Callable[..., Any]) -> None:
    maker = handmade()

    def outcome(seconds: Sequence[float], device: str = "cpu") -> str:
        records = [maker.record("btsr-ce", seed, timings={"fit_seconds": 10.0}) for seed in range(2)]
        for seed, value in enumerate(seconds):
            record = maker.record("two-stage", seed, timings={"fit_seconds": value})
            records.append(replace(record, hardware=record.hardware | {"device": device}))
        material = assemble(maker, records, {}, {})
        pairs = [["main:two-stage", "main:btsr-ce"]]
        return verdict("slower", material, pairs=pairs, timing="fit_seconds", at_least=1.5)

    assert outcome((16.0, 15.0)) == "confirmed"
    assert outcome((9.0, 5.0)) == "contradicted"
    assert outcome((16.0, 12.0)) == outcome((16.0,)) == outcome((16.0, 15.0), "cuda") == "inconclusive"
    assert outcome(()) == "not run"


def test_target_scores_come_from_the_density(bench: Bench) -> None:
    material = bench({"main:btsr-ce": [{"ndcg@10": 0.1}]}, {"main:btsr-ce": HIT})
    assert series(material, "main:btsr-ce", "target_score").mean == pytest.approx(4.0, abs=1e-3)  # its peak is at 4
    assert series(bench({"main:btsr-ce": [{"ndcg@10": 0.1}]}), "main:btsr-ce", "target_score").values == {}


# --- the claims of the paper ----------------------------------------------------------------------------------------


def sides_in(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [side for each in value.values() for side in sides_in(each)]
    if isinstance(value, list):
        return [side for each in value for side in sides_in(each)]
    return [value] if isinstance(value, str) and ":" in value else []


METRIC_NAMES = re.compile(
    r"(hr|ndcg)@(1|5|10|20|50)(/bucket[123])?|cov@(1|5|10)(/bucket[123]/items)?|overlap|effective_rank|ece"
    r"|popularity_kl@10|target_score"
)


@pytest.mark.parametrize("claim", claims(), ids=lambda claim: claim.id)
def test_a_claim_speaks_of_what_there_is(claim: Claim) -> None:
    check_rule(claim.rule, claim.parameters, claim.id)
    assert claim.quote
    assert claim.place
    for dataset in (*claim.datasets, "synthetic"):
        known, parameters = experiments(dataset), claim.parameters_on(dataset)
        for side in sides_in(parameters):
            experiment, _, label = side.partition(":")
            assert experiment in claim.experiments
            assert label in [variant.label for variant in known[experiment].variants]
        labels = [*parameters.get("at", []), *parameters.get("among", [])]
        labels += [parameters[name] for name in ("start", "end", "label") if isinstance(parameters.get(name), str)]
        if "experiment" in parameters:
            assert parameters["experiment"] in claim.experiments
            assert set(labels) <= {variant.label for variant in known[parameters["experiment"]].variants}
        for metric in [*parameters.get("metrics", []), *filter(None, [parameters.get("metric")])]:
            assert METRIC_NAMES.fullmatch(metric)


def test_the_claims_cover_the_paper() -> None:
    assert len(claims()) == len({claim.id for claim in claims()}) >= 40
    assert {dataset for claim in claims() for dataset in claim.datasets} == set(PAPER_DATASETS)
    assert find_claim("regimes-beat-baseline").methods == ("sasrec-bce", "btsr-ce")
    assert find_claim("alpha-zero-hurts").methods == ("btsr-ce", "btsr-sce")


GOOD = {
    "id": '"a"',
    "quote": '"q"',
    "place": '"p"',
    "datasets": '["ml-1m"]',
    "experiments": '["main"]',
    "methods": '["btsr"]',
    "rule": '"ahead"',
}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"datasets": '["ml-2m"]'}, "claim 1 ('a'): unknown name 'ml-2m' in 'datasets'; did you mean 'ml-1m'?"),
        ({"datasets": '["synthetic"]'}, "unknown name 'synthetic' in 'datasets'"),
        ({"experiments": '["mains"]'}, "unknown name 'mains' in 'experiments'; did you mean 'main'?"),
        ({"methods": '["btsr-cee"]'}, "unknown method 'btsr-cee'; did you mean 'btsr-ce'?"),
        ({"methods": "[]"}, "'methods' must be a list of names"),
        ({"quote": "1"}, "'quote' must be a text"),
        ({"rule": None}, "'rule' is missing"),
        ({"rules": '"a"'}, "unknown key 'rules'; did you mean 'rule'?"),
        ({"with": "3"}, "'with' must be a table"),
        ({"id": '"a'}, "cannot be read as TOML"),
    ],
)
def test_a_wrong_file_is_one_clear_line(tmp_path: Path, changes: dict[str, str | None], message: str) -> None:
    path = tmp_path / "claims.toml"
    lines = [f"{key} = {value}" for key, value in (GOOD | changes).items() if value is not None]
    path.write_text("\n".join(["[[claim]]", *lines]))
    with pytest.raises(ConfigError, match=re.escape(message)) as caught:
        read_claims(path)
    assert "\n" not in str(caught.value).strip()


def test_ids_are_unique(tmp_path: Path) -> None:
    path = tmp_path / "claims.toml"
    path.write_text("\n".join(["[[claim]]", *(f"{key} = {value}" for key, value in GOOD.items())] * 2))
    with pytest.raises(ConfigError, match="two claims have the id 'a'"):
        read_claims(path)
    path.write_text("[claims]\n")
    with pytest.raises(ConfigError, match=r"expected \[\[claim\]\] tables"):
        read_claims(path)


@pytest.mark.parametrize(
    ("rule", "parameters", "message"),
    [
        ("aheads", {}, "unknown rule 'aheads'; did you mean 'ahead'?"),
        ("ahead", {"pairs": [], "metric": []}, "rule 'ahead' has no parameter 'metric'; did you mean 'metrics'?"),
        ("ahead", {"pairs": []}, "rule 'ahead' needs the parameter 'metrics'"),
    ],
)
def test_a_wrong_rule_is_named(rule: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(message)):
        check_rule(rule, parameters, "x")


# --- findings and their tables --------------------------------------------------------------------------------------


@pytest.fixture
def full(bench: Bench) -> Material:
    """Three seeds of everything that is needed for all claims about ML-1M."""
    metrics = ["ndcg@10", "hr@1", "hr@10", "cov@10", "overlap", "effective_rank", "hr@10/bucket2", "hr@1/bucket1"]
    names = experiments("ml-1m")
    sides = {}
    for i, variant in enumerate(names["main"].variants):
        sides[f"main:{variant.label}"] = [dict.fromkeys(metrics, 0.1 + 0.01 * i + 0.001 * s) for s in range(3)]
    for name in ("alpha", "views", "lambda", "noise"):
        for i, variant in enumerate(names[name].variants):
            sides[f"{name}:{variant.label}"] = [dict.fromkeys(metrics, 0.1 + 0.01 * i + 0.001 * s) for s in range(3)]
    return bench(sides)


def test_losing_a_record_makes_gaps_and_no_error(full: Material) -> None:
    about_ml = [claim for claim in claims() if "ml-1m" in claim.datasets]
    before = {f.claim.id: f.verdict for f in findings_on([full], about_ml) if f.reported}
    assert {"confirmed", "contradicted", "inconclusive", "not run"} == set(before.values())
    # what is left without one method or one experiment
    for method in ("sasrec-ce", "btsr-ce", "duorec"):
        records = tuple(record for record in full.runs.records if record.method != method)
        runs = replace(full.runs, records=records)
        after = findings_on([replace(full, runs=runs, comparison=compared(runs))], about_ml)
        assert len([f for f in after if f.reported]) == len(before)
    for name, experiment in full.experiments.items():
        variants = tuple(replace(variant, done=variant.done[1:]) for variant in experiment.variants)
        thinner = replace(full, experiments={name: replace(experiment, variants=variants)})
        swept = [claim for claim in about_ml if claim.experiments == (name,)]
        assert swept
        for finding in findings_on([thinner], swept):
            assert {finding.verdict, before[finding.claim.id]} != {"confirmed", "contradicted"} or not finding.reported
        empty = replace(full, experiments={})
        assert {f.verdict for f in findings_on([empty], swept) if f.reported} == {"not run"}
    nothing = Material(replace(full.runs, records=()), None, {}, lambda _: None)
    assert {f.verdict for f in findings_on([nothing]) if f.reported} == {"not run"}


def test_every_finding_has_the_command_that_would_run_it(bench: Bench, full: Material) -> None:
    found = {(f.claim.id, f.dataset): f for f in findings_on([full])}
    finding = found["lambda-zero-hurts", "gowalla"]
    assert (finding.verdict, finding.reported) == ("not run", False)
    assert finding.command == "python run_all.py --claim lambda-zero-hurts --dataset gowalla"
    assert ("gowalla-hr1-peak", "ml-1m") not in found
    assert found["hr1-drop-pp", "yelp"].verdict == "contradicted"  # plain arithmetic, no run
    quick = bench(
        {"main:btsr-ce": [{"hr@1": 0.1}]},
        command="python run_all.py --interactions 'my file.csv' --set a.b=1 --seeds 0",
    )
    [first, *_] = findings_on([quick])
    assert first.command.endswith("--claim bt-improves-objectives --interactions 'my file.csv' --set a.b=1")
    broken = bench({"main:btsr-ce": [{"hr@1": 0.1}]}, command="python 'run_all.py --profile quick")
    assert findings_on([broken])[0].command.endswith("--profile quick")


def test_tables_show_every_verdict(full: Material) -> None:
    findings = findings_on([full])
    overview, details, frame = claims_tables(findings)
    text = to_markdown([*overview, *details])
    head = "| claim | where | ML-1M | Beauty | Yelp | Gowalla | Kindle Store |"
    assert text.count(head) == 2
    assert "| hr1-drop-pp | Section 5.2, Figures 3 and 4 |" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| gowalla-hr1-peak | Appendix"))
    assert row == "| gowalla-hr1-peak | Appendix A, Figure 6 | – | – | – | not run | – |"
    assert len(details) == 1  # of what is reported
    assert len(frame) == len(findings) == sum(len(claim.datasets) for claim in claims())
    assert set(frame["verdict"]) == {"confirmed", "contradicted", "inconclusive", "not run"}
    tex = to_latex(overview)
    assert tex.count(r"\begin{table*}") == 2
    assert r"\textbf{contradicted}" in tex
    counts = {verdict: sum(f.verdict == verdict for f in findings if f.reported) for verdict in set(frame["verdict"])}
    assert f"ML-1M: {counts['confirmed']} confirmed, {counts['contradicted']} contradicted, " in overview[-1].notes[1]


def test_synthetic_data_is_marked_and_stands_alone(handmade: Callable[..., Any]) -> None:
    material = Bench(handmade("synthetic", "Synthetic", synthetic=True))({"main:btsr-ce": of("ndcg@10", SURE)})
    findings = findings_on([material])
    assert {f.dataset for f in findings} == {"synthetic"}
    assert len(findings) == len(claims())
    overview, details, frame = claims_tables(findings)
    assert all(table.caption.startswith("SYNTHETIC DATA") for table in (*overview, *details))
    assert overview[0].heads[-1].second == "SYNTHETIC"
    assert frame["synthetic"].all()
    assert "(SYNTHETIC DATA)" in findings[0].as_text()


def test_a_report_writes_them_for_all_datasets_of_a_setting(
    store: Store, handmade: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("benchmark.report.report.TABLES", {})
    monkeypatch.setattr("benchmark.report.report.FIGURES", {})
    for dataset, title in (("ml-1m", "ML-1M"), ("beauty", "Beauty")):
        maker = handmade(dataset, title)
        maker.write_data(store)
        for method in ("sasrec-bce", "sasrec-ce"):
            for seed in range(3):
                test = {"ndcg@10": (SURE if method == "sasrec-ce" else BASE)[seed]}
                store.save(maker.record(method, seed, test=test), maker.arrays())
    report(store, tmp_path / "out", ["ml-1m", "beauty"], None, print)
    written = {path.name for path in (tmp_path / "out" / "tables").iterdir()}
    assert {"claims.md", "claims.csv", "claims.tex"} <= written
    text = (tmp_path / "out" / "tables" / "claims.md").read_text()
    assert "| ce-beats-bce | Section 2.2 | **confirmed** | **confirmed** | not run | not run | not run |" in text


# --- the command line -----------------------------------------------------------------------------------------------


def test_a_claim_says_what_to_run(tmp_path: Path) -> None:
    options = parse(["--claim", "regimes-beat-baseline", "--out-dir", str(tmp_path)])
    assert (options.experiments, options.methods) == (["regimes"], ["sasrec-bce", "btsr-ce"])
    assert [target.name for target in Session(options).targets] == ["yelp"]
    both = parse(["--claim", "substitution-costs", "--out-dir", str(tmp_path)])
    assert [target.name for target in Session(both).targets] == ["yelp", "kindle-store"]
    narrowed = parse(["--claim", "substitution-costs", "--dataset", "synthetic", "--out-dir", str(tmp_path)])
    assert [target.name for target in Session(narrowed).targets] == ["synthetic"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--claim", "ce-beat-bce"], "--claim: unknown claim 'ce-beat-bce'; did you mean 'ce-beats-bce'?"),
        (["--claim", "ce-beats-bce", "--methods", "btsr"], "leave out --methods and --experiments"),
        (["--claim", "ce-beats-bce", "--experiments", "main"], "leave out --methods and --experiments"),
        (["--claim", "gowalla-hr1-peak", "--dataset", "yelp"], "does not speak of yelp, only of gowalla"),
    ],
)
def test_what_cannot_be_asked_is_one_line(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1
