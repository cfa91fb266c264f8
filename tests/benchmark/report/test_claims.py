"""Every rule with every verdict on runs made by hand, and how reports show the paper's claims."""

from __future__ import annotations

import math
import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmark.cli.main import parse
from benchmark.paper.claim import (
    AgainstBaselines,
    Ahead,
    Drops,
    Grows,
    Hurts,
    LosesLess,
    Peaks,
    Ratio,
    Rule,
    Steadier,
    Trend,
)
from benchmark.paper.claims import CLAIMS
from benchmark.paper.printed import BTSR, Printed
from benchmark.plan.experiments import experiments
from benchmark.plan.run_spec import RunSetting
from benchmark.report.claims.judged_claims import VERDICTS, claims_tables, judge_claims
from benchmark.report.claims.rules import RULES
from benchmark.report.claims.sides import Side, combined, lead, side, user_differences
from benchmark.report.claims.verdicts import Judgement, Reading, judge
from benchmark.report.query import Results, RunGroup
from benchmark.report.report import report
from benchmark.report.tables.formats import to_latex, to_markdown
from benchmark.store.store import Store
from tests.benchmark.conftest import plans_of, records_in
from tests.benchmark.report.conftest import NUMBERS, USERS, WINDOWS

THE_PAPERS = [claim for claim in CLAIMS.values() if not claim.beyond_the_paper]

HIT, MISS = (1,), (0,)
MIXED = (1, 0), (0, 1)
"""The ranks of two methods, each of which hits exactly the users that the other misses."""

Sides = Mapping[str, Sequence[Mapping[str, float] | None]]
SURE = (0.040, 0.061, 0.082)  # ahead of BASE by .010, .011, .012: t = 19.05, p = 0.0027
BASE = (0.030, 0.050, 0.070)
UNSURE = (0.040, 0.070, 0.100)  # ahead by .01, .02, .03: t = 3.464, p = 0.074


class Bench:
    """Makes Results from sides such as `alpha:0.1`, each with test metrics on seeds 0, 1, ...; None means no run."""

    def __init__(self, maker: Any) -> None:
        self.maker = maker

    def __call__(self, sides: Sides, ranks: Mapping[str, tuple[int, ...]] | None = None, **changes: Any) -> Results:
        arrays: dict[tuple[str, int], Any] = {}
        groups: list[RunGroup] = []
        known = {name: {v.label: v for v in e.variants} for name, e in experiments(self.maker.dataset).items()}
        for name, values in sides.items():
            experiment, _, label = name.partition(":")
            variant, records = known[experiment][label], []
            for seed, test in enumerate(values):
                if test is not None:
                    validation = {"ndcg@10": test.get("validation", test.get("ndcg@10", 0.1))}
                    settings = {} if experiment == "main" else {"side": name}
                    record = self.maker.record(
                        variant.method, seed, test=test, validation=validation, settings=settings, **changes
                    )
                    records.append(record)
                    if name in (ranks or {}):
                        arrays[record.key, seed] = self.maker.arrays((ranks or {})[name])
            groups.append(RunGroup(experiment, label, variant.method, variant.value, records=tuple(records)))
        return assemble(self.maker, groups, arrays)


def assemble(maker: Any, groups: Sequence[RunGroup], arrays: Mapping[Any, Any]) -> Results:
    def load(record: Any) -> Any:
        return arrays.get((record.key, record.seed))

    return Results(maker.dataset, maker.title, maker.synthetic, RunSetting(), groups, load)


def with_groups(results: Results, groups: Sequence[RunGroup]) -> Results:
    return Results(results.dataset, results.title, results.synthetic, results.setting, groups, results.load)


@pytest.fixture
def bench(handmade: Callable[..., Any]) -> Bench:
    return Bench(handmade(users=USERS))


def of(metric: str, values: Sequence[float]) -> list[dict[str, float]]:
    return [{metric: value} for value in values]


def judged(results: Results, rule: Rule) -> Judgement:
    return judge(list(RULES[type(rule)](results, rule)))


def verdict(results: Results, rule: Rule) -> str:
    return judged(results, rule).verdict


# --- comparisons ----------------------------------------------------------------------------------------------------


def test_three_seeds_are_tested_over_seeds(bench: Bench) -> None:
    reading = two_sides(bench({"views:twin": of("ndcg@10", UNSURE), "views:mask": of("ndcg@10", BASE)}), "ndcg@10")
    t = 0.02 / (0.01 / math.sqrt(3))
    assert reading.lead == pytest.approx(0.02)
    assert reading.p == pytest.approx(1 - t / math.sqrt(t * t + 2))
    # (t_{.975} + t_{.8}) with two degrees of freedom are 4.3027 + 1.0607; times .01 / sqrt(3)
    assert reading.text == (
        "ndcg@10: view twin 0.0700, view mask 0.0500, difference +0.0200; paired t-test over 3 seeds, p = 0.074; "
        "detectable: 0.0310 over 3 seeds"
    )


def test_two_seeds_that_agree_are_read_over_users(bench: Bench) -> None:
    sides = {"views:twin": of("hr@10", (1, 1)), "views:mask": of("hr@10", (0, 0))}
    reading = two_sides(bench(sides, {"views:twin": HIT, "views:mask": MISS}))
    assert reading.p == pytest.approx(2 / 2001)  # no resample of users is ever on the other side
    assert "2 seeds, too few for a test over seeds; bootstrap over 40 users, p < 0.001" in reading.text
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


def two_sides(results: Results, metric: str = "hr@10") -> Reading:
    return lead(side(results, "views", "twin", metric), side(results, "views", "mask", metric), metric)


def test_users_of_a_bucket(bench: Bench) -> None:
    maker = bench.maker
    record = maker.record("btsr-ce", 0, test={"hr@10/bucket2": 0.5}, settings={"side": "x"})
    arrays = maker.arrays((1, 0, 0, 0)) | {"target_buckets": np.arange(USERS) % 2}  # of bucket 2 nobody is hit
    group = RunGroup("views", "twin", "btsr-ce", records=(record,))
    results = assemble(maker, [group], {(record.key, 0): arrays})
    first, second = (side(results, "views", "twin", f"hr@10/bucket{i}").users([0]) for i in (1, 2))
    assert np.array_equal(np.asarray(first), [1.0, 0.0] * 10)
    assert np.array_equal(np.asarray(second), [0.0] * 20)


