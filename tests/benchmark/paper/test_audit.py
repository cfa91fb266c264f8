"""The audit of the paper: what it finds in the printed tables, and each check on small tables worked out by hand."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from benchmark.paper.audit import rate_sizes, sentences
from benchmark.paper.audit import table2 as audit_table2
from benchmark.paper.audit.checks import Check, checks, populations
from benchmark.paper.audit.finding import AUDIT_VERDICTS, AuditFinding, audit_data, number, percent, title
from benchmark.paper.audit.rate_sizes import Population, fewest_runs, fitting_sizes, is_multiple
from benchmark.paper.printed import (
    BASELINES,
    TABLE_1_METHODS,
    TABLE_2_METHODS,
    Printed,
    Table1,
    Table2,
    table1,
    table2,
    table3,
)
from benchmark.report.audit import COLUMNS, SHOWN_WHOLE, audit_csv, audit_markdown, write_audit

ROOT = Path(__file__).resolve().parents[3]

# ------------------------------------------------------------------------------------------------- tables made by hand


def row(metric: str, baselines: tuple[float, ...], btsr: float, **other: Any) -> tuple[tuple[str, str], Printed]:
    """A row of Table 2. Baselines that are not given have 0.01."""
    values = (*baselines, *[0.01] * (len(BASELINES) - len(baselines)), btsr)
    changes = {"btsr_deviation": 0.001, "starred": False, "improve": 0.0} | other
    return ("D", metric), Printed(dict(zip(TABLE_2_METHODS, values, strict=True)), **changes)


def second_table(*rows: tuple[tuple[str, str], Printed]) -> Table2:
    return dict(rows)


def first_table(*values: float) -> Table1:
    """One row of Table 1: BCE, CE, SCE, then the three with Barlow Twins."""
    return {"D": dict(zip(TABLE_1_METHODS, values, strict=True))}


def only(findings: Iterable[AuditFinding]) -> AuditFinding:
    (finding,) = findings
    return finding


def verdicts(findings: Iterable[AuditFinding]) -> list[str]:
    return [finding.verdict for finding in findings]


def places(findings: Iterable[AuditFinding], verdict: str = "disagrees") -> list[str]:
    return [finding.place for finding in findings if finding.verdict == verdict]


# ------------------------------------------------------------------------------------------ what the paper's tables say


def test_six_improvements_disagree_all_of_them_coverage() -> None:
    findings = list(audit_table2.improvements(table2()))
    assert len(findings) == 45
    wrong = {finding.place: finding.follows for finding in findings if finding.verdict != "agrees"}
    assert list(wrong) == [f"Table 2, {name}, cov@{k}" for name in ("Gowalla", "Beauty") for k in (1, 5, 10)]
    assert (
        "that over DuoRec, 0.0255, which would be the best baseline without EC4SRec."
        in wrong["Table 2, Gowalla, cov@1"]
    )
    assert (
        "over DuoRec, 0.0939, which would be the best baseline without CL4SRec and EC4SRec."
        in (wrong["Table 2, Gowalla, cov@5"])
    )
    assert "that over SASRec (SCE), 0.1625" in wrong["Table 2, Gowalla, cov@10"]
    assert "that over SASRec (BCE), 0.0620" in wrong["Table 2, Beauty, cov@1"]
    assert "No baseline's printed value" in wrong["Table 2, Beauty, cov@5"]
    assert "implies 0.2396 for BT-SR; the value printed is also DuoRec's." in wrong["Table 2, Beauty, cov@10"]


def test_eleven_stars_do_not_reach_their_p() -> None:
    findings = list(audit_table2.stars(table2()))
    assert (len(findings), len(places(findings)), len(places(findings, "agrees"))) == (35, 11, 24)
    assert [place.removeprefix("Table 2, ") for place in places(findings)] == [
        *(f"ML-1M, {metric}" for metric in ("hr@1", "hr@10", "ndcg@10", "ndcg@50")),
        *(f"Yelp, {metric}" for metric in ("hr@1", "ndcg@10", "cov@5", "cov@10")),
        "Gowalla, hr@1",
        "Beauty, hr@5",
        "Kindle Store, hr@5",
    ]


def test_six_pairs_violate_the_ndcg_identity() -> None:
    findings = list(audit_table2.ndcg_gains(table2()))
    assert len(findings) == 5 * 7
    assert [place.removeprefix("Table 2, ") for place in places(findings)] == [
        "ML-1M, SASRec (CE)",
        "Yelp, CL4SRec",
        "Yelp, EC4SRec",
        "Gowalla, EC4SRec",
        "Beauty, CL4SRec",
        "Kindle Store, EC4SRec",
    ]


def test_printed_rates_point_to_the_counted_sizes() -> None:
    known = populations()
    users, amazon, items, fine = list(rate_sizes.sizes(table2(), known))
    assert users.follows.startswith("750 fits 11 of the 12 values")
    assert amazon.follows.startswith("1,116 fits 9 of the 9 values")
    assert items.follows.startswith("3,652 fits 12 of the 12 values")
    assert verdicts([users, amazon, items, fine]) == ["agrees", "agrees", "agrees", "cannot be told"]


def test_which_rates_can_be_means_over_five_runs() -> None:
    known = populations()
    findings = {finding.place: finding for finding in list(rate_sizes.runs_behind(table2(), known))}
    single = [place for place, finding in findings.items() if finding.follows.startswith("All are multiples of")]
    names = ("SASRec (BCE)", "SASRec (CE)", "SASRec (SCE)", "DuoRec")
    assert single == [
        *(f"Table 2, ML-1M, {name}" for name in names if name != "SASRec (CE)"),
        *(f"Table 2, Beauty, {name}" for name in names),
    ]
    assert findings["Table 2, ML-1M, SASRec (CE)"].follows.startswith("0.0847: no mean over 5 runs")
    assert findings["Table 2, ML-1M, BT-SR"].follows.startswith("0.0639, 0.0945: no mean over 5 runs")
    assert findings["Table 2, Beauty, BT-SR"].verdict == "agrees"
    assert places(list(findings.values()), "cannot be told") == [
        f"Table 2, {name}" for name in ("Yelp", "Gowalla", "Kindle Store")
    ]


def test_table_1_against_table_2() -> None:
    variants = list(sentences.best_variants(table1(), table2()))
    assert places(variants) == [f"Table 2, {name}, ndcg@10" for name in ("ML-1M", "Beauty", "Kindle Store")]
    assert (variants[0].printed, "0.0583" in variants[0].follows) == ("0.0534 ± 0.0037", True)
    cells = list(sentences.baseline_cells(table1(), table2()))
    assert verdicts(cells) == ["agrees"] * 5
    choice = written("choice")[0]
    assert choice.follows.startswith("The cells without Barlow Twins are those of Table 2, test results, on 5 of 5")
    assert (choice.verdict, "it was made on test" in choice.follows) == ("cannot be told", True)
    assert verdicts(sentences.named_objectives(table1(), audit_data()["objectives"], "Section 5")) == ["agrees"] * 5
    assert verdicts(sentences.barlow_twins_gains(table1())) == ["agrees"] * 15


def test_sentences_that_the_tables_do_not_bear_out() -> None:
    quotes = audit_data()["quotes"]
    assert places(sentences.cross_entropy(table1())) == [
        f"Table 1, {name}" for name in ("Yelp", "Gowalla", "Kindle Store")
    ]
    modest = list(sentences.coverage_gains("modest-coverage", table2(), quotes["modest_coverage"]["datasets"]))
    assert verdicts(modest) == ["disagrees"] * 6
    assert [f.printed.split("Improve ")[1] for f in modest] == [f"−{x} %" for x in (15.1, 13.4, 12.5, 20.7, 29.2, 30.5)]
    assert places(sentences.coverage_gains("higher-coverage", table2(), quotes["higher_coverage"]["datasets"])) == [
        "Table 2, Yelp, cov@1"
    ]
    drop = quotes["top_1_drop"]
    assert places(sentences.top_1_drop(table2(), drop["datasets"], drop["at_least_points"])) == ["Table 2, Yelp, hr@1"]


def written(name: str) -> tuple[AuditFinding, ...]:
    """The findings of a check that are written down in audit.toml."""
    return next(check.findings for check in checks() if check.name == name)


def test_references() -> None:
    assert [finding.follows for finding in written("references") if finding.verdict == "disagrees"] == [
        "There is no Section 5.4; section 5.2 is about tuning of α and λ.",
        "There is no Equation 11; equation 7 is about decorrelation weight λ.",
        "Figure 7 is about sensitivity to λ of hr@K and cov@K; figure 5 is about two regimes of α on Yelp.",
    ]


def test_the_datasets_that_are_named_are_looked_up_in_the_tables() -> None:
    in_tables = {"Table 1": set(table1()), "Table 2": {name for name, _ in table2()}, "Table 3": set(table3())}
    findings = written("datasets")
    assert {finding.place for finding in findings} >= set.union(*in_tables.values())
    for finding in findings:
        where = ", ".join(title for title, names in in_tables.items() if finding.place in names)
        named = finding.printed == "named in the text"
        assert finding.follows == (f"In {where}." if where else "In no table.")
        assert finding.verdict == ("agrees" if where and named else "disagrees")
    assert places(findings) == ["Behance", "Beauty"]


def every_printed_number() -> dict[str, str]:
    """Every number of the three tables in the form in which it is quoted, by its place."""
    found = {f"Table 1, {title(m)}, {d}, ndcg@10": number(v) for d, row in table1().items() for m, v in row.items()}
    for (dataset, metric), printed in table2().items():
        found |= {f"Table 2, {title(m)}, {dataset}, {metric}": number(v) for m, v in printed.values.items()}
        found[f"Table 2, deviation of BT-SR, {dataset}, {metric}"] = number(printed.btsr_deviation)
        found[f"Table 2, Improve, {dataset}, {metric}"] = percent(printed.improve)
    return found | {
        f"Table 3, column {c}, {d}, ndcg@20": number(v) for d, row in table3().items() for c, v in row.items()
    }


LOOKED_UP = re.compile(
    r"(?P<number>[+−]?[\d.]+(?: %)?) for (?P<claim>.+?): (?:(?P<same>printed as such)\."
    r"|(?:printed is (?P<instead>[^;]+); )?"
    r"(?:the number is printed as (?P<places>.+?)|(?P<nowhere>no table has it))\.(?= |$))"
)


def test_the_figures_of_reading_notes_are_looked_up_in_the_tables() -> None:
    printed, looked_up = every_printed_number(), 0
    for finding in written("reading-notes"):
        found = list(LOOKED_UP.finditer(finding.follows))
        looked_up += len(found)
        for figure in found:
            column = "Improve" if figure["number"].endswith("%") else "BT-SR"
            cell = printed.get(f"Table 2, {column}, {', '.join(figure['claim'].rsplit(' ', 1))}")
            places_of_it = [place for place, value in printed.items() if value == figure["number"]]
            if figure["same"]:
                assert cell == figure["number"]
            if figure["instead"]:
                assert cell == figure["instead"]
            if figure["places"]:
                assert figure["places"].split("; ") == places_of_it
            if figure["nowhere"]:
                assert places_of_it == []
        if any(figure["places"] for figure in found):
            assert finding.verdict == "disagrees"
        elif found:
            assert finding.verdict == ("agrees" if all(figure["same"] for figure in found) else "cannot be told")
    assert looked_up == 18
    assert {finding.place.partition(",")[0] for finding in written("reading-notes")} == {
        "Reading note (English)",
        "Reading note (Chinese)",
    }


# --------------------------------------------------------------------------------------------------- counted by hand


@pytest.mark.parametrize(
    ("improve", "verdict"),
    [
        (20.0, "agrees"),  # .0600 over .0500
        (20.2, "agrees"),  # .06005 over .04995 is 20.22 %
        (20.3, "disagrees"),  # 20.25 % at the least
        (50.0, "disagrees"),  # over the second baseline, .0400
    ],
)
def test_improve_counted_by_hand(improve: float, verdict: str) -> None:
    finding = only(audit_table2.improvements(second_table(row("hr@5", (0.04, 0.05), 0.06, improve=improve))))
    assert finding.verdict == verdict
    assert finding.follows.startswith("+20.0 % over SASRec (CE), 0.0500")
    assert (
        "that over SASRec (BCE), 0.0400, which would be the best baseline without SASRec (CE)" in finding.follows
    ) == (improve == 50)


def test_improve_names_the_baseline_whose_value_is_printed_twice() -> None:
    finding = only(audit_table2.improvements(second_table(row("cov@5", (0.04, 0.05), 0.04, improve=-40.0))))
    assert finding.follows == (
        "−20.0 % over SASRec (CE), 0.0500. No baseline's printed value gives the printed percentage. Over the best "
        "baseline it implies 0.0300 for BT-SR; the value printed is also SASRec (BCE)'s."
    )


@pytest.mark.parametrize(
    ("deviation", "starred", "expected"),
    [
        (0.0100, 1, ["agrees"]),  # t = .02 / (.01 / sqrt 5) = 4.47, p = 0.011
        (0.0200, 1, ["disagrees"]),  # t = 2.24, p = 0.089
        (0.0161, 1, ["cannot be told"]),  # t = 2.7777 with t.975(4) = 2.7764: rounding decides
        (0.0100, 0, ["disagrees"]),
        (0.0161, 0, []),
        (0.0000, 1, ["agrees"]),
    ],
)
def test_stars_counted_by_hand(deviation: float, starred: int, expected: list[str]) -> None:
    table = second_table(row("hr@5", (0.04,), 0.06, btsr_deviation=deviation, starred=bool(starred)))
    assert verdicts(audit_table2.stars(table)) == expected


def test_a_star_behind_the_best_baseline_disagrees() -> None:
    table = second_table(row("hr@5", (0.06,), 0.04, starred=True))
    assert only(audit_table2.stars(table)).verdict == "disagrees"
    assert list(audit_table2.stars(second_table(row("hr@5", (0.06,), 0.04)))) == []


def test_t_test_from_a_summary_is_scipys() -> None:
    sample = np.random.default_rng(0).normal(0.5, size=5)
    expected = stats.ttest_1samp(sample, 0.2).pvalue
    assert audit_table2.one_sample_p(sample.mean(), sample.std(ddof=1), 5, 0.2) == pytest.approx(expected)
    assert audit_table2.one_sample_p(0.3, 0.0, 5, 0.2) == 0
    assert audit_table2.one_sample_p(0.2, 0.0, 5, 0.2) == 1
    limit = audit_table2.largest_significant_deviation(0.02, 5)
    assert audit_table2.one_sample_p(0.02, limit, 5, 0.0) == pytest.approx(0.05)


@pytest.mark.parametrize(
    ("ndcg10", "verdict"),
    [
        # HR rises by .01: NDCG by .01 / log2(11) = .00289 to .01 / log2(7) = .00356; rounding gives each side
        # .0001 of its own and .0001 of HR's, .0000289 and .0000356.
        (0.0530, "agrees"),
        (0.0528, "agrees"),  # .0028 + .0001 = .0029 reaches .00286
        (0.0527, "disagrees"),  # .0028 does not
        (0.0536, "agrees"),  # .0036 - .0001 = .0035 is within .00360
        (0.0537, "disagrees"),  # .0036 is not: .0101 / log2(7) = .003598
    ],
)
def test_ndcg_gain_counted_by_hand(ndcg10: float, verdict: str) -> None:
    values = {"hr@5": 0.07, "hr@10": 0.08, "ndcg@5": 0.05, "ndcg@10": ndcg10}
    table = second_table(*(row(metric, (value,), 0.01) for metric, value in values.items()))
    finding, *others = list(audit_table2.ndcg_gains(table))
    assert finding.verdict == verdict
    assert verdicts(others) == ["agrees"] * 6  # all values .01: neither gains
    assert list(audit_table2.ndcg_gains({key: row for key, row in table.items() if key[1] != "hr@5"})) == []


def test_ndcg_gain_says_which_hit_rate_would_fit() -> None:
    values = {"hr@5": 0.07, "hr@10": 0.08, "ndcg@5": 0.05, "ndcg@10": 0.06}
    table = second_table(*(row(metric, (value,), 0.01) for metric, value in values.items()))
    # .0100 of NDCG in hits at rank 6 alone, .0099 * log2(7) - .0001 = .02769, or 10 alone, .0101 * log2(11) + .0001.
    assert next(audit_table2.ndcg_gains(table)).follows.endswith("fit an HR@10 from 0.0977 to 0.1050.")


def test_multiples_counted_by_hand() -> None:
    # 1/3 = .3333, 2/3 = .6667; .3334 is none of thirds, nor .5.
    np.testing.assert_array_equal(is_multiple(np.array([0.3333, 0.6667, 0.3334, 0.5, 0.0]), 3), [1, 1, 0, 0, 1])
    assert fitting_sizes(np.array([0.3333, 0.6667, 0.5]), 2, 6) == (3, [6])
    assert fitting_sizes(np.array([0.3333, 0.6667]), 2, 8) == (2, [3, 6])
    assert fewest_runs(np.array([0.3333, 0.5]), 3) == 2  # 2/6 and 3/6
    assert fewest_runs(np.array([0.3334]), 3, most=10) is None


def test_chance_that_means_look_like_one_run() -> None:
    assert rate_sizes.chance_of_single(100, 5) == pytest.approx(0.2)  # one mean in five
    assert rate_sizes.chance_of_single(10_000, 5) == 1  # no step is finer than print
    assert rate_sizes.chance_of_single(750, 1) == 1


HUNDRED = Population("D", "hr", 100, "test users", (51, 199), ("sasrec-bce",), "counted here")


@pytest.mark.parametrize(
    ("values", "verdict", "told"),
    [
        ((0.12, 0.34, 0.56), "disagrees", "with probability 0.0080"),  # like one run's: .2 ** 3
        ((0.12, 0.34, 0.562), "agrees", "can be means over 5"),  # .562 = 281/500
        ((0.12, 0.34, 0.561), "disagrees", "0.5610: no mean over 5 runs with 100 test users"),  # 280.5/500
    ],
)
def test_runs_behind_counted_by_hand(values: tuple[float, ...], verdict: str, told: str) -> None:
    table = second_table(*(row(f"hr@{k}", (value,), 0.01) for k, value in zip((1, 5, 10), values, strict=True)))
    finding = next(rate_sizes.runs_behind(table, [HUNDRED]))
    assert (finding.place, finding.verdict) == ("Table 2, D, SASRec (BCE)", verdict)
    assert told in finding.follows


def test_runs_behind_one_value_or_an_unknown_population_cannot_be_told() -> None:
    table = second_table(row("hr@1", (0.12,), 0.02))
    assert verdicts(rate_sizes.runs_behind(table, [HUNDRED])) == ["cannot be told"] * 7  # .2 is no evidence
    assert only(rate_sizes.runs_behind(table, [])).verdict == "cannot be told"


def test_the_fewest_possible_runs_are_named() -> None:
    table = second_table(row("hr@1", (0.125,), 0.02), row("hr@5", (0.561,), 0.02))
    finding = next(rate_sizes.runs_behind(table, [HUNDRED]))
    assert finding.follows.endswith("the fewest runs that give all 2 values are 10.")  # 125/1000 and 561/1000
    table = second_table(row("hr@1", (0.1234,), 0.02))
    assert "nor does any number of runs up to 20" in next(rate_sizes.runs_behind(table, [HUNDRED])).follows


def test_sizes_counted_by_hand() -> None:
    seven = Population("D", "hr", 7, "test users", (4, 13), ("sasrec-bce",), "counted here")
    fits = second_table(row("hr@1", (0.1429,), 0.5), row("hr@5", (0.4286,), 0.5))  # 1/7, 3/7
    assert only(rate_sizes.sizes(fits, [seven])).verdict == "agrees"
    other = second_table(row("hr@1", (0.1111,), 0.5), row("hr@5", (0.4444,), 0.5))  # 1/9, 4/9
    finding = only(rate_sizes.sizes(other, [seven]))
    assert (finding.verdict, finding.follows[:28]) == ("disagrees", "9 fits 2 of the 2 values of ")


def test_table_1_counted_by_hand() -> None:
    one = first_table(0.03, 0.02, 0.05, 0.04, 0.06, 0.05)
    assert verdicts(sentences.barlow_twins_gains(one)) == ["agrees", "agrees", "disagrees"]  # SCE does not change
    assert only(sentences.cross_entropy(one)).follows == "CE is −33.3 % from BCE."
    assert verdicts(sentences.cross_entropy(first_table(0.02, 0.03, 0, 0, 0, 0))) == ["agrees"]
    assert verdicts(sentences.named_objectives(one, {"D": "ce"}, "Section 5")) == ["agrees"]
    assert verdicts(sentences.named_objectives(one, {"D": "sce"}, "Section 5")) == ["disagrees"]
    assert list(sentences.named_objectives(one, {}, "Section 5")) == []


def test_table_1_against_table_2_counted_by_hand() -> None:
    one = first_table(0.03, 0.02, 0.05, 0.04, 0.06, 0.05)
    same = second_table(row("ndcg@10", (0.03, 0.02, 0.05), 0.06))
    assert only(sentences.best_variants(one, same)).verdict == "agrees"
    assert only(sentences.baseline_cells(one, same)).verdict == "agrees"
    other = second_table(row("ndcg@10", (0.03, 0.02, 0.04), 0.057))
    finding = only(sentences.best_variants(one, other))
    assert finding.verdict == "disagrees"
    assert finding.follows == "Table 1 has 0.0600 as its best (BT-SR (CE)), 3.0 times the printed deviation away."
    assert only(sentences.baseline_cells(one, other)).follows == "2 of 3 are Table 2's values."
    assert list(sentences.best_variants(one, second_table(row("hr@1", (0.03,), 0.06)))) == []


@pytest.mark.parametrize(("ours", "verdict"), [(0.0605, "agrees"), (0.0606, "disagrees")])
def test_fewer_decimals_are_a_wider_interval(ours: float, verdict: str) -> None:
    one, two = first_table(0.03, 0.02, 0.05, 0.04, 0.06, 0.05), second_table(row("ndcg@10", (), ours))
    assert only(sentences.best_variants(one, two, {("D", "btsr-ce"): 3})).verdict == verdict


def test_coverage_and_top_1_counted_by_hand() -> None:
    table = second_table(row("cov@1", (0.05,), 0.06), row("cov@5", (0.3, 0.4), 0.2), row("hr@1", (), 0.0199))
    gains = list(sentences.coverage_gains("modest-coverage", table, ["D"]))
    assert verdicts(gains) == ["agrees", "disagrees"]
    assert gains[1].follows == (
        "−50.0 % from the best baseline (SASRec (CE), 0.4000); 2 of 6 baselines are above BT-SR."
    )
    assert list(sentences.coverage_gains("modest-coverage", table, [])) == []
    assert verdicts(sentences.top_1_drop(table, ["D"], 2.0)) == ["disagrees"]
    assert only(sentences.top_1_drop(table, ["D"], 1.5)).follows.endswith("a drop of 1.5 would leave 0.0049.")
    assert list(sentences.top_1_drop(table, [], 2.0)) == []


# ----------------------------------------------------------------------------------------------------- the document


@pytest.fixture(scope="module")
def made() -> list[Check]:
    return checks()


def test_the_document_holds_every_check_and_counts_its_verdicts(made: list[Check]) -> None:
    text, frame = audit_markdown(made), pd.read_csv(io.StringIO(audit_csv(made)))
    assert tuple(frame.columns) == COLUMNS
    assert set(frame["verdict"]) == set(AUDIT_VERDICTS)
    assert len({check.name for check in made}) == len(made)
    for check in made:
        counts = " | ".join(str(sum(f.verdict == verdict for f in check.findings)) for verdict in AUDIT_VERDICTS)
        assert f"](#{check.name}) | {counts} |" in text
        assert f'<a id="{check.name}"></a>' in text
    assert all(line.count(" | ") == 3 for line in text.splitlines() if line.startswith("| Table"))


def test_a_long_check_leaves_to_the_csv_file_what_agrees() -> None:
    agreeing = [AuditFinding(f"place {n}", "a | b", "*c*", "agrees") for n in range(SHOWN_WHOLE)]
    short = audit_markdown([Check("x", "X", "How it was done, *really*.", tuple(agreeing))])
    assert short.count("\n| place ") == SHOWN_WHOLE + 1  # the head too
    assert r"| place 0 | a \| b | \*c\* | agrees |" in short
    assert "How it was done, *really*." in short
    long = audit_markdown([Check("x", "X", "", (*agreeing, AuditFinding("odd", "1", "2", "disagrees")))])
    assert long.count("\n| place ") == 1
    assert "| odd | 1 | 2 | disagrees |" in long
    assert f"{SHOWN_WHOLE} agree, 1 disagree, 0 cannot be told. Those that agree are in audit.csv." in long


def test_the_committed_audit_is_what_the_checks_give(tmp_path: Path, made: list[Check]) -> None:
    written = write_audit(tmp_path)
    assert [path.name for path in written] == ["audit.md", "audit.csv"]
    for path in written:
        assert path.read_bytes() == (ROOT / "tables" / path.name).read_bytes(), path.name
    assert len(pd.read_csv(written[1])) == sum(len(check.findings) for check in made)


def test_quotations_are_short() -> None:
    data = audit_data()
    quoted = [quote["text"] for quote in data["quotes"].values()]
    quoted += [found for check in checks() for f in check.findings for found in re.findall("“(.*?)”", f.printed)]
    assert len(quoted) > 40
    assert 0 < max(map(len, quoted)) <= 150
