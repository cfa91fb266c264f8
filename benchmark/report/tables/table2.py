"""Table 2: BT-SR and its baselines, our numbers with the printed ones below them."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from benchmark.paper.printed import BASELINES, CITATION
from benchmark.report.methods import STYLES, title_of
from benchmark.report.query import Results, RunGroup
from benchmark.report.significance import MIN_SEEDS, paired_bootstrap
from benchmark.report.tables.cells import Pair, mean, p_of, row_of, stack
from benchmark.report.tables.comparison import (
    MainComparison,
    MetricComparison,
    Resolution,
    main_comparison,
    starred_after_holm,
)
from benchmark.report.tables.layout import Cell, Head, Made, Row, Stack, Table, for_machines, table_of
from benchmark.report.tables.notes import left_out_notes, machines_note, masked_note, setting_text
from benchmark.report.tables.numbers import DASH, DECIMALS, MINUS, count, number, p_value, percent, signed, spans
from benchmark.runs.metrics import CUTOFFS, is_mean_over_users

IMPROVE = "improve"
"""The one column that is not a method's."""


def table_2(shown: Sequence[Results]) -> Made | None:
    """A table per dataset, those without a run left out; None if that is all of them.

    Holm's correction takes the tests of all tables as one family.
    """
    family = [main_comparison(results) for results in shown if results.ran]
    rows: list[Mapping[str, object]] = []
    for results, metrics in ((comparison.results, comparison.metrics) for comparison in family):
        methods = (*results.contestants, *results.extras)
        rows += for_machines(results, [_record(row, method, results) for row in metrics for method in methods])
    return ([_table(comparison, family) for comparison in family], rows) if family else None


def _table(comparison: MainComparison, family: Sequence[MainComparison]) -> Table:
    """Metrics down, methods across; below our mean its deviation and the printed number."""
    results = comparison.results
    improve = (IMPROVE,) if results.btsr and results.baselines else ()
    columns, added = (*results.contestants, *improve, *results.extras), len(results.extras)
    bands = (("", 1), ("the paper's columns", len(columns) - added), ("in addition", added))
    return table_of(
        results,
        "table2" if len(family) == 1 else "table2-together",
        f"BT-SR against its baselines on {results.heading}, in the form of the paper's Table 2.",
        [_column(column, results) for column in columns],
        (
            [_stack(row, results, columns) for row in comparison.metrics if is_mean_over_users(row.metric)],
            [_stack(row, results, columns) for row in comparison.metrics if not is_mean_over_users(row.metric)],
            [_counts(results, columns)],
        ),
        _notes(comparison, family),
        bands if 0 < added < len(columns) else (),
    )


def _column(name: str, results: Results) -> Head:
    if name == IMPROVE:
        return Head("Improve")
    runs = results.method(name)
    first, _, second = runs.title.rpartition(" ") if runs.external else runs.title.partition(" ")
    return Head(first, second, "†" if name == results.btsr else "", runs.name)


def _stack(row: MetricComparison, results: Results, columns: Sequence[str]) -> Stack:
    printed = Row("paper", tuple(_printed(row, column, results) for column in columns), "paper")
    return stack(row.metric, [_pair(row, column, results) for column in columns], printed)


def _pair(row: MetricComparison, column: str, results: Results) -> Pair:
    if column != IMPROVE:
        star = column == results.btsr and row.star
        return mean(row.summaries[column], row.places.get(column, ""), star)
    if row.versus is None:
        return Cell(DASH), ""
    sides = [row.summaries[method] for method in (results.btsr, row.rival) if method]
    return Cell(percent(row.versus.improvement)), p_of(row.versus.test, *sides)


def _printed(row: MetricComparison, column: str, results: Results) -> Cell:
    if row.printed is None or column in results.extras:
        return Cell()
    if column == IMPROVE:
        return Cell(percent(row.printed.improve))
    if column == results.btsr:
        return Cell(number(row.printed.btsr), row.printed.starred)
    return Cell(number(row.printed.values[column]))