def test_the_smallest_detectable_difference_is_given_if_none_was_detected(bench: Bench) -> None:
    sure = two_sides(bench({"views:twin": of("hr@10", SURE), "views:mask": of("hr@10", BASE)}))
    assert "detectable" not in sure.text
    sides = {"views:twin": of("hr@10", (0.6, 0.6)), "views:mask": of("hr@10", (0.5, 0.5))}
    few = two_sides(bench(sides, {"views:twin": MIXED[0], "views:mask": MIXED[1]}))
    # Differences of +1 and -1 in turn: sd is sqrt(40 / 39), times (1.9600 + .8416) / sqrt(40).
    assert few.text.endswith("; detectable: 0.4486 over 40 users")
    assert "detectable" not in two_sides(bench(sides, {"views:twin": HIT, "views:mask": MISS})).text


def users_of(*values: float) -> Callable[[Any], np.ndarray]:
    return lambda _: np.array(values)


def test_a_weighted_sum_of_sides() -> None:
    first, second = Side("a", {0: 0.5, 1: 0.7}, users_of(1, 0)), Side("b", {1: 0.3, 2: 0.9}, users_of(0, 1))
    both = combined("c", [(2.0, first), (-1.0, second)])
    assert both.values == pytest.approx({1: 1.1})
    assert np.array_equal(np.asarray(both.users([1])), [2, -1])
    constant = Side("coverage", {1: 0.3}, lambda _: 0.25)
    assert np.array_equal(np.asarray(combined("c", [(2.0, first), (4.0, constant)]).users([1])), [3, 1])
    for other in (users_of(1, 0, 0), lambda _: None):  # other users, or arrays that are lost
        assert combined("c", [(1.0, first), (1.0, Side("d", {1: 0.3}, other))]).users([1]) is None
    assert user_differences(first, Side("d", {1: 0.3}, users_of(1, 0, 0)), [1]) is None
    assert user_differences(first, constant, [1]) is None


def test_what_is_no_mean_over_users_is_averaged_over_the_seeds_asked_for(bench: Bench) -> None:
    coverage = side(bench({"views:twin": of("cov@10", (0.1, 0.2, 0.6))}), "views", "twin", "cov@10")
    assert coverage.users([0, 1]) == pytest.approx(0.15)
    assert coverage.users([7]) is None


def test_a_method_may_have_been_run_for_table_1_alone(bench: Bench) -> None:
    results = bench({"objectives:sasrec-ce": of("ndcg@10", BASE)})
    failed = RunGroup("main", "sasrec-ce", "sasrec-ce", missing=(0, 1))
    both = with_groups(results, (failed, *results.groups))
    assert side(both, "main", "sasrec-ce", "ndcg@10").values == dict(enumerate(BASE))


def test_the_best_of_many_has_a_p_of_at_most_one() -> None:
    assert Reading("x", p=0.4).as_best_of(2).p == pytest.approx(0.8)
    assert Reading("x", p=0.4).as_best_of(6).p == 1
    assert Reading("x", p=0.4).as_best_of(1).text == "x"
    assert math.isnan(Reading("x").as_best_of(6).p)


def test_ahead_in_all_verdicts(bench: Bench) -> None:
    def outcome(twin: Sequence[float], mask: Sequence[float], **more: float) -> str:
        sides = {"views:twin": of("ndcg@10", twin), "views:mask": of("ndcg@10", mask)}
        rule = Ahead(experiment="views", pairs=(("twin", "mask"),), metrics=("ndcg@10",), **more)
        return verdict(bench({name: runs for name, runs in sides.items() if runs}), rule)

    assert outcome(SURE, BASE) == "confirmed"
    assert outcome(BASE, SURE) == "contradicted"
    assert outcome(UNSURE, BASE) == "inconclusive"
    assert outcome(SURE, ()) == outcome((), BASE) == "not run"
    # a drop of 6 % of .1 leaves .094
    assert outcome((0.1, 0.1, 0.1), (0.0929, 0.0930, 0.0931), margin=0.06) == "confirmed"
    assert outcome((0.1, 0.1, 0.1), (0.0949, 0.0950, 0.0951), margin=0.06) == "contradicted"


def test_one_number_of_several_contradicts_only_after_holm(bench: Bench) -> None:
    pairs = tuple(("twin", other) for other in ("mask", "crop", "reorder"))
    rule = Ahead(experiment="views", pairs=pairs, metrics=("ndcg@10",))
    behind = {"views:twin": of("ndcg@10", BASE), "views:mask": of("ndcg@10", (0.04, 0.0615, 0.083))}
    undecided = {side: of("ndcg@10", UNSURE) for side in ("views:crop", "views:reorder")}
    # behind by .010, .0115, .013: t = 13.28, p = 0.0056, times three = .017; the others p = 0.074
    assert verdict(bench(behind | undecided), rule) == "contradicted"
    weaker = behind | {"views:mask": of("ndcg@10", (0.04, 0.062, 0.085))}  # by .010, .012, .015: p = .014, times 3 .041
    assert verdict(bench(weaker | undecided), rule) == "contradicted"
    weakest = behind | {
        "views:mask": of("ndcg@10", (0.04, 0.063, 0.087))
    }  # by .010, .013, .017: p = 0.023, times 3 .068
    assert verdict(bench(weakest | undecided), rule) == "inconclusive"


SIX = ("sasrec-bce", "sasrec-ce", "sasrec-sce", "cl4srec", "duorec", "ec4srec")


def table_2(btsr: Sequence[float], best: Sequence[float], metric: str = "ndcg@10", names: Sequence[str] = SIX) -> Sides:
    """SASRec (CE) is the best baseline. The others have 0.001, 0.002 and 0.003."""
    others = {f"main:{name}": of(metric, (0.001, 0.002, 0.003)) for name in names}
    return others | {"main:sasrec-ce": of(metric, best), "main:btsr-ce": of(metric, btsr)}


def test_against_baselines_in_all_verdicts(bench: Bench) -> None:
    def outcome(sides: Sides, **parameters: Any) -> Judgement:
        return judged(bench(sides), AgainstBaselines(metrics=("ndcg@10",), **parameters))

    assert outcome(table_2(SURE, BASE)).verdict == "confirmed"
    assert outcome(table_2(UNSURE, BASE)).verdict == "inconclusive"
    # ahead by .010, .012, .015: p = 0.014 counts once, for BT-SR was not chosen among six
    assert outcome(table_2((0.04, 0.062, 0.085), BASE)).verdict == "confirmed"
    assert outcome(table_2(SURE, BASE), seeds_alone=True).verdict == "confirmed"  # three seeds are enough
    behind = outcome(table_2(BASE, SURE))
    assert behind.verdict == "contradicted"
    assert "(times 6, since the best of 6 is compared: p = 0.016); printed +6.2 %" in behind.numbers[0]  # .0027 times 6
    # behind by .010, .012, .015: p = 0.014 is not enough for the best of six
    assert outcome(table_2(BASE, (0.04, 0.062, 0.085))).verdict == "inconclusive"
    some = outcome(table_2(SURE, BASE, names=["sasrec-ce", "duorec"]))
    assert some.verdict == "inconclusive"
    assert "2 of 6 baselines were run" in some.numbers[0]
    assert outcome({"main:btsr-ce": of("ndcg@10", SURE)}).verdict == "not run"
    assert outcome({}).verdict == "not run"
    assert outcome(table_2(BASE, SURE), place="behind").verdict == "confirmed"
    assert outcome(table_2(SURE, BASE), place="behind").verdict == "contradicted"
    some = table_2(SURE, BASE, names=["sasrec-ce", "duorec"])
    assert outcome(some, place="behind").verdict == "inconclusive"  # another baseline might be ahead
    one = outcome(table_2(BASE, SURE), rivals=("duorec",))
    assert one.verdict == "confirmed"
    assert "printed" not in one.numbers[0], "what Table 2 prints is against all six"


def test_the_rival_is_the_best_on_the_seeds_that_are_compared(bench: Bench) -> None:
    sides = dict(table_2(SURE, BASE))
    # DuoRec has the highest mean of all because of a seed that BT-SR does not have.
    sides["main:duorec"] = of("ndcg@10", (0.001, 0.002, 0.003, 0.9))
    [text] = judged(bench(sides), AgainstBaselines(metrics=("ndcg@10",))).numbers
    assert text.startswith("ndcg@10: BT-SR (CE) 0.0610, SASRec (CE) 0.0500, difference +0.0110;")
    lowest = {f"main:{name}": of("overlap", (0.5, 0.5, 0.5)) for name in SIX}
    lowest |= {"main:duorec": of("overlap", (0.6, 0.6, 0.6, 0.1)), "main:btsr-ce": of("overlap", (0.399, 0.400, 0.401))}
    assert verdict(bench(lowest), AgainstBaselines(metrics=("overlap",), better="lower")) == "confirmed"


def test_slightly_behind_is_not_far_behind(bench: Bench) -> None:
    def outcome(btsr: float) -> str:
        sides = table_2([btsr, btsr + 1e-5, btsr - 1e-5], (0.1, 0.1, 0.1))
        return verdict(bench(sides), AgainstBaselines(metrics=("ndcg@10",), place="behind", at_most=0.1))

    assert [outcome(0.095), outcome(0.085), outcome(0.105)] == ["confirmed", "contradicted", "contradicted"]


def test_lower_is_better_where_said(bench: Bench) -> None:
    sides = {f"main:{name}": of("overlap", (0.5, 0.5, 0.5)) for name in SIX}
    sides |= {"main:btsr-ce": of("overlap", (0.399, 0.400, 0.401))}
    assert verdict(bench(sides), AgainstBaselines(metrics=("overlap",), better="lower")) == "confirmed"
    assert verdict(bench(sides), AgainstBaselines(metrics=("overlap",))) == "contradicted"


def test_printed_cells_alone_are_looked_at(bench: Bench, handmade: Callable[..., Any]) -> None:
    yelp, values = Bench(handmade("yelp", "Yelp", users=USERS)), [{"hr@5": 0.1, "hr@10": 0.1}] * 3
    sides = {f"main:{name}": values for name in (*SIX, "btsr-ce")}
    found = judged(yelp(sides), AgainstBaselines(metrics=("hr@5", "hr@10"), printed="lead"))
    assert [text.partition(":")[0] for text in found.numbers] == ["hr@5"]  # printed -1.4 % at hr@10


@pytest.mark.parametrize(
    ("improve", "starred", "shown"),
    [
        (5.0, True, {"all", "lead", "star"}),
        (5.0, False, {"all", "lead"}),
        (0.0, False, {"all"}),
        (-1.0, False, {"all", "behind"}),
    ],
)
def test_which_cells_are_looked_at(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, improve: float, starred: bool, shown: set[str]
) -> None:
    cell = Printed({}, 0.001, starred, improve)
    monkeypatch.setattr("benchmark.report.query.table2_row", lambda *_: cell)
    results = bench(table_2(SURE, BASE))
    for printed in ("all", "lead", "star", "behind"):
        rule = AgainstBaselines(metrics=("ndcg@10",), printed=printed)  # type: ignore[arg-type]
        assert bool(judged(results, rule).numbers) == (printed in shown)


def test_generated_data_is_not_compared_with_print_whatever_its_name(handmade: Callable[..., Any]) -> None:
    results = Bench(handmade("ml-1m", "ML-1M", synthetic=True))(table_2(SURE, BASE))
    found = judged(results, AgainstBaselines(metrics=("ndcg@10",), printed="behind"))
    assert found.verdict == "confirmed"
    assert "printed" not in found.numbers[0]