def _counts(results: Results, columns: Sequence[str]) -> Stack:
    groups = [RunGroup("main", "", "") if column == IMPROVE else results.method(column) for column in columns]
    states = sorted({state for runs in groups for state in runs.not_done})
    counts = [f"{len(runs.done)}/{runs.asked}" if runs.asked else "" for runs in groups]

    def share(runs: RunGroup, state: str) -> str:
        return f"{state} {len(runs.not_done[state])}/{runs.asked}" if state in runs.not_done else ""

    return (
        row_of("runs", counts),
        *(row_of("", [share(runs, state) for runs in groups], "below") for state in states),
    )


def _notes(comparison: MainComparison, family: Sequence[MainComparison]) -> Iterable[str]:
    results = comparison.results
    groups = results.experiment("main")
    yield _reading_note(comparison, family)
    if results.choice:
        yield _choice_note(results)
    yield _setting_note(comparison)
    yield from masked_note(results)
    if (users := comparison.users) and users.rival and (note := _users_note(results, users, users.rival)):
        yield note
    yield from left_out_notes({runs.title: runs for runs in groups})
    if results.method("ec4srec").records:
        yield "EC4SRec: no complete public implementation exists; this one follows the paper."
    for runs in groups:
        if runs.external:
            yield _external_note(runs)
    if absent := [title_of(method) for method in STYLES if not results.method(method).records]:
        yield f"Not run: {', '.join(absent)}."
    if ours := [record for record in results.records("main") if not record.external]:
        yield machines_note(ours)


def _reading_note(comparison: MainComparison, family: Sequence[MainComparison]) -> str:
    results = comparison.results
    ran, six = len(results.baselines), "the paper's six baselines"
    rivals = six if ran == len(BASELINES) else f"those that were run ({ran}) of {six}"
    text = "Means over seeds, ± sample standard deviation."
    if any(row.printed for row in comparison.metrics):
        text += f" What the paper prints ({CITATION}) is in italics."
    if len(results.contestants) > 1:
        text += " The best of the paper's columns is bold, the second best underlined."
    if any(row.versus for row in comparison.metrics):
        text += (
            f" Improve compares BT-SR with the best of {rivals}, over the seeds that both have, with the p of a "
            f"two-sided paired t-test from {MIN_SEEDS} seeds on; * marks p < 0.05 in favour of BT-SR, for every "
            "metric alike."
        )
    tested, starred, kept = starred_after_holm(family)
    if tested:
        text += (
            f" {starred} of {tested} accuracy cells have a star, {kept} after Holm's correction over these {tested}."
        )
    return text


def _choice_note(results: Results) -> str:
    assert results.choice is not None
    means = [
        f"{title_of(method)} {number(grounds['mean'])} ({count(len(grounds['seeds']), 'seed')})"
        for method, grounds in results.choice.evidence.items()
    ]
    chosen = title_of(results.choice.choice)
    return f"† {chosen} represents BT-SR: it has the highest mean validation NDCG@10 among {', '.join(means)}."


def _setting_note(comparison: MainComparison) -> str:
    results = comparison.results
    groups, setting, records = results.experiment("main"), results.setting, results.records("main")
    protocol = records[0].spec["protocol"]
    history = "" if protocol["preset"] == "leave-one-out" else f"history {protocol['history']}, "
    details = f" (filter {protocol['filter']}, {history}ties {protocol['ties']})"
    text = f"{setting_text(setting, details)}; "
    seeds = {record.seed for record in records if not record.external} | {s for runs in groups for s in runs.missing}
    text += f"seeds {spans(seeds)}; " if seeds else ""
    threshold = results.data.get("threshold")
    if isinstance(threshold, int):
        text += f"T = {threshold} ({datetime.fromtimestamp(threshold, UTC):%Y-%m-%d %H:%M:%S UTC}); "
    text += f"{records[0].data['test_users']} test users"
    if comparison.users and not math.isnan(comparison.users.error):
        error, title = comparison.users.error, results.method(comparison.users.method).title
        text += f"; the sampling error of NDCG@10 over them is {number(error)} ({title}, mean of its seeds)"
    if all(record.external for record in records):
        return f"{text}."
    return f"{text}. All choices were made on validation; test was computed once, on the selected model."