def test_stars_need_seeds(bench: Bench) -> None:
    sides = table_2((1.0, 1.0), (0.0, 0.0), "hr@10")
    results = bench(sides, {"main:btsr-ce": HIT} | {f"main:{name}": MISS for name in SIX})
    rule = AgainstBaselines(metrics=("hr@10",), rivals=("sasrec-ce",))
    assert verdict(results, rule) == "confirmed"
    assert verdict(results, rule._replace(seeds_alone=True)) == "inconclusive"


# --- sweeps ---------------------------------------------------------------------------------------------------------

ALPHAS = ("0", "0.1", "0.2", "0.3", "0.4", "0.5")


def alphas(metric: str, curve: Sequence[float], seeds: int = 3) -> dict[str, list[dict[str, float]]]:
    """The same curve on every seed, shifted by .01 per seed and disturbed by a thousandth of that."""
    wiggle = [(0, 1e-5, -1e-5), (1e-5, 0, -1e-5)]
    return {
        f"alpha:{label}": of(metric, [y + 0.01 * seed + wiggle[i % 2][seed] for seed in range(seeds)])
        for i, (label, y) in enumerate(zip(ALPHAS, curve, strict=False))
    }


def test_peaks_in_all_verdicts(bench: Bench) -> None:
    def outcome(curve: Sequence[float], seeds: int = 3) -> str:
        results = bench(alphas("hr@1", curve, seeds))
        return verdict(results, Peaks(experiment="alpha", at=("0", "0.1"), metrics=("hr@1",)))

    assert outcome((0.1, 0.3, 0.2, 0.1, 0.1, 0.1)) == "confirmed"
    assert outcome((0.1, 0.2, 0.3, 0.1, 0.1, 0.1)) == "contradicted"
    assert outcome((0.1, 0.2, 0.2, 0.1, 0.1, 0.1)) == "inconclusive"
    assert outcome((0.1, 0.3, 0.2, 0.1, 0.1)) == "inconclusive"  # who knows what 0.5 would have shown
    assert outcome((0.1, 0.3, 0.2, 0.1, 0.1, 0.1), seeds=1) == "inconclusive"
    assert outcome((0.1, 0.2)) == outcome(()) == "not run"


def test_a_peak_is_sought_among_the_variants_named(bench: Bench) -> None:
    sides = {f"objectives:{name}": of("hr@1", BASE) for name in ("btsr-bce", "btsr-ce")}
    sides |= {"objectives:btsr-sce": of("hr@1", SURE), "objectives:sasrec-ce": of("hr@1", (0.9, 0.9, 0.9))}
    rule = Peaks(experiment="objectives", at=("btsr-sce",), among=BTSR, metrics=("hr@1",))
    assert verdict(bench(sides), rule) == "confirmed"


def test_a_peak_is_not_elsewhere_before_all_its_values_were_run(bench: Bench) -> None:
    sides = alphas("hr@1", (0.1, 0.2, 0.3, 0.1, 0.1, 0.1))
    rule = Peaks(experiment="alpha", at=("0", "0.1"), metrics=("hr@1",))
    assert verdict(bench({name: runs for name, runs in sides.items() if name != "alpha:0"}), rule) == "inconclusive"


def test_a_peak_is_that_of_the_seeds_that_all_values_share(bench: Bench) -> None:
    sides = alphas("hr@1", (0.1, 0.3, 0.2, 0.1, 0.1, 0.1))
    rule = Peaks(experiment="alpha", at=("0", "0.1"), metrics=("hr@1",))
    found = judged(bench(sides), rule)
    for lucky in ("0", "0.4"):  # a further seed that no other value has makes neither of them the best of its group
        more = sides | {f"alpha:{lucky}": [*sides[f"alpha:{lucky}"], {"hr@1": 9.0}]}
        assert judged(bench(more), rule) == found
    apart = sides | {"alpha:0": [None, None, None, {"hr@1": 9.0}]}
    [text] = judged(bench(apart), rule).numbers
    assert text == "hr@1: the 6 values that were run have no seed in common"
    assert verdict(bench(apart), rule) == "inconclusive"


@pytest.mark.parametrize(
    ("curve", "chances"), [((0.1, 0.3, 0.2, 0.1, 0.1, 0.1), 2), ((0.1, 0.2, 0.3, 0.1, 0.1, 0.1), 4)]
)
def test_the_side_that_leads_was_the_best_of_its_own(bench: Bench, curve: Sequence[float], chances: int) -> None:
    rule = Peaks(experiment="alpha", at=("0", "0.1"), metrics=("hr@1",))
    [text] = judged(bench(alphas("hr@1", curve)), rule).numbers
    assert f"times {chances}, since the best of {chances} is compared" in text


def test_trend_in_all_verdicts(bench: Bench) -> None:
    rule = Trend(experiment="alpha", metrics=("cov@10",), rises=True)

    def outcome(curve: Sequence[float], seeds: int = 3) -> str:
        return verdict(bench(alphas("cov@10", curve, seeds)), rule)

    up = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6)
    assert outcome(up) == outcome((0.1, 0.3, 0.2, 0.4, 0.5, 0.6)) == "confirmed"  # one swap of 15 pairs: p = 0.017
    assert outcome((0.1, 0.3, 0.2, 0.5, 0.4, 0.6)) == "inconclusive"  # two swaps: p = 0.056
    assert outcome(up[::-1]) == "contradicted"
    assert outcome(up, seeds=1) == "inconclusive"
    assert outcome(up[:4]) == "inconclusive"  # four values in order have p = 2/24
    assert outcome(up[:1]) == outcome(()) == "not run"
    thin = alphas("cov@10", up)
    thin["alpha:0.3"] = thin["alpha:0.3"][:1]  # a single seed at one of the values
    assert verdict(bench(thin), rule) == "inconclusive"
    found = judged(bench(alphas("cov@10", up)), rule)
    assert "Kendall's tau +1.00 over 6 of 6 values, p = 0.003" in found.numbers[0]  # 2/720


def test_ratio_in_all_verdicts(bench: Bench) -> None:
    rule = Ratio(experiment="alpha", pairs=(("0.5", "0"),), metric="cov@10", at_least=1.75, below=1.5)

    def outcome(last: Sequence[float], first: Sequence[float] = (0.1, 0.2)) -> str:
        sides = {"alpha:0": of("cov@10", first), "alpha:0.5": of("cov@10", last)}
        return verdict(bench(sides), rule)

    assert outcome((0.18, 0.36)) == "confirmed"
    assert outcome((0.14, 0.22)) == "contradicted"
    assert outcome((0.18, 0.22)) == outcome((0.16, 0.32)) == "inconclusive"
    assert outcome((0.18,)) == "inconclusive"  # one seed
    assert outcome((0.1, 0.1), first=(0.0, 0.0)) == "confirmed"  # from nothing, any number of times
    assert outcome(()) == "not run"


def test_grows_in_all_verdicts(bench: Bench) -> None:
    def outcome(first: Sequence[float], last: Sequence[float]) -> str:
        sides = {"alpha:0": of("cov@10", first), "alpha:0.5": of("cov@10", last)}
        rule = Grows(experiment="alpha", start="0", end="0.5", metric="cov@10", zero=0.0005, at_least=0.0075)
        return verdict(bench(sides), rule)

    assert outcome((0, 0.0004), (0.016, 0.008)) == "confirmed"
    assert outcome((0.01, 0.001), (0.016, 0.008)) == "contradicted"  # never from 0
    assert outcome((0, 0), (0.001, 0.0)) == "contradicted"  # never far
    assert outcome((0, 0.001), (0.016, 0.008)) == "inconclusive"
    assert outcome((0,), (0.016,)) == "inconclusive"
    assert outcome((), (0.016,)) == "not run"


def test_drops_in_all_verdicts(bench: Bench, handmade: Callable[..., Any]) -> None:
    rule = Drops(experiment="alpha", start=("0", "0.1"), end="0.5", metric="hr@1", low=0.015, high=0.035)
    yelp = judged(Bench(handmade("yelp", "Yelp"))({}), rule)
    text = "hr@1: Table 2 prints at most 0.0049, less than 0.0150"
    assert yelp == Judgement("contradicted", (text,), "the paper's own numbers")
    assert verdict(bench({}), rule) == "not run"
    assert verdict(Bench(handmade("yelp", "Yelp", synthetic=True))({}), rule) == "not run"

    def outcome(low: Sequence[float], high: Sequence[float]) -> str:
        sides = {"alpha:0": of("hr@1", [0.01] * 3), "alpha:0.1": of("hr@1", low), "alpha:0.5": of("hr@1", high)}
        return verdict(bench(sides), rule)

    assert outcome((0.05, 0.06, 0.07), (0.026, 0.035, 0.044)) == "confirmed"  # by .024, .025, .026
    assert outcome((0.05, 0.06, 0.07), (0.04, 0.051, 0.062)) == "contradicted"  # by .01, .009, .008
    assert outcome((0.05, 0.06, 0.07), (0.04, 0.02, 0.07)) == "inconclusive"  # by .01, .04, 0
    assert outcome((0.05, 0.06, 0.07), (0.009, 0.019, 0.029)) == "contradicted"  # by .041 each
    assert outcome((0.05, 0.06, 0.07), (0.016, 0.024, 0.032)) == "inconclusive"  # by .034, .036, .038
    assert outcome((0.05,), (0.025,)) == "inconclusive"


def test_a_drop_starts_at_the_best_on_the_seeds_that_are_compared(bench: Bench) -> None:
    sides = {"alpha:0": of("hr@1", (0.01, 0.01, 0.01, 9.0)), "alpha:0.1": of("hr@1", (0.05, 0.06, 0.07))}
    sides["alpha:0.5"] = of("hr@1", (0.026, 0.035, 0.044))  # by .024, .025, .026 from 0.1
    rule = Drops(experiment="alpha", start=("0", "0.1"), end="0.5", metric="hr@1", low=0.015, high=0.035)
    assert verdict(bench(sides), rule) == "confirmed"


def test_a_drop_over_users_where_seeds_are_few(bench: Bench) -> None:
    sides = {"alpha:0": of("hr@1", (0.5, 0.5)), "alpha:0.5": of("hr@1", (0.5, 0.5))}
    rule = Drops(experiment="alpha", start=("0",), end="0.5", metric="hr@1", low=0.015, high=0.035)
    single = {name: runs[:1] for name, runs in sides.items()}
    one = judged(bench(single, {"alpha:0": HIT, "alpha:0.5": HIT}), rule)
    assert one.verdict == "inconclusive"
    assert "1 seed, too few for a test over seeds" in one.numbers[0]
    assert one.numbers[0].endswith("too few for an interval")
    same = judged(bench(sides, {"alpha:0": HIT, "alpha:0.5": HIT}), rule)
    assert same.verdict == "contradicted"  # no user differs, so no resample does
    mixed = judged(bench(sides, {"alpha:0": MIXED[0], "alpha:0.5": MIXED[1]}), rule)
    assert mixed.verdict == "inconclusive"
    assert "2 seeds, too few for a test over seeds; bootstrap over 40 users" in mixed.numbers[0]
    assert "; 95 % interval −0." in mixed.numbers[0]


def test_hurts_takes_the_value_that_validation_chooses(bench: Bench) -> None:
    def outcome(zero: Sequence[float], chosen: Sequence[float], others: Sequence[str] = ALPHAS[2:]) -> str:
        sides = {"alpha:0": of("ndcg@10", zero)}
        sides["alpha:0.1"] = [{"ndcg@10": value, "validation": 0.9} for value in chosen]
        # better on test, worse on validation: never taken
        sides |= {f"alpha:{label}": [{"ndcg@10": 0.9, "validation": 0.1}] * 3 for label in others}
        return verdict(bench(sides), Hurts(experiment="alpha", label="0", metric="ndcg@10"))

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
        rule = Peaks(experiment="alpha", at=("0.2", "0.3", "0.4"), metrics=("ndcg@10", "cov@10"), jointly=True)
        return verdict(bench(sides), rule)

    flat = (0.1,) * 6
    # shares of the highest: .95 and .9 at 0.2 against 1 and .5 at 0, .5 and 1 at 0.5
    assert outcome((0.1, 0.1, 0.095, 0.09, 0.08, 0.05), (0.1, 0.1, 0.18, 0.18, 0.18, 0.2)) == "confirmed"
    assert outcome((0.1, 0.09, 0.08, 0.07, 0.06, 0.05), (0.2, 0.1, 0.1, 0.1, 0.1, 0.1)) == "contradicted"
    assert outcome(flat, flat) == "inconclusive"
    # shares 1 and 5/6 at 0 against 1/2 and 1 at 0.2, though the sum at 0.2 is higher
    assert outcome((0.1, 0.01, 0.05, 0.01, 0.01, 0.01), (0.5, 0.1, 0.6, 0.1, 0.1, 0.1)) == "contradicted"
    assert outcome((), ()) == outcome((0.1,), (0.1,)) == "not run"