def _users_note(results: Results, users: Resolution, rival: str) -> str:
    """BT-SR against its rival, user against user; empty where their ranks are lost."""
    differences = results.user_differences(results.method(users.method), results.method(rival), users.metric)
    if differences is None:
        return ""
    text = f"NDCG@10 of BT-SR minus that of {title_of(rival)} is"
    if math.isnan(users.detectable):
        return (
            f"Over users instead of seeds: {text} {signed(float(differences.mean()))} for every test user, so "
            "that they cannot tell which differences they would reveal."
        )
    lead = paired_bootstrap(differences)
    reveal = f"of {number(users.detectable)}" if users.detectable >= 5e-5 else "of less than 0.0001"
    return (
        f"Over users instead of seeds (paired bootstrap, seed-averaged): {text} "
        f"{lead.difference:+.{DECIMALS}f}, 95% interval [{lead.low:+.{DECIMALS}f}, {lead.high:+.{DECIMALS}f}], p "
        f"{p_value(lead.p)}; these users would reveal a true difference {reveal} with 80% power."
    ).replace("-0.", f"{MINUS}0.")


def _external_note(runs: RunGroup) -> str:
    record = runs.records[0]
    settings, counts = record.spec["method"]["settings"], record.counts
    text = (
        f"{runs.title}: recommendations made elsewhere ({settings.get('file')}, sha256 "
        f"{str(settings.get('sha256'))[:12]}), scored here on the same users, targets and catalogue. How they "
        f"were made is unknown here, so the hyper-parameters may not be equal; one file has no deviation and no test. "
        f"{counts.get('users_without_list')} of {counts.get('users')} test users have no list and count as misses; "
        f"{counts.get('history_items_dropped')} listed items were dropped because the user's history holds them."
    )
    known, others = counts.get("known_cutoff"), counts.get("other_files_before")
    if isinstance(known, int) and known < max(CUTOFFS):
        text += f" The shortest of these lists has {count(known, 'item')}: metrics at a larger K are unknown ({DASH})."
    if isinstance(others, int) and others:
        text += f" Before this file, {count(others, 'other file')} of that name had been scored on the test targets."
    return text


def _record(row: MetricComparison, method: str, results: Results) -> dict[str, object]:
    """Means as fractions, Improve in percent."""
    summary, printed = row.summaries[method], row.printed
    is_btsr, extra, runs = method == results.btsr, method in results.extras, results.method(method)
    versus, name = row.versus if is_btsr else None, "btsr" if is_btsr else method
    return {
        "metric": row.metric,
        "method": method,
        "column": runs.title,
        "role": "additional" if extra else "btsr" if is_btsr else "baseline",
        "runs_done": len(runs.done),
        "runs_asked": runs.asked,
        "mean": summary.mean,
        "deviation": summary.deviation,
        "best": row.places.get(method) == "best",
        "second": row.places.get(method) == "second",
        "best_baseline": row.rival if is_btsr else None,
        "improve_percent": versus.improvement if versus else None,
        "pairs": versus.test.n if versus else None,
        "p": versus.test.p if versus else None,
        "star": versus.test.star if versus else None,
        "paper_mean": printed.values.get(name) if printed and not extra else None,
        "paper_deviation": printed.btsr_deviation if printed and is_btsr else None,
        "paper_star": printed.starred if printed and is_btsr else None,
        "paper_improve_percent": printed.improve if printed and is_btsr else None,
    }