# --- other rules ----------------------------------------------------------------------------------------------------


def test_loses_less_in_all_verdicts(bench: Bench) -> None:
    def outcome(btsr: Sequence[float], plain: Sequence[float]) -> str:
        sides = {f"noise:{method} 0": of("ndcg@10", (0.1, 0.2, 0.3)) for method in ("btsr-ce", "sasrec-ce")}
        sides |= {"noise:btsr-ce 0.4": of("ndcg@10", btsr), "noise:sasrec-ce 0.4": of("ndcg@10", plain)}
        return verdict(bench(sides), LosesLess(noise=0.4, metric="ndcg@10"))

    less, more = (0.09, 0.19, 0.29), (0.05, 0.151, 0.249)
    assert (outcome(less, more), outcome(more, less)) == ("confirmed", "contradicted")
    assert outcome(less, less) == "inconclusive"
    assert outcome(less, ()) == "not run"


def test_steadier_in_all_verdicts(bench: Bench) -> None:
    def outcome(twin: Sequence[float], projector: Sequence[float]) -> str:
        sides = {"views:twin": of("ndcg@10", twin), "views:projector": of("ndcg@10", projector)}
        return verdict(bench(sides), Steadier(experiment="views", steady="twin", other="projector", metric="ndcg@10"))

    calm, wild = (0.100, 0.101, 0.102), (0.05, 0.10, 0.15)  # F = 50^2 with (2, 2): p = 2 / (1 + 2500)
    assert (outcome(calm, wild), outcome(wild, calm)) == ("confirmed", "contradicted")
    assert outcome(calm, (0.1, 0.102, 0.104)) == "inconclusive"  # F = 4: p = 0.4
    assert outcome(calm[:2], wild[:2]) == outcome((0.1, 0.1, 0.1), wild) == "inconclusive"
    assert outcome(calm, ()) == "not run"


def test_diverged_runs_are_counted_next_to_a_spread(bench: Bench, handmade: Callable[..., Any]) -> None:
    sides = {"views:twin": of("ndcg@10", BASE), "views:projector": of("ndcg@10", SURE)}
    results = bench(sides)
    twin, projector = results.groups
    failed = tuple(bench.maker.record("btsr-ce", seed, status="diverged") for seed in (3, 4))
    results = with_groups(results, (twin, replace(projector, records=(*projector.records, *failed))))
    [text] = judged(results, Steadier(experiment="views", steady="twin", other="projector", metric="ndcg@10")).numbers
    assert "(3 seeds), view projector" in text
    assert "(3 seeds, 2 diverged)" in text


def test_a_ratio_of_costs_in_all_verdicts(bench: Bench, handmade: Callable[..., Any]) -> None:
    maker = handmade()

    def outcome(seconds: Sequence[float], device: str = "cpu") -> str:
        joint = tuple(maker.record("btsr-ce", seed, timings={"fit_seconds": 10.0}) for seed in range(2))
        staged = []
        for seed, value in enumerate(seconds):
            record = maker.record("two-stage", seed, timings={"fit_seconds": value})
            staged.append(replace(record, hardware=record.hardware | {"device": device}))
        groups = [
            RunGroup("main", "btsr-ce", "btsr-ce", records=joint),
            RunGroup("main", "two-stage", "two-stage", records=tuple(staged)),
        ]
        rule = Ratio("main", (("two-stage", "btsr-ce"),), metric="fit_seconds", at_least=1.5, of_cost=True)
        return verdict(assemble(maker, groups, {}), rule)

    assert outcome((16.0, 15.0)) == "confirmed"
    assert outcome((9.0, 5.0)) == "contradicted"
    assert outcome((16.0, 12.0)) == outcome((16.0,)) == outcome((16.0, 15.0), "cuda") == "inconclusive"
    assert outcome(()) == outcome((0.0, 0.0)) == "not run"  # a time of 0 was not measured


def test_target_scores_come_from_the_density(bench: Bench) -> None:
    results = bench({"main:btsr-ce": [{"ndcg@10": 0.1}]}, {"main:btsr-ce": HIT})
    assert side(results, "main", "btsr-ce", "target_score").mean == pytest.approx(4.0, abs=1e-3)  # its peak is at 4
    without = bench({"main:btsr-ce": [{"ndcg@10": 0.1}]})
    assert side(without, "main", "btsr-ce", "target_score").values == {}


@pytest.mark.parametrize(("mass", "expected"), [(1.0, {0: 2.0}), (3.0, {0: 2.0}), (0.0, {})])
def test_the_mean_of_a_density_does_not_depend_on_its_mass(
    handmade: Callable[..., Any], mass: float, expected: dict[int, float]
) -> None:
    """A grid that cuts off a tail leaves a mass below 1. The density is a triangle over 1 to 3 with its peak at 2."""
    maker = handmade(users=USERS)
    record = maker.record("btsr-ce", 0, test={"ndcg@10": 0.1})
    density = {"score_grid": np.array([1.0, 2.0, 3.0]), "target_density": mass * np.array([0.0, 1.0, 0.0])}
    results = assemble(maker, [RunGroup("main", "btsr-ce", "btsr-ce", records=(record,))], {(record.key, 0): density})
    assert side(results, "main", "btsr-ce", "target_score").values == pytest.approx(expected)


# --- in windows of time ---------------------------------------------------------------------------------------------

APART = {"sasrec-ce": 0.2, "btsr-ce": 0.6}
PAIR = Ahead("objectives", pairs=(("btsr-ce", "sasrec-ce"),), metrics=("ndcg@10",))


def test_windows_decide_in_the_place_of_seeds_and_are_named(bench: Bench, in_time: Callable[..., Results]) -> None:
    contrary = {"main:btsr-ce": of("ndcg@10", BASE), "main:sasrec-ce": of("ndcg@10", SURE)}
    seeds = bench(contrary).groups
    found = judged(in_time(APART, seeds), PAIR)
    assert (found.verdict, found.evidence) == ("confirmed", "pooled over four windows, 160 users")
    [text] = found.numbers
    assert text.startswith("ndcg@10: BT-SR (CE) minus SASRec (CE) +0.")
    assert "pooled over four windows, 160 users, p < 0.001; paired t-test over windows, p " in text
    assert judged(in_time({name: 0.8 - share for name, share in APART.items()}, seeds), PAIR).verdict == "contradicted"
    for fewer in ({"windows": WINDOWS[:2]}, {"numbers": {}}, {"numbers": {0.95: NUMBERS[0.95]}}):
        found = judged(in_time(APART, seeds, **fewer), PAIR)
        assert (found.verdict, found.evidence) == ("contradicted", "three seeds, 40 users")
    alone = judged(in_time({"btsr-ce": 0.6}, seeds), PAIR)  # the other has no run in any window
    assert alone.evidence == "three seeds, 40 users"
    assert judged(in_time(APART), PAIR).verdict == "confirmed", "windows alone suffice"


def test_windows_that_disagree_decide_nothing_though_users_would(in_time: Callable[..., Results]) -> None:
    results = in_time(APART)
    reversed_ = in_time({"sasrec-ce": 0.9, "btsr-ce": 0.1})
    groups = [*results.groups[:2], *reversed_.groups[2:4], *results.groups[4:]]  # the second window says the contrary
    mixed = Results("ml-1m", "ML-1M", False, RunSetting(), groups, results.load, user_numbers=NUMBERS)
    records = {record.key for group in reversed_.groups[2:4] for record in group.records}
    mixed.read_arrays = lambda record: (reversed_ if record.key in records else results).load(record)
    found = judged(mixed, PAIR)
    assert found.verdict == "inconclusive"
    assert "; detectable: 0." in found.numbers[0]


def test_in_windows_validation_chooses_bt_sr_and_the_best_rival_is_that_of_all_windows(
    bench: Bench, in_time: Callable[..., Results]
) -> None:
    hits = dict.fromkeys(SIX, 0.1) | {"duorec": 0.3, "btsr-ce": 0.7, "btsr-sce": 0.2}
    results = in_time(hits, bench(table_2(BASE, SURE)).groups)
    found = judged(results, AgainstBaselines(metrics=("ndcg@10", "hr@10", "cov@10")))
    assert [text.split(" ")[1:6] for text in found.numbers[:2]] == [
        ["BT-SR", "(CE)", "minus", "DuoRec", "+0.4375,"]
    ] * 2
    assert "printed +6.2 %" in found.numbers[0]
    rule = AgainstBaselines(metrics=("ndcg@10",), seeds_alone=True)
    assert judged(results, rule).evidence == "three seeds, 40 users"
    peak = Peaks("objectives", at=("btsr-ce",), among=BTSR, metrics=("ndcg@10",))
    best = judged(in_time(hits), peak)
    assert (best.verdict, best.evidence) == ("inconclusive", "pooled over four windows, 160 users")
    assert best.numbers[0].endswith("; 2 of 3 values were run")


def test_the_command_of_a_verdict_over_windows_reports_them_too(in_time: Callable[..., Results]) -> None:
    claim = replace(CLAIMS["ce-beats-bce"], rule=PAIR)
    [finding] = [f for f in judge_claims([in_time(APART)], [claim]) if f.reported]
    assert finding.verdict == "confirmed"
    command = "python run_all.py --claim ce-beats-bce --dataset ml-1m"
    assert finding.command == f"{command} --experiments windows --stages report"
    assert finding.missing == command, "Table 2's own runs have not been made"
    assert parse(shlex.split(finding.command)[2:]).experiments == ["objectives", "windows"]
    assert "  evidence: pooled over four windows, 160 users" in finding.as_text()


def test_a_claim_beyond_the_paper_is_judged_where_its_experiment_was_run(bench: Bench) -> None:
    shown = bench({"sets:mf-bt": of("ndcg@10", SURE), "sets:mf": of("ndcg@10", BASE)})
    found = {(f.claim.id, f.dataset): f for f in judge_claims([shown])}
    assert found["helps-sets", "ml-1m"].verdict == "confirmed"
    assert found["helps-sets", "beauty"].verdict == "not run"
    others = judge_claims([bench({"main:btsr-ce": of("ndcg@10", SURE)})])
    assert "helps-sets" not in {f.claim.id for f in others}


# --- judged claims and their tables -----------------------------------------------------------------------------------


@pytest.fixture
def full(bench: Bench) -> Results:
    """Three seeds of everything that the claims about ML-1M need. Validation chooses BT-SR (CE)."""
    metrics = ["ndcg@10", "hr@1", "hr@10", "cov@10", "overlap", "effective_rank", "hr@10/bucket2", "hr@1/bucket1"]
    sides: dict[str, list[dict[str, float]]] = {}
    for name in ("main", "alpha", "views", "lambda", "noise"):
        for i, variant in enumerate(experiments("ml-1m")[name].variants):
            validation = {"validation": 1.0} if (name, variant.label) == ("main", "btsr-ce") else {}
            sides[f"{name}:{variant.label}"] = [
                dict.fromkeys(metrics, 0.1 + 0.01 * i + 0.001 * seed * (1 + 0.1 * i)) | validation for seed in range(3)
            ]
    return bench(sides)


def test_losing_a_record_makes_gaps_and_no_error(full: Results) -> None:
    about_ml = [claim for claim in THE_PAPERS if "ml-1m" in claim.datasets]
    before = {f.claim.id: f.verdict for f in judge_claims([full], about_ml) if f.reported}
    assert {"confirmed", "contradicted", "inconclusive", "not run"} == set(before.values())
    # what is left without one method or one experiment
    for method in ("sasrec-ce", "btsr-ce", "duorec"):
        groups = [group for group in full.groups if (group.experiment, group.method) != ("main", method)]
        after = judge_claims([with_groups(full, groups)], about_ml)
        assert len([f for f in after if f.reported]) == len(before)
    for name in ("alpha", "views", "lambda", "noise"):
        thinner = [replace(group, records=group.records[1:]) for group in full.experiment(name)]
        swept = [claim for claim in about_ml if claim.rule.experiment == name]
        assert swept
        for finding in judge_claims([with_groups(full, (*full.experiment("main"), *thinner))], swept):
            assert {finding.verdict, before[finding.claim.id]} != {"confirmed", "contradicted"} or not finding.reported
        empty = with_groups(full, full.experiment("main"))
        assert {f.verdict for f in judge_claims([empty], swept) if f.reported} == {"not run"}
    assert {f.verdict for f in judge_claims([with_groups(full, [])]) if f.reported} == {"not run"}


def test_a_claim_comes_with_the_command_of_its_verdict_and_that_of_what_is_missing(full: Results) -> None:
    found = {(f.claim.id, f.dataset): f for f in judge_claims([full], options="--dataset {} --hparams released".format)}
    absent = found["lambda-zero-hurts", "gowalla"]
    assert (absent.verdict, absent.reported) == ("not run", False)
    command = "python run_all.py --claim lambda-zero-hurts --dataset gowalla --hparams released"
    assert (absent.command, absent.missing, absent.again) == ("", command, "")
    assert ("gowalla-hr1-peak", "ml-1m") not in found
    assert found["hr1-drop-pp", "yelp"].verdict == "contradicted"  # plain arithmetic, no run
    whole = found["alpha-zero-hurts", "ml-1m"]
    command = "python run_all.py --claim alpha-zero-hurts --dataset ml-1m --hparams released"
    again = f"{command} --stages prepare,train --out-dir repeated"
    assert (whole.command, whole.missing, whole.again) == (f"{command} --stages report", "", again)
    assert f"  To make its runs again, elsewhere: {again}" in whole.as_text()
    assert "To run what is missing" not in whole.as_text()
    some = [replace(group, missing=(7,)) if group.name == "alpha/0.3" else group for group in full.groups]
    thinner = {f.claim.id: f for f in judge_claims([with_groups(full, some)]) if f.reported}
    assert thinner["alpha-zero-hurts"].missing == "python run_all.py --claim alpha-zero-hurts --dataset ml-1m"
    assert f"  To run what is missing: {thinner['alpha-zero-hurts'].missing}" in thinner["alpha-zero-hurts"].as_text()
    assert thinner["lambda-zero-hurts"].missing == ""


def test_tables_show_every_verdict(full: Results) -> None:
    findings = judge_claims([full])
    overview, details, frame = claims_tables(findings)
    text = to_markdown([*overview, *details])
    head = "| claim | where | ML-1M | Beauty | Yelp | Gowalla | Kindle Store |"
    assert text.count(head) == 2
    assert "| hr1-drop-pp | Section 5.2, Figures 3 and 4 |" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| gowalla-hr1-peak | Appendix"))
    assert row == "| gowalla-hr1-peak | Appendix A, Figure 6 | – | – | – | not run | – |"
    assert len(details) == 1  # of what is reported
    assert len(frame) == len(findings) == sum(len(claim.datasets) for claim in THE_PAPERS)
    assert set(frame["verdict"]) == {"confirmed", "contradicted", "inconclusive", "not run"}
    tex = to_latex(overview)
    assert tex.count(r"\begin{table*}") == 2
    assert r"\textbf{contradicted}" in tex
    counts = {verdict: sum(f.verdict == verdict for f in findings if f.reported) for verdict in set(frame["verdict"])}
    each = ", ".join(f"{counts[verdict]} {verdict}" for verdict in VERDICTS)
    total, decided = sum(counts.values()), counts["confirmed"] + counts["contradicted"]
    assert overview[-1].notes[1] == f"ML-1M: {total} claims, {decided} decided: {each}."
    unrun = sum(f.dataset == "yelp" for f in findings) - 1
    paper = "1 contradicted by the paper's own numbers"
    assert overview[-1].notes[2] == f"Yelp: {unrun + 1} claims, 1 decided: {paper}, {unrun} not run."
    assert f"**{paper[2:]}**" in text
    (row,) = (line for line in text.splitlines() if line.startswith("| alpha-zero-hurts | ") and "<sub>" in line)
    assert row.split(" | ")[1].endswith("<br><sub>three seeds, 40 users</sub>")
    command = "`python run_all.py --claim alpha-zero-hurts --dataset ml-1m --stages report`"
    assert row.split(" | ")[-1].startswith(f"To see the verdict from stored runs:<br><sub>{command}</sub><br>")
    assert row.endswith("--stages prepare,train --out-dir repeated`</sub> |")


def test_synthetic_data_is_marked_and_stands_alone(handmade: Callable[..., Any]) -> None:
    results = Bench(handmade("synthetic", "Synthetic", synthetic=True))({"main:btsr-ce": of("ndcg@10", SURE)})
    findings = judge_claims([results])
    assert {f.dataset for f in findings} == {"synthetic"}
    assert len(findings) == len(THE_PAPERS)
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
    report(store, tmp_path / "out", plans_of(store, "ml-1m", "beauty"), records_in(store), print)
    written = {path.name for path in (tmp_path / "out" / "tables").iterdir()}
    assert {"claims.md", "claims.csv", "claims.tex"} <= written
    text = (tmp_path / "out" / "tables" / "claims.md").read_text()
    assert "| ce-beats-bce | Section 2.2 | **confirmed** | **confirmed** | not run | not run | not run |" in text
